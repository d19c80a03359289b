"""Checks the events that end the content of others (`gateway.feeds.expiry`).

Each follows from the event that handed the content in, and from an entry of the log that is not earlier than the end.
Content that stands, and that holds until a time, waits for its end, and for no other time.
"""

from __future__ import annotations

import json
from typing import Any, Final

from sqlalchemy import Connection, Row, exists, select

from contracts.base.times import moment, rfc3339
from gateway.audit.verify.findings import MOST, Findings
from gateway.journal.schema import tables
from gateway.transfer.key_seals import EXPIRY, EXPIRY_NOTE
from gateway.transfer.transfer_records import EXPIRED, expired_event

_event: Final = tables.feed_event
_FINEST: Final = 0.002  # seconds: an entry has its time in full milliseconds
_PAGE: Final = 500


def is_one(event: str) -> bool:
    value = _object(event)
    return str(value.get("type")).endswith(f":{EXPIRED}")


def check_event(connection: Connection, row: Row[Any, Any, Any, Any], wrong: Findings) -> None:
    """`row`: the feed, the id and the text of the event."""
    wrong.count("events of expiry")
    name = f"the event {row.transfer} of the feed {row.contract}"
    about = str(_object(row.event).get("lgspreplaces"))
    found = connection.scalar(
        select(_event.c.event).where(_event.c.transfer == about, _event.c.contract == row.contract)
    )
    handed_in = _object(found or "")
    if not {"id", "type", "lgspexpires"} <= handed_in.keys() or (row.transfer, row.event) != expired_event(handed_in):
        wrong.add(f"{name}: it is not the end of the content that it names")
    present, pending, past = tables.log_entry.c, tables.log_pending.c, tables.past_entry.c
    for table in (present, pending, past):
        query = select(table.entry).where(table.transfer == row.transfer, table.phase == EXPIRY_NOTE)
        entry = connection.scalar(query)
        if entry is not None:
            at, until = moment(_object(entry).get("at")), moment(handed_in.get("lgspexpires"))
            if at is None or until is None or at < until - _FINEST:
                wrong.add(f"{name}: the content was ended before its time, which was {handed_in.get('lgspexpires')}")
            return
    wrong.add(f"{name}: the log does not say that the content ended")


def check_missing(connection: Connection, wrong: Findings) -> None:
    """Entries without their event, and content that nobody will end."""
    present, events, waiting = tables.log_entry, _event.alias(), tables.feed_pending
    lone = select(present.c.transfer).where(
        present.c.phase == EXPIRY_NOTE,
        ~exists().where(events.c.transfer == present.c.transfer),
        ~exists().where(waiting.c.transfer == present.c.transfer),
    )
    for (id,) in connection.execute(lone.limit(MOST)):
        wrong.add(f"the event {id}: the log says that content ended, and it stands in no feed")
    instance, key, expiry = tables.instance, tables.feed_key, tables.feed_expiry
    positions = select(instance.c.key, instance.c.value).where(instance.c.key.like(f"{EXPIRY} %"))
    for name, value in connection.execute(positions).all():
        contract = name.removeprefix(f"{EXPIRY} ")
        forgotten = select(_event.c.transfer).where(
            _event.c.contract == contract,
            _event.c.offset <= int(value),
            _event.c.event.like('%,"lgspexpires":"%'),
            exists().where(key.c.transfer == _event.c.transfer, key.c.state == "live", key.c.contract == contract),
            ~exists().where(expiry.c.transfer == _event.c.transfer),
        )
        for (transfer,) in connection.execute(forgotten.limit(MOST)):
            wrong.add(f"transfer {transfer}: its content still stands, and nothing will end it when its time comes")


def check_waiting(connection: Connection, wrong: Findings) -> None:
    """Rows of content that waits for its end: each has the time that the event says."""
    expiry = tables.feed_expiry
    rows = select(*expiry.c, _event.c.contract.label("feed"), _event.c.event)
    rows = rows.select_from(expiry.outerjoin(_event, _event.c.transfer == expiry.c.transfer))
    for row in connection.execute(rows.execution_options(yield_per=_PAGE)):
        wrong.count("ends of content that are waited for")
        until = moment(_object(row.event or "").get("lgspexpires"))
        if until is None or row.feed != row.contract:
            wrong.add(f"transfer {row.transfer}: its content waits for an end in {row.contract}, and no event says so")
        elif until != row.expires:
            said = rfc3339(until)
            wrong.add(f"transfer {row.transfer}: the row of its end says {row.expires}, its event {said}")


def _object(event: str | bytes) -> dict[str, Any]:
    try:
        value = json.loads(event)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
