"""The parts of a registry document, each read and checked by a module of its own; `gateway.registry.changes.document` puts them together."""
