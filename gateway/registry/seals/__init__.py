"""Checks the rows of the registry against the audit log."""
