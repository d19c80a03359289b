"""Rows that notes of the log account for: legal holds, keys that were destroyed, and the values of `instance`.

Each of these rows is written in one transaction with a note that says the same. So a hold that was released without a note, a key that only the table
calls destroyed, or a restore that only the table calls confirmed is found, and so is a row that was deleted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, select

from contracts.base.times import rfc3339
from gateway.audit.log import changes
from gateway.audit.verify.rows.findings import Findings
from gateway.audit.verify.rows.noted import Noted, read_notes
from gateway.journal import epochs
from gateway.journal.schema import tables
from gateway.registry import restore_lock

KINDS: Final = ("hold", "retention", "restore", "restore-confirmed", "settings", "backup", "unwitnessed", "witnessed")
BACKUP: Final = "backup.last"


def check_kept(connection: Connection, wrong: Findings) -> None:
    """Holds, destroyed keys, values of the instance, and whether the log was told that vouchers are late."""
    notes = read_notes(connection, KINDS)
    by_kind: dict[str, list[Noted]] = {kind: [note for note in notes if note.what == kind] for kind in KINDS}
    _holds(connection, by_kind["hold"], wrong)
    _destroyed(connection, by_kind["retention"], wrong)
    _instance(connection, by_kind, wrong)
    _told(
        connection, [note for note in notes if note.what in ("unwitnessed", "witnessed") and note.ended is None], wrong
    )


# --- legal holds ----------------------------------------------------------------------------------------------------------
def _holds(connection: Connection, notes: Sequence[Noted], wrong: Findings) -> None:
    rows = {str(row["name"]): dict(row) for row in connection.execute(select(tables.vault_hold)).mappings()}
    wrong.count("legal holds", len(rows))
    added = {str(note.facts.get("hold")): note for note in notes if note.facts.get("step") == "added"}
    released = {str(note.facts.get("hold")): note for note in notes if note.facts.get("step") == "released"}
    for name in added.keys() - rows.keys():
        wrong.add(f"the hold {name}: {added[name].name} says that it was put in place, and there is no row of it")
    for name, row in rows.items():
        note = added.get(name)
        if note is None:
            wrong.add(f"the hold {name}: the log does not say that it was put in place")
            continue
        for what, said, logged in _of_hold(row, note, released.get(name)):
            if said != logged:
                wrong.add(f"the hold {name}: its row says {what} {said}, the log {logged}")


def _of_hold(row: Mapping[str, Any], note: Noted, end: Noted | None) -> Iterator[tuple[str, object, object]]:
    """What both the row and the notes say: the thing, by the row, by the log."""
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


# --- keys that retention ended --------------------------------------------------------------------------------------------
def _destroyed(connection: Connection, notes: Sequence[Noted], wrong: Findings) -> None:
    table = tables.vault_destroyed
    rows = {row["key_id"]: row for row in connection.execute(select(table)).mappings()}
    wrong.count("destroyed keys", len(rows))
    begun = {str(note.facts.get("key")): note for note in notes if note.facts.get("step") == "begun"}
    done = {str(note.facts.get("key")): note for note in notes if note.facts.get("step") == "done"}
    for key in begun.keys() - rows.keys():
        wrong.add(f"the vault's key {key}: {begun[key].name} says that its end was begun, and there is no row of it")
    for key, row in rows.items():
        if key not in begun:
            wrong.add(f"the vault's key {key}: its row says that its end was begun, the log does not")
            continue
        end = done.get(key)
        told: list[tuple[str, object, object]] = [
            ("began", _time(row["began"]), begun[key].at),
            ("destroyed", _time(row["destroyed"]), None if end is None else end.at),
        ]
        if end is not None:  # until then a hold may still take bodies from it
            told += [(what, row[what], end.facts.get(what)) for what in ("bodies", "bytes")]
        for what, said, logged in told:
            if said != logged:
                wrong.add(f"the vault's key {key}: its row says {what} {said}, the log {logged}")


# --- the values of `instance` ---------------------------------------------------------------------------------------------
def _instance(connection: Connection, notes: Mapping[str, Sequence[Noted]], wrong: Findings) -> None:
    values = {
        str(key): str(value)
        for key, value in connection.execute(select(tables.instance.c.key, tables.instance.c.value))
    }
    wrong.count("values of the instance", len(values))
    restores = notes["restore"]
    if _number(values.get(epochs.KEY, "0")) != len(restores):
        wrong.add(
            f"instance {epochs.KEY}: it says {values.get(epochs.KEY, '0')}, and the log tells of {len(restores)} restores"
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
    told = newest.facts.get("told")
    if told is not None and restore_lock.digest_of(value) != told:
        yield f"what was to be gone through is not what {newest.name} says"
    open_to_all = any(note.facts.get("backup") == newest.facts.get("backup") for note in confirmed)
    if bool(value.get("confirmed")) != open_to_all:
        yield f"it says that it is {'' if value.get('confirmed') else 'not '}confirmed, the log says that it is {'' if open_to_all else 'not '}"


def _backup(text: str | None, notes: Sequence[Noted]) -> Iterator[str]:
    """A backup is noted after it was copied: a restored database knows neither the note nor the row of the very backup it came from."""
    if not notes:
        if text is not None:
            yield "the log tells of no backup"
        return
    newest, value = notes[-1], _object(text)
    if not value:
        yield f"it is missing, or cannot be read, and {newest.name} tells of a backup"
        return
    for what, said, logged in (
        ("at", _time(value.get("at")), newest.at),
        ("keys", value.get("keys"), newest.facts.get("keys")),
        ("vault keys", value.get("vault_keys_until") is not None, newest.facts.get("vault_keys")),
    ):
        if said != logged:
            yield f"it says {what} {said}, {newest.name} {logged}"


# --- late vouchers --------------------------------------------------------------------------------------------------------
def _told(connection: Connection, notes: Sequence[Noted], wrong: Findings) -> None:
    """`told` is when the log was told that one kind of voucher is late; that it is so no more is told too."""
    newest = {str(note.facts.get("what")): note for note in notes}
    rows = {row[0]: row[1] for row in connection.execute(select(tables.vouching.c.kind, tables.vouching.c.told))}
    for kind, note in newest.items():
        if kind not in rows:
            wrong.add(f"vouching {kind}: {note.name} tells of it, and there is no row of it")
    for kind, told in rows.items():
        late = newest.get(kind)
        logged = late.at if late is not None and late.what == "unwitnessed" else None
        if _time(told) != logged:
            wrong.add(f"vouching {kind}: its row says that the log was told {_time(told)}, the log says {logged}")


# --- small parts ----------------------------------------------------------------------------------------------------------
def _time(at: object) -> str | None:
    """As an entry writes it."""
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
