"""Reads feeds for a person of the centre: pages, and streams of server-sent events that a browser follows.

A person reads what the grants of his agency for the operation `feed` show. Grants with a quota are left out, since they
count the calls of systems. Feeds with encrypted bodies are for systems alone: a person has no key that they are
encrypted for. No answer is signed; TLS and the session protect it.
Invariant: who reads is judged anew for each batch: session or token, account, permission and grant.
Invariant: an entry of the log names the person and the range before an event leaves.
Invariant: a stream that waits holds no thread and no connection of the database.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any, Final, NamedTuple

from sqlalchemy import Engine

from contracts.base.errors import Failure
from contracts.compiled.contract import CompiledContract
from contracts.wire import server_events
from contracts.wire.problems import problem
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORBIDDEN, LOGIN_NEEDED
from gateway.console.roles import May
from gateway.doors.api.errors import FEED_UNKNOWN
from gateway.doors.api.feed_pages import FeedPage, Part, make_page
from gateway.doors.api.reading import Readers
from gateway.doors.http.stream_limits import Streams
from gateway.doors.reply import Reply
from gateway.exchange.quotas import GrantQuery, decide, refused
from gateway.feeds import cursor as cursors
from gateway.feeds.arrivals import Arrivals
from gateway.feeds.heads import offsets
from gateway.feeds.masks import masks_of
from gateway.feeds.sessions import NOTE, Reader, Sessions, Span
from gateway.feeds.stream_lease import StreamLease
from gateway.journal import feed_log
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.registry.parts.grants import FEED
from gateway.registry.registry import Registry
from gateway.settings import Settings
from gateway.transfer import entries
from gateway.vault.stores import open_vault
from gateway.vault.vault import Vault
from security.errors import ENCRYPTION_NO_KEY
from security.grants.grants import Decision
from security.stream_seals import END

RETRY_MILLISECONDS: Final = 3000
MOST: Final = 100  # events of a batch
EACH: Final = 16  # streams of one account
ALL: Final = 256
_log: Final = logging.getLogger("lgsp.feeds")
Still = Callable[[], Viewer | None]  # who has the session or the token now; it runs in a thread


@dataclass(frozen=True)
class Store:
    """Where pages come from."""

    engine: Engine
    vault: Vault


@dataclass
class Following:
    """What all readings of one desk share."""

    engine: Engine
    registry: Registry
    readers: Readers
    settings: Settings
    clock: Callable[[], float]
    sessions: Sessions = field(default_factory=Sessions)
    streams: Streams = field(default_factory=lambda: Streams(EACH, ALL))
    arrivals: Arrivals = field(init=False)
    stopping: bool = False  # the desk ends
    _noting: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        def read(contracts: Collection[str]) -> Mapping[str, int]:
            with self.engine.connect() as connection:
                return offsets(connection, contracts)

        self.arrivals = Arrivals(self.engine, partial(self.readers.run, ("gateway", "arrivals"), read))

    def lease(self) -> StreamLease:
        """Of a stream that begins now."""
        return StreamLease(self.settings.stream_seconds, lambda: self.stopping, self.arrivals, self.registry)

    def judged(self, viewer: Viewer | None, name: str) -> tuple[Viewer, CompiledContract, Decision]:
        """The contract, and the decision that lets the person read its feed. Raises what he is refused with."""
        if viewer is None:
            raise LOGIN_NEEDED()
        account, snapshot = viewer.account, self.registry.snapshot
        if May.FEEDS not in account.may:
            raise CONSOLE_FORBIDDEN(roles=", ".join(account.roles), may=May.FEEDS)
        contract = snapshot.contract(name)
        if contract is None or not contract.contract.fed:
            raise FEED_UNKNOWN(contract=name)
        query = GrantQuery(snapshot, account.agency, contract.contract, FEED, self.clock())
        allowed = decide(query)
        decision = allowed.without({grant.id for grant in allowed.limited})
        if decision is None:
            raise refused(query)
        if contract.contract.protection == "encrypted":
            raise ENCRYPTION_NO_KEY(contract=name, system=account.id, kind="RSA, EC P-256")
        return viewer, contract, decision

    def page(self, viewer: Viewer | None, name: str, part: Part) -> FeedPage:
        """A page, in the log. It runs in a thread."""
        who, contract, decision = self.judged(viewer, name)
        masks = masks_of(self.registry.snapshot, None, contract, decision)
        page = make_page(Store(self.engine, self.vault()), contract, part, masks)
        self.note(who, name, decision, page.span)
        return page

    def vault(self) -> Vault:
        return open_vault(self.settings, self.engine)

    def note(self, who: Viewer, name: str, decision: Decision, span: Span | None) -> None:
        """Writes the entry that a page needs before it leaves, and those of readings that ended."""
        if span is None:
            return
        now, reader = self.clock(), Reader(who.actor, name, tuple(each.id for each in decision.through))
        with self._noting:  # the threads of one desk
            if self.sessions.covered(reader, span, now):
                return
            due = self.sessions.due(reader, span, now)
            rows = [entries.note(NOTE, due.facts, now, actor=reader.system)]
            with writing(self.engine) as connection:
                append(connection, rows)
            self.sessions.committed(reader, due, now)
            ended = [entries.note(NOTE, facts, now, actor=each.system) for each, facts in self.sessions.closing(now)]
            if ended:
                with writing(self.engine) as connection:
                    append(connection, ended)


class Asking(NamedTuple):
    """What somebody asks for. `owner`: whose places the work uses."""

    name: str
    part: Part
    still: Still
    owner: tuple[str, str]


@dataclass(slots=True, eq=False, weakref_slot=True)
class PersonStream:
    """One stream: the `parts` of a reply."""

    following: Following
    asking: Asking
    account: str
    _parts: AsyncGenerator[bytes] | None = None

    async def next_part(self) -> bytes | None:
        return None if self._parts is None else await anext(self._parts, None)

    async def aclose(self) -> None:
        self.following.streams.leave(self, self.account)
        if self._parts is not None:
            await self._parts.aclose()

    def begin(self) -> None:
        """Reads the first batch. Raises what a page would. It runs in a thread."""
        self._parts = self._run(*self._read(self.asking.part))

    def _read(self, part: Part) -> tuple[FeedPage, str]:
        page = self.following.page(self.asking.still(), self.asking.name, part._replace(limit=min(part.limit, MOST)))
        with self.following.engine.connect() as connection:
            return page, feed_log.name(connection)

    def _judge(self) -> None:
        self.following.judged(self.asking.still(), self.asking.name)

    async def _run(self, page: FeedPage, log: str) -> AsyncGenerator[bytes]:
        following, name, owner, cursor = self.following, self.asking.name, self.asking.owner, page.next
        run, lease = following.readers.run, following.lease()
        yield server_events.retry(RETRY_MILLISECONDS)
        try:
            while True:
                cursor = page.next
                events = zip(page.offsets, page.events, strict=True)
                texts = [server_events.written(event, id=cursors.encode(name, at, log)) for at, event in events]
                yield b"".join(texts) or server_events.BEAT
                if page.place.get("complete") is True:
                    yield _ended({"reason": "complete"}, cursor)
                    return
                if (over := lease.over()) is not None:
                    yield _ended({"reason": over}, cursor)
                    return
                offsets = cursors.decode(cursor, (name,)).offsets
                came = page.more or await lease.wait(offsets, following.registry.snapshot)
                if lease.stopping():
                    page = page._replace(events=[], offsets=())  # what was sent is not sent again
                    continue
                if not came:
                    await run(owner, self._judge)
                    if self.asking.part.times.until is None:
                        page = page._replace(events=[], offsets=())
                        continue
                page, log = await run(owner, self._read, self.asking.part._replace(after=cursor))
        except Failure as failure:
            yield _ended({"reason": "refused", "problem": problem(failure, transfer=None, language="vi")}, cursor)
        except Exception:
            _log.exception("feed %s: unexpected fault in a stream", name)
            yield _ended({"reason": "fault"}, cursor)


def read(following: Following, asking: Asking, form: str) -> Reply:
    """The reply: a page, or a stream where `form` is `events`. It runs in a thread."""
    if form != "events":
        page = following.page(asking.still(), asking.name, asking.part)
        body, media = page.written({"contract": asking.name}, form)
        return Reply(200, {"content-type": media}, body)
    viewer, _, _ = following.judged(asking.still(), asking.name)
    stream = PersonStream(following, asking, viewer.account.id)
    following.streams.enter(stream, viewer.account.id)
    try:
        stream.begin()
    except BaseException:
        following.streams.leave(stream, viewer.account.id)
        raise
    return Reply(200, {"content-type": server_events.MEDIA_TYPE, "x-accel-buffering": "no"}, b"", stream)


def _ended(why: Mapping[str, Any], cursor: str) -> bytes:
    text = json.dumps({**why, "next": cursor}, ensure_ascii=False, separators=(",", ":"))
    return server_events.written(text.encode(), id=cursor, type=END)
