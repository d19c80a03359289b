"""Sections about what is no exchange: handlings with their times, alarms about systems."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, Table, insert

from contracts.base.ids import new_id
from gateway.journal.database import snapshot, writing
from gateway.journal.schema import tables
from gateway.reports.content import Content
from gateway.reports.drawing import Terms, Wanted, draw
from gateway.reports.figures import Figures, Row
from gateway.reports.periods import Period
from gateway.reports.store import Report
from gateway.settings import Settings
from tests.journal.databases import KINDS, migrated
from tests.reports import seeding

HOUR = 3600.0

PERIOD = Period.of(seeding.NOW, seeding.MONTH)
BEGIN = PERIOD.span.since + 24 * HOUR


def filled(table: Table, **values: Any) -> dict[str, Any]:
    """A row with something in each column that is not given."""
    some: dict[type, Any] = {str: "x", int: 0, float: 0.0, bool: False, bytes: b"x"}
    return {each.name: some[each.type.python_type] for each in table.columns if not each.nullable} | values


def handling(number: int, agency: str, opened: float, **values: Any) -> dict[str, Any]:
    about = {"id": f"h{number}", "contract": "incident-alert/v1", "agency": agency, "opened": opened}
    far = {"entered": opened, "nearest": 2**40}
    return filled(tables.handling, **about, **{**far, **values}, merged_into=None)


@pytest.fixture(scope="module", params=KINDS)
def month(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = seeding.seeded(migrated(request.param, tmp_path_factory.mktemp("month")), 200)
    handlings = [
        handling(1, "H14.2", BEGIN, ended=True, entered=BEGIN + 3 * HOUR),
        handling(2, "H14.2", BEGIN, ended=True, entered=BEGIN + 5 * HOUR),
        handling(3, "H14.2", BEGIN, nearest=int(BEGIN + HOUR)),
        handling(4, "H14.3", BEGIN),
        handling(5, "H14.3", PERIOD.span.until),
        handling(6, "H14.3", PERIOD.span.since - 1),
    ]
    steps = [
        filled(tables.handling_step, handling="h1", number=1, party="gateway", at=BEGIN),
        filled(tables.handling_step, handling="h1", number=2, party="agency", at=BEGIN + HOUR / 2),
        filled(tables.handling_step, handling="h1", number=3, party="agency", at=BEGIN + 3 * HOUR),
        filled(tables.handling_step, handling="h4", number=1, party="centre", at=BEGIN + HOUR),
    ]
    alarms = [
        {"kind": "down", "system": "do-thi", "since": BEGIN, "raised": BEGIN, "ended": BEGIN + 2 * HOUR},
        {"kind": "down", "system": "do-thi", "since": BEGIN, "raised": BEGIN + 1, "ended": BEGIN + HOUR, "reason": "r"},
        {"kind": "queue", "system": "kinh-te", "since": BEGIN, "raised": BEGIN, "ended": None, "acknowledged": BEGIN},
        {"kind": "queue", "system": "do-thi", "since": BEGIN, "raised": None, "ended": BEGIN},
    ]
    empty = dict.fromkeys((each.name for each in tables.alarm.columns if each.nullable), None)
    with writing(engine) as connection:
        connection.execute(insert(tables.handling), handlings)
        for step in steps:
            connection.execute(insert(tables.handling_step).values(step))
        for alarm in alarms:
            connection.execute(insert(tables.alarm).values(filled(tables.alarm, **{**empty, **alarm}, id=new_id())))
    yield engine
    engine.dispose()


def figures(engine: Engine, tmp: Settings, agency: str = "") -> Figures:
    with snapshot(engine) as connection:
        return draw(connection, tmp, Wanted(PERIOD, agency), Terms(1, seeding.NOW))


def rows(drawn: Figures, section: str) -> tuple[Row, ...]:
    found = drawn.section(section)
    assert found is not None
    return found.tables[0].rows


def test_handlings_and_alarms_are_counted_with_their_times(month: Engine, tmp_path: Any) -> None:
    drawn = figures(month, Settings(tmp_path))
    assert rows(drawn, "handlings") == (
        ("H14.2", "incident-alert/v1", 3, 2, 1, 1, 5, 40),
        ("H14.3", "incident-alert/v1", 1, 0, 1, 0, None, None),
    )
    open_hours = round((seeding.NOW - BEGIN) / HOUR * 10)
    assert rows(drawn, "alarms") == (
        ("H14.3", "do-thi", "down", 2, 0, 0, 30),
        ("H14.4", "kinh-te", "queue", 1, 1, 1, open_hours),
    )
    own = figures(month, Settings(tmp_path), "H14.3")
    assert {row[0] for section in ("handlings", "alarms") for row in rows(own, section)} == {"H14.3"}
    for language in ("vi", "en"):
        shown = Content(Report("r", seeding.NOW, drawn, drawn.encoded(), bytes(32)), language)
        assert len(shown.sections) == len(drawn.sections) and all(each.summary for each in shown.sections)
