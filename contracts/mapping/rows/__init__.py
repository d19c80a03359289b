"""Turns the rows of a mapping table into the leaves of a plan."""
