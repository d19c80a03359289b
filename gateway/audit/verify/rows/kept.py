"""Checks rows that notes of the log account for: legal holds, destroyed keys, and values of `instance`.

Each of these rows is written in one transaction with a note that says the same. So a hold released without a note, a
key destroyed or a restore confirmed in the table alone, and a deleted row are found.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, select

from contracts.base.times import rfc3339
from gateway.audit.log import changes
from gateway.audit.verify.findings import Findings
from gateway.journal import epochs
from gateway.journal.noted import Noted, read_notes
from gateway.journal.schema import tables
from gateway.registry import restore_lock

KINDS: Final = ("hold", "retention", "restore", "restore-confirmed", "settings", "backup", "unwitnessed", "witnessed")
BACKUP: Final = "backup.last"
_Pair = tuple[str, object, object]  # name, value in the row, value in the notes
_Pairs = Callable[[str, RowMapping, Noted], Iterable[_Pair]]


def check_kept(connection: Connection, wrong: Findings) -> None:
    """Checks holds, destroyed keys, values of the instance, and notes about late cosignatures or stamps."""
    notes = read_notes(connection, KINDS)
    by_kind: dict[str, list[Noted]] = {kind: [note for note in notes if note.what == kind] for kind in KINDS}
    _holds(connection, by_kind["hold"], wrong)
    _destroyed(connection, by_kind["retention"], wrong)
    _instance(connection, by_kind, wrong)
    late = [note for note in notes if note.what in ("unwitnessed", "witnessed") and note.ended is None]
    _late(connection, late, wrong)


def _compare(
    of: str, begun: str, rows: Mapping[str, RowMapping], firsts: Mapping[str, Noted], pairs: _Pairs, wrong: Findings
) -> None:
    """`begun` is what the first note of each row says; `pairs` are the values of a row and of its notes."""
    for key in firsts.keys() - rows.keys():
        wrong.add(f"{of} {key}: {firsts[key].name} says that {begun}, and there is no row of it")
    for key, row in rows.items():
        note = firsts.get(key)
        if note is None:
            wrong.add(f"{of} {key}: the log does not say that {begun}")
            continue
        for what, stored, logged in pairs(key, row, note):
            if stored != logged:
                wrong.add(f"{of} {key}: its row says {what} {stored}, the log {logged}")


def _step(notes: Sequence[Noted], of: str, step: str) -> dict[str, Noted]:
    return {str(note.facts.get(of)): note for note in notes if note.facts.get("step") == step}


# --- legal holds ------------------------------------------------------------------------------------------------------
def _holds(connection: Connection, notes: Sequence[Noted], wrong: Findings) -> None:
    rows = {str(row["name"]): row for row in connection.execute(select(tables.vault_hold)).mappings()}
    wrong.count("legal holds", len(rows))
    released = _step(notes, "hold", "released")

    def pairs(name: str, row: RowMapping, note: Noted) -> Iterator[_Pair]:
        return _of_hold(row, note, released.get(name))

    _compare("the hold", "it was put in place", rows, _step(notes, "hold", "added"), pairs, wrong)


def _of_hold(row: RowMapping, note: Noted, end: Noted | None) -> Iterator[_Pair]:
    """(name, value in the row, value in the notes) of what both contain."""
    facts = note.facts
    yield "reason", row["reason"], facts.get("reason")
    yield "actor", row["actor"], note.actor
    yield "since", _time(row["since"]), note.at
    yield "transfers", None if row["transfers"] is None else json.loads(row["transfers"]), facts.get("transfers")
    yield "agency", row["agency"], facts.get("agency")
    yield "contract", row["contract"], facts.get("contract")
    yield "begins", _time(row["begins"]), facts.get("from")
    yield "ends", _time(row["ends"]), facts.get("to")
    yield "released", _time(row["released"]), None if end is None else end.at


# --- destroyed keys ---------------------------------------------------------------------------------------------------
def _destroyed(connection: Connection, notes: Sequence[Noted], wrong: Findings) -> None:
    rows = {str(row["key_id"]): row for row in connection.execute(select(tables.vault_destroyed)).mappings()}
    wrong.count("destroyed keys", len(rows))
    done = _step(notes, "key", "done")

    def pairs(key: str, row: RowMapping, start: Noted) -> Iterator[_Pair]:
        end = done.get(key)
        yield "began", _time(row["began"]), start.at
        yield "destroyed", _time(row["destroyed"]), None if end is None else end.at
        if end is not None:  # until then a hold may still take bodies from it
            for what in ("bodies", "bytes"):
                yield what, row[what], end.facts.get(what)

    _compare("the vault's key", "its end was begun", rows, _step(notes, "key", "begun"), pairs, wrong)


# --- the values of `instance` -----------------------------------------------------------------------------------------
def _instance(connection: Connection, notes: Mapping[str, Sequence[Noted]], wrong: Findings) -> None:
    values = {
        str(key): str(value)
        for key, value in connection.execute(select(tables.instance.c.key, tables.instance.c.value))
    }
    wrong.count("values of the instance", len(values))
    restores = notes["restore"]
    if _number(values.get(epochs.KEY, "0")) != len(restores):
        wrong.add(
            f"instance {epochs.KEY}: it says {values.get(epochs.KEY, '0')},"
            f" and the log tells of {len(restores)} restores"
        )
    for text in _restored(values.get(restore_lock.RESTORED), restores, notes["restore-confirmed"]):
        wrong.add(f"instance {restore_lock.RESTORED}: {text}")
    for text in _backup(values.get(BACKUP), notes["backup"]):
        wrong.add(f"instance {BACKUP}: {text}")
    seen = {note.actor: note for note in notes["settings"]}
    for machine, note in seen.items():
        key, digest = f"{changes.SEEN}{machine}", note.facts.get("seen")
        if digest is not None and changes.digest_of(values.get(key, "")) != digest:
            wrong.add(f"instance {key}: it is not what {note.name} says that the settings were at the last start")


def _restored(text: str | None, restores: Sequence[Noted], confirmed: Sequence[Noted]) -> Iterator[str]:
    if not restores:
        if text is not None:
            yield "the log tells of no restore"
        return
    newest = restores[-1]
    value = _object(text)
    if not value:
        yield f"it is missing, or cannot be read, and {newest.name} tells of a restore"
        return
    if _time(value.get("at")) != newest.at:
        yield f"it says that the restore was at {_time(value.get('at'))}, {newest.name} at {newest.at}"
    backup = value["backup"].get("backup") if isinstance(value.get("backup"), dict) else None
    if backup != newest.facts.get("backup"):
        yield f"it says the backup {backup}, {newest.name} {newest.facts.get('backup')}"
    digest = newest.facts.get("told")
    if digest is not None and restore_lock.digest_of(value) != digest:
        yield f"what was to be gone through is not what {newest.name} says"
    open_to_all = any(note.facts.get("backup") == newest.facts.get("backup") for note in confirmed)
    if bool(value.get("confirmed")) != open_to_all:
        stored, logged = ("" if value.get("confirmed") else "not "), ("" if open_to_all else "not ")
        yield f"it says that it is {stored}confirmed, the log says that it is {logged}"


def _backup(text: str | None, notes: Sequence[Noted]) -> Iterator[str]:
    """A backup is noted after the copy: a restored database has neither the note nor the row of its own backup."""
    if not notes:
        if text is not None:
            yield "the log tells of no backup"
        return
    newest, value = notes[-1], _object(text)
    if not value:
        yield f"it is missing, or cannot be read, and {newest.name} tells of a backup"
        return
    for what, stored, logged in (
        ("at", _time(value.get("at")), newest.at),
        ("keys", value.get("keys"), newest.facts.get("keys")),
        ("vault keys", value.get("vault_keys_until") is not None, newest.facts.get("vault_keys")),
    ):
        if stored != logged:
            yield f"it says {what} {stored}, {newest.name} {logged}"


# --- late cosignatures and stamps -------------------------------------------------------------------------------------
def _late(connection: Connection, notes: Sequence[Noted], wrong: Findings) -> None:
    """`told` is the time of the note that one kind of witness is late; its end is noted too."""
    newest = {str(note.facts.get("what")): note for note in notes}
    rows = {
        row[0]: row[1] for row in connection.execute(select(tables.witness_status.c.kind, tables.witness_status.c.told))
    }
    for kind, note in newest.items():
        if kind not in rows:
            wrong.add(f"witnessing {kind}: {note.name} tells of it, and there is no row of it")
    for kind, told in rows.items():
        late = newest.get(kind)
        logged = late.at if late is not None and late.what == "unwitnessed" else None
        if _time(told) != logged:
            wrong.add(f"witnessing {kind}: its row says that the log was told {_time(told)}, the log says {logged}")


# --- values -----------------------------------------------------------------------------------------------------------
def _time(at: object) -> str | None:
    """The time as an entry writes it."""
    if at is None:
        return None
    try:
        return rfc3339(float(str(at)))
    except (ValueError, ArithmeticError, OSError):
        return str(at)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _object(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
