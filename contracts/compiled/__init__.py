"""Contracts in force, compiled once and immutable."""
