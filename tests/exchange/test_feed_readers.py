"""Who reads which feed is found by a few statements, however many readers and feeds there are, on both databases."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, insert, select

from gateway.audit.search.fields import FIELDS
from gateway.audit.search.index import Indexer
from gateway.exchange.feed_readers import FeedReader, readers
from gateway.feeds.sessions import NOTE
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry.registry import Registry
from gateway.registry.snapshot import Snapshot
from gateway.transfer import entries
from tests.registry.making import filled, province


def counted(engine: Engine, snapshot: Snapshot) -> tuple[int, dict[tuple[str, str], FeedReader]]:
    """The number of statements, and the readers that have read by contract and system."""
    statements: list[str] = []

    def add(*given: object) -> None:
        statements.append(str(given[2]))

    event.listen(engine, "before_cursor_execute", add)
    try:
        with engine.connect() as connection:
            found = readers(connection, snapshot, time.time(), started=True)
    finally:
        event.remove(engine, "before_cursor_execute", add)
    return len(statements), {(each.contract, each.system): each for each in found}


@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "not yet indexed"])
def test_the_number_of_statements_does_not_grow_with_readers(database: Engine, indexed: bool) -> None:
    """Each permitted reader has read to a place of its own, one of many entries; the newest counts."""
    filled(database, province(), [])
    snapshot = Registry(database).snapshot
    with database.connect() as connection:
        everybody = readers(connection, snapshot, time.time())
    assert len(everybody) > 3
    rows = [
        {"contract": name, "offset": number, "transfer": f"{name}-{number}", "event": "{}", "body_ref": "",
         "sequenced": time.time() - 100 + number}
        for name in {each.contract for each in everybody}
        for number in range(1, 51)
    ]  # fmt: skip
    with writing(database) as connection:
        connection.execute(insert(tables.feed_event), rows)

    def read(some: list[FeedReader], places: dict[tuple[str, str], int]) -> None:
        notes = []
        for each in some:
            upto = places[each.contract, each.system]
            for last in range(max(1, upto - 6), upto + 1):
                facts: dict[str, Any] = {
                    "contract": each.contract,
                    "grant": "G",
                    "state": "renewed",
                    "read": [[1, last]],
                    "events": 1,
                }
                notes.append(entries.note(NOTE, facts, time.time(), actor=f"{each.agency}/{each.system}"))
        with writing(database) as connection:
            start = (connection.scalar(select(func.max(tables.log_entry.c.idx))) or 0) + 1
            logged = [{**row._asdict(), "idx": at, "sequenced": time.time()} for at, row in enumerate(notes, start)]
            connection.execute(insert(tables.log_entry), logged)
        if indexed:
            indexer = Indexer(database, None)
            while indexer.step(None) or indexer.waiting():
                pass

    places = {(each.contract, each.system): 10 + number for number, each in enumerate(everybody)}
    read(everybody[:1], places)
    few, found = counted(database, snapshot)
    assert {name: each.position for name, each in found.items()} == dict(list(places.items())[:1])
    read(everybody[1:], places)
    many, found = counted(database, snapshot)
    assert {name: each.position for name, each in found.items()} == places
    assert all((each.head, each.behind) == (50, 50 - each.position) for each in found.values())
    assert all(each.behind_seconds > 50 - each.position - 1 for each in found.values())
    assert many == few <= 8


def test_the_index_of_readings_names_their_kind() -> None:
    assert str(tables.READINGS) == f"kind = {FIELDS['kind'].digest(NOTE)}"
