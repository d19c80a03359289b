"""Vendors enrol in a sandbox without an officer: tenants, invitations, certificates, first calls."""
