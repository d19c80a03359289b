"""Makes a production instance from a few answers: its settings, secret, keys, first registry document and accounts."""
