"""Certificates: authority, chains, revocation, time-stamps, TLS contexts."""
