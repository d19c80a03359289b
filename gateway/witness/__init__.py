"""A small witness of transparency logs (C2SP tlog-witness): it cosigns what goes on from what it saw, and never goes back.

It needs a folder and an address, and no gateway: an agency runs it on a machine of its own, for the log of whatever gateway it likes.
"""
