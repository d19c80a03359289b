"""The rows of machines, and the steps between their states.

    invited -> joining -> active <-> draining        any of them -> removed, which is final

Invariant: a row proves nothing by itself. Keys are sealed for a machine only if its public key has the invitation's
proof (`secrets.py`), and the log has no note that the machine was removed.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, select, union_all, update

from gateway.journal.append import append
from gateway.journal.database import insert
from gateway.journal.schema import tables
from gateway.machines.errors import MACHINE_NAME, MACHINE_OTHER_STATE, MACHINE_UNKNOWN
from gateway.settings import Settings
from gateway.transfer import entries
from security.transparency.entry import Json

NOTE: Final = "machine"  # in the log: an act upon a machine
URI: Final = "urn:lgsp:machine:"
_LONGEST: Final = 63
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
_FOREIGN: Final = re.compile(r"[^a-z0-9.-]")
_table = tables.machine
_ONE: Final = select(_table).where(_table.c.name == bindparam("of"))
_STATE: Final = select(_table.c.state).where(_table.c.name == bindparam("of"))  # each process asks each second


class State(StrEnum):
    INVITED = "invited"
    JOINING = "joining"
    ACTIVE = "active"
    DRAINING = "draining"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Machine:
    """One row. Times are Unix seconds; `seen` by the database's clock. `generation` 0: it has no keys yet."""

    name: str
    state: State
    thumbprint: str
    expires: float | None
    public_key: str | None
    proof: str | None
    added: float
    actor: str
    reason: str | None
    host: str | None
    version: str | None
    seen: float | None
    ahead: float | None
    generation: int
    trouble: str | None


def name_of(settings: Settings) -> str:
    """The name of this machine: the setting, else the host's."""
    if settings.machine:
        return checked(settings.machine)
    return _FOREIGN.sub("-", platform.node().lower()).strip("-.")[:_LONGEST] or "localhost"


def checked(name: str) -> str:
    """Raises `machine.name`."""
    if _NAME.fullmatch(name) is None:
        raise MACHINE_NAME(name=name[:80])
    return name


def every(connection: Connection, *, locked: bool = False) -> list[Machine]:
    """In the order in which they were added. `locked`: for a step that depends on their states."""
    found = select(_table).order_by(_table.c.added, _table.c.name)
    return [_read(row) for row in connection.execute(found.with_for_update() if locked else found)]


def find(connection: Connection, name: str) -> Machine | None:
    row = connection.execute(_ONE, {"of": name}).first()
    return None if row is None else _read(row)


def state_of(connection: Connection, name: str) -> State | None:
    """None: there is no such machine."""
    found = connection.scalar(_STATE, {"of": name})
    return None if found is None else State(found)


def invited_by(connection: Connection, thumbprint: str, *, locked: bool = False) -> Machine | None:
    """The machine that a certificate invites. `locked`: for a step that depends on its state, one caller at a time."""
    found = select(_table).where(_table.c.thumbprint == thumbprint, _table.c.thumbprint != "")
    row = connection.execute(found.with_for_update() if locked else found).first()
    return None if row is None else _read(row)


def known(connection: Connection, name: str) -> Machine:
    """Raises `machine.unknown`."""
    found = find(connection, name)
    if found is None:
        names = ", ".join(each.name for each in every(connection)) or "–"
        raise MACHINE_UNKNOWN(name=name[:80], known=names)
    return found


def add(connection: Connection, name: str, **values: Any) -> bool:
    """False if there is one of that name, in whatever state: names are not used again."""
    row = insert(connection, _table).values(name=name, generation=0, **values)
    return connection.execute(row.on_conflict_do_nothing().returning(_table.c.name)).first() is not None


def change(connection: Connection, name: str, *before: State, **values: Any) -> bool:
    """False if it is in none of these states."""
    step = update(_table).where(_table.c.name == name, _table.c.state.in_(before)).values(**values)
    return connection.execute(step).rowcount == 1


def moved(connection: Connection, machine: Machine, *before: State, **values: Any) -> None:
    """A step between states. Raises `machine.other-state`."""
    if not change(connection, machine.name, *before, **values):
        raise MACHINE_OTHER_STATE(name=machine.name, state=machine.state, states=", ".join(before))


def note(connection: Connection, act: str, name: str, now: float, actor: str, **facts: Json) -> None:
    """Log an act upon a machine. `audit verify` compares its row with these notes (`audit.verify.rows.machines`)."""
    append(connection, [entries.note(NOTE, {"act": act, "machine": name, **facts}, now, actor=actor)])


def key_digest(public_pem: str) -> str:
    """As notes have a public key: hex SHA-256 of its PEM."""
    return hashlib.sha256(public_pem.encode()).hexdigest()


def was_removed(connection: Connection, name: str) -> bool:
    """Whether the log says so: a row that was put back in the database gets no keys."""
    return "remove" in acts_upon(connection, name)


def acts_upon(connection: Connection, name: str) -> set[str]:
    """What the notes of this log say that was done with a machine."""
    logged, waiting = tables.log_entry, tables.log_pending
    notes = union_all(
        select(logged.c.entry).where(logged.c.phase == NOTE), select(waiting.c.entry).where(waiting.c.phase == NOTE)
    )
    every = (json.loads(entry).get("facts") or {} for (entry,) in connection.execute(notes))
    return {str(facts.get("act")) for facts in every if facts.get("machine") == name}


def _read(row: Row[Any]) -> Machine:
    values = dict(row._mapping)
    return Machine(**values | {"state": State(values["state"])})
