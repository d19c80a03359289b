"""Values that every package shares: errors, words, identifiers, times. Imports nothing else of the project."""
