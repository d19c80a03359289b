"""The documentation page of a contract."""
