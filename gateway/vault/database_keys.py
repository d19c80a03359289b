"""Stores keys in the second database (`gateway.vault.second`), each sealed under a key that is not there.

Theory of operation:
1. A key is a row, committed before anything is sealed with it. Of machines that make one at once, one wins, and all
   read that one.
2. A key that was read stays in the memory of the process, so that no body waits for the second database. A thread asks
   each second which of these keys still stand, in the second database and by the main one's `vault_destroyed`. While
   the second is away, the main one alone answers: keys in memory go on, others give `vault.unavailable`.
3. Destroying: the mark is committed; the row is overwritten and deleted; the table is written anew (`VACUUM FULL`), and
   the server is asked to begin a new segment of its log and to forget the old ones. Then the copies of this machine go.
   Other machines remove theirs (`gateway.keeper.retention.elsewhere`).

Invariant: no key is used that a mark, here or in the main database, calls destroyed, whatever was restored or edited.
Invariant: a row that was edited, or moved to another id, opens nothing.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
import weakref
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, delete, func, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from contracts.base.errors import Failure
from contracts.base.times import rfc3339
from gateway.journal.database import insert
from gateway.journal.schema import tables
from gateway.keys.key_encryption import PLAIN, AtRest, is_protected
from gateway.vault.classes import KeyName
from gateway.vault.copies import SUFFIX, Copies
from gateway.vault.errors import VAULT_BROKEN, VAULT_EXPIRED, VAULT_KEY_MISSING
from gateway.vault.keystore import KEY_BYTES, KeyStore, checked, odd_among
from gateway.vault.second import Second, context_of, fact, vault_key, vault_key_destroyed

LOOK_SECONDS: Final = 1.0
_MOST: Final = 1024  # keys in memory
_CLOCK: Final = "clock-is-right"
_SEGMENTS: Final = 2
_FORGETTING: Final = ("CHECKPOINT", *["SELECT pg_switch_wal()", "CHECKPOINT"] * _SEGMENTS)
_logger: Final = logging.getLogger("lgsp.vault")


class DatabaseKeys:
    """Safe to share between threads, and to be shared by all vaults of a process. `gateway.vault.stores.Keys`."""

    def __init__(
        self,
        second: Second,
        *,
        main: Engine | None = None,
        folder: Path,
        at_rest: AtRest = PLAIN,
        copies: Path | None = None,
    ) -> None:
        """`main`: the main database. `folder`: of the other store, from which keys may be left after a move."""
        self.second: Final = second
        self.copies: Final = Copies(copies)
        self.main = main
        self._left: Final = KeyStore(folder, at_rest)
        self._at_rest: Final = at_rest
        self._held: dict[str, bytes] = {}
        self._gone: set[str] = set()
        self._ended: dict[str, str] = {}
        self._copied: tuple[object, ...] = ()
        self._closed: Final = threading.Event()
        self._watching: threading.Thread | None = None
        self._starting: Final = threading.Lock()

    # --- reading ------------------------------------------------------------------------------------------------------
    def load(self, key_id: str) -> bytes:
        held = self._held.get(checked(key_id))
        if held is not None:
            return held
        if (ended := self.ended(key_id)) is not None:
            raise VAULT_EXPIRED(id="-", key_id=key_id, date=ended)
        with self._asking() as connection:
            sealed = connection.scalar(select(vault_key.c.sealed).where(vault_key.c.id == key_id))
        if sealed is None:
            raise VAULT_KEY_MISSING(id="-", key_id=key_id)
        key = self._opened(key_id, bytes(sealed))
        if len(self._held) >= _MOST:
            self._held = {}
        self._gone.discard(key_id)
        self._held[key_id] = key
        return key

    def stands(self, key_id: str) -> bool:
        if checked(key_id) in self._held:
            return True
        if key_id in self._gone:
            return False
        with self._asking() as connection:
            return bool(_standing(connection, [key_id]))

    def ended(self, key_id: str) -> str | None:
        if checked(key_id) in self._held:
            return None
        if key_id in self._ended:
            return self._ended[key_id]
        with self._asking() as connection:
            found = connection.scalar(select(vault_key_destroyed.c.destroyed).where(vault_key_destroyed.c.id == key_id))
        at = str(found) if found is not None else _ended_in(self.main, [key_id]).get(key_id)
        if at is not None:
            self._ended[key_id] = at
        return at

    def names(self) -> list[KeyName]:
        with self._asking() as connection:
            ids = list(connection.scalars(select(vault_key.c.id)))
        names = [name for id in ids if (name := KeyName.of(id)) is not None]
        return sorted(names, key=lambda name: (name.day, name.id))

    def odd(self, now: float) -> list[str]:
        with self._asking() as connection:
            return odd_among([(id, id) for id in sorted(connection.scalars(select(vault_key.c.id)))], now)

    def where(self, key_id: str) -> str:
        return f"vault_database: {key_id}"

    @property
    def trouble(self) -> str | None:
        """Why the second database cannot be asked now."""
        return "vault.unavailable" if self.second.away else None

    def forms(self) -> Iterator[tuple[str, bytes]]:
        with self._asking() as connection:
            rows = connection.execute(select(vault_key.c.id, vault_key.c.sealed).order_by(vault_key.c.id)).all()
        for id, sealed in rows:
            if KeyName.of(id) is not None:
                yield id, self._at_rest.form(f"{id}{SUFFIX}", self._opened(id, bytes(sealed)))

    def marks(self) -> Iterator[tuple[str, str]]:
        with self._asking() as connection:
            rows = connection.execute(vault_key_destroyed.select().order_by(vault_key_destroyed.c.id)).all()
        yield from ((str(id), str(at)) for id, at in rows)

    # --- making -------------------------------------------------------------------------------------------------------
    def make(self, key_id: str) -> None:
        self.put(key_id, secrets.token_bytes(KEY_BYTES))

    def put(self, key_id: str, key: bytes) -> None:
        if (ended := self.ended(key_id)) is not None:
            raise VAULT_EXPIRED(id="-", key_id=key_id, date=ended)
        sealed = self.second.sealer.seal(context_of(key_id), key)
        with self._asking() as connection:
            _alone(connection, key_id)
            at = connection.scalar(select(vault_key_destroyed.c.destroyed).where(vault_key_destroyed.c.id == key_id))
            if at is not None:
                raise VAULT_EXPIRED(id="-", key_id=key_id, date=str(at))
            row = insert(connection, vault_key).values(id=key_id, sealed=sealed, made=time.time())
            connection.execute(row.on_conflict_do_nothing())
        self._gone.discard(key_id)

    # --- destroying ---------------------------------------------------------------------------------------------------
    def destroy(self, key_id: str, now: float) -> int:
        self.mark(key_id, rfc3339(now))
        gone = self.drop(key_id) + self._left.destroy(key_id, now)
        for file in self.copies.of(key_id):
            gone += KeyStore(file.parent).drop(key_id)
        return gone

    def mark(self, key_id: str, at: str) -> None:
        with self._asking() as connection:
            _alone(connection, checked(key_id))
            row = insert(connection, vault_key_destroyed).values(id=key_id, destroyed=at)
            connection.execute(row.on_conflict_do_nothing())
        self._held.pop(key_id, None)

    def drop(self, key_id: str) -> int:
        return self.drop_all([key_id])

    def drop_all(self, key_ids: Collection[str]) -> int:
        """Overwrites and deletes these rows, and has the server forget them as far as it lets us."""
        gone = 0
        with self.second.working() as connection:
            for key_id in key_ids:
                self._held.pop(checked(key_id), None)
                row = vault_key.c.id == key_id
                connection.execute(update(vault_key).where(row).values(sealed=secrets.token_bytes(KEY_BYTES)))
                gone += connection.execute(delete(vault_key).where(row)).rowcount
                self._gone.add(key_id)
            connection.execute(text("VACUUM FULL vault_key"))
            for each in _FORGETTING:
                with suppress(SQLAlchemyError):  # not permitted: operating.md says what then remains, and until when
                    connection.execute(text(each))
        return gone

    def copies_of(self, key_id: str) -> list[Path]:
        return self.copies.of(checked(key_id))

    # --- copies -------------------------------------------------------------------------------------------------------
    def copy(self, now: float) -> int:
        today = self.copies.today(now)
        if today is None:
            return 0
        with self._asking() as connection:
            stamp = tuple(connection.execute(select(func.count(), func.max(vault_key.c.made))).one())
        if self._copied == (today.name, *stamp):
            return 0
        written = self.copies.write(now, self._missing(today))
        self._copied = (today.name, *stamp)
        return written

    def _missing(self, today: Path) -> Iterator[tuple[str, bytes]]:
        for key_id, data in self.forms():
            target = today / f"{key_id}{SUFFIX}"
            if not target.exists() or is_protected(target.read_bytes()) != is_protected(data):
                yield key_id, data

    def copied(self) -> set[str]:
        return self.copies.ids() | {name.id for name in self._left.names()}

    def prune(self, now: float, days: int) -> int:
        return self.copies.prune(now, days)

    # --- the clock ----------------------------------------------------------------------------------------------------
    def say_clock(self, now: float) -> None:
        with self._asking() as connection:
            row = insert(connection, fact).values(name=_CLOCK, value=repr(now))
            connection.execute(row.on_conflict_do_update(index_elements=["name"], set_={"value": repr(now)}))

    def clock_said(self) -> float | None:
        with self._asking() as connection:
            said = connection.scalar(select(fact.c.value).where(fact.c.name == _CLOCK))
        try:
            return None if said is None else float(said)
        except ValueError:
            return None

    # --- what is in memory --------------------------------------------------------------------------------------------
    def look(self) -> None:
        """Drops from memory what was destroyed. Called each second, by a thread of its own."""
        held, gone = list(self._held), set[str]()
        with suppress(Failure), self.second.asking(probing=True) as connection:
            gone |= set(held) - _standing(connection, held)
        with suppress(SQLAlchemyError):  # the main database is away: then no body is read either
            gone |= set(_ended_in(self.main, held))
        for key_id in gone:
            self._held.pop(key_id, None)
            self._gone.add(key_id)

    def serves(self, now: float) -> bool:
        today = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d}"
        return any(key_id.startswith(today) for key_id in list(self._held))

    def close(self) -> None:
        self._closed.set()
        self.second.dispose()

    def _asking(self) -> AbstractContextManager[Connection]:
        self._watch()  # it also finds out when a second database is back
        return self.second.asking()

    def _watch(self) -> None:
        with self._starting:
            if self._watching is None or not self._watching.is_alive():
                of = (weakref.ref(self), self._closed)
                self._watching = threading.Thread(target=_look_again, args=of, name="lgsp-vault-keys", daemon=True)
                self._watching.start()

    def _opened(self, key_id: str, sealed: bytes) -> bytes:
        try:
            key = self.second.sealer.unseal(context_of(key_id), sealed)
        except Failure:
            raise VAULT_BROKEN(id="-", key_id=key_id) from None
        if len(key) != KEY_BYTES:
            raise VAULT_BROKEN(id="-", key_id=key_id)
        return key


def _look_again(of: weakref.ref[DatabaseKeys], closed: threading.Event) -> None:
    while not closed.wait(LOOK_SECONDS):
        keys = of()
        if keys is None:
            return
        try:
            keys.look()
        except Exception:  # the thread must go on: without it a destroyed key would stay in memory
            _logger.exception("the keys in memory are not compared with the vault's databases")
        del keys


def _standing(connection: Connection, key_ids: list[str]) -> set[str]:
    if not key_ids:
        connection.execute(select(1))  # whether it answers
        return set()
    return set(connection.scalars(select(vault_key.c.id).where(vault_key.c.id.in_(key_ids))))


def _ended_in(main: Engine | None, key_ids: list[str]) -> dict[str, str]:
    """Those that the main database calls destroyed, and when."""
    if main is None or not key_ids:
        return {}
    ended = tables.vault_destroyed.c
    query = select(ended.key_id, ended.destroyed).where(ended.key_id.in_(key_ids), ended.destroyed.is_not(None))
    with main.connect() as connection:
        return {str(id): rfc3339(float(at)) for id, at in connection.execute(query)}


def _alone(connection: Connection, key_id: str) -> None:
    """Until the end of the transaction nobody else makes or destroys this key."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:id))"), {"id": key_id})
