"""Builds the parts of a request that are kept as evidence: its signed head and its body, as they came.

Form: an HTTP/1.1 message (RFC 9112) with the full target URI in its first line, since the signature covers it. Its
first headers say, one line a certificate, how that certificate stood when the message was let in: what we or its
authority had last said, from when until when, and the digest of the list or answer. Which parts are kept, and for how
long, is the contract's (`vault.classes.keeping`).
Invariant: the entries of the log are the same, whatever is kept.
"""

from __future__ import annotations

from gateway.transfer.stages import Authenticated, Received, Requested
from gateway.vault.classes import SALT_PART
from gateway.vault.salting import pack

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
        snapshot, thumbprint = who.snapshot, who.addressed.channel.thumbprint
        channel, key = (
            snapshot.tls_key(thumbprint or ""),
            snapshot.keys.get(who.key.key_id if who.key is not None else ""),
        )
        head += [
            f"{_STATUS}: {use}; {each.status}" for use, each in (("tls", channel), ("sign", key)) if each is not None
        ]
    head += [f"{name}: {received.headers[name]}" for name in _HEADERS if name in received.headers]
    return "\r\n".join(head).encode("latin-1", "replace") + b"\r\n\r\n" + received.body


def request_parts(who: Requested, salt: bytes) -> list[tuple[str, bytes]]:
    """The request as it travelled; where its body was encrypted, beside it what the signature covers; where the request
    is not kept, the salt alone.
    """
    parts = [("request", pack(salt, request_bytes(who.received, who.authenticated)))]
    if who.authenticated.opened:
        parts.append(("request-opened", who.authenticated.opened))
    if who.contract.contract.evidence == "metadata":
        parts.append((SALT_PART, pack(salt, b"")))
    return parts
