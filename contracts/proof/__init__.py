"""The checks of `lgsp contract check`."""
