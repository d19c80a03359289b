"""A clock for each tenant of a sandbox, which its vendor moves forward and sets back to real time."""
