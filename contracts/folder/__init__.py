"""Contract folders as they are written, with the line of every value."""
