"""Retention: what is past its time is destroyed by destroying its key, in every copy, and the log shows it.

Theory of operation, for one key that is due
1. What a hold covers goes under the hold's own key (`holds`); what a transfer that is still open needs goes under today's key of its class. If anything
   moved, the key waits for the next look, so that nobody who has just read the old row meets a key that is gone.
2. One transaction: the key's row in `vault_destroyed`, and a `retention` note that names day, class, bodies and the key's id (step `begun`). It looks
   once more that no hold covers anything under the key.
3. The key's mark, then the files: overwritten and removed in the store and in every copy (`vault.keystore`).
4. Its sealed rows leave the database, some at a time; id, size and the key's id stay, so that whoever asks is told `vault.expired` and when.
5. One transaction: the row is finished, and a second note (step `done`).
A crash anywhere leaves a row that is not finished: the next look goes on with 3. Each transaction checks the lease.

Bodies of class `open` need not wait for their key: they are removed when their transfer has ended. Copies of the key store are made and pruned here too.
Nothing is destroyed by a time that is not to be believed (`clock`): the log is told once, and the keys wait.
Invariant: no key is destroyed before the log was told (pending in the same database, synced) that it will be.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Engine, insert, select, update

from contracts.base.errors import Failure
from contracts.base.times import rfc3339
from gateway.audit.log import lease as leases
from gateway.audit.log.lease import Lease
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.keeper.retention import clock as clocks
from gateway.keeper.retention import holds, rows
from gateway.vault.classes import OPEN, SHORT, KeyName, key_id
from gateway.vault.vault import FORGET_SECONDS, Vault
from security.transparency.entry import Json

ACTOR: Final = "gateway"
SOON_SECONDS: Final = 60.0  # when something moved: far longer than any reader holds a row
_ended: Final = tables.vault_destroyed
_logger: Final = logging.getLogger("lgsp.retention")


@dataclass(frozen=True, slots=True)
class Due:
    """A key that is to be destroyed, and since when."""

    name: KeyName
    since: float


class Retention:
    """One a keeper: `run_once` looks whether it is time, and does what is due."""

    def __init__(
        self,
        engine: Engine,
        lock: FileLock | None,
        vault: Vault,
        clock: Callable[[], float],
        *,
        seconds: float = 3600.0,
        copy_days: int = 7,
        monotonic: Callable[[], float] = time.monotonic,
        clock_is_right: bool = False,
    ) -> None:
        self._engine: Final = engine
        self._lock: Final = lock
        self._vault: Final = vault
        self._clock: Final = clock
        self._seconds: Final = seconds
        self._copy_days: Final = copy_days
        self._watch: Final = clocks.ClockMonitor(monotonic)
        self._right: Final = clock_is_right  # a person says so
        self._held_told = False
        self._next = float("-inf")
        self._small = float("-inf")
        self._copy_again = float("-inf")

    async def run_once(self, lease: Lease) -> int:
        now = self._clock()
        if now >= self._small or now < self._small - 2 * FORGET_SECONDS:  # or the clock went back
            self._small = now + FORGET_SECONDS
            await asyncio.to_thread(self.look, lease, now)
        if now < self._next and now >= self._next - 2 * self._seconds:
            return 0
        self._next = (
            now + self._seconds
        )  # also if it fails: what is wrong is told once each time, not five times a second
        moved = await asyncio.to_thread(self.run, lease, now)
        if moved:
            self._next = now + min(SOON_SECONDS, self._seconds)
        return 0

    # --- every few seconds ----------------------------------------------------------------------------------------------
    def look(self, lease: Lease, now: float) -> None:
        """Small things: copies of new keys, bodies of transfers that ended, keys of this process that are gone, holds that were left half-way."""
        self._vault.forget_gone()
        self._watch.lasted(now)
        self._copy(now)
        check = self._check(lease)
        with self._engine.connect() as connection:
            unsealed = [hold for hold in holds.in_force(connection) if hold.sealed is None]
        for hold in unsealed:
            done = holds.seal_anew(self._engine, self._lock, self._vault, check, hold, now)
            _logger.info("hold %s: %d bodies are under its keys", hold.name, done)
        for name in self._vault.keys.names():
            if name.retention == OPEN and name.hold is None:
                with _told(f"bodies under key {name.id} are not removed yet"):
                    self._hold_back(name, check)
                    rows.remove_ended(self._engine, self._lock, check, name.id)

    def _copy(self, now: float) -> None:
        """A folder for copies that cannot be written holds up nothing else."""
        if now < self._copy_again:
            return
        try:
            self._vault.keys.copy(now)
        except OSError as trouble:
            self._copy_again = now + self._seconds
            _logger.error("the vault's keys are not copied to %s: %s", self._vault.keys.copies, trouble)

    # --- each hour ------------------------------------------------------------------------------------------------------
    def run(self, lease: Lease, now: float) -> bool:
        """Destroy what is due; whether something moved, so that its key waits for the next look."""
        check, waits = self._check(lease), False
        with _told("keys that came back are not destroyed again"):
            self._again(now)
        if not self._believed(now):
            self._tell_held(check, now)
            return False
        self._held_told = False
        with _told("old copies are not removed"):
            self._vault.keys.prune(now, self._copy_days)
        for name in self._unfinished():
            with _told(f"key {name.id} is not destroyed yet"):
                waits |= self._finish(name, check, now)
        for each in due(self._engine, self._vault, now):
            with _told(f"key {each.name.id} is not destroyed yet"):
                if self._hold_back(each.name, check) + self._carry_on(each.name, check, now):
                    waits = True
                elif self._begin(each.name, check, now):
                    waits |= self._finish(each.name, check, now)
        return waits

    def _believed(self, now: float) -> bool:
        lasted = self._watch.lasted(now)
        with self._engine.connect() as connection:
            return lasted or self._right or clocks.vouched(connection, self._vault.keys.folder, now)

    def _tell_held(self, check: rows.Check, now: float) -> None:
        """Once until the clock is believed: that keys wait, with both times."""
        count = len(due(self._engine, self._vault, now)) + sum(1 for _ in self._unfinished())
        if not count or self._held_told:
            return
        with writing(self._engine, self._lock) as connection:
            check(connection)
            log = clocks.words(clocks.newest(connection))
            facts: dict[str, Json] = {"now": clocks.words(now), "log": log, "keys": count}
            append(connection, [holds.note("retention-held", facts, now, ACTOR)])
        self._held_told = True
        _logger.error(
            "the clock says %s, the log %s: %d keys wait until that is believed (`lgsp vault status`)",
            facts["now"],
            log,
            count,
        )

    def _hold_back(self, name: KeyName, check: rows.Check) -> int:
        """What holds cover under a key goes under theirs; how many bodies."""
        with self._engine.connect() as connection:
            covered = holds.under_key(connection, name, holds.in_force(connection))
        moved = 0
        for hold, ids in covered:
            moved += rows.reseal(
                self._engine, self._lock, self._vault, check, ids, partial(holds.key_of, hold=hold.name)
            )
        return moved

    def _carry_on(self, name: KeyName, check: rows.Check, now: float) -> int:
        """What open transfers need, of the classes that end in days; how many bodies."""
        if name.retention not in (SHORT, OPEN) or name.hold is not None:
            return 0
        with self._engine.connect() as connection:
            needed = rows.open_transfers(connection, name.id)
        today = key_id(now, name.retention)
        return rows.reseal(self._engine, self._lock, self._vault, check, needed, lambda _: today)

    def _begin(self, name: KeyName, check: rows.Check, now: float) -> bool:
        """Say that it will be destroyed; False if a hold came in the meantime, or covers a body that is damaged: then a person has to look."""
        with writing(self._engine, self._lock) as connection:
            check(connection)
            if holds.under_key(connection, name, holds.in_force(connection)):
                _logger.warning("key %s waits: a hold covers what it seals", name.id)
                return False
            bodies, size = rows.counted(connection, name.id)
            connection.execute(insert(_ended).values(key_id=name.id, began=now, bodies=bodies, bytes=size))
            append(connection, [holds.note("retention", facts_of(name, "begun", bodies, size), now, ACTOR)])
        return True

    def _finish(self, name: KeyName, check: rows.Check, now: float) -> bool:
        """Destroy a key whose end was begun; True if it waits for the next look, since a hold covers what it seals."""
        if self._vault.keys.ended(name.id) is None and self._kept(name, check):
            return True
        files = self._vault.destroy(name.id, now)
        rows.empty(self._engine, self._lock, check, name.id)
        with writing(self._engine, self._lock) as connection:
            check(connection)
            row = connection.execute(select(_ended.c.bodies, _ended.c.bytes).where(_ended.c.key_id == name.id)).one()
            step = update(_ended).where(_ended.c.key_id == name.id, _ended.c.destroyed.is_(None)).values(destroyed=now)
            if connection.execute(step).rowcount:
                facts = facts_of(name, "done", int(row[0]), int(row[1]))
                append(connection, [holds.note("retention", facts, now, ACTOR)])
        _logger.info("key %s is destroyed in %d files: %d bodies are past their retention", name.id, files, row[0])
        return False

    def _kept(self, name: KeyName, check: rows.Check) -> bool:
        """What a hold covers after all goes under its key before the mark is written; whether that was anything."""
        moved = self._hold_back(name, check)
        with writing(self._engine, self._lock) as connection:
            check(connection)
            left = holds.under_key(connection, name, holds.in_force(connection))
            if moved or left:
                bodies, size = rows.counted(connection, name.id)
                connection.execute(update(_ended).where(_ended.c.key_id == name.id).values(bodies=bodies, bytes=size))
        if left:
            _logger.warning("key %s waits: a hold covers what it seals", name.id)
        return bool(moved or left)

    def _unfinished(self) -> Iterator[KeyName]:
        with self._engine.connect() as connection:
            found = list(
                connection.scalars(
                    select(_ended.c.key_id).where(_ended.c.destroyed.is_(None)).order_by(_ended.c.key_id)
                )
            )
        yield from (name for key in found if (name := KeyName.of(key)) is not None)

    def _again(self, now: float) -> None:
        """A file of a key that was destroyed came back, as with a folder restored from elsewhere: it goes again, in every copy."""
        files = {name.id for name in self._vault.keys.names()} | self._vault.keys.copied()
        for key in ended_among(self._engine, files):
            _logger.warning("a file of the key %s, which was destroyed, had come back: destroyed again", key)
            self._vault.destroy(key, now)

    def _check(self, lease: Lease) -> rows.Check:
        def check(connection: Connection) -> None:
            leases.check(connection, lease)

        return check


@contextmanager
def _told(undone: str) -> Iterator[None]:
    """What is wrong with one key or folder holds up nothing but itself; it is tried again at the next look. A lost lease ends the run."""
    try:
        yield
    except (OSError, ArithmeticError, ValueError, Failure) as trouble:
        if isinstance(trouble, Failure) and trouble.code == "audit.lease-lost":
            raise
        _logger.error("%s: %s", undone, trouble)


def due(engine: Engine, vault: Vault, now: float) -> list[Due]:
    """The keys that stand and whose class has run out; those of a hold that is in force never are."""
    with engine.connect() as connection:
        held = {hold.name for hold in holds.in_force(connection)}
        begun = set(connection.scalars(select(_ended.c.key_id).where(_ended.c.destroyed.is_(None))))
    return [
        Due(name, since)
        for name in vault.keys.names()
        if (since := name.due) is not None and since <= now and name.hold not in held and name.id not in begun
    ]


def ended_among(engine: Engine, key_ids: set[str]) -> list[str]:
    """Those of these keys that were destroyed, by the database's own word."""
    wanted, found = sorted(key_ids), list[str]()
    with engine.connect() as connection:
        for at in range(0, len(wanted), 500):
            query = select(_ended.c.key_id).where(
                _ended.c.destroyed.is_not(None), _ended.c.key_id.in_(wanted[at : at + 500])
            )
            found += connection.scalars(query)
    return found


def facts_of(name: KeyName, step: str, bodies: int, size: int) -> dict[str, Json]:
    said: dict[str, Any] = {"key": name.id, "day": name.day.isoformat(), "class": name.retention, "hold": name.hold}
    said |= {"step": step, "bodies": bodies, "bytes": size, "due": rfc3339(name.due) if name.due is not None else None}
    return {key: value for key, value in said.items() if value is not None}
