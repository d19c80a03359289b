"""Reads and writes the headers of W3C Trace Context (`traceparent`, `tracestate`).

Standard: https://www.w3.org/TR/trace-context/ §3.2, §3.3. What is not exactly that is left out, never an error: a trace
decides nothing about a call.
Invariant: what is read is bounded, and holds no character that a header or a log line must not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

PARENT, STATE = "traceparent", "tracestate"
_HEX: Final = frozenset("0123456789abcdef")
_KEY: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-*/@")
_VALUE: Final = frozenset(map(chr, range(0x20, 0x7F))) - {",", "="}
_LENGTH: Final = 55  # of a traceparent of version 00
MOST: Final = 512  # characters of a tracestate, and of a traceparent of a later version
_MEMBERS: Final = 32
_NAME, _TEXT = 256, 256  # characters of a member's key and value


class Trace(NamedTuple):
    """`trace`: 32 hex digits. `span`: 16, of the caller's span. `state` is empty or valid."""

    trace: str
    span: str
    sampled: bool
    state: str = ""

    def headers(self) -> dict[str, str]:
        """To send with a call whose parent is `span`."""
        told = {PARENT: f"00-{self.trace}-{self.span}-{'01' if self.sampled else '00'}"}
        return {**told, STATE: self.state} if self.state else told


def read(headers: Mapping[str, str]) -> Trace | None:
    """The trace that a caller sent; header names are lower-case. None without a valid one."""
    text = headers.get(PARENT, "")
    if not _LENGTH <= len(text) <= MOST:
        return None
    version, trace, span, flags = text[:2], text[3:35], text[36:52], text[53:55]
    if text[2] + text[35] + text[52] != "---" or not all(map(_is_hex, (version, trace, span, flags))):
        return None
    if version == "ff" or not trace.strip("0") or not span.strip("0"):
        return None
    if len(text) > _LENGTH and (version == "00" or text[_LENGTH] != "-"):
        return None
    return Trace(trace, span, bool(int(flags, 16) & 1), state_of(headers.get(STATE, "")))


def state_of(text: str) -> str:
    """The members of a tracestate; empty if one of them is not valid, or there are too many."""
    if len(text) > MOST:
        return ""
    members = [each.strip(" \t") for each in text.split(",")]
    members = [each for each in members if each]
    names = [each.partition("=")[0] for each in members]
    if len(members) > _MEMBERS or len(set(names)) < len(names) or not all(map(_is_member, members)):
        return ""
    return ",".join(members)


def _is_hex(text: str) -> bool:
    return _HEX.issuperset(text)


def _is_member(text: str) -> bool:
    name, equals, value = text.partition("=")
    tenant, at, system = name.partition("@")
    sound = bool(equals) and 0 < len(name) <= _NAME and _KEY.issuperset(name) and name[0] not in "_-*/@"
    if at:
        sound = sound and bool(tenant) and system[:1].isalpha() and "@" not in system
    return sound and 0 < len(value) <= _TEXT and _VALUE.issuperset(value) and value[-1] != " "
