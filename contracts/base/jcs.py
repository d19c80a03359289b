"""Canonical JSON (RFC 8785) for log entries and bundles.

Accepts str, int, bool, None, list, tuple and mappings with string keys, sorted by UTF-16 code units.
Floats are rejected, so ECMAScript's number formatting never arises; integers must be exact in a double.
"""

from __future__ import annotations

from collections.abc import Mapping
from json.encoder import encode_basestring
from typing import Final

_SAFE: Final = 2**53 - 1


def encode(value: object) -> bytes:
    """The canonical bytes. TypeError or ValueError for a value outside the profile."""
    return _text(value).encode("utf-8")


def _text(value: object) -> str:
    if value is True:
        return "true"
    if value is False:
        return "false"
    if value is None:
        return "null"
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, int):
        if abs(value) > _SAFE:
            raise ValueError("an integer beyond 2^53-1 has no canonical form")
        return str(int(value))
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError("a key that is not text")
        return (
            "{" + ",".join(f"{encode_basestring(key)}:{_text(value[key])}" for key in sorted(value, key=_units)) + "}"
        )
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_text, value)) + "]"
    raise TypeError(f"{type(value).__name__} has no place in canonical JSON here")


def _units(key: str) -> bytes:
    return key.encode("utf-16-be")
