"""Reads rows of the vault by key and by transfer, and seals them again under another key.

A body's id is `<transfer>/<part>`, and a transfer's id is a UUIDv7. So the parts of one transfer, and the transfers of
one span of time, are ranges of the primary key in every collation: ids differ before their slash.
Invariant: one statement, which names the old key, puts a row under another key. So no row is lost in between, and a
second process that does the same does no harm.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Delete, Engine, Update, and_, delete, func, or_, select, update

from contracts.base.errors import Ours
from contracts.base.ids import new_id
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.journal.write import VaultRow
from gateway.transfer.states import FINAL, State
from gateway.vault.errors import VAULT_BROKEN
from gateway.vault.vault import Vault

AT_ONCE: Final = 200  # rows of a chunk
LARGE: Final = 8 << 20  # bytes of a chunk, unless one body is larger
_OPEN: Final = tuple(state.value for state in State if state not in FINAL)
Check = Callable[[Connection], object]
_vault: Final = tables.vault.c
_logger: Final = logging.getLogger("lgsp.retention")


def transfer_of(dialect: str) -> ColumnElement[str]:
    """The transfer that a body belongs to, as SQL."""
    if dialect == "sqlite":
        return func.substr(_vault.id, 1, func.instr(_vault.id, "/") - 1)
    return func.split_part(_vault.id, "/", 1)


def covered(dialect: str, transfers: Any) -> ColumnElement[bool]:
    """Whether a body belongs to one of these transfers, or is a file that one of them names, as SQL. `transfers`: ids,
    or a statement of ids.
    """
    use, of = tables.opaque_use.c, transfer_of(dialect)
    return or_(of.in_(transfers), of.in_(select(use.body).where(use.transfer.in_(transfers))))


def files_of(connection: Connection, transfer: str) -> list[str]:
    """The ids of the bodies of files that a transfer names."""
    use = tables.opaque_use.c
    files = connection.scalars(select(use.body).where(use.transfer == transfer).order_by(use.body)).all()
    return [id for file in files for id in parts_of(connection, file)]


def after_transfer(transfer: str) -> str:
    """The next id: a part of the transfer is greater than the transfer's id and less than this one."""
    value = int(transfer.replace("-", ""), 16) + 1
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def first_id(at: float) -> str:
    """The lower bound of the ids of that moment and later."""
    return new_id(max(0, int(at * 1000)))[:13]


def parts_of(connection: Connection, transfer: str) -> list[str]:
    """The ids of a transfer's bodies."""
    try:
        end = after_transfer(transfer)
    except ValueError:
        return []
    return list(connection.scalars(select(_vault.id).where(_vault.id > transfer, _vault.id < end).order_by(_vault.id)))


def under(connection: Connection, key_id: str, *more: ColumnElement[bool]) -> Iterator[tuple[str, str]]:
    """(id, transfer) of the bodies that a key seals, and that meet `more`."""
    transfer = transfer_of(connection.dialect.name)
    query = select(_vault.id, transfer).where(_vault.key_id == key_id, func.length(_vault.sealed) > 0, *more)
    yield from connection.execute(query.execution_options(yield_per=5000))


def open_transfers(connection: Connection, key_id: str) -> list[str]:
    """The bodies under that key whose transfer has not ended."""
    table = tables.transfer.c
    going = select(table.id).where(table.state.in_(_OPEN))
    return [id for id, _ in under(connection, key_id, transfer_of(connection.dialect.name).in_(going))]


def counted(connection: Connection, key_id: str) -> tuple[int, int]:
    """How many bodies that key seals, and their bytes."""
    row = connection.execute(
        select(func.count(), func.coalesce(func.sum(_vault.size), 0)).where(
            _vault.key_id == key_id, func.length(_vault.sealed) > 0
        )
    ).one()
    return int(row[0]), int(row[1])


class Bodies(NamedTuple):
    """Where bodies lie; `check` is called in each transaction that writes."""

    engine: Engine
    lock: FileLock | None
    vault: Vault
    check: Check


def reseal(
    bodies: Bodies, ids: Iterable[str], to: Callable[[str], str], on_done: Callable[[int], object] = lambda count: None
) -> int:
    """Seals these bodies under the key that `to` gives for their present one; returns how many. A body that cannot be
    opened stays as it is."""
    engine, lock, vault, check = bodies
    done = 0
    for chunk in _chunks(engine, ids):
        with engine.connect() as connection:
            rows = [_row(each) for each in connection.execute(select(*tables.vault.c).where(_vault.id.in_(chunk)))]
        resealed = [(row.key_id, new) for row in rows if (new := _resealed(vault, row, to(row.key_id))) is not None]
        with writing(engine, lock) as connection:
            check(connection)
            for before, row in resealed:
                step = update(tables.vault).where(_vault.id == row.id, _vault.key_id == before)
                done += connection.execute(step.values(key_id=row.key_id, sealed=row.sealed)).rowcount
        on_done(done)
    return done


def _resealed(vault: Vault, row: VaultRow, key_id: str) -> VaultRow | None:
    if not row.sealed or not vault.keys.stands(row.key_id):
        return None
    try:
        return vault.reseal(row, key_id)
    except Ours as failure:
        if failure.code != VAULT_BROKEN.code:
            raise
        _logger.error("%s", failure)
        return None


def _chunks(engine: Engine, ids: Iterable[str]) -> Iterator[list[str]]:
    """Some ids at a time, of bodies that fit into memory together."""
    left = iter(ids)
    while some := list(islice(left, AT_ONCE)):
        with engine.connect() as connection:
            sizes = dict(connection.execute(select(_vault.id, _vault.size).where(_vault.id.in_(some))).all())
        chunk, total = list[str](), 0
        for id in some:
            if chunk and total + sizes.get(id, 0) > LARGE:
                yield chunk
                chunk, total = [], 0
            chunk.append(id)
            total += sizes.get(id, 0)
        yield chunk


def _row(row: Sequence[object]) -> VaultRow:
    id, key_id, size, sealed = row
    return VaultRow(str(id), str(key_id), int(size), bytes(sealed))  # type: ignore[call-overload]


def empty(engine: Engine, lock: FileLock | None, check: Check, key_id: str) -> int:
    """Empties the rows that this key seals, some at a time; ids, sizes and the key's id stay. Returns how many."""
    return _each(engine, lock, check, key_id, lambda some: update(tables.vault).where(some).values(sealed=b""))


def remove_ended(engine: Engine, lock: FileLock | None, check: Check, key_id: str) -> int:
    """Removes the rows under that key whose transfer has ended or does not exist; returns how many."""
    table = tables.transfer.c
    going = select(table.id).where(table.state.in_(_OPEN))
    ended = transfer_of(engine.dialect.name).not_in(going)
    return _each(engine, lock, check, key_id, lambda some: delete(tables.vault).where(some, ended), ended)


def _each(
    engine: Engine,
    lock: FileLock | None,
    check: Check,
    key_id: str,
    step: Callable[[ColumnElement[bool]], Update | Delete],
    *more: ColumnElement[bool],
) -> int:
    with engine.connect() as connection:
        ids = [id for id, _ in under(connection, key_id, *more)]
    done = 0
    for at in range(0, len(ids), AT_ONCE):
        with writing(engine, lock) as connection:
            check(connection)
            done += connection.execute(
                step(and_(_vault.key_id == key_id, _vault.id.in_(ids[at : at + AT_ONCE])))
            ).rowcount
    return done
