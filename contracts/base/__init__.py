"""The ground that every room shares: failures, identifiers, times. It imports nothing of ours."""
