"""Serves `/healthz` and `/readyz` on all listeners, and `/metrics` (Prometheus text exposition format 0.0.4).

Invariant: the exchange listener, which is public, serves no `/metrics`.
Invariant: counts only. Database queries run at most every two seconds a process, in a thread. What costs more in a
  larger database takes one twentieth of the time at most.
"""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy import text as sql

from adapters.files import quarantined
from contracts.base.errors import Failure
from contracts.base.times import rfc3339
from gateway.doors.counts import Counts, Pulse, ahead, count, late, pulse
from gateway.doors.http.body import Scope
from gateway.doors.metrics import Standing, text
from gateway.doors.reply import Reply
from gateway.exchange.feed_readers import readers
from gateway.journal.database import moment, writing
from gateway.journal.limits import presence_of, unavailable
from gateway.journal.values import keep
from gateway.journal.writer import Journal
from gateway.machines.errors import MACHINE_DRAINING
from gateway.registry.registry import Registry
from gateway.settings import Settings
from gateway.transfer.lease import LeaseObserver
from gateway.vault.keys import Keys
from gateway.vault.second import Second

KEPT_SECONDS: Final = 2.0
REST: Final = 20.0  # for each second of counting
_SCRAPE_SECONDS: Final = 0.8  # that a scrape waits for the database, twice
PROBES: Final = frozenset({"/healthz", "/readyz"})
METRICS: Final = "/metrics"
PROBED: Final = "probed"  # in `instance`: the last write of `/readyz`
_TEXT: Final = {"content-type": "text/plain; version=0.0.4; charset=utf-8", "cache-control": "no-store"}


@dataclass(slots=True)
class Vitals:
    """Caches the counts for a moment."""

    engine: Engine
    registry: Registry
    clock: Callable[[], float] = time.time
    drops: Path | None = None  # the root of the drop folders
    run: Path | None = None  # where the processes of this machine count; None: what this process counted
    settings: Settings | None = None  # of the desk, which tells more
    _kept: Counts | None = None
    _until: float = float("-inf")
    _pulse: Pulse | None = None
    _pulse_until: float = float("-inf")
    _counted_at: float = float("-inf")
    _asking: threading.Lock = field(default_factory=threading.Lock)
    _counting: threading.Lock = field(default_factory=threading.Lock)  # another one: counting may take seconds
    _adding: asyncio.Task[Counts] | None = None
    _lease: LeaseObserver = field(default_factory=lambda: LeaseObserver(time.monotonic))
    _looking: asyncio.Task[Pulse] | None = None
    _written_until: float = float("-inf")
    journal: Journal | None = None  # that of this process, whose beats show whether the database can be written
    leaving: Callable[[], bool] = lambda: False  # whether this machine takes no new calls
    seconds: float = 2.0  # how long `ready` waits for the database
    keys: Keys | None = None  # of the vault, that this process seals with
    second: Second | None = None  # the vault's second database, of the desk, which tells of it
    _asking_second: asyncio.Task[None] | None = None

    def pulse_now(self) -> Pulse:
        """As `counts_now`, at a cost that is the same in every database."""
        with self._asking:
            if self._pulse is None or time.monotonic() >= self._pulse_until:
                with self.engine.connect() as connection:
                    self._pulse = pulse(connection, moment(connection, self.clock))
                self._pulse_until = time.monotonic() + KEPT_SECONDS
            return self._pulse

    async def _pulse_soon(self) -> Pulse:
        """One thread asks for all who wait. Raises `TimeoutError` where the database takes too long."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(asyncio.to_thread(self._probe))
        async with asyncio.timeout(self.seconds):
            return await asyncio.shield(self._looking)

    def _probe(self) -> Pulse:
        """Reads, and where this process has no journal writes a row, every two seconds at most."""
        if self.journal is None and time.monotonic() >= self._written_until:
            with writing(self.engine) as connection:
                at = str(moment(connection, self.clock))
                keep(connection, PROBED, at)
            self._written_until = time.monotonic() + KEPT_SECONDS
        return self.pulse_now()

    @property
    def last(self) -> Counts | None:
        """The last counts, however old; None before the first ones."""
        return self._kept

    @property
    def age(self) -> float | None:
        """Seconds since they were counted."""
        return None if self._kept is None else time.monotonic() - self._counted_at

    async def told(self) -> bool:
        """Whether the database answers. Counts anew if it is time, and waits for that a moment only."""
        try:
            async with asyncio.timeout(_SCRAPE_SECONDS):
                await self._pulse_soon()
                if self._adding is None or self._adding.done():
                    self._adding = asyncio.create_task(asyncio.to_thread(self.counts_now))
        except Exception:
            return False
        try:
            async with asyncio.timeout(_SCRAPE_SECONDS):
                await asyncio.shield(self._adding)
        except TimeoutError:  # there is much to count: the next scrape has it
            return True
        except Exception:
            return False
        return True

    async def second_up(self) -> bool | None:
        """Whether the second database answers within a moment; None: there is none."""
        if self.second is None:
            return None
        if self._asking_second is None or self._asking_second.done():
            self._asking_second = asyncio.create_task(asyncio.to_thread(_asked, self.second))
        try:
            async with asyncio.timeout(_SCRAPE_SECONDS):
                await asyncio.shield(self._asking_second)
        except Exception:
            return False
        return True

    def counts_now(self) -> Counts:
        """Waits for the database; one thread counts for all."""
        with self._counting:
            if self._kept is None or time.monotonic() >= self._until:
                began = time.monotonic()
                self._kept = self._count()
                ended = self._counted_at = time.monotonic()
                self._until = ended + max(KEPT_SECONDS, REST * (ended - began))
            return self._kept

    def _count(self) -> Counts:
        aside = len(quarantined(self.drops)) if self.drops is not None else 0
        with self.engine.connect() as connection:
            now = moment(connection, self.clock)
            counts = replace(
                count(connection, now),
                quarantined=aside,
                held=self._lease.look(connection) is None,
                ahead=ahead(connection, self.clock),
                late={} if self.settings is None else late(connection, self.settings, now),
            )
            try:
                snapshot = self.registry.snapshot
            except Failure:  # then nobody may read
                return counts
            return replace(counts, readers=readers(connection, snapshot, self.clock(), started=True))

    async def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether this process can work, and each check; `why`: what is known of the database's trouble. A restored
        instance is not ready until it is confirmed.
        """
        checks: dict[str, Any] = {"database": True, "registry": True}
        try:
            checks["keeper"] = (await self._pulse_soon()).keepers > 0
            if self.journal is not None and self.journal.trouble is not None:
                raise presence_of(self.engine).failure(self.journal.trouble)
        except Exception as trouble:
            checks["database"] = False
            failure = trouble if isinstance(trouble, Failure) else unavailable(trouble)
            checks["reason"] = type(trouble).__name__ if failure is None else failure.code
            if failure is not None and "reason" in failure.facts:
                checks["why"] = failure.facts["reason"]
        waits, sealing = False, True
        if self.keys is not None and self.keys.trouble is not None:
            checks["vault"] = self.keys.trouble
            sealing = self.keys.serves(self.clock())
        try:
            snapshot = self.registry.snapshot
            checks["revision"] = snapshot.revision
            if waits := snapshot.held_until > self.clock():
                until = rfc3339(snapshot.held_until) if math.isfinite(snapshot.held_until) else None
                checks["restored"] = {
                    "until": until,
                    "next": "lgsp restore confirm --by WHO (production: --as PERSON --key FILE);"
                    " one for practice is never confirmed"
                    if until is None
                    else "wait",
                }
        except Failure as failure:
            checks["registry"], checks["reason"] = False, failure.code
        if self.leaving():
            waits, checks["reason"] = True, MACHINE_DRAINING.code
        return checks["database"] and checks["registry"] and sealing and not waits, checks


def _asked(second: Second) -> None:
    """Raises `vault.unavailable`."""
    with second.asking(probing=True) as connection:
        connection.execute(sql("SELECT 1"))


@dataclass(slots=True)
class Health:
    """Answers the addresses in `paths`."""

    vitals: Vitals
    paths: frozenset[str] = PROBES

    async def reply(self, scope: Scope) -> Reply | None:
        """None for any other address."""
        path = scope["path"]
        if path not in self.paths or scope["method"] not in ("GET", "HEAD"):
            return None
        if path == "/healthz":
            return Reply(200, dict(_TEXT), b"ok\n")
        if path == METRICS:
            return await self._metrics()
        ready, checks = await self.vitals.ready()
        body = json.dumps({"ok": ready, "checks": checks}).encode()
        return Reply(200 if ready else 503, {"content-type": "application/json", "cache-control": "no-store"}, body)

    async def _metrics(self) -> Reply:
        """Within two seconds, whatever the database does."""
        vitals = self.vitals
        (up, second_up), snapshot = await asyncio.gather(vitals.told(), vitals.second_up()), None
        try:
            snapshot = vitals.registry.snapshot
        except Failure:
            if up:  # registry or schema are altered: then nothing is told
                return Reply(503, dict(_TEXT), b"")
        now = Standing(up, vitals.last, vitals.age, snapshot, vitals.clock(), vitals.settings, second_up)
        return Reply(200, dict(_TEXT), await asyncio.to_thread(text, now, vitals.run))
