"""Revocation kept current: what outside authorities say is fetched, and what the embedded one has revoked is told."""
