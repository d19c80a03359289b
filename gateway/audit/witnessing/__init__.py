"""Witnesses and time-stamps of the audit log: configuration, admission, verification."""
