"""Builds the parts of a request that are kept as evidence: its signed head and its body, unchanged.

Form: an HTTP/1.1 message (RFC 9112) with the full target URI in its request line, as the signature covers it. Its first
headers hold the status of each certificate at admission: statement, validity, and digest of the CRL or OCSP answer. The
contract decides which parts are kept, and how long (`vault.classes.keeping`).
Invariant: the log's entries do not depend on what is kept.
"""

from __future__ import annotations

from gateway.transfer.stages import Authenticated, Decoded, Received, Requested
from gateway.transfer.transfer_records import canonical
from gateway.vault import attachments
from gateway.vault.classes import SALT_PART
from gateway.vault.salting import pack

# The token is kept, since the signature covers it. It is bound to the certificate and expires soon.
_STATUS = "lgsp-certificate-status"  # the gateway's own; a caller's header of this name is not kept
_HEADERS = (
    "host",
    "content-type",
    "content-digest",
    "idempotency-key",
    "signature-input",
    "signature",
    "soapaction",
    "authorization",
)


def request_bytes(received: Received, authenticated: Authenticated | None = None) -> bytes:
    """`authenticated` is None for a dropped file, which has no certificate."""
    head = [f"{received.method} {received.target_uri} HTTP/1.1"]
    if authenticated is not None:
        snapshot, thumbprint = authenticated.snapshot, authenticated.addressed.channel.thumbprint
        channel, key = (
            snapshot.tls_key(thumbprint or ""),
            snapshot.keys.get(authenticated.key.key_id if authenticated.key is not None else ""),
        )
        head += [
            f"{_STATUS}: {use}; {each.status}" for use, each in (("tls", channel), ("sign", key)) if each is not None
        ]
    head += [f"{name}: {received.headers[name]}" for name in _HEADERS if name in received.headers]
    return "\r\n".join(head).encode("latin-1", "replace") + b"\r\n\r\n" + received.body


def parts_of(decoded: Decoded, salt: bytes, message: bool) -> list[tuple[str, bytes]]:
    """What is kept of a call from its intent on: the request, its large contents, and with `message` its message."""
    requested = decoded.requested
    parts, spool = request_parts(requested, salt), requested.received.spool
    if message:
        parts.append(("canonical", canonical(requested, decoded.message)))
    if spool is not None:
        parts.append((attachments.PART, attachments.listed(spool)))
    return parts


def request_parts(requested: Requested, salt: bytes) -> list[tuple[str, bytes]]:
    """The request as received; the decrypted body if it was encrypted; the salt alone if the request is not kept."""
    parts = [("request", pack(salt, request_bytes(requested.received, requested.authenticated)))]
    if requested.authenticated.opened:
        parts.append(("request-opened", requested.authenticated.opened))
    if requested.contract.contract.evidence == "metadata":
        parts.append((SALT_PART, pack(salt, b"")))
    return parts
