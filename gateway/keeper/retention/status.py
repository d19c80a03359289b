"""Lists what the vault holds by class and key: how much, when it is due, what is held, and if the clock is sure."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from contracts.base.times import rfc3339
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keeper.retention import clock, destruction, holds
from gateway.keeper.retention.holds import Hold
from gateway.transfer import entries
from gateway.vault.classes import KeyName
from gateway.vault.keys import Keys
from gateway.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class KeyLine:
    """One key. `stands`: whether the store has it; otherwise only rows name it."""

    name: KeyName
    stands: bool
    ended: str | None
    bodies: int
    bytes: int
    copies: int
    held: bool


@dataclass(frozen=True, slots=True)
class Status:
    keys: tuple[KeyLine, ...]
    holds: tuple[tuple[Hold, int], ...]  # with the bodies under their keys
    destroyed: int  # keys, so far


def doubted(engine: Engine, vault: Vault, now: float) -> tuple[int, str]:
    """How many keys are due by a clock that neither the log, nor an authority, nor a person confirms; and the log's
    own time."""
    with engine.connect() as connection:
        confirmed, log = clock.confirmed(connection, vault.keys, now), clock.words(clock.newest(connection))
    return 0 if confirmed else len(destruction.due(engine, vault, now)), log


def confirm_clock(engine: Engine, keys: Keys, now: float, actor: str) -> None:
    """A person says that this host's time is right: the log tells, and it stands for two days."""
    with writing(engine) as connection:
        append(connection, [entries.note("retention-clock", {"now": rfc3339(now)}, now, actor=actor)])
    keys.say_clock(now)


def status(engine: Engine, vault: Vault, *, counted: bool = True) -> Status:
    """Counting reads the index of all bodies; without it bodies and bytes are 0, and keys that only rows name lack."""
    row = tables.vault.c
    counts: dict[str, tuple[int, int]] = {}
    with engine.connect() as connection:
        live = (
            select(row.key_id, func.count(), func.sum(row.size)).where(func.length(row.sealed) > 0).group_by(row.key_id)
        )
        if counted:
            counts = {key_id: (int(count), int(size)) for key_id, count, size in connection.execute(live)}
        every = holds.every(connection)
        destroyed = int(connection.execute(select(func.count()).select_from(tables.vault_destroyed)).scalar_one())
    standing = {name.id: name for name in vault.keys.names()}
    names = {**standing, **{key: name for key in counts if (name := KeyName.of(key)) is not None}}
    held = {hold.name for hold in every if hold.released is None}
    lines = tuple(
        KeyLine(
            name,
            name.id in standing,
            vault.keys.ended(name.id),
            *counts.get(name.id, (0, 0)),
            len(vault.keys.copies_of(name.id)),
            name.hold in held,
        )
        for name in sorted(names.values(), key=lambda name: (name.retention, name.day, name.id))
    )
    under = {
        name: sum(line.bodies for line in lines if line.name.hold == name) for name in {hold.name for hold in every}
    }
    return Status(lines, tuple((hold, under[hold.name]) for hold in every), destroyed)
