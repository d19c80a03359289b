"""What the console does, without HTTP: pages and operations of the API call the same functions.

A function takes the desk or a connection, and the viewer where it matters who asks. It returns typed values.
Invariant: an act and its entry in the log are one transaction, or the entry is committed first.
"""
