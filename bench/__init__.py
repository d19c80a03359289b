"""Measures: the secured exchange against what a user could pick instead, on one machine, in one run."""
