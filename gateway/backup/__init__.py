"""Backup and restore of an instance, and what a restored log may go on as."""
