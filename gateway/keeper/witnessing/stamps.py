"""Has the newest checkpoint stamped by the time-stamp authority of the settings (RFC 3161), and stores the proof.

Invariants:
- A stored answer was proved against the configured anchors, for this digest and nonce.
- A stamp from a clock far from ours is flagged and stored, since only a third party can say whose clock is wrong. By
  more than five minutes, it covers nothing.
- An idle log is not stamped again, unless somebody asks for it (`ORDER`, a job of the desk).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import aiohttp
from cryptography import x509
from sqlalchemy import Connection, insert

from gateway.journal import jobs
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.jobs import DONE, Job
from gateway.journal.schema import tables
from gateway.journal.write import LogRow
from gateway.keeper.witnessing.coverage import CoverageTracker, LogSnapshot
from gateway.keeper.witnessing.post import Question, Unreached, post
from gateway.transfer import entries
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from security.pki import timestamp
from security.pki.timestamp import Stamp, Unstamped

CLOCK_SECONDS: Final = 30.0  # the authority's clock may differ from ours by this
FAR_SECONDS: Final = 300.0  # beyond this its stamp covers nothing, as with a witness
ASK_SECONDS: Final = 10.0
ORDER: Final = "stamp"  # a job of the desk, and the note of whoever asked
_FIRST_WAIT: Final = 10.0  # before an authority that failed is asked again, twice as long each time
_MOST_WAIT: Final = 300.0
_QUERY: Final = "application/timestamp-query"
_REPLY: Final = "application/timestamp-reply"
_logger: Final = logging.getLogger("lgsp.witnessing")


class Stamped(NamedTuple):
    """A checkpoint, the question, the answer, and what that proves."""

    size: int
    note: str
    digest: bytes
    question: bytes
    answer: bytes
    proved: Stamp
    received: float

    @property
    def clock_offset(self) -> float:
        """Seconds by which the authority's clock is ahead of ours."""
        return self.proved.time - self.received

    @property
    def counts(self) -> bool:
        return abs(self.clock_offset) <= FAR_SECONDS


@dataclass(frozen=True, slots=True)
class Authority:
    """The time-stamp authority of the settings."""

    session: aiohttp.ClientSession
    url: str
    anchors: Sequence[x509.Certificate]
    clock: Callable[[], float]
    tls: ssl.SSLContext | None = None

    async def stamp(self, size: int, note: str) -> Stamped:
        """Raises `Unreached` or `Unstamped` if there is no stamp."""
        digest = hashlib.sha256(note.encode()).digest()
        nonce = secrets.randbits(62) | 1 << 62  # some authorities take at most eight bytes
        question = timestamp.question(digest, nonce)
        answer = await post(
            self.session,
            Question(self.url, question, _QUERY),
            limit=timestamp.ANSWER_LIMIT,
            seconds=ASK_SECONDS,
            tls=self.tls,
        )
        received = self.clock()
        if answer.status != 200:
            raise Unreached(f"status {answer.status}")
        if answer.kind != _REPLY:
            raise Unreached("its answer is no time-stamp reply")
        proved = await asyncio.to_thread(timestamp.read, answer.body, digest, self.anchors, nonce=nonce)
        return Stamped(size, note, digest, question, answer.body, proved, received)


@dataclass(slots=True)
class Stamps:
    tracker: CoverageTracker
    authority: Authority
    every: float
    monotonic: Callable[[], float] = time.monotonic
    _again_at: float = 0.0
    _wait: float = 0.0

    async def run_once(self, lease: Lease) -> int:
        moment = self.monotonic()
        log = await asyncio.to_thread(self.tracker.look, lease)
        orders = await asyncio.to_thread(self._orders)
        due = log.at >= self.tracker.now.at + self.every and moment >= self._again_at
        if log.size and (orders or (due and log.size > self.tracker.now.size)):
            await self._stamp(lease, log, orders)
        await asyncio.to_thread(self.tracker.end_of_look, lease)
        return 0

    def _orders(self) -> list[Job]:
        with self.tracker.engine.connect() as connection:
            return jobs.running(connection, ORDER)

    async def _stamp(self, lease: Lease, log: LogSnapshot, orders: Sequence[Job]) -> None:
        try:
            stamped = await self.authority.stamp(log.size, log.note)
        except (Unreached, Unstamped) as trouble:
            self._failed()
            self.tracker.troubled({"authority": str(trouble)})
            await asyncio.to_thread(self._refused, lease, orders, str(trouble))
            return
        if stamped.counts:
            self._wait = 0.0
        else:
            self._failed()
        self.tracker.troubled(clock_trouble(stamped))
        await asyncio.to_thread(self._keep, lease, log, stamped, orders)

    def _failed(self) -> None:
        self._wait = min(2 * self._wait or _FIRST_WAIT, _MOST_WAIT, self.every / 2)
        self._again_at = self.monotonic() + self._wait

    def _refused(self, lease: Lease, orders: Sequence[Job], trouble: str) -> None:
        if not orders:
            return
        with writing(self.tracker.engine, self.tracker.lock) as connection:
            leases.check(connection, lease)
            for job in orders:
                jobs.change(connection, job, self.tracker.clock(), DONE, trouble=trouble[:300])

    def _keep(self, lease: Lease, log: LogSnapshot, stamped: Stamped, orders: Sequence[Job]) -> None:
        if stamped.counts:
            self.tracker.reached(log)
        with writing(self.tracker.engine, self.tracker.lock) as connection:
            leases.check(connection, lease)
            store(connection, stamped)
            now = self.tracker.clock()
            for job in orders:
                append(connection, [noted(stamped, job.actor, now)])
                jobs.change(connection, job, now, DONE, size=stamped.size, authority=stamped.proved.authority)
            if stamped.counts:
                self.tracker.keep_reached(connection)


def clock_trouble(stamped: Stamped) -> dict[str, str]:
    """What is to be flagged of a proved stamp."""
    if abs(stamped.clock_offset) <= CLOCK_SECONDS:
        return {}
    words = f"the authority's clock and ours differ by {stamped.clock_offset:+.0f} s"
    return {"clock": words if stamped.counts else f"{words}: its stamps are kept, and prove nothing"}


def noted(stamped: Stamped, actor: str, now: float) -> LogRow:
    """The note of a stamp for which somebody asked."""
    return entries.note(ORDER, {"size": stamped.size, "digest": stamped.digest.hex()}, now, actor=actor)


def store(connection: Connection, stamped: Stamped) -> None:
    connection.execute(
        insert(tables.stamp).values(
            size=stamped.size,
            digest=stamped.digest,
            note=stamped.note,
            question=stamped.question,
            answer=stamped.answer,
            authority=stamped.proved.authority,
            time=stamped.proved.time,
            received=stamped.received,
        )
    )
