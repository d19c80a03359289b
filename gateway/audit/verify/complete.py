"""Whether the log and the rows that it accounts for tell the same story, in both directions.

`gateway.audit.verify.verify` proves that what was logged is still as it was signed. It cannot see what never came to be logged: a pending entry
that somebody deleted before it got its index, a transfer put into the tables by hand, or rows that were changed where no hash covers them.
Here every transfer is held against its entries, and every entry against its transfer:
1. each transfer has its intent; one that has ended has its outcome, one in doubt the entry that says so; and the row says what they say;
2. each entry of a transfer has that transfer; its row in the log carries the id and the phase that its bytes carry; times never go back;
3. what state a transfer is in, and whether it stands in a feed, follows from its entries: the intent of what is handed in names no provider;
4. each event of a feed is that of an accepted transfer; offsets have no gap, and events stand in the order in which they were sequenced;
5. each message of the queue is that of a transfer, and each transfer of which the log says that it was queued stands in the queue;
6. a receipt names the leaves of the log; the id of a message is the one whose keyed hash the intent bears, where the key is given;
7. times, references, events, the queue and the vault are what the entries and the contract say, and what bodies were sealed with (`transfer_checks`).
Invariant: each look is one statement, so that it sees one moment of a database in use; what is found is wrong, whatever goes on meanwhile.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, func, or_, select

from gateway.audit.verify import transfer_checks
from gateway.journal.schema import tables

_BATCH: Final = 1000
_ENDED: Final = frozenset({"accepted", "answered", "failed", "dead"})
_PLACES: Final = {
    "queued": {"waiting"},
    "forwarding": {"leased"},
    "in-doubt": {"dead"},
}  # written in one transaction, always
_OVER: Final = frozenset({"done", "dead"})
_RUN: Final = (
    10**12
)  # offsets of a feed go on without a gap within each of these runs; a feed that was restored begins the next one
_APART: Final = 3600.0  # seconds; both are moved by the same runs, events earlier by as much as entries lag behind
_OF_TRANSFERS: Final = frozenset({"intent", "outcome", "in-doubt", "queued"})
HashId = Callable[[str], str]
_decode: Final = json.JSONDecoder().decode
Progress = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Completeness:
    """How much of each kind was looked at, and what is wrong: up to twenty findings."""

    ok: bool
    checked: Mapping[str, int]
    wrong: tuple[str, ...] = ()


@dataclass(slots=True)
class _Findings:
    most: int = 20
    found: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        if len(self.found) < self.most:
            self.found.append(text)


def check_complete(
    connection: Connection, *, on_progress: Progress | None = None, hash_id: HashId | None = None
) -> Completeness:
    """Hold rows and log against each other. `on_progress` is called with the number of rows done, `hash_id` gives the log's hash of a message id."""
    wrong, terms = _Findings(), transfer_checks.Terms(connection)
    checked = {"transfers": 0, "entries": 0, "feed events": 0, "queued messages": 0}
    done = 0
    for row in _paged(connection, _transfers(), "id"):
        _judge_transfer(row, wrong, hash_id, terms)
        checked["transfers"] += 1
        done += 1
        if on_progress is not None and done % _BATCH == 0:
            on_progress(done)
    for text in terms.end():
        wrong.add(text)
    checked["entries"] = _judge_entries(connection, wrong, on_progress, done)
    checked["feed events"] = _judge_feeds(connection, wrong)
    checked["queued messages"] = _judge_queue(connection, wrong)
    return Completeness(not wrong.found, checked, tuple(wrong.found))


# --- each transfer has its entries --------------------------------------------------------------------------------------
def _transfers() -> Select[Any]:
    """A transfer with its entries, whether they have their index by now or not, its event and its place in the queue."""
    transfer = tables.transfer
    columns: list[ColumnElement[Any]] = list(transfer.c)
    joined: Any = transfer
    for phase in ("intent", "outcome"):
        sides = []
        for table in tables.LOGS:
            side = table.alias()
            joined = joined.outerjoin(side, (side.c.transfer == transfer.c.id) & (side.c.phase == phase))
            sides.append(side)
        columns.append(func.coalesce(*(side.c.entry for side in sides)).label(f"{phase}_entry"))
        columns.append(func.coalesce(*(side.c.leaf for side in sides)).label(f"{phase}_leaf"))
    for phase in ("in-doubt", "queued"):  # there may be several: the second is in-doubt#2
        stands = [
            exists().where(
                table.c.transfer == transfer.c.id, or_(table.c.phase == phase, table.c.phase.like(f"{phase}#%"))
            )
            for table in tables.LOGS
        ]
        columns.append(or_(*stands).label(f"{phase.replace('-', '_')}_told"))
    event, waiting, queue = tables.feed_event, tables.feed_pending, tables.queue
    for table in (event, waiting, queue):
        joined = joined.outerjoin(table, table.c.transfer == transfer.c.id)
    columns.append(func.coalesce(event.c.transfer, waiting.c.transfer).label("in_feed"))
    columns.append(queue.c.state.label("in_queue"))
    joined, more = transfer_checks.joined(transfer, joined)
    return select(*columns, *more).select_from(joined)


def _judge_transfer(row: Row[Any], wrong: _Findings, hash_id: HashId | None, terms: transfer_checks.Terms) -> None:
    name = f"transfer {row.id} ({row.state})"
    intent = _read(row.intent_entry) if row.intent_entry is not None else None
    outcome = _read(row.outcome_entry) if row.outcome_entry is not None else None
    if intent is None:
        wrong.add(f"{name}: the log has no intent of it")
    if row.state in _ENDED and outcome is None:
        wrong.add(f"{name}: it has ended, and the log has no outcome of it")
    if row.state not in _ENDED and outcome is not None:
        wrong.add(f"{name}: the log has its outcome, and the row says that it has not ended")
    if row.state == "in-doubt" and not row.in_doubt_told:
        wrong.add(f"{name}: the log does not say that it is in doubt")
    if row.state == "accepted" and row.in_feed is None:
        wrong.add(f"{name}: it was accepted, and stands in no feed")
    if row.state == "queued" and row.in_queue is None:
        wrong.add(f"{name}: it is queued, and does not wait in the queue")
    if row.in_queue is not None and row.in_queue not in _PLACES.get(row.state, _OVER):
        wrong.add(f"{name}: it stands in the queue as {row.in_queue}")
    if row.queued_told and row.in_queue is None:
        wrong.add(f"{name}: the log says that it was queued, and it stands in no queue")
    if intent is not None:
        _judge_state(name, row, intent, outcome, wrong)
        if hash_id is not None and intent.get("message") != hash_id(row.message_id):
            wrong.add(f"{name}: its row names another message than its intent in the log")
    _judge_receipt(name, row, outcome, wrong)
    for phase, entry in (("intent", intent), ("outcome", outcome)):
        if entry is not None:
            for what, said, logged in _told(row, phase, entry):
                if said != logged:
                    wrong.add(f"{name}: its row says {what} {said}, its {phase} in the log {logged}")
    if intent is not None:
        transfer_checks.judge(name, row, intent, outcome, terms, wrong.add)


def _judge_state(
    name: str, row: Row[Any], intent: transfer_checks.Entry, outcome: transfer_checks.Entry | None, wrong: _Findings
) -> None:
    """What the entries tell of the state: who hands in asks no provider, and is done at once; everything else ends as its outcome says."""
    hands_in = intent.get("provider") is None
    if hands_in != (row.pattern == "submit"):
        wrong.add(
            f"{name}: its row says that it is a {row.pattern}, its intent in the log names {'no' if hands_in else 'a'} provider"
        )
    if hands_in and outcome is None:
        wrong.add(f"{name}: it was handed in, and the log has no outcome of it")
    if outcome is None:
        return
    failed = outcome.get("failure") is not None
    ends = ("failed", "dead") if failed else ("accepted",) if hands_in else ("answered",)
    if row.state not in ends:
        wrong.add(f"{name}: by its entries in the log it is {' or '.join(ends)}")
    if hands_in and not failed and row.state != "accepted" and row.in_feed is None:
        wrong.add(f"{name}: by the log it was handed in and accepted, and stands in no feed")


def _judge_receipt(name: str, row: Row[Any], outcome: transfer_checks.Entry | None, wrong: _Findings) -> None:
    try:
        leaves = {phase: base64.b64decode(leaf) for phase, leaf in json.loads(row.receipt or "{}").items()}
    except (ValueError, TypeError, AttributeError, binascii.Error):
        wrong.add(f"{name}: its receipt is none")
        return
    for phase, leaf in leaves.items():
        logged = getattr(row, f"{phase}_leaf", None)
        if logged is not None and leaf != bytes(logged):
            wrong.add(f"{name}: its receipt names another {phase} than the log has")
    if outcome is None:
        return
    needed = {"outcome"}
    if (
        row.in_queue is None or outcome.get("failure") is None
    ):  # of a queued message whose body is lost the intent is not looked up
        needed.add("intent")
    for phase in sorted(needed - leaves.keys()):
        wrong.add(f"{name}: it has ended, and its receipt lacks the leaf of its {phase}")


def _told(row: Row[Any], phase: str, entry: Mapping[str, Any]) -> Iterator[tuple[str, object, object]]:
    """What both the row and the entry say: the thing, by the row, by the entry."""
    if phase == "outcome":
        yield "status", row.status, entry.get("status")
        yield "failure", row.failure, entry.get("failure")
        return
    caller = entry.get("caller", {})
    yield "caller", f"{row.caller_agency}/{row.caller_system}", f"{caller.get('agency')}/{caller.get('system')}"
    for column in ("contract", "operation", "bundle", "provider"):
        yield column, getattr(row, column), entry.get(column)
    yield "grant", row.grant_id, entry.get("grant")


# --- each entry has its transfer ----------------------------------------------------------------------------------------
def _judge_entries(connection: Connection, wrong: _Findings, on_progress: Progress | None, done: int) -> int:
    count, before = 0, float("-inf")
    for table, key in ((tables.log_pending, "id"), (tables.log_entry, "idx")):
        entries = select(table, tables.transfer.c.state.label("state")).select_from(
            table.outerjoin(tables.transfer, tables.transfer.c.id == table.c.transfer)
        )
        for row in _paged(connection, entries, key):
            name = f"entry {row.idx}" if key == "idx" else "a pending entry"
            name = f"{name} (transfer {row.transfer}, {row.phase})"
            _judge_entry(name, row, wrong)
            if key == "idx":
                if row.sequenced < before:
                    wrong.add(f"{name}: its time of sequencing lies before that of the entry before it")
                before = max(before, row.sequenced)
            count += 1
            if on_progress is not None and count % _BATCH == 0:
                on_progress(done + count)
    return count


def _judge_entry(name: str, row: Row[Any], wrong: _Findings) -> None:
    entry, phase = _read(row.entry), row.phase.partition("#")[0]
    kind = entry.get("what") if entry.get("kind") == "note" else entry.get("kind")
    if entry.get("transfer") != row.transfer:
        wrong.add(f"{name}: its bytes are those of transfer {entry.get('transfer')}")
    elif kind != phase:
        wrong.add(f"{name}: its bytes are those of a phase {kind}")
    if kind in _OF_TRANSFERS and row.state is None:
        wrong.add(f"{name}: there is no such transfer")


# --- feeds and queue ----------------------------------------------------------------------------------------------------
def _judge_feeds(connection: Connection, wrong: _Findings) -> int:
    transfer, count = tables.transfer, 0
    for table in (tables.feed_event, tables.feed_pending):
        count += connection.execute(select(func.count()).select_from(table)).scalar_one()
        astray = (
            select(table.c.contract, table.c.transfer, transfer.c.state)
            .select_from(table.outerjoin(transfer, transfer.c.id == table.c.transfer))
            .where(
                transfer.c.id.is_(None) | (transfer.c.state != "accepted") | (transfer.c.contract != table.c.contract)
            )
        )
        for row in connection.execute(astray.limit(wrong.most)):
            wrong.add(
                f"an event of the feed {row.contract} (transfer {row.transfer}): no transfer of that contract was accepted under this id"
            )
    events = tables.feed_event.c
    run = (events.offset - 1) // _RUN
    ends = select(events.contract, func.min(events.offset), func.max(events.offset), func.count()).group_by(
        events.contract, run
    )
    for contract, first, last, there in connection.execute(ends):
        if last - first + 1 != there or first % _RUN != 1:
            wrong.add(f"the feed {contract}: {there} events at the offsets {first} to {last}; some are missing")
    for contract in connection.execute(select(events.contract).distinct().order_by(events.contract)).scalars():
        _judge_order(connection, contract, wrong)
    return count


def _judge_order(connection: Connection, contract: str, wrong: _Findings) -> None:
    """One process takes in one batch after the other, and both tables are moved in order of their ids: so the events of one process stand in the
    order of its intents. Ids of different processes are no order (on PostgreSQL); of these only the times are known never to go back."""
    event, transfer, entry = tables.feed_event, tables.transfer, tables.log_entry
    intents = event.outerjoin(transfer, transfer.c.id == event.c.transfer).outerjoin(
        entry, and_(entry.c.transfer == event.c.transfer, entry.c.phase == "intent")
    )
    rows = select(
        event.c.offset,
        event.c.transfer,
        event.c.sequenced,
        transfer.c.process,
        entry.c.idx,
        entry.c.sequenced.label("logged"),
    ).select_from(intents)
    time, newest = float("-inf"), dict[str | None, int]()
    for row in _paged(connection, rows.where(event.c.contract == contract), "offset"):
        name = f"the event {row.offset} of the feed {contract} (transfer {row.transfer})"
        if row.sequenced < time:
            wrong.add(f"{name}: its time of sequencing lies before that of the event before it")
        time = max(time, row.sequenced)
        if row.idx is None:  # not in the log yet, or in one that ended
            continue
        if abs(row.sequenced - row.logged) > _APART:
            wrong.add(f"{name}: its time of sequencing is {row.sequenced - row.logged:+.0f} s from that of its intent")
        if row.process is None:
            continue
        if row.idx < newest.get(row.process, -1):
            wrong.add(f"{name}: its intent stands in the log before that of an earlier event of the same process")
        newest[row.process] = max(newest.get(row.process, -1), row.idx)


def _judge_queue(connection: Connection, wrong: _Findings) -> int:
    queue, transfer = tables.queue, tables.transfer
    astray = (
        select(queue.c.transfer)
        .select_from(queue.outerjoin(transfer, transfer.c.id == queue.c.transfer))
        .where(transfer.c.id.is_(None))
    )
    for (id,) in connection.execute(astray.limit(wrong.most)):
        wrong.add(f"a message of the queue (transfer {id}): there is no such transfer")
    return int(connection.execute(select(func.count()).select_from(queue)).scalar_one())


def _read(entry: bytes) -> Mapping[str, Any]:
    try:
        read = _decode(bytes(entry).decode())
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _paged(connection: Connection, query: Select[Any], key: str) -> Iterator[Row[Any]]:
    """In order of the key, a page at a time: no look at the database is long."""
    column = query.selected_columns[key]
    last: Any = None
    while True:
        page = query if last is None else query.where(column > last)
        rows = connection.execute(page.order_by(column).limit(_BATCH)).all()
        yield from rows
        if len(rows) < _BATCH:
            return
        last = rows[-1]._mapping[key]
