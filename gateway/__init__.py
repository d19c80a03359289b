"""The gateway; docs/architecture.md describes its packages."""

__version__ = "0.3.0"
