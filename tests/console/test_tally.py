"""The counts of refusals: those of every entry alone, whatever span, whatever the index lags, and counted once."""

from __future__ import annotations

import json
from collections import Counter
from random import Random

import pytest
from sqlalchemy import Engine, event, select

from gateway.audit.search.fields import word
from gateway.audit.search.index import Indexer, watermark
from gateway.console.work import tally
from gateway.console.work.tally import ends, refusals
from gateway.journal.database import writing
from gateway.journal.schema import tables
from tests.audit import making
from tests.audit.conftest import kept_database as kept_database

WIDTH = 700
LOG = list(making.entries(Random(7), WIDTH))


def brute_pairs(since: int, until: int) -> Counter[tuple[int | None, int | None]]:
    """From the texts of the entries."""
    entries = [json.loads(LOG[at][1].entry) for at in range(since, until)]
    refused = [each for each in entries if each["kind"] == "refusal"]
    agencies = [each.get("caller", {}).get("agency") for each in refused]
    return Counter(
        (word(each["failure"]), None if agency is None else word(agency))
        for each, agency in zip(refused, agencies, strict=True)
    )


@pytest.fixture
def filled(kept_database: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr(tally, "BLOCK", 16)
    with writing(kept_database) as connection:
        making.clear(connection)
        making.write(connection, LOG)
    return kept_database


def watermark_of(engine: Engine) -> int:
    with engine.connect() as connection:
        return watermark(connection).upto


def test_every_span_has_the_counts_of_its_entries(filled: Engine) -> None:
    chance, one = Random(3), refusals()
    Indexer(filled, None).empty()
    for indexed in (100, WIDTH):
        while indexed > watermark_of(filled):
            Indexer(filled, None, limit=100).step(None)
        for _ in range(30):
            since, until = sorted(chance.choices(range(WIDTH + 1), k=2))
            with filled.connect() as connection:
                counted = one.counted(connection, since, until)
            assert not counted.capped and counted.pairs == brute_pairs(since, min(until, indexed)), (since, until)


def test_whole_blocks_are_counted_once_and_in_bounded_portions(filled: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in Indexer(filled, None).remake():
        pass
    monkeypatch.setattr(tally, "MOST", 10)
    one, capped, statements = refusals(), 0, list[str]()
    event.listen(filled, "before_cursor_execute", lambda _c, _u, text, *_more: statements.append(text))
    every = brute_pairs(0, WIDTH)
    with filled.connect() as connection:
        while (counted := one.counted(connection, 0, WIDTH)).capped:
            assert counted.pairs < every  # the newest alone, and more with each call
            capped += 1
        assert capped > 2 and counted.pairs == every
        statements.clear()
        assert one.counted(connection, 5, WIDTH).pairs == brute_pairs(5, WIDTH)
        assert sum("GROUP BY" in each for each in statements) == 2  # before the first whole block, and after the last
        monkeypatch.setattr(tally, "BLOCKS", 3)
        newest = one.counted(connection, 0, WIDTH)
    assert newest.capped and newest.pairs == brute_pairs((WIDTH // 16 - 3) * 16, WIDTH)


def test_ends_are_counted_by_contract_and_outcome(filled: Engine) -> None:
    chance, one = Random(4), ends()
    while watermark_of(filled) < WIDTH:
        Indexer(filled, None, limit=100).step(None)
    with filled.connect() as connection:
        rows = [(row.contract, row.outcome) for row in connection.execute(select(tables.log_index))]
        assert len({outcome for _, outcome in rows}) > 3 and len({contract for contract, _ in rows}) > 2
        for _ in range(30):
            since, until = sorted(chance.choices(range(WIDTH + 1), k=2))
            wanted = Counter(each for each in rows[since:until] if each[1] is not None)
            assert one.counted(connection, since, until) == (wanted, False)
