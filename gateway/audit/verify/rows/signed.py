"""Checks the unsigned columns beside signed notes: times of checkpoints, cosignatures, stamps, and ended logs.

`verify` and `witnessing.verify` check what a note or token signs. A checkpoint has the time at which the last entry
under it was sequenced, as one transaction writes both. A cosignature and a time-stamp contain their own time. Entry 0
of a log says when and with which key the preceding one ended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import Connection, select

from contracts.base.times import rfc3339
from gateway.audit.log import origins
from gateway.audit.verify.findings import Findings
from gateway.audit.witnessing.verify import AHEAD_SECONDS
from gateway.journal.noted import read_notes
from gateway.journal.schema import tables
from security.pki import timestamp
from security.pki.timestamp import Unstamped
from security.transparency import checkpoint as notes
from security.transparency.checkpoint import Checkpoint, NoteError, NoteKey
from security.transparency.merkle import leaf_hash

_COSIGNATURE: Final = 72  # bytes: the time in 8, the signature in 64 (C2SP tlog-cosignature)
_APART: Final = AHEAD_SECONDS + 60.0  # difference of a witness's clock, and time of the request
_MOST: Final = 1000


def check_signed(connection: Connection, key: NoteKey, wrong: Findings) -> None:
    """`key` is that of the current log."""
    _times(connection, wrong)
    _cosigned(connection, wrong)
    _stamps(connection, key.name, wrong)
    _coverage(connection, wrong)
    _origins(connection, key, wrong)


# --- checkpoints ------------------------------------------------------------------------------------------------------
def _times(connection: Connection, wrong: Findings) -> None:
    entry, point, past, ended = tables.log_entry.c, tables.checkpoint.c, tables.past_entry.c, tables.past_checkpoint.c
    present = select(point.size, point.signed, point.note, entry.sequenced).join_from(
        tables.checkpoint, tables.log_entry, entry.idx == point.size - 1
    )
    for each in connection.execute(present.order_by(point.size)):
        wrong.count("times of checkpoints")
        _time(f"checkpoint {each.size} of the database", each, wrong)
    before = select(ended.origin, ended.size, ended.signed, ended.note, past.sequenced).join_from(
        tables.past_checkpoint, tables.past_entry, (past.origin == ended.origin) & (past.idx == ended.size - 1)
    )
    for row in connection.execute(before.order_by(ended.origin, ended.size)):
        wrong.count("times of checkpoints")
        # A checkpoint that was moved there for its cosignatures has their time.
        if not any(abs(row.signed - at) <= _APART for at in _cosigning_times(row.note)):
            _time(f"checkpoint {row.size} of the log {row.origin}, which ended", row, wrong)


def _time(name: str, row: Any, wrong: Findings) -> None:
    if row.signed == row.sequenced:
        return
    wrong.add(
        f"{name}: its row says that it was signed at {_text(row.signed)},"
        f" the last entry under it was sequenced at {_text(row.sequenced)}"
    )


# --- witnesses and authorities ----------------------------------------------------------------------------------------
def _cosigned(connection: Connection, wrong: Findings) -> None:
    table = tables.cosigned.c
    for row in connection.execute(select(table.size, table.note, table.witnesses, table.at).order_by(table.size)):
        name = f"the cosigned checkpoint of {row.size} entries"
        wrong.count("cosigned checkpoints")
        times = _cosigning_times(row.note)
        if row.witnesses != len(times):
            wrong.add(
                f"{name}: its row says that {row.witnesses} witnesses cosigned, and it bears {len(times)} cosignatures"
            )
        elif not any(abs(row.at - at) <= _APART for at in times):
            wrong.add(
                f"{name}: its row says that it came at {_text(row.at)},"
                f" and it was cosigned at {', '.join(map(_text, times))}"
            )


def _cosigning_times(note: str) -> list[int]:
    """The times in the cosignatures of a note, in Unix seconds (C2SP tlog-cosignature)."""
    try:
        lines = notes.split_note(note)[1]
    except NoteError:
        return []
    return [int.from_bytes(line.value[:8], "big") for line in lines if len(line.value) == _COSIGNATURE]


def _stamps(connection: Connection, origin: str, wrong: Findings) -> None:
    table = tables.stamp
    largest: dict[str, tuple[int, int]] = {}
    sequenced = tables.log_entry.c
    query = select(table, sequenced.sequenced).select_from(
        table.outerjoin(tables.log_entry, sequenced.idx == table.c.size - 1)
    )
    for row in connection.execute(query.order_by(table.c.id).execution_options(yield_per=_MOST)):
        name = f"time-stamp {row.id} of the checkpoint of {row.size} entries"
        wrong.count("time-stamps")
        for text in _of_stamp(row):
            wrong.add(f"{name}: {text}")
        of = row.note.partition("\n")[0]
        size, id = largest.get(of, (0, 0))
        if row.size < size:
            wrong.add(f"{name}: it stands after time-stamp {id}, which is of more entries")
        largest[of] = max((size, id), (row.size, row.id))
        early = row.sequenced is not None and row.received < row.sequenced - AHEAD_SECONDS
        # If the authority's time agrees, our clock was ahead when the entry was sequenced.
        if of == origin and early and abs(row.received - row.time) > AHEAD_SECONDS:
            wrong.add(
                f"{name}: its row says that it came at {_text(row.received)}, before its last entry was in the log"
            )


def _of_stamp(row: Any) -> Iterator[str]:
    """Compares the row with its token, which is read with the certificate in it."""
    digest = hashlib.sha256(row.note.encode()).digest()
    if digest != bytes(row.digest):
        yield "the note is not the one that was stamped"
        return
    try:
        claimed = timestamp.claimed(bytes(row.answer), digest, nonce=timestamp.nonce_of(bytes(row.question)))
    except Unstamped as trouble:
        yield str(trouble)
        return
    if row.time != claimed.time:
        yield f"its row says {_text(row.time)}, the authority {_text(claimed.time)}"
    if row.authority != claimed.authority:
        yield f"its row names the authority {row.authority}, it was signed by {claimed.authority}"


def _coverage(connection: Connection, wrong: Findings) -> None:
    """The row claims no more than the stored notes and stamps, and has their time."""
    table, cosigned, stamp = tables.witness_status.c, tables.cosigned.c, tables.stamp.c
    kept: dict[str, list[tuple[int, float]]] = {"witnesses": [], "stamps": []}
    for size, note, at in connection.execute(select(cosigned.size, cosigned.note, cosigned.at)):
        kept["witnesses"] += [(size, at), *((size, float(each)) for each in _cosigning_times(note))]
    for size, time, received in connection.execute(select(stamp.size, stamp.time, stamp.received)):
        kept["stamps"] += [(size, time), (size, received)]
    rows = {row.kind: row for row in connection.execute(select(table.kind, table.size, table.at))}
    wrong.count("kinds of vouchers", len(rows))
    for kind, row in rows.items():
        name, points = f"witnessing {kind}", kept.get(kind)
        if points is None:
            wrong.add(f"{name}: there is no such kind")
        elif row.size > max((size for size, _ in points), default=0):
            wrong.add(
                f"{name}: its row says that {row.size} entries are confirmed from outside, what is kept is of fewer"
            )
        # Earlier is possible: a clock may have been set back.
        elif row.size and row.at > max(at for size, at in points if size >= row.size) + _APART:
            wrong.add(
                f"{name}: its row says that {row.size} entries were reached at {_text(row.at)},"
                " and nothing that is kept is of then"
            )


# --- logs that ended --------------------------------------------------------------------------------------------------
def _origins(connection: Connection, key: NoteKey, wrong: Findings) -> None:
    """Entry 0 of each log but the first names the preceding log and the time of the change, as do the rows."""
    ended_logs = origins.ended(connection)
    wrong.count("logs that ended", len(ended_logs))
    if [each.number for each in ended_logs] != list(range(1, len(ended_logs) + 1)):
        numbers = ", ".join(f"{each.origin}: {each.number}" for each in ended_logs)
        wrong.add(f"logs that ended: their rows bear the numbers {numbers}")
    present, past = tables.log_entry.c, tables.past_entry.c
    first = {
        origin: bytes(entry)
        for origin, entry in connection.execute(select(past.origin, past.entry).where(past.idx == 0))
    }
    top = connection.execute(select(present.entry).where(present.idx == 0)).scalar()
    if top is not None:
        first[key.name] = bytes(top)
    announced = {note.facts.get("origin"): note for note in read_notes(connection, (origins.NEW_LOG,))}
    chain = [*(each.origin for each in ended_logs), key.name]
    for older, newer in pairwise(chain):
        if announced.get(older) is None:
            wrong.add(f"the log {newer}: its entry 0 does not name {older} as the one before it")
    for each in ended_logs:
        for text in _ended(each, announced.get(each.origin)):
            wrong.add(f"the log {each.origin}, which ended: {text}")
    _began(connection, {each.origin: each.vkey for each in ended_logs} | {key.name: key.text()}, first, wrong)


def _ended(row: origins.Ended, note: Any) -> Iterator[str]:
    if note is not None and rfc3339(row.ended) != note.at:
        yield f"its row says that it ended at {_text(row.ended)}, the next log that it was at {note.at}"
    if row.note is None:
        if row.size:
            yield "its row has no checkpoint"
        return
    try:
        point = notes.verify(row.note, row.vkey, origin=row.origin)
    except NoteError as trouble:
        yield f"the checkpoint in its row: {trouble}"
        return
    if point.size != row.size:
        yield f"its row says {row.size} entries, the checkpoint there {point.size}"
    elif note is not None and notes.b64(point.root) != note.facts.get("root"):
        yield "the checkpoint in its row has another root than the next log says"


def _began(connection: Connection, keys: dict[str, str], first: dict[str, bytes], wrong: Findings) -> None:
    """Checks the first checkpoint of each log that followed another one."""
    table = tables.instance.c
    rows = dict(connection.execute(select(table.key, table.value).where(table.key.startswith(origins.BEGAN))).all())
    follows = {origin for origin, entry in first.items() if f'"what":"{origins.NEW_LOG}"'.encode() in entry}
    for origin in sorted(follows - {key.removeprefix(origins.BEGAN) for key in rows}):
        wrong.add(f"instance {origins.BEGAN}{origin}: it is missing")
    for name, value in rows.items():
        origin = name.removeprefix(origins.BEGAN)
        if origin not in keys:
            wrong.add(f"instance {name}: there is no such log")
            continue
        try:
            point = notes.verify(value, keys[origin], origin=origin)
        except NoteError as trouble:
            wrong.add(f"instance {name}: {trouble}")
            continue
        if origin in first and point != Checkpoint(origin, 1, leaf_hash(first[origin])):
            wrong.add(f"instance {name}: it is not the checkpoint of the first entry")


def _text(at: float) -> str:
    try:
        return rfc3339(at)
    except (ValueError, ArithmeticError, OSError):
        return str(at)
