"""Reads which fields the events of an operation tell of (`event` of contract.yaml).

They are the time of the content, the time when it ends, and the administrative units that it is about.

Invariant: each declared field exists in the request.
"""

from __future__ import annotations

from typing import Final

from contracts.canonical.model import EventFacts, Pattern, Struct
from contracts.compiled.identity_file import scalar_of
from contracts.compiled.source import FieldReader
from contracts.folder.source_locations import Path

_WORDS: Final = ("made", "expires", "area")


def read_event(read: FieldReader, at: Path, pattern: Pattern, struct: Struct | None, *, fed: bool) -> EventFacts:
    """The declaration at `at`; empty if there is none. `fed`: the end of a dispatch is an event."""
    if read.get(at) is None or struct is None:
        return EventFacts()
    if pattern is not Pattern.SUBMIT and not fed:
        read.bad(at, f"events of a {pattern} that has none", "an operation that submits, or dispatches with a feed")
        return EventFacts()
    read.only(at, set(_WORDS))
    paths = {word: str(read.get((*at, word)) or "") for word in _WORDS}
    for word, path in paths.items():
        scalar = scalar_of(struct, path) if path else None
        if not path:
            continue
        if word == "expires" and pattern is not Pattern.SUBMIT:
            read.bad((*at, word), path, "no time of expiry: what was dispatched has ended")
        elif word == "area" and (scalar is None or scalar.kind != "string" or scalar.format or scalar.binary):
            read.bad((*at, word), path, "the path of a text, the code of an administrative unit")
        elif word != "area" and (scalar is None or scalar.format != "date-time"):
            read.bad((*at, word), path, "the path of a date and time")
        elif word == "made" and "[]" in path:
            read.bad((*at, word), path, "the path of one date and time, outside lists")
    return EventFacts(**paths)
