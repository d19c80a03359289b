"""Verifying the audit log and the rows that it accounts for."""
