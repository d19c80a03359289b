"""The database schema: tables, metadata, comparison with what is there."""
