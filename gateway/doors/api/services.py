"""The services of the gateway's own APIs, and the request that a handler gets.

Invariant: a handler gets an `ApiRequest` only after routing, security and validation. `caller` is set if and only if
  the operation demands a proven system, `person` if and only if it demands a person.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

from sqlalchemy import Engine

from contracts.base.errors import Failure, PlainErrorType
from contracts.wire import problems
from gateway.doors.api.errors import API_REPLAYED
from gateway.doors.api.reading import Readers
from gateway.doors.http.body import brings_body
from gateway.doors.http.shell import Call
from gateway.doors.http.stream_limits import Streams
from gateway.doors.reply import Reply
from gateway.doors.rest import RestDoor
from gateway.exchange.exchange import Exchange
from gateway.exchange.floods import block_of
from gateway.exchange.quotas import UsedUp, vendor_refused
from gateway.feeds.arrivals import Arrivals
from gateway.feeds.heads import offsets
from gateway.feeds.sessions import Sessions
from gateway.journal.errors import JOURNAL_FENCED
from gateway.journal.write import ReplayKey, Verdict, Write
from gateway.journal.writer import Journal
from gateway.keys.keyring import Keyring
from gateway.registry.records import System
from gateway.registry.registry import Registry
from gateway.registry.snapshot import Snapshot
from gateway.settings import Settings
from gateway.transfer.stages import Received
from gateway.vault.vault import Vault
from security.http_signatures import stated_digests
from security.keys import SigningKey

STREAMED: Final = {"sendBody", "appendBody"}  # operations whose handlers read the body and compare its digest
_READS: Final = frozenset({"GET", "HEAD"})
UPLOADS, DOOR_UPLOADS = 2, 8  # of one agency, and of all, at once in one process


@dataclass(frozen=True, slots=True)
class Caller:
    """A system proven by channel, token and signature. A handler with effects must record `replay`."""

    system: System
    key_id: str
    replay: ReplayKey


@dataclass(frozen=True, slots=True)
class ApiRequest:
    call: Call
    received: Received
    params: Mapping[str, Any] = field(default_factory=dict)  # checked and converted
    form: Mapping[str, str] = field(default_factory=dict)
    caller: Caller | None = None
    json: Any = None  # the checked body
    person: Any = None  # a person at the people's listener, as its `Prove` returned him

    @property
    def snapshot(self) -> Snapshot:
        return self.received.snapshot

    @property
    def proven(self) -> Caller:
        assert self.caller is not None, "the operation's document demands no proof"
        return self.caller

    @property
    def owner(self) -> tuple[str, str]:
        """Whose places the work uses (`Readers`): the agency's, or the address's if no proof is demanded."""
        return (
            ("agency", self.caller.system.agency)
            if self.caller is not None
            else ("source", block_of(self.received.source))
        )


class Newest(Protocol):
    def note(self) -> str:
        """The newest signed checkpoint; empty before the first."""
        ...


class Common(Protocol):
    """The services of both listeners."""

    engine: Engine
    registry: Registry
    newest_checkpoint: Newest
    settings: Settings
    readers: Readers

    @property
    def clock(self) -> Callable[[], float]: ...
    async def refuse(self, received: Received, failure: Failure, caller: Caller | None) -> Reply: ...
    def sign(self, received: Received, reply: Reply) -> Reply: ...


Handler = Callable[[Any, ApiRequest], Awaitable[Reply]]
Prove = Callable[[Call, Received, str], Awaitable[Any]]  # who calls this operation; raises if he may not


@dataclass(slots=True)
class Services:
    """The services of the exchange listener."""

    engine: Engine
    registry: Registry
    journal: Journal
    vault: Vault
    newest_checkpoint: Newest
    token_key: SigningKey
    settings: Settings
    rest: RestDoor
    exchange: Exchange
    keyring: Keyring
    clock: Callable[[], float]
    readers: Readers = field(default_factory=Readers)
    sessions: Sessions = field(default_factory=Sessions)
    arrivals: Arrivals = field(init=False)
    streams: Streams = field(init=False)
    uploads: Streams = field(init=False)

    def __post_init__(self) -> None:
        self.uploads = Streams(UPLOADS, DOOR_UPLOADS)
        self.streams = Streams(self.settings.agency_streams, self.settings.door_streams)

        def read(contracts: Collection[str]) -> Mapping[str, int]:
            with self.engine.connect() as connection:
                return offsets(connection, contracts)

        self.arrivals = Arrivals(self.engine, partial(self.readers.run, ("gateway", "arrivals"), read))

    async def authenticate(self, call: Call, received: Received, operation: str) -> Caller:
        channel = call.channel()
        streamed = operation in STREAMED and (brings_body(received.headers) or "content-digest" in received.headers)
        stated = stated_digests(received.headers) if streamed else None
        signature = self.rest.prove(received, channel, stated)
        if received.method not in _READS:
            await self._spend(channel.system.agency)
        return Caller(channel.system, signature.key.key_id, ReplayKey(signature.replay_key, signature.expires))

    async def _spend(self, agency: str) -> None:
        """Counts what a tenant does here. Raises `sandbox.quota`."""
        now = self.clock()
        uses = self.exchange.vendors.acts(agency, now)
        if uses and (written := await self.journal.commit(Write(quota=uses))).full is not None:
            raise vendor_refused(written.full, now)

    async def refuse(self, received: Received, failure: Failure, caller: Caller | None) -> Reply:
        """Logs the refusal, then renders it, signed for a proven caller."""
        refused = await self.exchange.refusals.refuse(received, failure)
        language = received.headers.get("accept-language")
        status, headers, body = problems.render(
            refused.failure, transfer=refused.receipt.transfer, accept_language=language
        )
        reply = Reply(status, headers, body if received.method != "HEAD" else b"")  # what is signed is what is sent
        if caller is not None:
            return self.rest.signed(reply, received, refused.receipt)
        reply.headers["lgsp-transfer"] = refused.receipt.transfer
        return reply

    def sign(self, received: Received, reply: Reply) -> Reply:
        return self.rest.signed(reply, received, None)

    async def record(self, write: Write, *, replayed: PlainErrorType[Failure] = API_REPLAYED) -> None:
        """Commits what a call reads or does; `replayed` is raised where the same signed bytes came before."""
        written = await self.journal.commit(write)
        if written.verdict is Verdict.REPLAYED:
            raise replayed()
        if written.verdict is Verdict.FULL:
            raise UsedUp(written.full)
        if written.verdict is not Verdict.COMMITTED:
            raise JOURNAL_FENCED(retry_after=1)


@dataclass(slots=True)
class DeskServices:
    """The services of the listener for people. It has no exchange keys and no journal."""

    engine: Engine
    registry: Registry
    newest_checkpoint: Newest
    settings: Settings
    clock: Callable[[], float]
    readers: Readers = field(default_factory=lambda: Readers(each=3))  # people often share one proxy

    async def refuse(self, received: Received, failure: Failure, caller: Caller | None) -> Reply:
        return Reply(*problems.render(failure, transfer=None, accept_language=received.headers.get("accept-language")))

    def sign(self, received: Received, reply: Reply) -> Reply:
        return reply
