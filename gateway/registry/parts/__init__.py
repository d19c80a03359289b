"""Reads the parts of a registry document; `gateway.registry.changes.document` combines them."""
