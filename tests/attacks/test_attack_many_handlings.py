"""A thousand open handlings of one agency: what is read for a page stays bounded, and nothing is left out or shown
twice."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event, insert, select

from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.workflow import reading
from gateway.workflow.reading import Sought
from gateway.workflow.watching import PAGE, Watching
from tests.registry.making import NOW
from tests.workflow.conftest import town as _town
from tests.workflow.desks import Town, nothing

town = _town
MANY = 1000


def many(town: Town) -> None:
    """Copies of one, some with the same deadline."""
    town.report()
    town.follow()
    with writing(town.office.engine) as connection:
        row = dict(connection.execute(select(tables.handling)).mappings().one())
        copies = [
            row | {"id": f"01935b6e-0000-7000-8000-{number:012d}", "nearest": row["nearest"] + number // 7}
            for number in range(1, MANY)
        ]
        connection.execute(insert(tables.handling), copies)


def test_pages_are_bounded_and_whole(town: Town) -> None:
    many(town)
    statements = list[str]()
    event.listen(town.office.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    seen, after = list[str](), None
    with town.office.engine.connect() as connection:
        for concerning in ("H14.3", None):
            seen.clear()
            while True:
                found = reading.page(connection, Sought(concerning=concerning, ended=False), after, 10**9)
                assert 0 < len(found.handlings) <= reading.MOST
                seen += [each.id for each in found.handlings]
                if (after := found.next) is None:
                    break
            assert len(seen) == len(set(seen)) == MANY
        (counted,) = reading.counts(connection, NOW + 10**9, "H14.3")
    assert (counted.open, counted.overdue) == (MANY, MANY)
    assert len(statements) == 2 * -(-MANY // reading.MOST) + 1  # one for each page, whatever it holds


def test_the_watch_takes_a_bounded_number_at_a_time(town: Town) -> None:
    many(town)
    town.gateway.now = NOW + 10 * 86_400
    rounds: list[Any] = []
    while taken := Watching(town.office, True).step(nothing):
        rounds.append(taken)
        assert taken <= PAGE and len(rounds) <= 3 * -(-MANY // PAGE)
    assert sum(rounds) >= MANY
