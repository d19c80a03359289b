"""What `lgsp contract check` proves of a contract folder."""
