"""Signs and verifies webhooks by Standard Webhooks 1.1 in its asymmetric form (`v1a`, Ed25519, RFC 8032).

Signed is `<webhook-id>.<webhook-timestamp>.<body>`. `webhook-signature` has a signature of each key in force, with
blanks between, so that a receiver may know the older or the newer key while keys are replaced.
Invariant: `verify` returns the id only after time and signature were checked over the very bytes of the body.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts.base.integers import whole_number
from security.errors import (
    SIGNATURE_EXPIRED,
    SIGNATURE_FROM_FUTURE,
    SIGNATURE_MALFORMED,
    SIGNATURE_MISSING,
    SIGNATURE_WRONG,
)
from security.grants.windows import civil

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"
TOLERANCE: Final = 300  # seconds, both ways
PUBLIC: Final = "whpk_"
_VERSION: Final = "v1a,"
_MOST: Final = 20  # signatures that are tried
_LATEST: Final = 253_402_300_799  # the year 9999


def signed(id: str, at: int, body: bytes, keys: Sequence[Ed25519PrivateKey]) -> dict[str, str]:
    """The three headers; `at` is Unix time."""
    content = _content(id, str(at), body)
    signatures = (_VERSION + base64.b64encode(key.sign(content)).decode("ascii") for key in keys)
    return {ID: id, TIMESTAMP: str(at), SIGNATURE: " ".join(signatures)}


def verify(headers: Mapping[str, str], body: bytes, keys: Sequence[Ed25519PublicKey], now: float) -> str:
    """The id of a webhook that one of these keys signed. Header names are lower-case. A `SIGNATURE_…` error."""
    if not headers.get(SIGNATURE):
        raise SIGNATURE_MISSING(where=SIGNATURE)
    id, at = headers.get(ID, ""), whole_number(headers.get(TIMESTAMP, ""), _LATEST)
    if not id or at is None:
        raise SIGNATURE_MALFORMED(where=f"{ID}, {TIMESTAMP}", rule="an id; Unix time in seconds")
    if not -TOLERANCE <= now - at <= TOLERANCE:
        created, moment = civil(at, seconds=True), civil(now, seconds=True)
        if at > now:
            raise SIGNATURE_FROM_FUTURE(created=created, now=moment, skew=round(at - now, 1), allowed=TOLERANCE)
        late, skew = round(now - at - TOLERANCE, 1), round(now - at, 1)
        raise SIGNATURE_EXPIRED(created=created, now=moment, late=late, skew=skew)
    content = _content(id, headers[TIMESTAMP], body)
    for text in headers[SIGNATURE].split(" ", _MOST)[:_MOST]:
        signature = _bytes(text.removeprefix(_VERSION), 64) if text.startswith(_VERSION) else None
        if signature is not None and any(_holds(key, signature, content) for key in keys):
            return id
    raise SIGNATURE_WRONG(key=", ".join(map(public_text, keys)) or "—")


def public_text(key: Ed25519PublicKey) -> str:
    """A public key as Standard Webhooks writes it: `whpk_` and Base64."""
    return PUBLIC + base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode("ascii")


def public_key(text: str) -> Ed25519PublicKey:
    """The key that such a text means. ValueError for any other text."""
    raw = _bytes(text.removeprefix(PUBLIC), 32) if text.startswith(PUBLIC) else None
    if raw is None:
        raise ValueError(f"a public key is {PUBLIC} and the Base64 of 32 bytes")
    return Ed25519PublicKey.from_public_bytes(raw)


def _content(id: str, at: str, body: bytes) -> bytes:
    return f"{id}.{at}.".encode() + body


def _bytes(text: str, length: int) -> bytes | None:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == length else None


def _holds(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True
