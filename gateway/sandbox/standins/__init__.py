"""Stand-ins of component systems that really listen, over TLS with client certificates."""
