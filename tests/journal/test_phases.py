"""Names of the phases of a transfer: each has one of its own, also while the log moves its entries."""

from __future__ import annotations

from sqlalchemy import Engine, insert

from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.logged import free_phase, next_phase
from gateway.journal.schema import tables
from tests.journal.databases import log_row


def test_the_next_free_number_is_taken() -> None:
    assert next_phase("in-doubt", ()) == "in-doubt"
    assert next_phase("in-doubt", {"in-doubt"}) == "in-doubt#2"
    assert next_phase("in-doubt", {"in-doubt", "in-doubt#restore", "in-doubt#2"}) == "in-doubt#3"
    assert next_phase("in-doubt#2", {"in-doubt", "in-doubt#2"}) == "in-doubt#3", "one number, never in-doubt#2#2"
    assert next_phase("in-doubt#7", {"in-doubt"}) == "in-doubt#7"


def test_an_entry_that_moves_while_it_is_read_counts_once(database: Engine) -> None:
    """On PostgreSQL each statement sees another moment: first the entry waits, then it is in the log."""
    with writing(database) as connection:
        row = log_row("t1", "try-failed")
        append(connection, [row])
        values = {"idx": 0, "transfer": "t1", "phase": row.phase, "entry": row.entry, "leaf": row.leaf}
        connection.execute(insert(tables.log_entry).values(**values, sequenced=1.0))
        assert free_phase(connection, "t1", "try-failed") == "try-failed#2"
        assert free_phase(connection, "t1", "try") == "try", "a name that another begins with is another name"
        assert free_phase(connection, "t2", "try-failed") == "try-failed"
