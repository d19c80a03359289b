"""Checks of the tables around the log against its entries and signed notes."""
