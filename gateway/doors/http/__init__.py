"""The HTTP server of the doors."""
