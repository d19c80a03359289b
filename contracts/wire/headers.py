"""Header fields of HTTP messages (RFC 9110 §5): by lower-case name, repeated fields joined by commas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def joined(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Header fields of raw pairs, decoded as Latin-1 and stripped."""
    headers: dict[str, str] = {}
    for name_bytes, value_bytes in raw:
        name, value = name_bytes.decode("latin-1").lower(), value_bytes.decode("latin-1").strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def media_type(headers: Mapping[str, str]) -> str:
    """The media type in lower case without parameters; empty where there is none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()
