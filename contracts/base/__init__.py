"""What every package shares: errors, words, identifiers, times. It imports nothing of ours."""
