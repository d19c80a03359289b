"""Checks the events that end the content of others (`gateway.feeds.expiry`).

Each follows from the event that handed the content in, and from an entry of the log. Content that stands, and that
holds until a time, waits for its end.
"""

from __future__ import annotations

import json
from typing import Any, Final

from sqlalchemy import Connection, Row, exists, select

from gateway.audit.verify.findings import MOST, Findings
from gateway.journal.schema import tables
from gateway.transfer.key_seals import EXPIRY, EXPIRY_NOTE
from gateway.transfer.transfer_records import EXPIRED, expired_event

_event: Final = tables.feed_event


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
        query = select(table.transfer).where(table.transfer == row.transfer, table.phase == EXPIRY_NOTE)
        if connection.scalar(query) is not None:
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


def _object(event: str) -> dict[str, Any]:
    try:
        value = json.loads(event)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
