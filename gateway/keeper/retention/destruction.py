"""Destroys what is past its retention by destroying its key, in every copy, and shows that in the log.

For one key that is due:
1. What a hold covers is sealed again under the hold's own key (`holds`); what an open transfer needs, under today's key
   of its class. If anything moved, the key waits for the next run, so that no reader of an old row meets a missing key.
2. One transaction checks again that no hold covers anything under the key. It writes the key's row in
   `vault_destroyed`, and a `retention` note with day, class, bodies and the key's id (step `begun`).
3. The key's mark is written; then its files are overwritten and removed, in the store and in every copy
   (`vault.keystore`).
4. Its sealed rows are emptied, some at a time. Id, size and the key's id stay, so that a reader gets `vault.expired`
   and the time.
5. One transaction finishes the row, and writes a second note (step `done`). A crash leaves an unfinished row; the next
   run goes on with 3. Each transaction checks the lease.

Bodies of class `open` do not wait for their key: they are removed when their transfer has ended. Copies of the key
store are made and pruned here too. While the time is not certain (`clock`), nothing is destroyed, and the log gets one
note.
Invariant: no key is destroyed before the log (pending in the same database, synced) says that it will be.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from sqlalchemy import Engine, insert, select, update

from contracts.base.errors import Failure
from contracts.base.times import moment, rfc3339
from gateway.errors import AUDIT_LEASE_LOST
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.keeper.retention import clock as clocks
from gateway.keeper.retention import holds, rows
from gateway.keeper.retention.elsewhere import destroy_returned, may_end, steps_of
from gateway.transfer import entries
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from gateway.vault import key_digests
from gateway.vault.classes import OPEN, SHORT, KeyName, key_id
from gateway.vault.vault import FORGET_SECONDS, Vault
from security.transparency.entry import Json

ACTOR: Final = "gateway"
SOON_SECONDS: Final = 60.0  # until the next run when something moved: far longer than any reader uses a row
_ended: Final = tables.vault_destroyed
_logger: Final = logging.getLogger("lgsp.retention")


@dataclass(frozen=True, slots=True)
class Due:
    """A key to be destroyed, and since when."""

    name: KeyName
    since: float


@dataclass(slots=True)
class Retention:
    """One a keeper. `clock_is_right`: a person says so."""

    engine: Engine
    lock: FileLock | None
    vault: Vault
    clock: Callable[[], float]
    seconds: float = 3600.0
    copy_days: int = 7
    monotonic: Callable[[], float] = time.monotonic
    clock_is_right: bool = False
    _monitor: clocks.ClockMonitor = field(init=False)
    _wait_noted: bool = False
    _run_at: float = float("-inf")
    _look_at: float = float("-inf")
    _copy_at: float = float("-inf")

    def __post_init__(self) -> None:
        self._monitor = clocks.ClockMonitor(self.monotonic)

    async def run_once(self, lease: Lease) -> int:
        now = self.clock()
        if now >= self._look_at or now < self._look_at - 2 * FORGET_SECONDS:  # or the clock went back
            self._look_at = now + FORGET_SECONDS
            await asyncio.to_thread(self.look, lease, now)
        if now < self._run_at and now >= self._run_at - 2 * self.seconds:
            return 0
        self._run_at = now + self.seconds  # also if it fails, so that the failure is not logged all the time
        moved = await asyncio.to_thread(self.run, lease, now)
        if moved:
            self._run_at = now + min(SOON_SECONDS, self.seconds)
        return 0

    def _bodies(self, check: rows.Check) -> rows.Bodies:
        return rows.Bodies(self.engine, self.lock, self.vault, check)

    # --- every few seconds --------------------------------------------------------------------------------------------
    def look(self, lease: Lease, now: float) -> None:
        """Copies new keys, removes bodies of ended transfers, forgets destroyed keys, completes holds."""
        self.vault.forget_gone()
        self._monitor.lasted(now)
        self._copy(now)
        check = _check_of(lease)
        with self.engine.connect() as connection:
            unsealed = [hold for hold in holds.in_force(connection) if hold.sealed is None]
        for hold in unsealed:
            count = holds.seal_again(self._bodies(check), hold, now)
            _logger.info("hold %s: %d bodies are under its keys", hold.name, count)
        for name in self.vault.keys.names():
            if name.retention == OPEN and name.hold is None:
                with _logging(f"bodies under key {name.id} are not removed yet"):
                    self._move_held(name, check)
                    rows.remove_ended(self.engine, self.lock, check, name.id)

    def _copy(self, now: float) -> None:
        """A copy folder that cannot be written stops nothing else."""
        if now < self._copy_at:
            return
        try:
            self.vault.keys.copy(now)
        except OSError as trouble:
            self._copy_at = now + self.seconds
            _logger.error("the vault's keys are not copied to %s: %s", self.vault.keys.copies.folder, trouble)

    # --- each hour ----------------------------------------------------------------------------------------------------
    def run(self, lease: Lease, now: float) -> bool:
        """Destroys what is due; True if something moved, so that its key waits for the next run."""
        check, waits = _check_of(lease), False
        with _logging("digests of keys are not recorded"):
            key_digests.record(self.engine, self.vault.keys)
        with _logging("keys that came back are not destroyed again"):
            destroy_returned(self.engine, self.vault, now)
        if not self._time_is_certain(now):
            self._note_waiting(check, now)
            return False
        self._wait_noted = False
        with _logging("old copies are not removed"):
            self.vault.keys.prune(now, self.copy_days)
        for name in self._unfinished():
            with _logging(f"key {name.id} is not destroyed yet"):
                waits |= self._finish(name, check, now)
        for each in due(self.engine, self.vault, now):
            with _logging(f"key {each.name.id} is not destroyed yet"):
                if self._move_held(each.name, check) + self._move_open(each.name, check, now):
                    waits = True
                elif self._begin(each.name, check, now):
                    waits |= self._finish(each.name, check, now)
        return waits

    def _time_is_certain(self, now: float) -> bool:
        lasted = self._monitor.lasted(now)
        with self.engine.connect() as connection:
            return lasted or self.clock_is_right or clocks.confirmed(connection, self.vault.keys, now)

    def _note_waiting(self, check: rows.Check, now: float) -> None:
        """Notes once that keys wait, with the clock's and the log's time."""
        count = len(due(self.engine, self.vault, now)) + sum(1 for _ in self._unfinished())
        if not count or self._wait_noted:
            return
        with writing(self.engine, self.lock) as connection:
            check(connection)
            log = clocks.words(clocks.newest(connection))
            facts: dict[str, Json] = {"now": clocks.words(now), "log": log, "keys": count}
            append(connection, [entries.note("retention-held", facts, now, actor=ACTOR)])
        self._wait_noted = True
        _logger.error(
            "the clock says %s, the log %s: %d keys wait until that is believed (`lgsp vault status`)",
            facts["now"],
            log,
            count,
        )

    def _move_held(self, name: KeyName, check: rows.Check) -> int:
        """Seals what holds cover under their keys; returns how many bodies."""
        with self.engine.connect() as connection:
            covered = holds.under_key(connection, name, holds.in_force(connection))
        moved = 0
        for hold, ids in covered:
            moved += rows.reseal(self._bodies(check), ids, partial(holds.key_of, hold=hold.name))
        return moved

    def _move_open(self, name: KeyName, check: rows.Check, now: float) -> int:
        """Seals what open transfers need under today's key, for classes of some days; returns how many bodies."""
        if name.retention not in (SHORT, OPEN) or name.hold is not None:
            return 0
        with self.engine.connect() as connection:
            needed = rows.open_transfers(connection, name.id)
        today = key_id(now, name.retention)
        return rows.reseal(self._bodies(check), needed, lambda _: today)

    def _begin(self, name: KeyName, check: rows.Check, now: float) -> bool:
        """Notes that it will be destroyed; False if a hold was added meanwhile, or covers a damaged body."""
        with writing(self.engine, self.lock) as connection:
            check(connection)
            if holds.under_key(connection, name, holds.in_force(connection)):
                _logger.warning("key %s waits: a hold covers what it seals", name.id)
                return False
            bodies, size = rows.counted(connection, name.id)
            connection.execute(insert(_ended).values(key_id=name.id, began=now, bodies=bodies, bytes=size))
            append(connection, [entries.note("retention", facts_of(name, "begun", bodies, size), now, actor=ACTOR)])
        return True

    def _finish(self, name: KeyName, check: rows.Check, now: float) -> bool:
        """Destroys a key whose destruction has begun; True if it waits, since a hold covers what it seals."""
        with self.engine.connect() as connection:
            permitted = may_end(connection, name.id, now)
            done = moment(steps_of(connection, name.id).get("done"))
        if not permitted:
            return False
        if self.vault.keys.ended(name.id) is None and self._is_held(name, check):
            return True
        files = self.vault.destroy(name.id, now)
        rows.empty(self.engine, self.lock, check, name.id)
        with writing(self.engine, self.lock) as connection:
            check(connection)
            row = connection.execute(select(_ended.c.bodies, _ended.c.bytes).where(_ended.c.key_id == name.id)).one()
            step = update(_ended).where(_ended.c.key_id == name.id, _ended.c.destroyed.is_(None))
            step = step.values(destroyed=now if done is None else done)
            if connection.execute(step).rowcount and done is None:
                facts = facts_of(name, "done", int(row[0]), int(row[1]))
                append(connection, [entries.note("retention", facts, now, actor=ACTOR)])
        _logger.info("key %s is destroyed in %d files: %d bodies are past their retention", name.id, files, row[0])
        return False

    def _is_held(self, name: KeyName, check: rows.Check) -> bool:
        """Before the mark is written: seals what a hold covers after all under its key; True if there was any."""
        moved = self._move_held(name, check)
        with writing(self.engine, self.lock) as connection:
            check(connection)
            left = holds.under_key(connection, name, holds.in_force(connection))
            if moved or left:
                bodies, size = rows.counted(connection, name.id)
                connection.execute(update(_ended).where(_ended.c.key_id == name.id).values(bodies=bodies, bytes=size))
        if left:
            _logger.warning("key %s waits: a hold covers what it seals", name.id)
        return bool(moved or left)

    def _unfinished(self) -> Iterator[KeyName]:
        with self.engine.connect() as connection:
            keys = list(
                connection.scalars(
                    select(_ended.c.key_id).where(_ended.c.destroyed.is_(None)).order_by(_ended.c.key_id)
                )
            )
        yield from (name for key in keys if (name := KeyName.of(key)) is not None)


def _check_of(lease: Lease) -> rows.Check:
    return lambda connection: leases.check(connection, lease)


@contextmanager
def _logging(undone: str) -> Iterator[None]:
    """Logs a failure of one key or folder, which is tried again at the next run. A lost lease ends the run."""
    try:
        yield
    except (OSError, ArithmeticError, ValueError, Failure) as trouble:
        if isinstance(trouble, Failure) and trouble.code == AUDIT_LEASE_LOST.code:
            raise
        _logger.error("%s: %s", undone, trouble)


def due(engine: Engine, vault: Vault, now: float) -> list[Due]:
    """The existing keys whose retention has ended; never those of a hold in force."""
    with engine.connect() as connection:
        held = {hold.name for hold in holds.in_force(connection)}
        begun = set(connection.scalars(select(_ended.c.key_id).where(_ended.c.destroyed.is_(None))))
    return [
        Due(name, since)
        for name in vault.keys.names()
        if (since := name.due) is not None and since <= now and name.hold not in held and name.id not in begun
    ]


def facts_of(name: KeyName, step: str, bodies: int, size: int) -> dict[str, Json]:
    facts: dict[str, Any] = {"key": name.id, "day": name.day.isoformat(), "class": name.retention, "hold": name.hold}
    facts |= {"step": step, "bodies": bodies, "bytes": size, "due": rfc3339(name.due) if name.due is not None else None}
    return {key: value for key, value in facts.items() if value is not None}
