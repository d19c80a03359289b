"""Feeds, messages and receipts changed with the database alone, so that each row agrees with the others: the entries
tell what the rows must be."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, select, update

from gateway.audit.verify.complete import check_complete
from gateway.journal.schema import tables
from tests.attacks.audit.insider import ALERTS, BEGAN, entered

EVENT, TRANSFER, QUEUE = tables.feed_event, tables.transfer, tables.queue


def _swap(inside: Connection, first: int, second: int) -> None:
    for old, new in ((first, -1), (second, first), (-1, second)):
        inside.execute(update(EVENT).where(EVENT.c.contract == ALERTS, EVENT.c.offset == old).values(offset=new))


@pytest.mark.attack("audit log: rows that the log does not account for")
@pytest.mark.parametrize("pattern", ["submit", "query"])
@pytest.mark.parametrize("how", ["the newest event", "the whole feed"])
def test_events_taken_out_and_their_transfers_made_to_fit(inside: Connection, how: str, pattern: str) -> None:
    newest = inside.execute(select(func.max(EVENT.c.offset)).where(EVENT.c.contract == ALERTS)).scalar_one()
    gone = (
        EVENT.c.contract == ALERTS
        if how == "the whole feed"
        else (EVENT.c.contract == ALERTS) & (EVENT.c.offset == newest)
    )
    transfers = select(EVENT.c.transfer).where(gone)
    inside.execute(update(TRANSFER).where(TRANSFER.c.id.in_(transfers)).values(state="answered", pattern=pattern))
    inside.execute(delete(EVENT).where(gone))
    wrong = check_complete(inside).wrong
    assert any(one.endswith("by the log it was handed in and accepted, and stands in no feed") for one in wrong), wrong
    assert any(one.endswith("by its entries in the log it is accepted") for one in wrong), wrong


@pytest.mark.attack("audit log: rows that the log does not account for")
@pytest.mark.parametrize(
    ("offsets", "finding"),
    [
        ((1, 2), "its intent stands in the log before that of an earlier event of the same process"),
        ((1, 250), "its time of sequencing lies before that of the event before it"),
    ],
)
def test_two_events_in_each_others_place(inside: Connection, offsets: tuple[int, int], finding: str) -> None:
    _swap(inside, *offsets)
    wrong = check_complete(inside).wrong
    assert any(one.endswith(finding) for one in wrong), wrong


@pytest.mark.attack("audit log: rows that the log does not account for")
@pytest.mark.parametrize(
    ("values", "finding"),
    [
        ({"receipt": None}, "its receipt lacks the leaf of its outcome"),
        ({"receipt": "{}"}, "its receipt lacks the leaf of its intent"),
        ({"receipt": "[1"}, "its receipt is none"),
        ({"message_id": "another"}, "its row names another message than its intent in the log"),
        ({"pattern": "query"}, "its row says that it is a query, its intent in the log names no provider"),
        ({"pattern": "dispatch"}, "/answer for its answer, which is None"),
    ],
)
def test_what_no_other_row_tells(inside: Connection, values: dict[str, Any], finding: str) -> None:
    def hash_id(message: str) -> str:
        return "n" * 64 if message == "another" else "m" * 64

    assert check_complete(inside, hash_id=hash_id).ok
    transfer = entered(inside)[301].transfer
    inside.execute(update(TRANSFER).where(TRANSFER.c.id == transfer).values(values))
    wrong = check_complete(inside, hash_id=hash_id).wrong
    assert any(one.startswith(f"transfer {transfer} ") and one.endswith(finding) for one in wrong), wrong


@pytest.mark.attack("audit log: rows that the log does not account for")
def test_a_queued_message_taken_out_of_the_queue(inside: Connection) -> None:
    """Its transfer is said to be under way, by a process that is gone; the log says that it was queued."""
    pending = tables.log_pending
    row = inside.execute(select(TRANSFER).where(TRANSFER.c.provider.is_not(None)).limit(1)).one()
    for table in tables.LOGS:
        inside.execute(delete(table).where(table.c.transfer == row.id, table.c.phase == "outcome"))
    entry = b'{"kind":"note","transfer":"%s","what":"queued"}' % row.id.encode()
    inside.execute(pending.insert().values(transfer=row.id, phase="queued", entry=entry, leaf=b"l" * 32))
    under_way = {
        "state": "forwarding",
        "process": "gone",
        "status": None,
        "receipt": None,
        "finished": None,
        "answer_ref": None,
    }
    inside.execute(update(TRANSFER).where(TRANSFER.c.id == row.id).values(under_way))
    missing = f"transfer {row.id} (forwarding): the log says that it was queued, and it stands in no queue"
    assert check_complete(inside).wrong == (missing,)
    values = {
        "transfer": row.id,
        "provider": row.provider,
        "body_ref": f"{row.id}/canonical",
        "state": "leased",
        "tries": 1,
        "next_at": BEGAN,
    }
    inside.execute(QUEUE.insert().values(values))
    assert check_complete(inside).ok
    # Transfer and queue are written in one transaction, always: of these pairs each is one half of a step.
    for state, legal in (("forwarding", "leased"), ("queued", "waiting")):
        inside.execute(update(TRANSFER).where(TRANSFER.c.id == row.id).values(state=state))
        for place in ("waiting", "leased", "done", "dead"):
            inside.execute(update(QUEUE).where(QUEUE.c.transfer == row.id).values(state=place))
            said = (f"transfer {row.id} ({state}): it stands in the queue as {place}",)
            assert check_complete(inside).wrong == (() if place == legal else said)
    inside.execute(update(TRANSFER).where(TRANSFER.c.id == row.id).values(state="answered"))
    inside.execute(update(QUEUE).where(QUEUE.c.transfer == row.id).values(state="waiting"))
    assert any("(answered): it stands in the queue as waiting" in one for one in check_complete(inside).wrong)
