"""Sample clients of the gateway: REST (RFC 9421), SOAP (WS-Security), and the checks of its audit log.

They are written from docs/wire.md alone and import nothing of the gateway. Copy them into a system of your own.
"""
