"""Backs up and restores instances, and decides how a restored log continues."""
