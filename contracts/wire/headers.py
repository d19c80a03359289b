"""Header fields of HTTP messages (RFC 9110 §5): by lower-case name, repeated fields joined by commas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

RESPOND_ASYNC: Final = "respond-async"  # RFC 7240 §4.1
TENANT_TIME: Final = "lgsp-time"  # of a sandbox's answer: the time by the caller's clock, if she moved it


def joined(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Header fields of raw pairs, decoded as Latin-1 and stripped."""
    headers: dict[str, str] = {}
    for name_bytes, value_bytes in raw:
        name, value = name_bytes.decode("latin-1").lower(), value_bytes.decode("latin-1").strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def prefers(headers: Mapping[str, str], preference: str) -> bool:
    """Whether `Prefer` names this preference (RFC 7240 §2). Its value and parameters are ignored."""
    return any(
        each.partition(";")[0].partition("=")[0].strip().lower() == preference
        for each in headers.get("prefer", "").split(",")
    )


def media_type(headers: Mapping[str, str]) -> str:
    """The media type in lower case without parameters; empty where there is none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()
