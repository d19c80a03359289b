"""Registry rows held against the audit log."""
