"""The second time of an entry is held against the entries that moved a tenant's clock."""

from __future__ import annotations

import json
from typing import Any

from contracts.base.times import rfc3339
from gateway.audit.verify.checks import Clocks, read_entry
from gateway.audit.verify.sources import Record
from security.transparency.entry import Caller, Note, Repeat, freeze

AT, DAY, TENANT = 1_800_000_000.0, 86_400, "NCC.0000000A"


def found(*entries: Any) -> list[str]:
    check, wrong = Clocks(), list[str]()
    for number, each in enumerate(entries):
        value, trouble = read_entry(freeze(each).entry)
        assert trouble is None
        record = Record(number, b"")
        wrong += [text for text in [check.entry(record, value)] if text is not None]
    return wrong + [text for _, text in check.end()]


def call(ahead: float | None, agency: str = TENANT, at: float = AT) -> Repeat:
    clock = None if ahead is None else at + ahead
    return Repeat("t-1", at, "rest", Caller(agency, "x"), "t-0", 200, clock)


def moved(ahead: int, agency: str = TENANT) -> Note:
    return Note("n-1", AT, "tenant-clock", "x", {"tenant": agency, "ahead": ahead})


def test_a_time_that_the_log_explains_is_right() -> None:
    token = Note("n-2", AT, "token", "x", {}, AT + DAY)
    assert found(moved(DAY), call(DAY), call(None), token) == []
    assert found(call(DAY, at=AT + 0.9996), moved(DAY)) == []  # entries of two processes may change places


def test_a_time_that_nobody_moved_to_is_found() -> None:
    for entries in (
        (call(DAY),),
        (moved(DAY), call(2 * DAY)),
        (moved(DAY, "NCC.0000000B"), call(DAY)),
        (moved(DAY), call(DAY, "H14.2")),
        (moved(DAY), call(-DAY)),
        (moved(500 * DAY), call(500 * DAY)),
        (Note("n-2", AT, "token", "x", {}, AT + DAY),),
    ):
        assert len(found(*entries)) == 1, entries


def test_entries_of_others_are_as_they_were() -> None:
    for entry in (call(None), Note("n-2", AT, "token", "x", {})):
        assert set(json.loads(freeze(entry).entry)) & {"clock"} == set()
    assert json.loads(freeze(call(DAY)).entry)["clock"] == rfc3339(AT + DAY)
