"""Stand-ins of component systems: servers over TLS with client certificates."""
