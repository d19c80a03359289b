"""Searching the audit log and comparing counts with it."""
