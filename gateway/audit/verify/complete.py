"""Compares the log with the rows that it accounts for, in both directions.

`gateway.audit.verify.verify` proves that logged entries are as they were signed. It cannot find what was never logged:
a pending entry deleted before it got its index, a transfer inserted by hand, or changed rows that no hash covers. Here
every transfer is compared with its entries, and every entry with its transfer:
1. Each transfer has its intent; one that ended has its outcome; one in doubt has the entry that says so. The row agrees
   with them.
2. Each entry of a transfer has that transfer. Its row has the id and phase of its bytes. Times never go back.
3. The state of a transfer, and whether it is in a feed, follow from its entries: the intent of a submission names no
   provider.
4. Each event of a feed is that of an accepted transfer, of a dispatched one that has ended, of content whose time has
   come (`rows.expiries`), or follows from an entry of the log (`rows.quality`, `rows.handlings`). Offsets have no gap,
   and events are in the order of sequencing.
5. Each message of the queue belongs to a transfer. Each transfer that was queued according to the log is in the queue.
6. A receipt names the leaves of the log. The message id has the keyed hash in the intent, if the key is available.
7. Times, references, events, queue and vault agree with the entries, the contract and the bindings of the sealed bodies
   (`transfer_checks`).

Invariant: each comparison is one statement, so that it sees one moment of a database in use. Every finding is an error,
whatever happens meanwhile.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, exists, func, or_, select

from gateway.audit.verify import transfer_checks
from gateway.audit.verify.findings import MOST, Findings, Progress
from gateway.audit.verify.forms import guarded
from gateway.audit.verify.rows import expiries, handlings, quality
from gateway.audit.verify.rows.key_history import check_key_history
from gateway.audit.verify.rows.keys import check_keys
from gateway.journal import epochs
from gateway.journal.schema import tables
from gateway.transfer import transfer_records

_BATCH: Final = 1000
_ENDED: Final = frozenset({"accepted", "answered", "failed", "dead"})
# State of a transfer -> states of its message in the queue, which are written in the same transaction.
_QUEUE_STATES: Final = {"queued": {"waiting", "held"}, "forwarding": {"leased"}, "in-doubt": {"dead", "held"}}
_OVER: Final = frozenset({"done", "dead"})
_APART: Final = 3600.0  # seconds by which sequencing of an event may precede that of its intent, or follow it
_OF_TRANSFERS: Final = frozenset({"intent", "outcome", "in-doubt", "queued"})
HashId = Callable[[str], str]
_decode: Final = json.JSONDecoder().decode


@dataclass(frozen=True, slots=True)
class Completeness:
    """Counts of what was checked, by kind, and up to twenty findings."""

    ok: bool
    checked: Mapping[str, int]
    wrong: tuple[str, ...] = ()


def check_complete(
    connection: Connection, *, on_progress: Progress | None = None, hash_id: HashId | None = None
) -> Completeness:
    """Compares rows and log. `on_progress` is called with the number of rows done.

    `hash_id` gives the log's keyed hash of a message id; without it message ids are not compared.
    """
    wrong = Findings()
    terms = guarded(connection, "contracts", wrong.add, lambda: transfer_checks.Terms(connection), None)
    if terms is None:
        return Completeness(False, wrong.checked, tuple(wrong.wrong))
    checks: Mapping[str, Callable[[], object]] = {
        "transfers": lambda: _judge_transfers(connection, wrong, on_progress, hash_id, terms),
        "entries": lambda: _judge_entries(connection, wrong, on_progress),
        "feed events": lambda: _judge_feeds(connection, wrong),
        "queued messages": lambda: _judge_queue(connection, wrong),
        "business keys": lambda: check_keys(connection, wrong, hash_id, terms.keys),
        "past rows of business keys": lambda: check_key_history(connection, wrong, hash_id),
        "ends of content": lambda: expiries.check_missing(connection, wrong),
        "content that ends later": lambda: expiries.check_waiting(connection, wrong),
        "quality": lambda: quality.check_missing(connection, wrong),
        "handlings": lambda: handlings.check_handlings(connection, wrong, hash_id),
    }
    for what, check in checks.items():
        guarded(connection, what, wrong.add, check, None)
    return Completeness(not wrong.wrong, wrong.checked, tuple(wrong.wrong))


def _judge_transfers(
    connection: Connection,
    wrong: Findings,
    on_progress: Progress | None,
    hash_id: HashId | None,
    terms: transfer_checks.Terms,
) -> None:
    done = 0
    for row in _paged(connection, _transfers(), "id"):
        _judge_transfer(row, wrong, hash_id, terms)
        done += 1
        if on_progress is not None and done % _BATCH == 0:
            on_progress(done)
    for text in terms.end():
        wrong.add(text)
    wrong.count("transfers", done)


# --- each transfer has its entries ------------------------------------------------------------------------------------
def _transfers() -> Select[Any]:
    """Transfers with their entries, pending or sequenced, their event and their place in the queue."""
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
        logged = [
            exists().where(
                table.c.transfer == transfer.c.id, or_(table.c.phase == phase, table.c.phase.like(f"{phase}#%"))
            )
            for table in tables.LOGS
        ]
        columns.append(or_(*logged).label(f"{phase.replace('-', '_')}_logged"))
    event, waiting, queue = tables.feed_event, tables.feed_pending, tables.queue
    for table in (event, waiting, queue):
        joined = joined.outerjoin(table, table.c.transfer == transfer.c.id)
    columns.append(func.coalesce(event.c.transfer, waiting.c.transfer).label("in_feed"))
    columns.append(queue.c.state.label("in_queue"))
    joined, more = transfer_checks.joined(transfer, joined)
    return select(*columns, *more).select_from(joined)


def _judge_transfer(row: Row[Any], wrong: Findings, hash_id: HashId | None, terms: transfer_checks.Terms) -> None:
    name = f"transfer {row.id} ({row.state})"
    intent = _read(row.intent_entry) if row.intent_entry is not None else None
    outcome = _read(row.outcome_entry) if row.outcome_entry is not None else None
    if intent is None:
        wrong.add(f"{name}: the log has no intent of it")
    if row.state in _ENDED and outcome is None:
        wrong.add(f"{name}: it has ended, and the log has no outcome of it")
    if row.state not in _ENDED and outcome is not None:
        wrong.add(f"{name}: the log has its outcome, and the row says that it has not ended")
    if row.state == "in-doubt" and not row.in_doubt_logged:
        wrong.add(f"{name}: the log does not say that it is in doubt")
    if row.state == "accepted" and row.in_feed is None:
        wrong.add(f"{name}: it was accepted, and stands in no feed")
    if row.state == "queued" and row.in_queue is None:
        wrong.add(f"{name}: it is queued, and does not wait in the queue")
    if row.in_queue is not None and row.in_queue not in _QUEUE_STATES.get(row.state, _OVER):
        wrong.add(f"{name}: it stands in the queue as {row.in_queue}")
    if row.queued_logged and row.in_queue is None:
        wrong.add(f"{name}: the log says that it was queued, and it stands in no queue")
    if intent is not None:
        _judge_state(name, row, intent, outcome, wrong)
        if hash_id is not None and intent.get("message") != hash_id(row.message_id):
            wrong.add(f"{name}: its row names another message than its intent in the log")
    _judge_receipt(name, row, outcome, wrong)
    for phase, entry in (("intent", intent), ("outcome", outcome)):
        if entry is not None:
            for what, stored, logged in _pairs(row, phase, entry):
                if stored != logged:
                    wrong.add(f"{name}: its row says {what} {stored}, its {phase} in the log {logged}")
    if outcome is not None and isinstance(outcome.get("keys"), int):
        terms.keys[row.contract] += outcome["keys"]
    if intent is not None:
        transfer_checks.judge(name, row, intent, outcome, terms, wrong.add)


def _judge_state(
    name: str, row: Row[Any], intent: transfer_checks.Entry, outcome: transfer_checks.Entry | None, wrong: Findings
) -> None:
    """Compares the state with the entries: a submission has no provider and ends at once, as what is dispatched to an
    agency without a system does.
    """
    hands_in = intent.get("provider") is None
    if row.pattern == ("query" if hands_in else "submit"):
        named = "no" if hands_in else "a"
        wrong.add(f"{name}: its row says that it is a {row.pattern}, its intent in the log names {named} provider")
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


def _judge_receipt(name: str, row: Row[Any], outcome: transfer_checks.Entry | None, wrong: Findings) -> None:
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
    # The receipt of a queued message whose body was lost has no intent.
    whole = row.in_queue is None or outcome.get("failure") is None
    for phase in sorted(({"intent", "outcome"} if whole else {"outcome"}) - leaves.keys()):
        wrong.add(f"{name}: it has ended, and its receipt lacks the leaf of its {phase}")


def _pairs(row: Row[Any], phase: str, entry: Mapping[str, Any]) -> Iterator[tuple[str, object, object]]:
    """(name, value in the row, value in the entry) of what both contain."""
    if phase == "outcome":
        yield "status", row.status, entry.get("status")
        yield "failure", row.failure, entry.get("failure")
        return
    caller = entry.get("caller", {})
    yield "caller", f"{row.caller_agency}/{row.caller_system}", f"{caller.get('agency')}/{caller.get('system')}"
    for column in ("contract", "operation", "bundle", "provider"):
        yield column, getattr(row, column), entry.get(column)
    yield "grant", row.grant_id, entry.get("grant")


# --- each entry has its transfer --------------------------------------------------------------------------------------
def _judge_entries(connection: Connection, wrong: Findings, on_progress: Progress | None) -> None:
    count, before = 0, float("-inf")
    done = wrong.checked.get("transfers", 0)
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
    wrong.count("entries", count)


def _judge_entry(name: str, row: Row[Any], wrong: Findings) -> None:
    entry, phase = _read(row.entry), row.phase.partition("#")[0]
    kind = entry.get("what") if entry.get("kind") == "note" else entry.get("kind")
    if entry.get("transfer") != row.transfer:
        wrong.add(f"{name}: its bytes are those of transfer {entry.get('transfer')}")
    elif kind != phase:
        wrong.add(f"{name}: its bytes are those of a phase {kind}")
    if kind in _OF_TRANSFERS and row.state is None:
        wrong.add(f"{name}: there is no such transfer")


# --- feeds and queue --------------------------------------------------------------------------------------------------
def _judge_feeds(connection: Connection, wrong: Findings) -> None:
    transfer, count = tables.transfer, 0
    for table in (tables.feed_event, tables.feed_pending):
        count += connection.execute(select(func.count()).select_from(table)).scalar_one()
        astray = (
            select(table.c.contract, table.c.transfer, table.c.event, transfer.c.state)
            .select_from(table.outerjoin(transfer, transfer.c.id == table.c.transfer))
            .where(
                transfer.c.id.is_(None)
                | (transfer.c.state != "accepted")
                & ((transfer.c.pattern != "dispatch") | transfer.c.state.not_in(transfer_records.ENDS))
                | (transfer.c.contract != table.c.contract)
            )
        )
        found = 0
        for row in connection.execute(astray.execution_options(yield_per=_BATCH)):
            if row.state is None and expiries.is_one(row.event):
                expiries.check_event(connection, row, wrong)
                continue
            if row.state is None and row.contract == quality.QUALITY:
                quality.check_event(connection, row, wrong)
                continue
            if row.state is None and row.contract == handlings.HANDLING:
                handlings.check_event(connection, row, wrong)
                continue
            if (found := found + 1) > MOST:
                break
            wrong.add(
                f"an event of the feed {row.contract} (transfer {row.transfer}):"
                " no transfer of that contract was accepted under this id"
            )
    events = tables.feed_event.c
    run = (events.offset - 1) // epochs.OFFSETS
    ends = select(events.contract, func.min(events.offset), func.max(events.offset), func.count()).group_by(
        events.contract, run
    )
    for contract, first, last, count_of_run in connection.execute(ends):
        if last - first + 1 != count_of_run or first % epochs.OFFSETS != 1:
            wrong.add(f"the feed {contract}: {count_of_run} events at the offsets {first} to {last}; some are missing")
    for contract in connection.execute(select(events.contract).distinct().order_by(events.contract)).scalars():
        _judge_order(connection, contract, wrong)
    wrong.count("feed events", count)


def _judge_order(connection: Connection, contract: str, wrong: Findings) -> None:
    """Events of one process are in the order of its intents: both tables are moved in order of their ids.

    Ids of different processes are no order on PostgreSQL; of these only the times are compared. The event of a
    dispatched transfer is written with its outcome, by any process.
    """
    event, transfer, entry = tables.feed_event, tables.transfer, tables.log_entry
    intents = event.outerjoin(transfer, transfer.c.id == event.c.transfer).outerjoin(
        entry,
        and_(
            entry.c.transfer == event.c.transfer,
            entry.c.phase == case((transfer.c.pattern == "dispatch", "outcome"), else_="intent"),
        ),
    )
    rows = select(
        event.c.offset,
        event.c.transfer,
        event.c.sequenced,
        transfer.c.process,
        transfer.c.pattern,
        entry.c.idx,
        entry.c.sequenced.label("logged"),
    ).select_from(intents)
    time, newest = float("-inf"), dict[str | None, int]()
    for row in _paged(connection, rows.where(event.c.contract == contract), "offset"):
        name = f"the event {row.offset} of the feed {contract} (transfer {row.transfer})"
        if row.sequenced < time:
            wrong.add(f"{name}: its time of sequencing lies before that of the event before it")
        time = max(time, row.sequenced)
        if row.idx is None:  # pending, or in a log that ended
            continue
        phase = "outcome" if row.pattern == "dispatch" else "intent"
        if abs(row.sequenced - row.logged) > _APART:
            wrong.add(f"{name}: its time of sequencing is {row.sequenced - row.logged:+.0f} s from that of its {phase}")
        if row.process is None or phase == "outcome":
            continue
        if row.idx < newest.get(row.process, -1):
            wrong.add(f"{name}: its intent stands in the log before that of an earlier event of the same process")
        newest[row.process] = max(newest.get(row.process, -1), row.idx)


def _judge_queue(connection: Connection, wrong: Findings) -> None:
    queue, transfer = tables.queue, tables.transfer
    astray = (
        select(queue.c.transfer)
        .select_from(queue.outerjoin(transfer, transfer.c.id == queue.c.transfer))
        .where(transfer.c.id.is_(None))
    )
    for (id,) in connection.execute(astray.limit(MOST)):
        wrong.add(f"a message of the queue (transfer {id}): there is no such transfer")
    wrong.count("queued messages", connection.execute(select(func.count()).select_from(queue)).scalar_one())


def _read(entry: bytes) -> Mapping[str, Any]:
    try:
        read = _decode(bytes(entry).decode())
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _paged(connection: Connection, query: Select[Any], key: str) -> Iterator[Row[Any]]:
    """All rows in order of the key, read page by page, so that no statement is long."""
    column = query.selected_columns[key]
    last: Any = None
    while True:
        page = query if last is None else query.where(column > last)
        rows = connection.execute(page.order_by(column).limit(_BATCH)).all()
        yield from rows
        if len(rows) < _BATCH:
            return
        last = rows[-1]._mapping[key]
