"""The stages of one transfer: each is a frozen value that holds the previous one.

    Received -> Addressed -> Authenticated -> Requested -> Authorised -> Decoded -> Committed -> Answered

A function that needs a checked caller takes `Authenticated`, so the type checker rejects a skipped step. `Committed`
holds an `OpenTransfer`. The queue and the recovery of dead processes hold one too; `gateway.transfer.outcome` ends it.
Invariant: a caller is identified once for each registry snapshot that judges its call. `Addressed.channel` is the
  result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from adapters.model import FAULT_HEADER
from contracts.base.errors import Failure
from contracts.canonical.model import Operation, Pattern
from contracts.compiled.contract import Codec, CompiledContract
from contracts.wire.attachments import Spool
from gateway.journal.write import BodyUse, ReplayKey
from gateway.registry.receiving import Receiving
from gateway.registry.records import System
from gateway.registry.snapshot import Snapshot
from gateway.transfer.large_body import HEAVY, LargeBody
from gateway.transfer.states import Event, State
from gateway.vault.classes import Keeping
from security.grants.grants import Decision
from security.keys import VerifyKey

Message = dict[str, Any]
_FAULT: Final = re.compile(r"[a-z-]{1,40}(;seconds=[0-9]{1,3}(\.[0-9]{1,3})?)?")  # what is passed on as it came


class Face(StrEnum):
    REST = "rest"
    SOAP = "soap"
    FILES = "files"


class Received(NamedTuple):
    """Bytes received by a door, the client certificate, and the registry at that moment. Nothing is verified."""

    transfer: str
    at: float
    face: Face
    method: str
    path: str
    target_uri: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    certificate: bytes | None
    source: str
    snapshot: Snapshot
    large: LargeBody | None = None  # then `body` is empty, or what is left without large contents
    ahead: int = 0  # seconds by which the clock of the caller's agency is ahead: of a tenant of a sandbox

    @property
    def theirs(self) -> float:
        """When it came by the clock of the caller's agency, which judges what it signed, and what expires for it."""
        return self.at + self.ahead

    @property
    def heavy(self) -> bool:
        """Whether work on the message is done off the event loop."""
        return self.large is not None or len(self.body) > HEAVY

    @property
    def fault(self) -> str:
        """What the caller of a sandbox wants a stand-in to do wrong; empty for nothing, or for another form."""
        named = self.headers.get(FAULT_HEADER, "")
        return named if _FAULT.fullmatch(named) else ""

    @property
    def spool(self) -> Spool | None:
        """The large contents; None also for a large body without any."""
        spool = self.large.spool if self.large is not None else None
        return spool if spool is not None and spool.attachments else None


class Channel(NamedTuple):
    """The registered system behind a connection or a drop folder."""

    system: System
    thumbprint: str | None  # of its certificate (RFC 8705 `x5t#S256`); None for a folder


class Addressed(NamedTuple):
    """The caller by its channel, and the addressed contract. Known before any costly work."""

    received: Received
    channel: Channel
    contract: CompiledContract
    operation: Operation | None  # None for SOAP: only the verified Body names it

    @property
    def snapshot(self) -> Snapshot:
        return self.received.snapshot


class Authenticated(NamedTuple):
    """Channel, token and signature name one system; the signature covers the content and is fresh.

    A dropped file has neither key nor replay key: the digest of the file is its id.
    """

    addressed: Addressed
    key: VerifyKey | None
    replay: ReplayKey | None
    payload_digest: bytes
    proof: Any  # of the door: the verified signature or envelope
    reply_to: str | None = None  # SOAP: wsa:MessageID, for wsa:RelatesTo
    opened: bytes = b""  # the signed text of an encrypted body, kept as evidence beyond the key's life

    @property
    def received(self) -> Received:
        return self.addressed.received

    @property
    def snapshot(self) -> Snapshot:
        return self.addressed.received.snapshot

    @property
    def caller(self) -> System:
        return self.addressed.channel.system

    def with_body(self, body: bytes) -> Authenticated:
        """The same, of a large body whose contents are beside it."""
        addressed = self.addressed
        return self._replace(addressed=addressed._replace(received=addressed.received._replace(body=body)))


class Requested(NamedTuple):
    """The request of the verified content: one operation under one message id."""

    authenticated: Authenticated
    message_id: str
    operation: Operation
    request: str  # the message's name in the contract
    content: Any  # the body's bytes, or the element of the SOAP Body
    named_format: str | None = None  # set if the door knows the format better than the caller's registration
    respond_async: bool = False  # the caller asked for a receipt now and the answer later

    @property
    def received(self) -> Received:
        return self.authenticated.addressed.received

    @property
    def later(self) -> bool:
        """Whether the call is answered by a receipt, and forwarded from the queue: the caller asked for it, or its
        contract delivers in order. A contract that keeps no bodies could not give the answer later.
        """
        pattern = self.operation.pattern
        asked = self.respond_async and self.contract.contract.evidence != "none"
        return pattern is not Pattern.SUBMIT and (asked or bool(self.operation.order))

    @property
    def snapshot(self) -> Snapshot:
        return self.authenticated.addressed.received.snapshot

    @property
    def contract(self) -> CompiledContract:
        return self.authenticated.addressed.contract

    @property
    def caller(self) -> System:
        return self.authenticated.addressed.channel.system

    @property
    def format(self) -> str:
        return self.named_format or self.caller.format(self.contract.contract.name)

    @property
    def codec(self) -> Codec:
        if self.named_format is not None:
            return self.contract.codec(self.named_format)
        return self.snapshot.codec(self.caller, self.contract)


Reached = Received | Addressed | Authenticated | Requested  # the last stage before a refusal


def received_of(reached: Reached) -> Received:
    return reached if isinstance(reached, Received) else reached.received


def authenticated_of(reached: Reached) -> Authenticated | None:
    """None if the caller is not proven."""
    if isinstance(reached, Requested):
        return reached.authenticated
    return reached if isinstance(reached, Authenticated) else None


class Authorised(NamedTuple):
    requested: Requested
    decision: Decision


class Decoded(NamedTuple):
    authorised: Authorised
    message: Message
    uses: tuple[BodyUse, ...] = ()  # the opaque bodies that it names

    @property
    def requested(self) -> Requested:
        return self.authorised.requested


class Fed(NamedTuple):
    """The columns of a dispatched transfer that its event in the feed tells, beside how it ended.

    `key` and `facts` are no columns: `key` is the field of the answer whose value is the event's subject, `facts` are
    attributes that follow from the request.
    """

    contract: str
    operation: str
    bundle: str
    caller_system: str
    caller_agency: str
    provider: str | None
    key: str | None = None
    facts: Mapping[str, str] = MappingProxyType({})


class OpenTransfer(NamedTuple):
    """A transfer whose intent is on disk and whose outcome is not."""

    id: str
    process: str | None  # the process that must own it; None: any
    provider: str | None
    state: State = State.FORWARDING
    keep: Keeping | None = None  # what is kept of its bodies; None: unknown, nothing was sent
    salt: bytes | None = None  # of the log's digests; None: its request was not opened
    intent: bytes | None = None  # the leaf of its entry; None: its request was not opened
    fed: Fed | None = None  # None: its end is no event of a feed
    spool: Spool | None = None  # of its large contents, for which its bodies hold stand-ins
    heavy: bool = False  # work on its message is done off the event loop
    fault: str = ""  # what the caller wants a stand-in to do wrong; only a sandbox passes it on
    ahead: int = 0  # as of `Received`


class Committed(NamedTuple):
    """The intent is on disk."""

    decoded: Decoded
    provider: System
    receiving: Receiving
    open: OpenTransfer

    @property
    def requested(self) -> Requested:
        return self.decoded.authorised.requested

    @property
    def snapshot(self) -> Snapshot:
        return self.decoded.authorised.requested.snapshot

    @property
    def contract(self) -> CompiledContract:
        return self.decoded.authorised.requested.contract

    @property
    def operation(self) -> Operation:
        return self.decoded.authorised.requested.operation

    @property
    def message(self) -> Message:
        return self.decoded.message

    @property
    def caller(self) -> str:
        """agency/system"""
        return self.decoded.authorised.requested.caller.name


class Ending(NamedTuple):
    """How an open transfer ended."""

    event: Event
    at: float
    status: int
    failure: str | None = None
    call: object = None  # the provider's answer or the call's failure, whose bytes are kept as evidence
    answer: bytes | None = None  # canonical
    keys: int = 0  # business keys that the message took and none had before


class Doubt(NamedTuple):
    """Why it is unknown whether the provider acted."""

    at: float
    process: str  # that held the transfer
    reason: str
    phase: str = "in-doubt"  # (transfer, phase) is unique in the log


class Receipt(NamedTuple):
    """The leaves of the log's entries about a transfer (RFC 6962 leaf hashes, 32 bytes each)."""

    transfer: str
    intent: bytes | None = None
    outcome: bytes | None = None
    refusal: bytes | None = None


class Answered(NamedTuple):
    """The outcome is on disk. Exactly one of `answer` (canonical, masked), `queued`, `kept` and `failure` is set.

    `kept`: no system gets the message; the agency of its route handles it on its page.
    """

    requested: Requested
    receipt: Receipt
    answer: Message | None = None
    queued: bool = False
    kept: bool = False
    failure: Failure | None = None
    as_of: str | None = None  # of an answer from the feed: when its event was accepted
    heavy: bool = False  # the answer is written off the event loop


class Refused(NamedTuple):
    """The caller gets a reason only. `authenticated` is set if the caller was proven."""

    received: Received
    failure: Failure
    receipt: Receipt
    authenticated: Authenticated | None
