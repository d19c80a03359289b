"""The stages of one transfer: each a frozen value that holds the one before it.

    Received -> Addressed -> Authenticated -> Requested -> Authorised -> Decoded -> Committed -> Answered

A function that needs a checked caller takes `Authenticated`; it cannot be called with anything less. That is the whole point: a
step cannot be skipped without the type checker saying so.
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
from security.grants.grants import Decision
from security.keys import VerifyKey

Message = dict[str, Any]


class Face(StrEnum):
    REST = "rest"
    SOAP = "soap"
    FILES = "files"


class Received(NamedTuple):
    """Bytes that came in at a door, and what the channel says of who sent them. Nothing is believed yet."""

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


class Addressed(NamedTuple):
    """What the caller asks for: found before anything costly is done."""

    received: Received
    snapshot: Snapshot
    contract: CompiledContract
    operation: Operation | None  # of a SOAP call, known only from the verified Body


class Authenticated(NamedTuple):
    """Who: channel, token and signature name one system. Intact and fresh: the signature covers the content.

    A dropped file has none of these: its system is known by the folder, and the digest of the file is its id.
    """

    addressed: Addressed
    caller: System
    key: VerifyKey | None
    certificate_thumbprint: str | None
    replay: ReplayKey | None
    payload_digest: bytes
    proof: Any  # the door's own: the verified signature or envelope
    reply_to: str | None = None  # SOAP: wsa:MessageID, for wsa:RelatesTo
    opened: bytes = b""  # of an encrypted body, what was signed: evidence that outlives the key that opened it

    @property
    def received(self) -> Received:
        return self.addressed.received


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
        return self.authenticated.addressed.snapshot

    @property
    def contract(self) -> CompiledContract:
        return self.authenticated.addressed.contract

    @property
    def caller(self) -> System:
        return self.authenticated.caller

    @property
    def format(self) -> str:
        return self.named_format or self.caller.format(self.contract.contract.name)

    @property
    def codec(self) -> Codec:
        if self.named_format is not None:
            return self.contract.codec(self.named_format)
        return self.snapshot.codec(self.caller, self.contract)


class Authorised(NamedTuple):
    requested: Requested
    decision: Decision


class Decoded(NamedTuple):
    authorised: Authorised
    message: Message

    @property
    def requested(self) -> Requested:
        return self.authorised.requested


class Committed(NamedTuple):
    """The intent is on disk. `at` is the time of commit."""

    decoded: Decoded
    transfer: str
    provider: System | None
    at: float
    salt: bytes  # 16 bytes; with it the log's digests of this transfer can be checked
    intent_leaf: bytes

    @property
    def requested(self) -> Requested:
        return self.decoded.authorised.requested


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
