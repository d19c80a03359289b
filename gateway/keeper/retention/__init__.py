"""Destroys the keys of the vault whose retention has ended, and keeps legal holds, which outlive it."""
