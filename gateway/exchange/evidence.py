"""The bytes that are kept as evidence of a request: its signed head and its body, as they came.

Form: an HTTP/1.1 message (RFC 9112) with the full target URI in its first line, since the signature covers it. Before its own headers stands, one line a
certificate, how that stood when the message was let in: what we or its authority had last said, from when until when, and the digest of the list or answer.
"""

from __future__ import annotations

from gateway.exchange.stages import Authenticated, Received

# The token stays in, since the signature covers it: it is bound to the certificate and expires long before anybody opens the vault.
_STATUS = "lgsp-certificate-status"  # ours: a caller's header of this name is not among those that are kept
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


def request_bytes(received: Received, who: Authenticated | None = None) -> bytes:
    """`who` is there if the request was proved by certificates; a dropped file was not."""
    head = [f"{received.method} {received.target_uri} HTTP/1.1"]
    if who is not None:
        snapshot = who.addressed.snapshot
        channel, key = (
            snapshot.tls_key(who.certificate_thumbprint or ""),
            snapshot.keys.get(who.key.key_id if who.key is not None else ""),
        )
        head += [
            f"{_STATUS}: {use}; {each.said}" for use, each in (("tls", channel), ("sign", key)) if each is not None
        ]
    head += [f"{name}: {received.headers[name]}" for name in _HEADERS if name in received.headers]
    return "\r\n".join(head).encode("latin-1", "replace") + b"\r\n\r\n" + received.body
