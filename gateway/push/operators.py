"""Posts to those who operate the gateway what stands, signed as feeds by webhook are (Standard Webhooks).

Invariant: what became of a notice is an entry of the log, as of a mail. A keeper that dies between posts it again,
under the same id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

from sqlalchemy import Engine

from contracts.base.errors import Failure
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.notices import sending, store
from gateway.notices.errors import MAIL_NO_ADDRESS
from gateway.notices.store import Notice
from gateway.push import keys
from gateway.push.addresses import Networks
from gateway.push.keys import PushKey
from gateway.push.posting import Limits, Poster
from gateway.push.records import HashId
from gateway.registry.registry import Registry
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from security import webhooks

ANYWHERE: Final = Networks("0.0.0.0/0 ::/0")  # settings say where, and nobody from outside
AT_ONCE: Final = 20


@dataclass(slots=True, kw_only=True)
class Posting:
    """One for each keeper; only the leading one runs it. `urls`: by the names that notices have."""

    engine: Engine
    lock: FileLock | None
    registry: Registry
    poster: Poster
    hash_id: HashId
    urls: Mapping[str, str]
    body: Callable[[Notice], bytes]
    clock: Callable[[], float]
    limits: Limits = Limits()
    rng: Random = field(default_factory=Random)

    async def run_once(self, lease: Lease) -> int:
        """Posts what is due, to several receivers at once. Returns 0: the next look is a moment later."""
        found = await asyncio.to_thread(self._due)
        signing = await asyncio.to_thread(self._keys, lease) if found else ()
        await asyncio.gather(*(self._post(one, signing, lease) for one in found))
        return 0

    def _due(self) -> list[Notice]:
        with self.engine.connect() as connection:
            return store.due(connection, self.clock(), AT_ONCE, webhooks=True)

    async def _post(self, one: Notice, signing: tuple[PushKey, ...], lease: Lease) -> None:
        url = self.urls.get(one.system)
        if url is None:  # it is no longer among the settings
            failure: Failure | None = MAIL_NO_ADDRESS(system=one.system)
        else:
            content = self.body(one)
            signed = webhooks.signed(one.id, int(self.clock()), content, [each.private for each in signing])
            headers = {"content-type": "application/cloudevents+json; charset=UTF-8", **signed}
            failure = (await self.poster.post(url, content, headers, self.limits)).failure
        await asyncio.to_thread(self._record, one, failure, url is None, lease)

    def _record(self, one: Notice, failure: Failure | None, given_up: bool, lease: Lease) -> None:
        now, again = self.clock(), None
        if failure is not None and not given_up:
            again = sending.POLICY.next_try(one.tries + 1, one.made, now, self.rng)
        code = None if failure is None else failure.code
        with writing(self.engine, self.lock) as connection:
            leases.check(connection, lease)
            sending.record(connection, one, code, again, now, self.registry.snapshot)

    def _keys(self, lease: Lease) -> tuple[PushKey, ...]:
        """The keys that sign now; the first one is made when it is needed."""
        with writing(self.engine, self.lock) as connection:
            leases.check(connection, lease)
            found = keys.in_force(connection, self.hash_id, self.clock())
            return found or (keys.make(connection, self.hash_id, self.clock()),)
