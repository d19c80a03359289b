"""Seals of a streamed answer: a JWS (RFC 7515) after each batch, over all bytes since the stream began.

The answer's head is signed like any other (`security.http_signatures`), but a stream has no digest yet. So the stream
brings seals. A seal's payload is a JSON object:

    request   the signature of the request, a structured-field byte sequence: the stream answers this request alone
    from      the cursor that the stream began after; empty: at the beginning
    cursor    the cursor behind the last event before the seal
    bytes     the number of bytes of the body before the seal's event
    sha256    their digest, base64url

Invariant: a reader that hands on only events before a verified seal hands on only what the gateway sent, in order and
  without a gap.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Final, NamedTuple

from contracts.wire.jsontext import read_json
from security import jose, jws
from security.keys import SigningKey, VerifyKey

CONTENT_TYPE: Final = "application/vnd.lgsp.stream-seal+json"  # `cty`: no other signed text of the gateway has it
SEAL: Final = "seal"  # the type of a seal's event
END: Final = "end"  # the type of a stream's last event
LONGEST: Final = 8192  # bytes


class NotSealed(ValueError):
    """The bytes before a seal are not what the gateway sent."""


class Sealed(NamedTuple):
    """`start`: the cursor that the stream began after."""

    start: str
    cursor: str


class Running:
    """The digest of a stream, and its seals. One for each stream, on either side."""

    def __init__(self, request: str) -> None:
        """`request`: the signature of the request (`http_signatures.signature_of`)."""
        self._request: Final = request
        self._digest: Final = hashlib.sha256()
        self._bytes = 0

    def take(self, data: bytes) -> None:
        self._digest.update(data)
        self._bytes += len(data)

    def seal(self, sealed: Sealed, key: SigningKey) -> bytes:
        """The seal over what was taken."""
        payload = self._facts() | {"from": sealed.start, "cursor": sealed.cursor}
        return jose.sign(json.dumps(payload, separators=(",", ":")).encode(), CONTENT_TYPE, key)

    def check(self, text: bytes, find_key: Callable[[str], VerifyKey | None], now: float) -> Sealed:
        """Raises `NotSealed`, or a failure if no key of the gateway signed it."""
        if len(text) > LONGEST:
            raise NotSealed("a seal of too many bytes")
        opened = jose.verify(text, find_key, now)
        payload = read_json(opened.payload)
        facts = self._facts()
        if opened.media_type != CONTENT_TYPE or not isinstance(payload, dict):
            raise NotSealed("no seal")
        for name, value in facts.items():
            if payload.get(name) != value:
                raise NotSealed(f"{name}: another value")
        if not isinstance(payload.get("from"), str) or not isinstance(payload.get("cursor"), str):
            raise NotSealed("from, cursor: texts")
        return Sealed(payload["from"], payload["cursor"])

    def _facts(self) -> dict[str, object]:
        digest = jws.encoded(self._digest.digest()).decode("ascii")
        return {"request": self._request, "bytes": self._bytes, "sha256": digest}
