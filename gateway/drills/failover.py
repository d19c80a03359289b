"""The failover drill: sends numbered messages through the public address, ends a process, and counts what came of them.

Messages are real ones of a system that the operator names: they are in the log, in the feed of their contract, and in
every count, under that system's name. In production it is a system registered for drills, with a contract of its own
(docs/operating.md); then no other agency gets them. What counts is read from the database afterwards; if it is away
then, the drill waits for it.
Invariant: only processes of this instance on this machine are ended, by their rows and pids.
Invariant: the result is an entry of the log, `failover-drill`, whether anything was lost or not; only a database that
is away for `PATIENCE`, or when a person ends the drill, gets none.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple, TypeVar

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from contracts.base.errors import Failure
from contracts.base.ids import new_id
from gateway.client.errors import ClientError, Refused, RefusedTheirs
from gateway.client.identities.identity import Identity
from gateway.client.sync import Client
from gateway.drills.ending import Ended, What, chosen, locked
from gateway.drills.errors import DRILL_ELSEWHERE, DRILL_NO_ANSWER
from gateway.journal import drills
from gateway.journal.append import append
from gateway.journal.database import open_engine, writing
from gateway.journal.limits import unavailable
from gateway.journal.schema import tables
from gateway.settings import Settings
from gateway.transfer import entries
from gateway.transfer.lease import KEEPER
from security.grants.windows import civil

_T = TypeVar("_T")
# What is waited for: calls that are acknowledged, another keeper, the database, the feed; `ended`: what was to be ended
# has been.
Stage = Literal["ended", "calls", "keeper", "database", "feed"]
Told = Callable[[Stage, float], None]  # with how long that is waited for already, in seconds
INTERRUPTED: Final = "interrupted"
KEYS: Final = 4  # senders, each with its own order
PAUSE: Final = 0.05  # seconds of a sender between two messages
AGAIN: Final = 0.2  # before a message that was not acknowledged is sent again
COUNTED: Final = 120.0  # seconds that what was acknowledged may take to stand in its feed
PATIENCE: Final = 600.0  # seconds for what a person has to do: start a machine, promote a database
LEADS: Final = 120.0  # seconds for another keeper
STANDS: Final = 2.0  # seconds without an acknowledgement by which calls count as standing
_POLL: Final = 0.05
_RETRY: Final = 0.5
_TOLD: Final = 5.0  # seconds between two words on what is waited for
_AT_ONCE: Final = 400


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
    """All values can be written as JSON; times are in seconds, None where it did not come about.

    `longest_gap`: the longest time without an acknowledgement that was not over when the end began (the kill, or
    Enter). One that is open when sending stops counts up to then. `again_after`: from that end to the acknowledgement
    that closed this gap; None if it is open. `lost`, `twice`, `out_of_order`: None if it was not counted. `trouble`: a
    code, or empty. `recorded`: whether the log has the result."""

    ok: bool
    what: str
    drill: str
    ended: list[int]
    sent: int
    acknowledged: int
    lost: int | None
    twice: int | None
    out_of_order: int | None
    refused: dict[str, int]
    again_after: float | None
    leads_after: float | None
    longest_gap: float
    seconds: float
    leader_ended: bool
    trouble: str = ""
    recorded: bool = True


class _Counted(NamedTuple):
    lost: int | None = None
    twice: int | None = None
    out_of_order: int | None = None


@dataclass(slots=True)
class _Sent:
    """What the senders know: by message, the transfers that acknowledged it."""

    acknowledged: dict[tuple[int, int], set[str]] = field(default_factory=dict)
    times: list[tuple[float, float]] = field(default_factory=list)  # sent, acknowledged; by the monotonic clock
    refused: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    wrong: bool = False  # a message is not as its contract has it: no repeat is acknowledged
    lock: threading.Lock = field(default_factory=threading.Lock)


def drill(
    settings: Settings, wanted: Wanted, clock: Callable[[], float], ready: Callable[[], None], told: Told
) -> Result:
    """`ready` is called when traffic goes; with `wait` it returns when the operator's own failover has begun. `told` is
    called now and then with what is waited for. SIGINT after that ends the waits, and what is there is counted.

    Raises `drill.runs`, `drill.elsewhere` and `drill.no-answer` before anything is ended."""
    began, id = time.monotonic(), new_id()
    engine, sent = open_engine(settings.database_url), _Sent()
    trouble, flows, killed = "", False, list[int]()
    ended = Ended((), False)
    lock = locked(settings)
    try:
        ended = chosen(engine, settings, wanted.what)
        lead = _Lead(engine, _leader(engine), ended)
        with _sending(wanted, id, sent):
            _until(lambda: len(sent.acknowledged) >= KEYS or sent.wrong, wanted.seconds + 30.0)
            if len(sent.acknowledged) < KEYS:
                raise DRILL_NO_ANSWER(codes=", ".join(sent.refused) or "-")
            time.sleep(wanted.seconds)
            ready()
            cut = time.monotonic()
            try:
                killed = ended.kill()
                if wanted.what != "wait" and not killed:  # it ended by itself before
                    trouble = DRILL_ELSEWHERE.code
                told("ended", 0.0)
                flows = _calls_flow(sent, lead, cut, wanted.seconds, told)
            except KeyboardInterrupt:
                trouble = INTERRUPTED
            stopped = time.monotonic()
        counted = _Counted()
        try:
            if not trouble:
                waiting = _Waiting(told, "keeper", cut)
                while not lead.look(cut) and waiting.tell() < LEADS:
                    time.sleep(_POLL)
            counted = _counted(engine, wanted, sent, told, 0.0 if trouble else PATIENCE)
        except KeyboardInterrupt:
            trouble = INTERRUPTED
        except Failure as failure:
            trouble = trouble or failure.code
        gap, over = _gap([done for _, done in sent.times], cut, stopped)
        result = Result(
            ok=counted == (0, 0, 0) and flows and not trouble,
            what=wanted.what,
            drill=id,
            ended=killed,
            sent=sent.sent,
            acknowledged=len(sent.acknowledged),
            lost=counted.lost,
            twice=counted.twice,
            out_of_order=counted.out_of_order,
            refused=dict(sent.refused),
            again_after=over,
            leads_after=lead.after,
            longest_gap=gap,
            seconds=round(time.monotonic() - began, 1),
            leader_ended=ended.leader,
            trouble=trouble,
        )
        try:
            _record(engine, result, clock(), wanted.actor, told, 0.0 if trouble else PATIENCE)
        except (KeyboardInterrupt, Failure) as why:
            code = why.code if isinstance(why, Failure) else INTERRUPTED
            result = replace(result, ok=False, trouble=result.trouble or code, recorded=False)
    finally:
        engine.dispose()
        ended.close()
        os.close(lock)
    return result


@contextmanager
def _sending(wanted: Wanted, id: str, sent: _Sent) -> Iterator[None]:
    stop = threading.Event()
    senders = [threading.Thread(target=_send, args=(wanted, id, key, sent, stop), daemon=True) for key in range(KEYS)]
    for each in senders:
        each.start()
    try:
        yield
    finally:
        stop.set()
        with suppress(KeyboardInterrupt):  # of a person who does not wait for the last answers
            for each in senders:
                each.join(60.0)


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


def _leader(engine: Engine) -> tuple[str, int] | None:
    with engine.connect() as connection:
        row = connection.execute(
            select(tables.lease.c.holder, tables.lease.c.epoch).where(tables.lease.c.name == KEEPER)
        ).first()
    return None if row is None else (str(row[0]), int(row[1]))


class _Waiting:
    """Tells every few seconds what is waited for."""

    def __init__(self, told: Told, stage: Stage, since: float | None = None) -> None:
        self._told, self._stage = told, stage
        self.began: Final = time.monotonic() if since is None else since
        self._next = self.began + _TOLD

    def tell(self) -> float:
        """Returns for how long it is waited already, in seconds."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _TOLD
            self._told(self._stage, now - self.began)
        return now - self.began


def _calls_flow(sent: _Sent, lead: _Lead, cut: float, seconds: float, told: Told) -> bool:
    """Waits until calls were acknowledged for `seconds` without standing; returns upon an acknowledgement, so that no
    gap is open. False: not within `PATIENCE`."""
    since, newest = cut, sent.times[-1][1]
    standing: _Waiting | None = None
    while (now := time.monotonic()) - cut < PATIENCE + seconds:
        begun, done = sent.times[-1]
        if done - newest > STANDS:
            since = done
        newest = max(newest, done)
        if now - newest > STANDS:
            standing = standing or _Waiting(told, "calls", newest)
            standing.tell()
        else:
            standing = None
            if begun > cut and newest - since >= seconds:
                return True
        lead.look(cut)
        time.sleep(_POLL)
    return False


class _Lead:
    """Looks for another leading keeper, if the one that led was ended."""

    def __init__(self, engine: Engine, before: tuple[str, int] | None, ended: Ended) -> None:
        self.after: float | None = None  # seconds from the cut
        self.missing = ended.leader
        self._engine, self._before = engine, before

    def look(self, cut: float) -> bool:
        """Whether none is waited for any more."""
        if self.missing:
            with suppress(Failure):
                found = _asked(lambda: _leader(self._engine))
                if found is not None and (self._before is None or found[1] > self._before[1]):
                    self.after, self.missing = round(time.monotonic() - cut, 2), False
        return not self.missing


def _until(done: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(_POLL)
    return True


def _asked(ask: Callable[[], _T]) -> _T:
    """What the database says. Raises `journal.unavailable`, or a more exact failure, if it is away."""
    try:
        return ask()
    except SQLAlchemyError as trouble:
        if (failure := unavailable(trouble)) is None:
            raise
        raise failure from trouble


def _patiently(ask: Callable[[], _T], told: Told, patience: float) -> _T:
    """Asks a database that is away again, for so many seconds; then raises its failure."""
    waiting = _Waiting(told, "database")
    while True:
        try:
            return _asked(ask)
        except Failure:
            if waiting.tell() >= patience:
                raise
        time.sleep(_RETRY)


def _counted(engine: Engine, wanted: Wanted, sent: _Sent, told: Told, patience: float) -> _Counted:
    """Of what was acknowledged: not in the feed; as more than one transfer; after a later one of its sender. Without
    patience nothing is lost that may still come into the feed: it is not counted."""
    known = {message: sorted(transfers) for message, transfers in sent.acknowledged.items()}
    twice = sum(len(transfers) - 1 for transfers in known.values())
    transfers = {transfers[0]: message for message, transfers in known.items()}
    offsets: dict[str, int] = {}
    waiting: _Waiting | None = None
    while True:
        missing = [each for each in transfers if each not in offsets]
        found = _patiently(lambda missing=missing: _offsets(engine, wanted.contract, missing), told, patience)  # type: ignore[misc]
        offsets.update(found)
        waiting = waiting or _Waiting(told, "feed")
        if len(offsets) == len(transfers) or patience <= 0 or time.monotonic() - waiting.began > COUNTED:
            break
        waiting.tell()
        time.sleep(_POLL)
    disorder = 0
    for key in range(KEYS):
        own = sorted((transfers[id], offset) for id, offset in offsets.items() if transfers[id][0] == key)
        disorder += sum(one[1] > other[1] for one, other in pairwise(own))
    lost = len(known) - len(offsets)  # one of the messages that got the same transfer is stored, no other
    return _Counted(None if lost and patience <= 0 else lost, twice, disorder)


def _offsets(engine: Engine, contract: str, ids: Sequence[str]) -> Mapping[str, int]:
    event, found = tables.feed_event.c, {}
    with engine.connect() as connection:
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            rows = select(event.transfer, event.offset).where(event.contract == contract, event.transfer.in_(some))
            found.update({str(id): int(offset) for id, offset in connection.execute(rows)})
    return found


def _gap(acknowledged: Sequence[float], cut: float, stopped: float) -> tuple[float, float | None]:
    """The longest time without an acknowledgement that was not over at `cut`; and when after `cut` it was over, None if
    it was open when sending stopped. All in seconds, by the same clock."""
    times = sorted(acknowledged)
    gaps = [(later - one, round(later - cut, 2)) for one, later in pairwise(times) if later > cut]
    length, over = max(gaps, default=(0.0, None))
    open_since = max(0.0, stopped - times[-1])
    return (round(open_since, 2), None) if open_since > length else (round(length, 2), over)


def _record(engine: Engine, result: Result, now: float, actor: str, told: Told, patience: float) -> None:
    """Raises the database's failure, after so many seconds, if it is away."""
    told_of: dict[str, Any] = {
        name: f"{value:.2f}" if isinstance(value, float) else value
        for name, value in asdict(result).items()
        if name != "recorded" and value not in (None, "", [], {})
    }
    facts = {"kind": "failover", "day": civil(now)[:10], **told_of}

    def write() -> None:
        last = drills.Last(now, result.ok)
        with writing(engine) as connection:
            if drills.newest(connection, drills.FAILOVER) != last:  # a commit whose answer was lost may stand
                append(connection, [entries.note(drills.FAILOVER, facts, now, actor=actor)])
                drills.remember(connection, drills.FAILOVER, last)

    _patiently(write, told, patience)
