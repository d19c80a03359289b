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
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, func, select

from adapters.files import quarantined
from contracts.base.errors import Failure
from contracts.base.times import rfc3339
from gateway.doors.http import refusals
from gateway.doors.http.body import Scope
from gateway.doors.reply import Reply
from gateway.exchange.feed_readers import FeedReader, readers
from gateway.journal import alone
from gateway.journal.database import insert, moment, writing
from gateway.journal.limits import presence_of
from gateway.journal.schema import tables
from gateway.journal.writer import Journal
from gateway.push import store
from gateway.registry.registry import Registry
from gateway.transfer.states import State

KEPT_SECONDS: Final = 2.0
REST: Final = 20.0  # for each second of counting
_SILENT_SECONDS: Final = 15.0
PROBES: Final = frozenset({"/healthz", "/readyz"})
METRICS: Final = "/metrics"
PROBED: Final = "probed"  # in `instance`: the last write of `/readyz`
_TEXT: Final = {"content-type": "text/plain; version=0.0.4; charset=utf-8", "cache-control": "no-store"}
_ALARMS: Final = ("down", "queue", "certificate", "due", "late", "conform")
_QUEUE: Final = ("waiting", "leased", "held", "done", "dead")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """Whether the log goes on, at one moment."""

    log_size: int
    log_pending: int
    checkpoint_age: float | None
    keepers: int
    alone: bool = False  # a person let it go on without a standby


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts(Pulse):
    """With counts by state, which cost more the more there is to count."""

    transfers: Mapping[str, int]
    queue: Mapping[str, int]
    quarantined: int = 0
    pushes: store.Totals = store.NOTHING
    alarms: Mapping[str, int] = field(default_factory=dict)  # open ones, by kind
    unacknowledged: int = 0
    readers: Sequence[FeedReader] = ()  # that have read: who never did is not late


@dataclass(slots=True)
class Vitals:
    """Caches the counts for a moment."""

    engine: Engine
    registry: Registry
    clock: Callable[[], float] = time.time
    drops: Path | None = None  # the root of the drop folders
    refused: Path | None = None  # where the doors count refusals by limit
    _kept: Counts | None = None
    _until: float = float("-inf")
    _pulse: Pulse | None = None
    _pulse_until: float = float("-inf")
    _asking: threading.Lock = field(default_factory=threading.Lock)
    _looking: asyncio.Task[Pulse] | None = None
    _written_until: float = float("-inf")
    journal: Journal | None = None  # that of this process, whose beats show whether the database can be written
    seconds: float = 2.0  # how long `ready` waits for the database

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
                row = insert(connection, tables.instance).values(key=PROBED, value=at)
                connection.execute(row.on_conflict_do_update(index_elements=["key"], set_={"value": at}))
            self._written_until = time.monotonic() + KEPT_SECONDS
        return self.pulse_now()

    @property
    def last(self) -> Counts | None:
        """The last counts, however old; None before the first ones."""
        return self._kept

    async def counts(self) -> Counts:
        return await asyncio.to_thread(self.counts_now)

    def counts_now(self) -> Counts:
        """Waits for the database; one thread counts for all."""
        with self._asking:
            if self._kept is None or time.monotonic() >= self._until:
                began = time.monotonic()
                self._kept = self._count()
                ended = time.monotonic()
                self._until = ended + max(KEPT_SECONDS, REST * (ended - began))
            return self._kept

    def _count(self) -> Counts:
        aside = len(quarantined(self.drops)) if self.drops is not None else 0
        with self.engine.connect() as connection:
            counts = replace(count(connection, moment(connection, self.clock)), quarantined=aside)
            try:
                snapshot = self.registry.snapshot
            except Failure:  # then nobody may read
                return counts
            return replace(counts, readers=readers(connection, snapshot, self.clock(), started=True))

    async def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether this process can work, and each check. A restored instance is not ready until it is confirmed."""
        checks: dict[str, Any] = {"database": True, "registry": True}
        try:
            checks["keeper"] = (await self._pulse_soon()).keepers > 0
            if self.journal is not None and self.journal.trouble is not None:
                raise presence_of(self.engine).failure(self.journal.trouble)
        except Exception as trouble:
            checks["database"] = False
            checks["reason"] = trouble.code if isinstance(trouble, Failure) else type(trouble).__name__
        waits = False
        try:
            snapshot = self.registry.snapshot
            checks["revision"] = snapshot.revision
            if waits := snapshot.held_until > self.clock():
                until = rfc3339(snapshot.held_until) if math.isfinite(snapshot.held_until) else None
                checks["restored"] = {
                    "until": until,
                    "next": "lgsp restore confirm --by WHO" if until is None else "wait",
                }
        except Failure as failure:
            checks["registry"], checks["reason"] = False, failure.code
        return checks["database"] and checks["registry"] and not waits, checks


def count(connection: Connection, now: float) -> Counts:
    transfer, queue, now_is = tables.transfer, tables.queue, pulse(connection, now)
    by_state = connection.execute(select(transfer.c.state, func.count()).group_by(transfer.c.state)).all()
    queued = connection.execute(select(queue.c.state, func.count()).group_by(queue.c.state)).all()
    alarms, unacknowledged = _alarms(connection)
    return Counts(
        transfers={state.value: 0 for state in State} | {str(state): int(number) for state, number in by_state},
        queue=dict.fromkeys(_QUEUE, 0) | {str(state): int(number) for state, number in queued},
        pushes=store.totals(connection, now),
        alarms=alarms,
        unacknowledged=unacknowledged,
        log_size=now_is.log_size,
        log_pending=now_is.log_pending,
        checkpoint_age=now_is.checkpoint_age,
        keepers=now_is.keepers,
        alone=now_is.alone,
    )


def _alarms(connection: Connection) -> tuple[dict[str, int], int]:
    """The open ones by kind, and how many of them nobody has acknowledged."""
    row = tables.alarm.c
    waits = func.count().filter(row.acknowledged.is_(None))
    query = select(row.kind, func.count(), waits).where(row.ended.is_(None), row.raised.is_not(None))
    found = connection.execute(query.group_by(row.kind)).all()
    return {str(kind): int(number) for kind, number, _ in found}, sum(int(each[2]) for each in found)


def pulse(connection: Connection, now: float) -> Pulse:
    process = tables.process
    newest = connection.execute(
        select(tables.checkpoint.c.size, tables.checkpoint.c.signed).order_by(tables.checkpoint.c.size.desc()).limit(1)
    ).first()
    pending = connection.execute(select(func.count()).select_from(tables.log_pending)).scalar_one()
    keepers = connection.execute(
        select(func.count())
        .select_from(process)
        .where(
            process.c.kind == "keeper",
            process.c.state == "alive",
            func.coalesce(process.c.heard, process.c.seen) > now - _SILENT_SECONDS,
        )
    ).scalar_one()
    return Pulse(
        log_size=int(newest[0]) if newest is not None else 0,
        log_pending=int(pending),
        checkpoint_age=max(0.0, now - float(newest[1])) if newest is not None else None,
        keepers=int(keepers),
        alone=alone.standing(connection) is not None,
    )


@dataclass(frozen=True, slots=True)
class _Text:
    lines: list[str] = field(default_factory=list)

    def gauge(self, name: str, words: str, values: Mapping[str, float], label: str = "", kind: str = "gauge") -> None:
        self.lines.append(f"# HELP {name} {words}")
        self.lines.append(f"# TYPE {name} {kind}")
        self.lines.extend(
            f'{name}{{{label}="{key}"}} {value:g}' if label else f"{name} {value:g}" for key, value in values.items()
        )

    def up(self, up: bool) -> None:
        self.gauge("lgsp_database_up", "Whether the database answers; at 0 the rest is as last known.", {"": float(up)})

    def refusals(self, refused: Path | None) -> None:
        words = "Calls and connections that the doors of this machine refused, by limit."
        self.gauge("lgsp_limit_refusals_total", words, refusals.counts(refused), "limit", "counter")

    def __str__(self) -> str:
        return "\n".join(self.lines) + "\n"


def away_metrics(last: Counts | None, refused: Path | None = None) -> str:
    """While the database is away: what was known last, and what this machine counts itself."""
    text = _Text()
    text.up(False)
    if last is not None:
        _counted(text, last)
    text.refusals(refused)
    return str(text)


def metrics(
    counts: Counts, revision: int, refused: Path | None = None, systems: Mapping[str, int] | None = None
) -> str:
    text = _Text()
    text.up(True)
    _counted(text, counts)
    text.refusals(refused)
    text.gauge("lgsp_registry_revision", "Revision of the registry that this process works with.", {"": revision})
    text.gauge("lgsp_systems", "Systems, by whether they can call, or why not.", systems or {}, "state")
    return str(text)


def _counted(text: _Text, counts: Counts) -> None:
    gauge = text.gauge
    gauge("lgsp_transfers", "Transfers by state.", counts.transfers, "state")
    gauge("lgsp_queue", "Messages of the queue by state.", counts.queue, "state")
    pushes = counts.pushes
    gauge("lgsp_push_subscriptions", "Subscriptions to feeds by state.", pushes.states, "state")
    gauge("lgsp_push_failing", "Active subscriptions whose receivers fail.", {"": pushes.failing})
    gauge("lgsp_push_lag_seconds", "Age of the oldest event that an active one waits for.", {"": round(pushes.lag, 3)})
    by_reader = {f"{each.system} {each.contract}": each for each in counts.readers}
    gauge(
        "lgsp_feed_reader_behind",
        "Events of a feed that a system has not read yet, which read before.",
        {name: each.behind for name, each in by_reader.items()},
        "reader",
    )
    gauge(
        "lgsp_feed_reader_behind_seconds",
        "Age of the first of them.",
        {name: each.behind_seconds for name, each in by_reader.items()},
        "reader",
    )
    gauge("lgsp_alarms", "Open alarms about systems by kind.", dict.fromkeys(_ALARMS, 0) | dict(counts.alarms), "kind")
    gauge("lgsp_alarms_unacknowledged", "Those that nobody has acknowledged.", {"": counts.unacknowledged})
    gauge("lgsp_log_entries", "Entries of the audit log under the newest checkpoint.", {"": counts.log_size})
    gauge("lgsp_log_pending", "Entries that wait to be sequenced.", {"": counts.log_pending})
    if counts.checkpoint_age is not None:
        gauge("lgsp_checkpoint_age_seconds", "Age of the newest checkpoint.", {"": round(counts.checkpoint_age, 3)})
    gauge("lgsp_standby_alone", "Whether it goes on without a standby, by a person.", {"": float(counts.alone)})
    gauge("lgsp_keepers", "Keeper processes that are alive.", {"": counts.keepers})
    gauge(
        "lgsp_files_quarantined",
        "Dropped files in quarantine, after the process died twice with them in hand.",
        {"": counts.quarantined},
    )


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
        ready, checks = await self.vitals.ready()
        if path == "/readyz":
            body = json.dumps({"ok": ready, "checks": checks}).encode()
            return Reply(200 if ready else 503, {"content-type": "application/json", "cache-control": "no-store"}, body)
        vitals = self.vitals
        if not checks["database"]:
            return Reply(200, dict(_TEXT), away_metrics(vitals.last, vitals.refused).encode())
        if not checks["registry"]:
            return Reply(503, dict(_TEXT), b"")
        systems: Mapping[str, int] = Counter[str](vitals.registry.snapshot.readiness(vitals.clock()).values())
        text = metrics(await vitals.counts(), int(checks["revision"]), vitals.refused, systems)
        return Reply(200, dict(_TEXT), text.encode())
