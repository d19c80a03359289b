"""Comparing a contract with the schema that a component system published."""
