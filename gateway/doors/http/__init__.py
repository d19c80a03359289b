"""The HTTP server: connections, framing, limits, bodies."""
