"""Grants: access rights, their approvals, their hours and quotas."""
