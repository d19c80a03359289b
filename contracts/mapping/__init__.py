"""Mapping tables and the plans that they become."""
