"""A small witness of transparency logs (C2SP tlog-witness): cosigns consistent growth of a log, and never goes back.

It needs a folder and an address, and no gateway: an agency runs it on its own machine, for any gateway's log.
"""
