"""Makes and parses compact JSON Web Signatures (RFC 7515) for tokens, signed bodies and approvals.

Each format defines its allowed header members; the algorithm is the registered key's.
Invariant: a part has only one base64url text: no padding, no other character, unused bits zero.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any, Final

from contracts.wire.jsontext import once
from security.keys import SigningKey, VerifyKey

_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# The last characters of a part, by its length modulo four; a length of 4n + 1 is invalid.
_ENDS: Final = {0: _ALPHABET, 2: b"AQgw", 3: b"AEIMQUYcgkosw048"}


def sign(payload: bytes, key: SigningKey, **members: str) -> bytes:
    """The JWS; `members` follow `alg` and `kid` in its header."""
    signed = header(key, **members) + b"." + encoded(payload)
    return signed + b"." + encoded(key.sign_jose(signed))


def header(key: SigningKey, **members: str) -> bytes:
    """The encoded header of a JWS by this key."""
    return encoded(json.dumps({"alg": key.jose, "kid": key.key_id, **members}, separators=(",", ":")).encode("ascii"))


def split(text: bytes, count: int = 3) -> list[bytes]:
    """The encoded parts of a compact JWS (JWE: five). ValueError if they are not base64url."""
    if text.count(b".") != count - 1:  # before splitting into as many parts
        raise ValueError(f"{count} parts are expected")
    parts = text.split(b".")
    one_form = all(not part or part[-1] in _ENDS.get(len(part) % 4, b"") for part in parts)
    if not one_form or text.translate(None, _ALPHABET) != b"." * (count - 1):
        raise ValueError("base64url is expected")
    return parts


def read_header(part: bytes, *, strict: bool = False) -> dict[str, Any]:
    """The header. ValueError or RecursionError if it is no object. Strict: UTF-8, unique names."""
    raw = decoded(part)
    header = json.loads(raw.decode("utf-8"), object_pairs_hook=once) if strict else json.loads(raw)
    if not isinstance(header, dict):
        raise ValueError("the header is not an object")
    return header


def verify(parts: Sequence[bytes], key: VerifyKey) -> None:
    """SIGNATURE_WRONG unless this key signed the parts."""
    head, payload, signature = parts
    key.verify_jose(head + b"." + payload, decoded(signature))


class Decoder:
    """The octets of one part that comes in pieces. ValueError for what `split` refuses."""

    def __init__(self) -> None:
        self._left = b""

    def add(self, text: bytes) -> bytes:
        if text.translate(None, _ALPHABET):
            raise ValueError("base64url is expected")
        text = self._left + text
        whole = len(text) & ~3
        self._left = text[whole:]
        return base64.urlsafe_b64decode(text[:whole])

    def end(self) -> bytes:
        if self._left and self._left[-1] not in _ENDS.get(len(self._left), b""):
            raise ValueError("base64url is expected")
        return decoded(self._left)


def encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def decoded(part: bytes) -> bytes:
    """The octets of a part that `split` accepted."""
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
