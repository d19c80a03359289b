"""Header fields of HTTP messages (RFC 9110 §5), as every room that reads them takes them: by lower-case name, repeated ones joined by commas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def joined(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name_bytes, value_bytes in raw:
        name, value = name_bytes.decode("latin-1").lower(), value_bytes.decode("latin-1").strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def media_type(headers: Mapping[str, str]) -> str:
    """Of the content, in lower case and without parameters; empty where none is named."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()
