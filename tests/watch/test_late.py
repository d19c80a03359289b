"""Late data: who owes a period is reminded before it is due, and named when it is late."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from contracts.base.errors import Theirs
from contracts.base.times import rfc3339
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.folder.bundle import Bundle
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry.snapshot import Snapshot, load_snapshot
from gateway.scorecards.cards import Dates, cards
from gateway.watch.late import LateData
from security.grants.windows import VIETNAM
from tests.journal.databases import KINDS, migrated
from tests.registry.editions import edition, swap
from tests.registry.making import contracts, filled, province
from tests.scorecards import seeding

NINE = datetime(2026, 11, 27, 9, tzinfo=VIETNAM).timestamp()
MINUTE = 60.0
HOUR = 3600.0
NAME = "observation/v1"


@pytest.fixture(params=KINDS)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Of a system that handed in an hour's data in the hours before nine, and then nothing."""
    engine = migrated(request.param, tmp_path_factory.mktemp("late"))
    filled(engine, province(seeding.DOCUMENT), [], NINE - 90 * 86_400)
    for hour in range(-3, 0):
        reading(engine, NINE + hour * HOUR + 600, NINE + hour * HOUR + 660)
    yield engine
    engine.dispose()


def reading(engine: Engine, time: float, at: float) -> None:
    """A message with the time of its data, and when it came in."""
    step = seeding._submit(at, "quan-trac", NAME, "submitObservation", f"D%2C1,{seeding._utc(time)}")
    assert step.row is not None and step.event is not None
    with writing(engine) as connection:
        connection.execute(insert(tables.transfer), [step.row])
        number = connection.scalar(tables.feed_event.select().with_only_columns(tables.feed_event.c.offset).order_by(
            tables.feed_event.c.offset.desc()).limit(1)) or 0  # fmt: skip
        text = json.dumps(step.event[1], separators=(",", ":"))
        event = {"contract": NAME, "offset": number + 1, "transfer": step.row["id"], "event": text}
        connection.execute(insert(tables.feed_event), [{**event, "sequenced": at, "body_ref": "b"}])


def owing(engine: Engine, now: float, snapshot: Snapshot | None = None) -> dict[str, list[dict[str, Any]]]:
    with engine.connect() as connection:
        found = LateData(lambda: now).look(connection, snapshot or load_snapshot(connection))
    return {name: [{"system": each.system, **each.facts} for each in getattr(found, name)] for name in ("late", "due")}


def expecting(number: str) -> Bundle:
    line = "  frequency: HOURLY\n"
    return edition("1.9.0", swap("contract.yaml", line, f"{line}  expected: {number}\n"), contract="observation")


def owed(hour: int) -> list[dict[str, Any]]:
    """What is said of the hour from `hour` o'clock on."""
    begin = NINE + (hour - 9) * HOUR
    period = datetime.fromtimestamp(begin, VIETNAM).strftime("%Y-%m-%dT%H:00")
    return [{"system": "quan-trac", "contract": NAME, "period": period, "due": rfc3339(begin + 2 * HOUR)}]


def test_who_owes_data_is_reminded_then_named_and_free_when_they_came(engine: Engine) -> None:
    assert owing(engine, NINE + 90 * MINUTE) == {"late": [], "due": []}  # 9 o'clock's are due at 11
    assert owing(engine, NINE + 106 * MINUTE) == {"late": [], "due": owed(9)}
    assert owing(engine, NINE + 120 * MINUTE) == {"late": owed(9), "due": []}
    reading(engine, NINE + 5 * MINUTE, NINE + 121 * MINUTE)
    assert owing(engine, NINE + 122 * MINUTE) == {"late": [], "due": []}
    assert owing(engine, NINE + 170 * MINUTE) == {"late": [], "due": owed(10)}
    reading(engine, NINE + 70 * MINUTE, NINE + 171 * MINUTE)
    assert owing(engine, NINE + 172 * MINUTE) == {"late": [], "due": []}


def test_a_contract_may_expect_several_messages_of_a_period(engine: Engine) -> None:
    with engine.connect() as connection:
        snapshot = load_snapshot(connection)
    twice = compile_bundle(expecting("2"))
    several = replace(snapshot, contracts={**snapshot.contracts, NAME: twice})
    assert owing(engine, NINE + 61 * MINUTE, several)["late"] == owed(8)  # one of two came
    reading(engine, NINE - 30 * MINUTE, NINE + 62 * MINUTE)
    assert owing(engine, NINE + 63 * MINUTE, several)["late"] == []
    dates = Dates.of(NINE + HOUR, "2026-11-27", "2026-11-27")
    with engine.connect() as connection:
        one, two = (
            cards(connection, each, [snapshot.systems["quan-trac"]], dates, NINE + HOUR)[0].counts.expected
            for each in (snapshot, several)
        )
    assert [each.in_time for each in one] == [True, True] and [each.came is not None for each in two] == [False, True]


@pytest.mark.parametrize("expected", ["0", "10001", "true", "'2'", "1.5"])
def test_an_expectation_that_is_none_is_found(expected: str) -> None:
    with pytest.raises(Theirs) as refused:
        compile_bundle(expecting(expected))
    assert "catalogue.expected" in str(refused.value.findings)


def test_the_catalogue_expects_one() -> None:
    made: CompiledContract = contracts()[NAME]
    assert made.contract.catalogue.expected == 1
