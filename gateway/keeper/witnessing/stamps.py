"""The keeper's time-stamps (RFC 3161): every so often the newest checkpoint is stamped by the authority of the settings, and the proved answer is kept.

Invariants: what is kept was proved against the configured anchors, for this digest and this nonce; an authority whose clock is far from ours is flagged, and its
stamp kept all the same, since only a third party can tell whose clock is wrong; by more than five minutes it counts for nothing. An idle log is not stamped again.
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

from gateway.audit.log import lease as leases
from gateway.audit.log.lease import Lease
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.journal.write import LogRow
from gateway.keeper.witnessing.coverage import CoverageTracker, LogSnapshot
from gateway.keeper.witnessing.post import Unreached, post
from security.pki import timestamp
from security.pki.timestamp import Stamp, Unstamped

CLOCK_SECONDS: Final = 30.0  # by which the authority's clock may differ from ours
FAR_SECONDS: Final = 300.0  # beyond which its stamp vouches for nothing, as with a witness
ASK_SECONDS: Final = 10.0
_FIRST_WAIT: Final = 10.0  # before an authority that failed is asked again, twice as long each time
_MOST_WAIT: Final = 300.0
_QUERY: Final = "application/timestamp-query"
_REPLY: Final = "application/timestamp-reply"
_logger: Final = logging.getLogger("lgsp.vouching")


class Stamped(NamedTuple):
    """A checkpoint, what was asked, what came, and what that proves."""

    size: int
    note: str
    digest: bytes
    question: bytes
    answer: bytes
    proved: Stamp
    received: float

    @property
    def apart(self) -> float:
        """By how many seconds the authority's clock is ahead of ours."""
        return self.proved.time - self.received

    @property
    def counts(self) -> bool:
        return abs(self.apart) <= FAR_SECONDS


@dataclass(frozen=True, slots=True)
class Authority:
    """The time-stamp authority of the settings."""

    session: aiohttp.ClientSession
    url: str
    anchors: Sequence[x509.Certificate]
    clock: Callable[[], float]
    tls: ssl.SSLContext | None = None

    async def stamp(self, size: int, note: str) -> Stamped:
        """`Unreached` or `Unstamped` where there is no stamp."""
        digest, nonce = (
            hashlib.sha256(note.encode()).digest(),
            secrets.randbits(62) | 1 << 62,
        )  # eight bytes: some authorities take no more
        asked = timestamp.question(digest, nonce)
        said = await post(
            self.session, self.url, asked, _QUERY, limit=timestamp.ANSWER_LIMIT, seconds=ASK_SECONDS, tls=self.tls
        )
        received = self.clock()
        if said.status != 200:
            raise Unreached(f"status {said.status}")
        if said.kind != _REPLY:
            raise Unreached("its answer is no time-stamp reply")
        proved = await asyncio.to_thread(timestamp.read, said.body, digest, self.anchors, nonce=nonce)
        return Stamped(size, note, digest, asked, said.body, proved, received)


@dataclass(slots=True)
class Stamps:
    """A chore of the leading keeper."""

    spell: CoverageTracker
    authority: Authority
    every: float
    monotonic: Callable[[], float] = time.monotonic
    _look_at: float = 0.0
    _again_at: float = 0.0
    _wait: float = 0.0

    async def run_once(self, lease: Lease) -> int:
        moment = self.monotonic()
        if moment < self._look_at:
            return 0
        self._look_at = moment + min(1.0, self.every / 8)
        looked = await asyncio.to_thread(self.spell.look, lease)
        notes: list[LogRow] = []
        if (
            looked.size > self.spell.now.size
            and looked.at >= self.spell.now.at + self.every
            and moment >= self._again_at
        ):
            await self._stamp(lease, looked)
        await asyncio.to_thread(self.spell.end_of_look, lease, notes)
        return 0

    async def _stamp(self, lease: Lease, looked: LogSnapshot) -> None:
        try:
            stamped = await self.authority.stamp(looked.size, looked.note)
        except (Unreached, Unstamped) as trouble:
            self._failed()
            self.spell.troubled({"authority": str(trouble)})
            return
        if stamped.counts:
            self._wait = 0.0
        else:
            self._failed()
        self.spell.troubled(clock_trouble(stamped))
        await asyncio.to_thread(self._keep, lease, looked, stamped)

    def _failed(self) -> None:
        self._wait = min(2 * self._wait or _FIRST_WAIT, _MOST_WAIT, self.every / 2)
        self._again_at = self.monotonic() + self._wait

    def _keep(self, lease: Lease, looked: LogSnapshot, stamped: Stamped) -> None:
        if stamped.counts:
            self.spell.reached(looked)
        with writing(self.spell.engine, self.spell.lock) as connection:
            leases.check(connection, lease)
            store(connection, stamped)
            if stamped.counts:
                self.spell.keep_reached(connection)


def clock_trouble(stamped: Stamped) -> dict[str, str]:
    """What is to be flagged of a stamp that was proved."""
    if abs(stamped.apart) <= CLOCK_SECONDS:
        return {}
    words = f"the authority's clock and ours differ by {stamped.apart:+.0f} s"
    return {"clock": words if stamped.counts else f"{words}: its stamps are kept, and vouch for nothing"}


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
