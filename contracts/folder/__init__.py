"""Contract folders: their files, and the line of every value."""
