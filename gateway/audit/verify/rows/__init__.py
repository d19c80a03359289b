"""Checks of the tables around the log: each row is held against what entries and signed notes say of it."""
