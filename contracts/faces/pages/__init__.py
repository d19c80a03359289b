"""The page of a contract, for people."""
