"""The failover drill: sends numbered messages through the public address, ends a process, and counts what came of them.

Messages are real ones of a system that the operator names: they are in the log, in the feed of their contract, and in
every count, under that system's name. In production it is a system registered for drills, with a contract of its own
(docs/operating.md); then no other agency gets them. What counts is read from the database afterwards.
Invariant: only processes of this instance on this machine are ended, by their rows and pids.
Invariant: the result is an entry of the log, `failover-drill`, whether anything was lost or not.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from sqlalchemy import Engine, select

from contracts.base.ids import new_id
from gateway.client.errors import ClientError, Refused, RefusedTheirs
from gateway.client.identities.identity import Identity
from gateway.client.sync import Client
from gateway.drills.errors import DRILL_ELSEWHERE, DRILL_NO_ANSWER
from gateway.journal import drills, processes
from gateway.journal.append import append
from gateway.journal.database import open_engine, writing
from gateway.journal.schema import tables
from gateway.settings import Settings
from gateway.transfer import entries
from gateway.transfer.lease import KEEPER
from security.grants.windows import civil

What = Literal["keeper", "door", "machine", "wait"]
KEYS: Final = 4  # senders, each with its own order
PAUSE: Final = 0.05  # seconds of a sender between two messages
AGAIN: Final = 0.2  # before a message that was not acknowledged is sent again
COUNTED: Final = 120.0  # seconds that what was acknowledged may take to stand in its feed
_AT_ONCE: Final = 400
_SUPERVISOR: Final = "supervisor.pid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """`path` is called with `body(number)`; `seconds`: how long is sent before and after. `contract` is that of the
    feed in which the messages stand."""

    what: What
    identity: Identity
    path: str
    contract: str
    body: Callable[[str], Any]
    seconds: float = 10.0
    actor: str = "command line"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """All values can be written as JSON; times are in seconds, None where it did not come about."""

    ok: bool
    what: str
    drill: str
    ended: list[int]
    sent: int
    acknowledged: int
    lost: int
    twice: int
    out_of_order: int
    refused: dict[str, int]
    again_after: float | None
    leads_after: float | None
    longest_gap: float
    seconds: float


@dataclass(slots=True)
class _Sent:
    """What the senders know: by message, the transfers that acknowledged it."""

    acknowledged: dict[tuple[int, int], set[str]] = field(default_factory=dict)
    times: list[tuple[float, float]] = field(default_factory=list)  # sent, acknowledged; by the monotonic clock
    refused: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    wrong: bool = False  # a message is not as its contract has it: no repeat is acknowledged
    lock: threading.Lock = field(default_factory=threading.Lock)


def drill(settings: Settings, wanted: Wanted, clock: Callable[[], float], ready: Callable[[], None]) -> Result:
    """`ready` is called when traffic goes; with `wait` it returns when the operator's own failover has begun.

    Raises `drill.elsewhere` and `drill.no-answer` before anything is ended."""
    began, id = time.monotonic(), new_id()
    engine = open_engine(settings.database_url)
    stop, sent = threading.Event(), _Sent()
    senders = [threading.Thread(target=_send, args=(wanted, id, key, sent, stop), daemon=True) for key in range(KEYS)]
    try:
        pids = _chosen(engine, settings, wanted.what)
        before = _leader(engine)
        for each in senders:
            each.start()
        try:
            _until(lambda: len(sent.acknowledged) >= KEYS or sent.wrong, wanted.seconds + 30.0)
            if len(sent.acknowledged) < KEYS:
                raise DRILL_NO_ANSWER(codes=", ".join(sent.refused) or "-")
            time.sleep(wanted.seconds)
            ready()
            cut = time.monotonic()
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            leads = _leads_again(engine, before, cut, wanted) if wanted.what in ("keeper", "machine") else None
            _until(lambda: any(began > cut for began, _ in tuple(sent.times)), 120.0)
            time.sleep(wanted.seconds)
        finally:
            stop.set()
            for each in senders:
                each.join(60.0)
        times = sorted(sent.times, key=lambda each: each[1])
        after = [done for begun, done in times if begun > cut]
        lost, twice, disorder = _counted(engine, wanted, sent)
        result = Result(
            ok=not (lost or twice or disorder) and bool(after),
            what=wanted.what,
            drill=id,
            ended=list(pids),
            sent=sent.sent,
            acknowledged=len(sent.acknowledged),
            lost=lost,
            twice=twice,
            out_of_order=disorder,
            refused=dict(sent.refused),
            again_after=round(after[0] - cut, 2) if after else None,
            leads_after=leads,
            longest_gap=_gap([done for _, done in times]),
            seconds=round(time.monotonic() - began, 1),
        )
        _record(engine, result, clock(), wanted.actor)
    finally:
        stop.set()
        engine.dispose()
    return result


def _send(wanted: Wanted, id: str, key: int, sent: _Sent, stop: threading.Event) -> None:
    """One sender: the next message only when the one before was acknowledged, as a system that keeps an order does."""
    number = 0
    with Client(wanted.identity, tries=1, seconds=10.0) as client:
        while not stop.is_set():
            number += 1
            name = f"DRILL-{id}-{key}-{number}"
            body, message = wanted.body(name), new_id()
            with sent.lock:
                sent.sent += 1
            while not stop.is_set():
                begun = time.monotonic()
                try:
                    answer = client.rest("POST", wanted.path, body, message)
                except ClientError as trouble:
                    with sent.lock:
                        sent.wrong = sent.wrong or isinstance(trouble, RefusedTheirs)
                        sent.refused[trouble.problem.code if isinstance(trouble, Refused) else "no-answer"] += 1
                    stop.wait(AGAIN)
                    continue
                with sent.lock:
                    sent.acknowledged.setdefault((key, number), set()).add(str(answer.transfer))
                    sent.times.append((begun, time.monotonic()))
                break
            stop.wait(PAUSE)


def _chosen(engine: Engine, settings: Settings, what: What) -> Sequence[int]:
    """The processes to end. Raises `drill.elsewhere` if none of that kind is on this machine."""
    if what == "wait":
        return ()
    table = tables.process.c
    with engine.connect() as connection:
        rows = connection.execute(
            select(table.id, table.kind, table.pid, table.host, table.started).where(
                table.state == "alive", table.host == processes.host()
            )
        ).all()
        leader = connection.scalar(select(tables.lease.c.holder).where(tables.lease.c.name == KEEPER))
    supervisor = int((settings.run / _SUPERVISOR).read_text("ascii")) if (settings.run / _SUPERVISOR).exists() else 0
    here = [each for each in rows if processes.gone(each.pid, each.host, each.started) is False]
    own = [each for each in here if supervisor and _parent(each.pid) in (supervisor, *_children(supervisor))]
    pids = {
        "keeper": [each.pid for each in own if each.id == leader],
        "door": [each.pid for each in own if each.kind == "door"][:1],
        "machine": [supervisor, *(each.pid for each in own)] if own else [],
    }[what]
    if not pids:
        raise DRILL_ELSEWHERE(what=what)
    return pids


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _children(pid: int) -> list[int]:
    """The fork server is between the supervisor and its processes."""
    return [int(each) for each in os.listdir("/proc") if each.isdigit() and _parent(int(each)) == pid]


def _leader(engine: Engine) -> tuple[str, int] | None:
    with engine.connect() as connection:
        row = connection.execute(
            select(tables.lease.c.holder, tables.lease.c.epoch).where(tables.lease.c.name == KEEPER)
        ).first()
    return None if row is None else (str(row[0]), int(row[1]))


def _leads_again(engine: Engine, before: tuple[str, int] | None, cut: float, wanted: Wanted) -> float | None:
    """Seconds until another keeper leads."""

    def changed() -> bool:
        found = _leader(engine)
        return found is not None and (before is None or found[1] > before[1])

    return round(time.monotonic() - cut, 2) if _until(changed, 120.0) else None


def _until(done: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _counted(engine: Engine, wanted: Wanted, sent: _Sent) -> tuple[int, int, int]:
    """Of what was acknowledged: not in the feed; as more than one transfer; after a later one of its sender."""
    known = {message: sorted(transfers) for message, transfers in sent.acknowledged.items()}
    twice = sum(len(transfers) - 1 for transfers in known.values())
    transfers = {transfers[0]: message for message, transfers in known.items()}
    offsets: dict[str, int] = {}

    def stand() -> bool:
        offsets.update(_offsets(engine, wanted.contract, [each for each in transfers if each not in offsets]))
        return len(offsets) == len(transfers)

    _until(stand, COUNTED)
    disorder = 0
    for key in range(KEYS):
        own = sorted((transfers[id], offset) for id, offset in offsets.items() if transfers[id][0] == key)
        disorder += sum(one[1] > other[1] for one, other in zip(own, own[1:], strict=False))
    return len(transfers) - len(offsets), twice, disorder


def _offsets(engine: Engine, contract: str, ids: Sequence[str]) -> Mapping[str, int]:
    event, found = tables.feed_event.c, {}
    with engine.connect() as connection:
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            rows = select(event.transfer, event.offset).where(event.contract == contract, event.transfer.in_(some))
            found.update({str(id): int(offset) for id, offset in connection.execute(rows)})
    return found


def _gap(times: Sequence[float]) -> float:
    """The longest time between two acknowledgements."""
    return round(max((later - one for one, later in zip(times, times[1:], strict=False)), default=0.0), 2)


def _record(engine: Engine, result: Result, now: float, actor: str) -> None:
    told: dict[str, Any] = {
        name: f"{value:.2f}" if isinstance(value, float) else value
        for name, value in asdict(result).items()
        if value not in (None, [], {})
    }
    facts = {"kind": "failover", "day": civil(now)[:10], **told}
    with writing(engine) as connection:
        append(connection, [entries.note(drills.FAILOVER, facts, now, actor=actor)])
        drills.remember(connection, drills.FAILOVER, drills.Last(now, result.ok))
