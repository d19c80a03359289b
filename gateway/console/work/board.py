"""The board of systems: state, calls, failures, latency, certificates and queue of each; and one system.

Invariant: numbers come from the newest `LOOKS` transfers of one day at most, so that a board costs the same in a large
  journal. `Board.since` says how far back they reach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, select

from contracts.base.ids import new_id
from contracts.base.times import rfc3339
from gateway.audit.search.facts import Logged
from gateway.audit.search.search import Query, reading, search
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORM, CONSOLE_NO_PAGE
from gateway.console.site.desk import Desk
from gateway.console.work import noticing
from gateway.console.work.attention import codes_by_digest
from gateway.console.work.observed import Seen, observed
from gateway.journal import jobs
from gateway.journal.append import append
from gateway.journal.jobs import Job
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.keeper.tasks.connection_tests import KIND as TEST
from gateway.registry.changes import suspending
from gateway.registry.changes.enrolment_orders import END
from gateway.registry.changes.enrolment_orders import KIND as ENROLMENT
from gateway.registry.changes.keys import REASONS
from gateway.registry.changes.notices import Notice
from gateway.registry.records import Agency, Key, System
from gateway.registry.seals.sealing import Seal, changing
from gateway.transfer import entries
from gateway.transfer.states import State
from security.grants.grants import Grant

LOOKS: Final = 5_000
SEEN: Final = 100
HOURS: Final = 24
_HOUR: Final = 3600.0
_DAY: Final = 86_400.0
_OPEN: Final = (State.QUEUED.value, State.FORWARDING.value)
_BAD: Final = (State.FAILED.value, State.DEAD.value, State.IN_DOUBT.value)


@dataclass(slots=True)
class Numbers:
    """Of one system as a provider (calls to it) and as a caller, by hour, oldest first."""

    calls: list[int] = field(default_factory=lambda: [0] * HOURS)
    failed: list[int] = field(default_factory=lambda: [0] * HOURS)
    seconds: float = 0.0  # of all answered calls together
    answered: int = 0
    sent: int = 0
    last: float | None = None

    @property
    def latency(self) -> float | None:
        """Milliseconds, on average."""
        return self.seconds / self.answered * 1000 if self.answered else None


class Row(NamedTuple):
    """`ready`: what the registry says, else what the log shows (`Seen.state`), with the error code `why`."""

    system: System
    agency: Agency | None
    ready: str
    why: str | None
    numbers: Numbers
    waiting: int
    days: int | None  # that its first certificate to end still lasts
    last: float | None  # its newest request, or the newest result of a call to it; also those that failed


class Unready(NamedTuple):
    """A system that is not ready."""

    system: System
    ready: str
    why: str | None


class Board(NamedTuple):
    rows: tuple[Row, ...]
    since: float


class Detail(NamedTuple):
    """One system. `grants` are its agency's.

    `used`: when the newest entry of its calls names a key, among its newest `SEEN` entries. `ends`: orders by which
    older keys end.
    """

    row: Row
    since: float
    keys: tuple[Key, ...]
    grants: tuple[Grant, ...]
    notice: Notice | None
    failures: tuple[Logged, ...]
    last: Logged | None
    tests: tuple[Job, ...]
    used: Mapping[str, float]
    enrolments: tuple[Job, ...]
    ends: tuple[Job, ...]

    def end_of(self, key: str) -> Job | None:
        """The order by which a key ends."""
        return next((job for job in self.ends if key in job.facts.get("order", {}).get("keys", ())), None)


def board(desk: Desk, viewer: Viewer) -> Board:
    snapshot, now = desk.services.registry.snapshot, desk.now()
    with desk.reading() as connection:
        numbers, since = _numbers(connection, now)
        waiting = _waiting(connection)
    systems = sorted(
        (each for each in snapshot.systems.values() if viewer.account.scope in (None, each.agency)),
        key=lambda one: (one.agency, one.id),
    )
    seen = seen_of(desk, [each.id for each in systems], now)
    rows = (
        _row(desk, each, (numbers.get(each.id) or Numbers(), waiting.get(each.id, 0), seen[each.id]), now)
        for each in systems
    )
    return Board(tuple(rows), since)


def unready(desk: Desk, viewer: Viewer) -> tuple[Unready, ...]:
    """The systems that cannot call, that were seen to fail or to be refused, or were never seen to work."""
    snapshot, now = desk.services.registry.snapshot, desk.now()
    systems = [each for each in snapshot.systems.values() if viewer.account.scope in (None, each.agency)]
    seen, ready = seen_of(desk, [each.id for each in systems], now), snapshot.readiness(now)
    found = (Unready(each, *seen[each.id].state(ready[each.id])) for each in systems)
    return tuple(sorted((each for each in found if each.ready != "ready"), key=lambda one: one.system.id))


def mark(desk: Desk) -> object:
    """A small value that changes with what the board shows to anybody."""
    registry, now = desk.services.registry.snapshot, desk.now()
    with desk.reading() as connection:
        newest = connection.scalar(select(func.max(tables.transfer.c.id)))
        size = connection.scalar(select(func.max(tables.log_entry.c.idx)))
        waiting = sorted(_waiting(connection).items())
    return newest, size, waiting, registry.revision, sorted(registry.readiness(now).items())


def detail(desk: Desk, viewer: Viewer, id: str) -> Detail:
    """Raises `console.no-page`."""
    system, now = system_of(desk, viewer, id), desk.now()
    snapshot = desk.services.registry.snapshot
    with desk.reading() as connection:
        numbers, since = _numbers(connection, now)
        waiting = _waiting(connection).get(id, 0)
        tests, enrolments = jobs.newest(connection, TEST, id, 1), jobs.newest(connection, ENROLMENT, id, 3)
        ends = [job for job in jobs.running(connection, END) if job.subject == id]
    keys = tuple(sorted((each for each in snapshot.keys.values() if each.system == id), key=lambda key: key.key_id))
    with reading(desk.services.engine) as connection:
        found = [*search(connection, Query(provider=id, trouble=True), limit=10).hits]
        found += search(connection, Query(provider=id, kind="try-failed"), limit=10).hits
        found += search(connection, Query(system=id, trouble=True), limit=10).hits
        last = search(connection, Query(system=id), limit=SEEN).hits
    newest = sorted({each.idx: each for each in found}.values(), key=lambda each: -each.idx)[:10]
    return Detail(
        row=_row(desk, system, (numbers.get(id) or Numbers(), waiting, seen_of(desk, [id], now)[id]), now),
        since=since,
        keys=keys,
        grants=snapshot.grants(system.agency),
        notice=snapshot.notices.get(("system", id)),
        failures=tuple(newest),
        last=last[0] if last else None,
        tests=tuple(tests),
        used=_used(keys, last),
        enrolments=tuple(enrolments),
        ends=tuple(ends),
    )


def _used(keys: Sequence[Key], newest: Sequence[Logged]) -> dict[str, float]:
    used: dict[str, float] = {}
    for each in newest:
        caller = parse(each.entry).get("caller") or {}
        for key in keys:
            if key.key_id == caller.get("key") or key.thumbprint == caller.get("certificate"):
                used.setdefault(key.key_id, each.sequenced)
    return used


def newest_tests(desk: Desk, viewer: Viewer, id: str) -> list[Job]:
    """Raises `console.no-page`."""
    system_of(desk, viewer, id)
    with desk.reading() as connection:
        return jobs.newest(connection, TEST, id, 1)


# --- acts -------------------------------------------------------------------------------------------------------------
def suspend(desk: Desk, viewer: Viewer, id: str, notice: Notice) -> None:
    """With the notice that whoever is refused reads."""
    system_of(desk, viewer, id)
    noticing.suspend(desk, viewer, ("system", id), notice)


def resume(desk: Desk, viewer: Viewer, id: str, reason: str) -> None:
    system_of(desk, viewer, id)
    noticing.resume(desk, viewer, ("system", id), reason)


def revoke(desk: Desk, viewer: Viewer, id: str, why: tuple[str | None, str, str]) -> None:
    """`why`: the key (None: all of the system), the reason of RFC 5280, and the reason in words."""
    system_of(desk, viewer, id)
    key, code, reason = why
    if code not in REASONS:
        raise CONSOLE_FORM(field="code", why=" | ".join(REASONS))
    known = desk.services.registry.snapshot.keys.get(key or "")
    if key is not None and (known is None or known.system != id):
        raise CONSOLE_NO_PAGE(path=key[:60])
    name = ("system", id) if key is None else ("key", key)
    with changing(desk.services.engine, Seal.of(desk.services.settings)) as act:
        suspending.revoke(act, name, (code, reason), viewer.actor, desk.now())
    desk.follow()


def test(desk: Desk, viewer: Viewer, id: str) -> Job:
    """Asks the keeper to test the connection to the registered endpoint. A running test is not asked for again."""
    system, now = system_of(desk, viewer, id), desk.now()
    with desk.writing() as connection:
        for job in jobs.newest(connection, TEST, id, 1):
            if job.state == jobs.RUNNING:
                return job
        job = jobs.add(connection, TEST, id, (viewer.actor, ""), now, steps=[])
        append(connection, [entries.note(TEST, {"provider": system.id, "job": job.id}, now, actor=viewer.actor)])
    return job


def system_of(desk: Desk, viewer: Viewer, id: str) -> System:
    """A system that the viewer may see. Raises `console.no-page`."""
    system = desk.services.registry.snapshot.systems.get(id)
    if system is None or viewer.account.scope not in (None, system.agency):
        raise CONSOLE_NO_PAGE(path=id[:60])
    return system


# --- numbers ----------------------------------------------------------------------------------------------------------
def _row(desk: Desk, system: System, counted: tuple[Numbers, int, Seen], now: float) -> Row:
    """`counted`: its numbers, the messages that wait for it, and how it was seen to work."""
    snapshot, (numbers, waiting, seen) = desk.services.registry.snapshot, counted
    ends = [key.valid_until for key in snapshot.keys.values() if key.system == system.id and key.in_force(now)]
    ready, why = seen.state(snapshot.readiness(now)[system.id])
    return Row(
        system=system,
        agency=snapshot.agency(system.agency),
        ready=ready,
        why=why,
        numbers=numbers,
        waiting=waiting,
        days=int((min(ends) - now) // _DAY) if ends else None,
        last=max((each for each in (numbers.last, seen.called, seen.asked) if each is not None), default=None),
    )


def seen_of(desk: Desk, systems: Sequence[str], now: float) -> dict[str, Seen]:
    with reading(desk.services.engine) as connection:
        return observed(connection, systems, codes_by_digest(), now)


def _numbers(connection: Connection, now: float) -> tuple[Mapping[str, Numbers], float]:
    """By system. Ids of transfers begin with their time (RFC 9562, 5.7), so that their newest are read by the key."""
    table, begins = tables.transfer.c, now - HOURS * _HOUR
    first = new_id(int(begins * 1000))[:13]
    queued = tables.queue.c.transfer  # its time is that of the queue, and not of the provider
    tried = tables.queue.c.last_failure
    rows = connection.execute(
        select(table.caller_system, table.provider, table.state, table.received, table.finished, queued, tried)
        .select_from(tables.transfer.outerjoin(tables.queue, queued == table.id))
        .where(table.id >= first)
        .order_by(table.id.desc())
        .limit(LOOKS)
    ).all()
    numbers: dict[str, Numbers] = {}
    for caller, provider, state, received, finished, waited, failure in rows:
        sent = numbers.setdefault(caller, Numbers())
        sent.sent += 1
        sent.last = max(sent.last or 0.0, received)
        if provider is None:
            continue
        to, place = numbers.setdefault(provider, Numbers()), min(HOURS - 1, max(0, int((received - begins) // _HOUR)))
        to.calls[place] += 1
        to.failed[place] += state in _BAD or (state in _OPEN and failure is not None)
        to.last = max(to.last or 0.0, received)
        if state == State.ANSWERED and finished is not None and waited is None:
            to.seconds += finished - received
            to.answered += 1
    return numbers, rows[-1].received if len(rows) == LOOKS else begins


def _waiting(connection: Connection) -> dict[str, int]:
    """Messages that wait, by provider; of the first ten thousand."""
    queue = tables.queue.c
    some = select(queue.provider).where(queue.state == "waiting").limit(10_000).subquery()
    rows = connection.execute(select(some.c.provider, func.count()).group_by(some.c.provider))
    return {str(row[0]): int(row[1]) for row in rows}


def shown(job: Job) -> dict[str, Any]:
    """A connection test for programs."""
    steps = job.facts.get("steps", [])
    return {"id": job.id, "state": job.state, "result": verdict(job), "at": rfc3339(job.changed), "steps": steps}


def verdict(job: Job) -> str | None:
    """Of a connection test: ok | warn | failed; None while it runs. A test that was not carried out failed."""
    if job.state == jobs.RUNNING:
        return None
    states = {each["state"] for each in job.facts.get("steps", [])}
    return "failed" if "bad" in states or not states else "warn" if "warn" in states else "ok"
