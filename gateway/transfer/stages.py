"""The stages of one transfer: each a frozen value that holds the one before it.

    Received -> Addressed -> Authenticated -> Requested -> Authorised -> Decoded -> Committed -> Answered

A function that needs a checked caller takes `Authenticated` and cannot be called with less: the type checker refuses to
skip a step. `Committed` holds an `OpenTransfer`, which the queue and the recovery of dead processes have of a transfer
too; `gateway.transfer.outcome` ends it.
Invariant: a caller is identified once for each registry that its call is judged by, and `Addressed.channel` is the
result.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from contracts.base.errors import Failure
from contracts.canonical.model import Operation
from contracts.compiled.contract import Codec, CompiledContract
from gateway.journal.write import ReplayKey
from gateway.registry.records import System
from gateway.registry.snapshot import Snapshot
from gateway.transfer.states import Event, State
from gateway.vault.classes import Keeping
from security.grants.grants import Decision
from security.keys import VerifyKey

Message = dict[str, Any]


class Face(StrEnum):
    REST = "rest"
    SOAP = "soap"
    FILES = "files"


class Received(NamedTuple):
    """Bytes that came in at a door, what the channel says of who sent them, and the registry as it stood then. Nothing
    is believed yet.
    """

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


class Channel(NamedTuple):
    """The registered system behind a connection or a drop folder."""

    system: System
    thumbprint: (
        str | None
    )  # of its certificate: base64url SHA-256 of the DER, as in RFC 8705 `x5t#S256`; a folder has none


class Addressed(NamedTuple):
    """Who the channel says is calling, and what for: found before anything costly is done."""

    received: Received
    channel: Channel
    contract: CompiledContract
    operation: Operation | None  # of a SOAP call, known only from the verified Body

    @property
    def snapshot(self) -> Snapshot:
        return self.received.snapshot


class Authenticated(NamedTuple):
    """Who: channel, token and signature name one system. Intact and fresh: the signature covers the content.

    A dropped file has neither key nor replay key: the digest of the file is its id.
    """

    addressed: Addressed
    key: VerifyKey | None
    replay: ReplayKey | None
    payload_digest: bytes
    proof: Any  # the door's own: the verified signature or envelope
    reply_to: str | None = None  # SOAP: wsa:MessageID, for wsa:RelatesTo
    opened: bytes = b""  # of an encrypted body, what was signed: evidence that outlives the key that opened it

    @property
    def received(self) -> Received:
        return self.addressed.received

    @property
    def snapshot(self) -> Snapshot:
        return self.addressed.received.snapshot

    @property
    def caller(self) -> System:
        return self.addressed.channel.system


class Requested(NamedTuple):
    """What the verified content asks for: one operation, under one message id."""

    authenticated: Authenticated
    message_id: str
    operation: Operation
    request: str  # the message's name in the contract
    content: Any  # the body's bytes, or the element of the SOAP Body
    named_format: str | None = None  # where the door knows the format by more than the registration of the caller

    @property
    def received(self) -> Received:
        return self.authenticated.addressed.received

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


Reached = Received | Addressed | Authenticated | Requested  # how far a call came before it was refused


def received_of(reached: Reached) -> Received:
    return reached if isinstance(reached, Received) else reached.received


def authenticated_of(reached: Reached) -> Authenticated | None:
    """None where the caller has not proved who it is."""
    if isinstance(reached, Requested):
        return reached.authenticated
    return reached if isinstance(reached, Authenticated) else None


class Authorised(NamedTuple):
    requested: Requested
    decision: Decision


class Decoded(NamedTuple):
    authorised: Authorised
    message: Message

    @property
    def requested(self) -> Requested:
        return self.authorised.requested


class OpenTransfer(NamedTuple):
    """A transfer whose intent is on disk and whose outcome is not, as whoever may end it knows it."""

    id: str
    process: str | None  # the process that must still own it; None: whoever does
    provider: str | None
    state: State = State.FORWARDING
    keep: Keeping | None = None  # what is kept of its bodies; None: not known, and nothing was sent
    salt: bytes | None = (
        None  # with it the log's digests of this transfer can be checked; None: its request was not opened
    )
    intent: bytes | None = None  # the leaf of its entry; None: its request was not opened


class Committed(NamedTuple):
    """The intent is on disk."""

    decoded: Decoded
    provider: System
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
    call: object = (
        None  # the provider's answer or the failure of the call: the bytes that it bears are kept as evidence
    )
    answer: bytes | None = None  # canonical


class Doubt(NamedTuple):
    """Why nobody knows whether the provider acted."""

    at: float
    process: str  # that had it in hand
    reason: str
    phase: str = "in-doubt"  # (transfer, phase) is unique in the log: a second doubt has a phase of its own


class Receipt(NamedTuple):
    """What an answer hands out: the leaves of the log that speak of it (RFC 6962 leaf hashes, 32 bytes each)."""

    transfer: str
    intent: bytes | None = None
    outcome: bytes | None = None
    refusal: bytes | None = None


class Answered(NamedTuple):
    """The outcome is on disk. Exactly one of `answer` (canonical, masked), `queued` and `failure` says what it is."""

    requested: Requested
    receipt: Receipt
    answer: Message | None = None
    queued: bool = False
    failure: Failure | None = None


class Refused(NamedTuple):
    """The caller gets nothing but a reason. `authenticated` is there if the caller had proved who it is."""

    received: Received
    failure: Failure
    receipt: Receipt
    authenticated: Authenticated | None
