"""Values that every package shares: errors, identifiers, times. Imports nothing else of the project."""
