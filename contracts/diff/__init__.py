"""Compares two versions of a contract: what changed, and which parties it breaks."""
