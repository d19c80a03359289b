"""A month in the journal with everything that a report counts: the traffic of the scorecards' tests, with the outcomes
of its calls, queries, readings of feeds and notes."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from sqlalchemy import Engine, func, insert, select, update

from contracts.base.ids import new_id
from gateway.journal.database import writing
from gateway.journal.schema import tables
from security.transparency import entry as form
from tests.registry.making import filled, province
from tests.scorecards import seeding

SINCE: Final = seeding.DATES.span.since
DAYS: Final = seeding.DATES.span.days
NOW: Final = seeding.NOW
MONTH: Final = "2026-09"
_NONE: Final = form.Digest(bytes(32), 1)
_ENDED: Final = ("answered", "failed", "dead")
_NOTES: Final = ("backup", "backup-drill", "suspended", "resumed", "process-ended", "export")


def seeded(engine: Engine, number: int) -> Engine:
    """About so many transfers in a registered province, all entries under a checkpoint but a few newest ones."""
    filled(engine, province(seeding.DOCUMENT), [], NOW - 100 * 86_400)
    seeding.seed(engine, number)
    complete(engine, number)
    return engine


def complete(engine: Engine, number: int) -> None:
    chance, entries, rows = Random(number), list[form.Entry](), list[dict[str, Any]]()
    table = tables.transfer.c
    with engine.connect() as connection:
        calls = connection.execute(
            select(table.id, table.state, table.failure, table.received, table.provider).where(
                table.provider.isnot(None), table.state.in_(_ENDED)
            )
        ).all()
        top = connection.scalar(select(func.max(tables.log_entry.c.idx))) or 0
    for id, _, failure, received, provider in calls:
        status = 200 if failure is None else 502
        entries.append(form.Outcome(id, received + 1, status, provider, failure, keys=0))
    for _ in range(number // 10):
        rows.append(_query(chance, entries))
    for _ in range(40):
        at = _moment(chance)
        actor = chance.choice(("H14.0/dieu-hanh", "H14.7/y-te"))
        facts: dict[str, form.Json] = {"contract": "observation/v1", "state": "closed", "events": chance.randrange(50)}
        entries.append(form.Note(new_id(int(at * 1000)), at, "feed-read", actor, facts))
        at = _moment(chance)
        entries.append(form.Note(new_id(int(at * 1000)), at, chance.choice(_NOTES), "lan, command line", {}))
    with writing(engine) as connection:
        connection.execute(update(tables.transfer).where(table.provider.isnot(None)).values(pattern="dispatch"))
        _insert(connection, tables.transfer, rows)
        logged = []
        for idx, each in enumerate(map(form.freeze, entries), top + 1):
            logged.append(each._asdict() | {"idx": idx, "sequenced": NOW})
        _insert(connection, tables.log_entry, logged)
        size = top + 1 + len(logged) - 5  # the last are not yet under it
        connection.execute(insert(tables.checkpoint).values(size=size, root=bytes(32), note="", signed=NOW))


def _query(chance: Random, entries: list[form.Entry]) -> dict[str, Any]:
    at = _moment(chance)
    id, failed = new_id(int(at * 1000)), chance.random() < 0.1
    row = seeding._row(id, at, "y-te", ("reference-query/v1", "findPerson"), "failed" if failed else "answered")
    caller = form.Caller("H14.7", "y-te")
    entries.append(
        form.Intent(
            id,
            at,
            "soap",
            caller,
            row["contract"],
            row["operation"],
            "b",
            id,
            "G",
            "kinh-te",
            _NONE,
            provider_agency="H14.4",
        )  # fmt: skip
    )
    failure = "provider.timeout" if failed else None
    entries.append(form.Outcome(id, at + 1, 504 if failed else 200, "kinh-te", failure))
    return row | {"pattern": "query", "provider": "kinh-te", "failure": failure}


def _moment(chance: Random) -> float:
    return SINCE + chance.random() * DAYS * 86_400


def _insert(connection: Any, table: Any, rows: list[dict[str, Any]]) -> None:
    for start in range(0, len(rows), 5000):
        connection.execute(insert(table), rows[start : start + 5000])
