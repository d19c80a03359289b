"""Lists what the vault holds by class and key: how much, when it is due, and what is held. Read only."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from gateway.journal.schema import tables
from gateway.keeper.retention import holds
from gateway.keeper.retention.holds import Hold
from gateway.vault.classes import KeyName
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


def status(engine: Engine, vault: Vault) -> Status:
    row = tables.vault.c
    with engine.connect() as connection:
        live = (
            select(row.key_id, func.count(), func.sum(row.size)).where(func.length(row.sealed) > 0).group_by(row.key_id)
        )
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
