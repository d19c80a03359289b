"""Rows of a mapping table, kind by kind: what a row says becomes leaves in the plan of its message."""
