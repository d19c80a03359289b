"""Clients of the gateway: REST (RFC 9421), SOAP (WS-Security), and the checks of its audit log."""
