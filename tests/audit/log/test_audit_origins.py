"""A log that ends: all that was signed of it goes with it, and what proved it proves nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import func, insert, select

from gateway.audit.log import origins
from gateway.audit.verify.verify import verify_log
from gateway.journal.database import writing
from gateway.journal.schema import tables


def test_cosigned_checkpoints_go_with_the_log_that_ended(make_log: Callable[[], Any]) -> None:
    log = make_log()
    notes: dict[int, str] = {}
    sequencer = log.sequencer()
    sequencer.run_once(log.lease)
    for number in range(3):
        log.pend(f"t{number}")
        sequencer.run_once(log.lease)
        with log.engine.connect() as connection:
            query = select(tables.checkpoint.c.size, tables.checkpoint.c.note).order_by(tables.checkpoint.c.size.desc())
            size, note = connection.execute(query.limit(1)).one()
        notes[int(size)] = note
    line = "\u2014 witness.example AAAAAAAAAAAAAAAA\n"
    with writing(log.engine) as connection:
        values = [{"size": size, "note": note + line, "witnesses": 1, "at": 1.0} for size, note in notes.items()]
        connection.execute(insert(tables.cosigned), values)
        connection.execute(insert(tables.witness_status).values(kind="witnesses", size=3, at=1.0, trouble="{}"))
        ended = origins.end(connection, log.key.origin, log.key.vkey, 2.0)
    assert ended.size == 3 and ended.note == notes[3] + line
    with log.engine.connect() as connection:
        kept = dict(
            connection.execute(select(tables.past_checkpoint.c.size, tables.past_checkpoint.c.note)).tuples().all()
        )
        assert {size: kept[size] for size in notes} == {size: note + line for size, note in notes.items()}
        for table in (tables.cosigned, tables.witness_status, tables.log_entry, tables.log_tile, tables.checkpoint):
            assert connection.scalar(select(func.count()).select_from(table)) == 0
    with origins.within(log.engine, log.key.origin) as connection:
        report = verify_log(connection, log.key.vkey, kept=notes[2])
        assert report.ok and report.size == 3, report.wrong
        connection.rollback()
        assert verify_log(connection, log.key.vkey).ok, (
            "a reader that ends its transactions still sees the log that ended"
        )
    with log.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.log_entry)) == 0, "and nobody after it does"
