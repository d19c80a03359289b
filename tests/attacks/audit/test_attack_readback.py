"""What a batch promised is read back before it is acknowledged: every column of it, bodies of any length, whatever
units came together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text

from contracts.base.ids import new_id
from gateway.journal import processes
from gateway.journal.database import lock_of
from gateway.journal.readback import TAIL, WHOLE
from gateway.journal.schema import tables
from gateway.journal.write import QueueRow, TransferChange, VaultRow, Verdict, Write, Written
from gateway.journal.writer import Journal
from tests.journal.databases import intent, log_row, outcome, submission

PROCESS = "door-1"


@pytest.fixture
def journal(database: Engine) -> Iterator[Journal]:
    made = Journal(database, lock_of(database), PROCESS)
    processes.register(database, PROCESS, "door")
    yield made
    made._disconnect()


def written(journal: Journal, *units: Write) -> list[str]:
    return [
        str(each.verdict) if isinstance(each, Written) else getattr(each, "code", repr(each))
        for each in journal._write(units)
    ]


def spoil(engine: Engine, table: str, statement: str, when: str = "INSERT") -> None:
    """A trigger that changes the row that was just written; `statement` is what is set."""
    key = (
        "id"
        if table in ("transfer", "vault", "log_pending", "feed_pending")
        else "key"
        if table == "replay"
        else "transfer"
    )
    change = f"UPDATE {table} SET {statement} WHERE {key} = NEW.{key}"
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text(f"CREATE TRIGGER spoil AFTER {when} ON {table} BEGIN {change}; END"))
        else:
            body = f"BEGIN IF pg_trigger_depth() < 2 THEN {change}; END IF; RETURN NULL; END"
            connection.execute(
                text(
                    "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS "
                    f"'{body.replace(chr(39), chr(39) * 2)}'"
                )
            )
            connection.execute(
                text(f"CREATE TRIGGER spoil AFTER {when} ON {table} FOR EACH ROW EXECUTE FUNCTION spoil()")
            )


def with_body(size: int) -> Write:
    id = new_id()
    return submission(PROCESS, id=id)._replace(
        vault=(VaultRow(f"{id}/canonical", "2026-11-24.standard", size, os.urandom(size)),)
    )


def queued() -> Write:
    unit = intent(PROCESS)
    assert unit.transfer is not None
    return unit._replace(queue=QueueRow(unit.transfer.id, "do-thi", f"{unit.transfer.id}/canonical", 5.5))


SPOILT: dict[str, tuple[str, str, Callable[[], Write]]] = {
    "another receiver": ("queue", "provider = 'kho'", queued),
    "another time": ("queue", "next_at = 9e9", queued),
    "another state": ("transfer", "state = 'dead'", lambda: intent(PROCESS)),
    "another caller": ("transfer", "caller_agency = 'H99.9'", lambda: intent(PROCESS)),
    "a key that expires at once": ("replay", "expires = 0", lambda: submission(PROCESS)),
    "another body in the feed": ("feed_pending", "body_ref = 'x'", lambda: submission(PROCESS)),
    "another entry": ("log_pending", "entry = leaf", lambda: submission(PROCESS)),
    "another key of the vault": ("vault", "key_id = 'x'", lambda: submission(PROCESS)),
    "a shorter body": ("vault", "sealed = substr(sealed, 1, 3)", lambda: submission(PROCESS)),
    "a long body's head": ("vault", "sealed = substr(sealed, 2)", lambda: with_body(WHOLE + TAIL + 1)),
    "a long body's tail": ("vault", f"sealed = substr(sealed, 1, {WHOLE})", lambda: with_body(WHOLE + TAIL + 1)),
}


@pytest.mark.attack("database: rows that vanish after they were written")
@pytest.mark.parametrize("what", SPOILT)
def test_what_is_not_as_it_was_written_is_not_acknowledged(journal: Journal, database: Engine, what: str) -> None:
    table, statement, unit = SPOILT[what]
    assert written(journal, unit()) == ["committed"]
    spoil(database, table, statement)
    several = [unit(), intent(PROCESS), unit()]
    assert written(journal, *several) == ["journal.altered"] * 3
    assert written(journal, unit()) == ["journal.altered"]
    with database.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM transfer")) == 1


@pytest.mark.attack("database: rows that vanish after they were written")
def test_a_step_that_does_not_stand_is_not_acknowledged(journal: Journal, database: Engine) -> None:
    first = intent(PROCESS)
    assert first.transfer is not None
    assert written(journal, first) == ["committed"]
    spoil(database, "transfer", "answer_ref = 'x'", "UPDATE")
    assert written(journal, outcome(PROCESS, first.transfer.id)) == ["journal.altered"]
    with database.connect() as connection:
        assert connection.scalar(select(tables.transfer.c.state)) == "forwarding"


def test_what_units_do_after_each_other_is_no_finding(journal: Journal, tmp_path: Path) -> None:
    """Repeats, duplicates, steps whose guard fails, a transfer and its step in one batch, a message of the queue
    written twice; bodies at the bounds."""
    first, again = intent(PROCESS), submission(PROCESS)
    assert first.transfer is not None and again.transfer is not None
    id, row = first.transfer.id, queued()
    assert row.queue is not None
    later = Write(queue=row.queue._replace(state="done", tries=2), log=(log_row(row.queue.transfer, "queued#2"),))
    late = Write(
        change=TransferChange(id, "accepted", None, "dead"),
        log=(log_row(id, "in-doubt"),),
        replay=submission(PROCESS).replay,
    )
    twice = again._replace(replay=submission(PROCESS).replay)
    units = [first, outcome(PROCESS, id), again, again, twice, late, row, later]
    assert written(journal, *units) == [
        Verdict.COMMITTED,
        Verdict.COMMITTED,
        Verdict.COMMITTED,
        Verdict.REPLAYED,
        Verdict.DUPLICATE,
        Verdict.FENCED,
        Verdict.COMMITTED,
        Verdict.COMMITTED,
    ]
    for size in (0, 1, TAIL, WHOLE - 1, WHOLE, WHOLE + 1, WHOLE + TAIL, 3 * WHOLE):
        assert written(journal, with_body(size)) == ["committed"], size
    assert written(journal, *(submission(PROCESS) for _ in range(200))) == ["committed"] * 200
