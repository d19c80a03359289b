"""Formats whose messages are lines of a table: CSV (RFC 4180) and XLSX (ECMA-376)."""
