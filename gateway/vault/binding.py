"""Declares what a body is sealed with besides its name, so that opening it proves what the rows must say.

    request, canonical of what is dispatched    the leaf of the intent's entry, and the transfer's fixed columns
    canonical of what is handed in              the contract and the event's attributes that the feed shows
    answer                                      the leaf of the outcome's entry
    event, of what was dispatched and has ended the contract and the event's attributes; the body is the event itself

Form: one byte, the binding (32 bytes), then the sealed body (`security.seal`) whose context holds the binding. The
binding is in clear there, and opening authenticates it: a record whose binding was changed or removed does not open.
Bodies that were sealed before have none.
Invariant: equal rows give equal bindings on both databases; rows that differ in one bound column do not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Final

MARK: Final = b"\x10"  # not a version of `security.seal`
SIZE: Final = 32
EVENT_PART: Final = "event"
NONE: Final[Mapping[str, bytes]] = MappingProxyType({})  # no part has a binding
HEAD: Final = len(MARK) + SIZE
FIXED: Final = (
    "id",
    "pattern",
    "caller_system",
    "caller_agency",
    "contract",
    "bundle",
    "operation",
    "message_id",
    "grant_id",
    "provider",
    "received",
    "committed",
)
_CONTEXT: Final = b"lgsp vault v2\0"
_fixed: Final = attrgetter(*FIXED)
_encode: Final = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")
).encode


def of_transfer(intent: bytes, row: object) -> bytes:
    """`intent` is the leaf of its entry (32 bytes), `row` has the columns of `transfer` as attributes."""
    value = [*_fixed(row), bytes(row.payload_digest).hex(), bool(row.idempotent)]  # type: ignore[attr-defined]
    return hashlib.sha256(b"transfer\0" + intent + _encode(value).encode()).digest()


def of_event(contract: str, event: str) -> bytes:
    """`event` is the JSON text of the event's attributes, as the feed's row holds it."""
    return hashlib.sha256(b"event\0" + contract.encode() + b"\0" + event.encode()).digest()


def wrap(binding: bytes, sealed: bytes) -> bytes:
    return MARK + binding + sealed


def split(record: bytes) -> tuple[bytes | None, bytes]:
    """(binding or None, sealed body). The binding is proved only by opening the body under its context."""
    if record[:1] != MARK or len(record) < HEAD:
        return None, record
    return record[1:HEAD], record[HEAD:]


def context(binding: bytes, name: bytes) -> bytes:
    return _CONTEXT + binding + name
