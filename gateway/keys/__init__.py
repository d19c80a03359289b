"""Holds the gateway's own keys: key ring, encryption at rest, hardware, embedded authority."""
