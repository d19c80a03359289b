"""Checks handlings (`gateway.workflow`): rows, steps and events are made anew from entries of the log, and compared.

Each message of a feed that was followed has its handling, or the note that says why not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, exists, or_, select

from contracts.canonical.model import Kind
from gateway.audit.verify.findings import MOST, Findings
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.journal.write import Handled, HandlingRow, HandlingStep
from gateway.registry.own_feed import HANDLING as HANDLING
from gateway.transfer.handling_events import (
    NONE_NOTE,
    NOTE,
    OPENED,
    Entry,
    HashId,
    differing,
    doing,
    event_id,
    event_of,
    folded,
    number_of,
    seal_of,
    told_by,
)
from gateway.vault import binding

_PAGE: Final = 200
_row: Final = tables.handling
_step: Final = tables.handling_step
Steps = list[tuple[Entry, Handled]]


def check_handlings(connection: Connection, wrong: Findings, hash_id: HashId | None) -> None:
    """Each handling with its steps and events, and each message that was followed."""
    at = ""
    while rows := connection.execute(select(_row).where(_row.c.id > at).order_by(_row.c.id).limit(_PAGE)).all():
        stored = [HandlingRow(*row) for row in rows]
        ids = [row.id for row in stored]
        logged, events = _logged(connection, ids), _events(connection, ids)
        taken = _steps(connection, ids)
        for row in stored:
            _judge(row, logged.get(row.id, []), taken.get(row.id, []), wrong)
            if hash_id is not None and row.seal != seal_of(row, hash_id):
                wrong.add(f"handling {row.id}: its seal is not that of its row")
            _judge_events(logged.get(row.id, []), events, wrong)
        wrong.count("handlings", len(rows))
        at = ids[-1]
    _lone(connection, wrong)
    _positions(connection, wrong)


def check_event(connection: Connection, row: Row[Any, Any, Any, Any], wrong: Findings) -> None:
    """`row`: the feed, the id and the text of the event."""
    wrong.count("events of handlings")
    name = f"the event {row.transfer} of the feed {row.contract}"
    event = _object(row.event)
    about = str(event.get("subject"))
    made = (event_of(*each, told_by(event)) for each in _logged(connection, [about]).get(about, []))
    if not any((each.id, each.text) == (row.transfer, row.event) for each in made):
        wrong.add(f"{name}: it follows from no entry of the log")
    sealed = connection.scalar(select(tables.vault.c.sealed).where(tables.vault.c.id == f"{row.transfer}/canonical"))
    if sealed is not None and binding.split(bytes(sealed))[0] != binding.of_event(row.contract, row.event):
        wrong.add(f"{name}: its body was sealed with another event")


def _judge(row: HandlingRow, logged: Steps, taken: Sequence[HandlingStep], wrong: Findings) -> None:
    name = f"handling {row.id}"
    if not logged:
        wrong.add(f"{name}: the log has no entry of it")
        return
    last = logged[-1][1].row
    for column in differing(last, row):
        wrong.add(f"{name}: its row says {column} {row[row._fields.index(column)]}, by the log it is "
                  f"{last[last._fields.index(column)]}")  # fmt: skip
    made = {handled.step.number: handled.step for _, handled in logged}
    stored = {each.number: each for each in taken}
    for number in sorted(made.keys() | stored.keys()):
        if number not in stored:
            wrong.add(f"{name}: its step {number} is missing")
        elif made.get(number) != stored[number]:
            wrong.add(f"{name}: its step {number} is not as the log says")


def _judge_events(logged: Steps, events: Mapping[str, str], wrong: Findings) -> None:
    """Each step has its event."""
    for entry, handled in logged:
        id = event_id(handled.row.id, handled.step.number, handled.step.at)
        text = events.get(id)
        if text is None or event_of(entry, handled, told_by(_object(text))) != (id, text):
            wrong.add(f"handling {handled.row.id}: the event of its step {handled.step.number} stands in no feed")


def _lone(connection: Connection, wrong: Findings) -> None:
    """Entries and steps without a handling."""
    for table in tables.LOGS:
        query = select(table.c.transfer).where(
            table.c.phase == NOTE, ~exists().where(_row.c.id == table.c.transfer)
        )  # fmt: skip
        for id in connection.scalars(query.limit(MOST)):
            wrong.add(f"handling {id}: the log says that it was opened, and there is no row of it")
    lone = select(_step.c.handling).where(~exists().where(_row.c.id == _step.c.handling)).distinct()
    for id in connection.scalars(lone.limit(MOST)):
        wrong.add(f"handling {id}: it has steps, and there is no row of it")


def _positions(connection: Connection, wrong: Findings) -> None:
    """Messages that were followed, and have neither a handling nor a note."""
    instance = tables.instance.c
    positions = {
        key.removeprefix(f"{OPENED} "): value
        for key, value in connection.execute(
            select(instance.key, instance.value).where(instance.key.like(f"{OPENED} %"))
        )
    }
    for contract in connection.scalars(select(_row.c.contract).distinct()):
        if contract not in positions:
            wrong.add(f"the feed {contract}: its messages have handlings, and nothing says how far it was followed")
    event = tables.feed_event.c
    for contract, value in positions.items():
        operation, _, offset = value.rpartition(" ")
        if not operation or not offset.isdecimal():
            wrong.add(f"the feed {contract}: nothing says how far it was followed for handlings")
            continue
        notes = (
            exists().where(table.c.transfer == event.transfer, table.c.phase == NONE_NOTE) for table in tables.LOGS
        )
        query = select(event.offset, event.transfer, event.event).where(
            event.contract == contract,
            event.offset <= int(offset),
            ~exists().where(_row.c.transfer == event.transfer),
            ~exists().where(_step.c.transfer == event.transfer),
            *(~each for each in notes),
        )
        missing = 0
        for row in connection.execute(query.execution_options(yield_per=_PAGE)):
            if doing(str(_object(row.event).get("type")), operation) not in (None, Kind.RESPONDED):
                missing += 1
                wrong.add(f"transfer {row.transfer}: its message has no handling")
            if missing >= MOST:
                break


def _logged(connection: Connection, ids: Sequence[str]) -> dict[str, Steps]:
    """The entries of these handlings with what they lead to, in order, up to the first gap."""
    raws: dict[str, dict[int, bytes]] = {}
    for table in tables.LOGS:
        query = select(table.c.transfer, table.c.phase, table.c.entry).where(
            table.c.transfer.in_(ids), or_(table.c.phase == NOTE, table.c.phase.like(f"{NOTE}#%"))
        )
        for row in connection.execute(query):
            number = number_of(row.phase)
            if number is not None:
                raws.setdefault(row.transfer, {})[number] = bytes(row.entry)
    found: dict[str, Steps] = {}
    for id, by_number in raws.items():
        entries = [parse(by_number[number]) for number in _run(by_number)]
        found[id] = list(zip(entries, folded(entries), strict=True))
    return found


def _run(numbers: Mapping[int, object]) -> Iterator[int]:
    number = 1
    while number in numbers:
        yield number
        number += 1


def _events(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """The events of the steps of these handlings, by id."""
    query = select(_step.c.handling, _step.c.number, _step.c.at).where(_step.c.handling.in_(ids))
    wanted = [event_id(*row) for row in connection.execute(query)]
    found: dict[str, str] = {}
    for table in (tables.feed_pending.c, tables.feed_event.c):  # events move from left to right
        rows = select(table.transfer, table.event).where(table.transfer.in_(wanted), table.contract == HANDLING)
        found |= {row.transfer: row.event for row in connection.execute(rows)}
    return found


def _steps(connection: Connection, ids: Sequence[str]) -> dict[str, list[HandlingStep]]:
    found: dict[str, list[HandlingStep]] = {}
    for row in connection.execute(select(_step).where(_step.c.handling.in_(ids)).order_by(_step.c.number)):
        found.setdefault(row.handling, []).append(HandlingStep(*row))
    return found


def _object(event: str) -> dict[str, Any]:
    try:
        value = json.loads(event)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
