"""The units of work of the journal: all rows of a unit are written in one transaction, or none.

The writer batches many units into one commit; a unit whose key exists already is refused alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class ReplayKey(NamedTuple):
    key: bytes
    expires: float


class LogRow(NamedTuple):
    """A frozen entry of the audit log: canonical JSON (RFC 8785) and its RFC 6962 leaf hash.

    (`transfer`, `phase`) is unique in the log. Entries that are no phase of a transfer (refusal, repeat, change of
    registry) have an id of their own in `transfer`. They name the transfer they concern inside the entry.
    """

    transfer: str
    phase: str
    entry: bytes
    leaf: bytes


class VaultRow(NamedTuple):
    """A sealed body; `id` is `<transfer>/<part>`."""

    id: str
    key_id: str
    size: int
    sealed: bytes


class FeedRow(NamedTuple):
    contract: str
    transfer: str
    event: str
    body_ref: str


class KeyRow(NamedTuple):
    """What stands under a business key of a feed now. All but ids and state are keyed hashes (`gateway.feeds.keys`).

    A row that exists is changed only if `previous` is the transfer that changed it last. Without `previous` the row is
    new.
    """

    key: str
    contract: str
    content: str
    reference: str
    transfer: str
    agency: str
    state: str
    changed: str
    previous: str | None
    seal: str


class QueueRow(NamedTuple):
    """A transfer in the queue. An existing row gets these values, and its lease ends. Its place in the order of its key
    stays as it was.
    """

    transfer: str
    provider: str
    body_ref: str
    next_at: float
    state: str = "waiting"  # waiting | held | done | dead
    tries: int = 0
    last_failure: str | None = None
    priority: int = 5  # those with a lower one go first
    order_key: str | None = None  # messages with one key go one after the other
    callback: str | None = None  # wanted | done | dead


class TransferRow(NamedTuple):
    """The columns of a new transfer (`gateway.journal.schema.tables.transfer`)."""

    id: str
    state: str
    pattern: str
    caller_system: str
    caller_agency: str
    contract: str
    bundle: str
    operation: str
    message_id: str
    payload_digest: bytes
    grant_id: str
    provider: str | None
    process: str
    idempotent: bool
    received: float
    committed: float
    finished: float | None = None
    status: int | None = None
    failure: str | None = None
    answer_ref: str | None = None
    receipt: str | None = None


class TransferChange(NamedTuple):
    """A change of a transfer, applied only while its state is `before` and, if not None, `process` owns it.

    `status` and `failure` are always set. `finished`, `answer_ref`, `receipt` and `owner` (the process that owns the
    transfer from now on) are set unless None, which leaves the column as it is.
    """

    id: str
    before: str
    process: str | None
    state: str
    finished: float | None = None
    status: int | None = None
    failure: str | None = None
    answer_ref: str | None = None
    receipt: str | None = None
    owner: str | None = None


class QuotaUse(NamedTuple):
    """One call of an agency through a grant, in the window that begins at `begins` (Unix seconds); at most `limit`."""

    grant_id: str
    agency: str
    per: str
    begins: int
    limit: int


class BodyUse(NamedTuple):
    """A new transfer refers to an opaque body."""

    body: str
    transfer: str


class HandlingRow(NamedTuple):
    """The columns of a handling (`gateway.journal.schema.workflow_tables`). It is new if `version` is 1; else the row
    is changed only if its version is the one before.
    """

    id: str
    contract: str
    operation: str
    bundle: str
    transfer: str
    message: str
    agency: str
    system: str | None
    sender_agency: str
    sender_system: str
    kind: str
    area: str
    state: str
    ended: bool
    opened: float
    entered: float
    due: int | None
    whole_due: int | None
    nearest: int
    merged_into: str | None
    version: int
    seal: str
    next_at: int
    told: int


class HandlingStep(NamedTuple):
    """The columns of a step of a handling."""

    handling: str
    number: int
    step: str
    source: str
    target: str
    party: str
    agency: str
    actor: str
    reason: str | None
    at: float
    transfer: str | None


class Handled(NamedTuple):
    """A step of a handling, and the handling after it. `into`: one that must not have ended when this is written."""

    row: HandlingRow
    step: HandlingStep
    into: str | None = None


class Write(NamedTuple):
    """One unit. At most one of `transfer` (a new one) and `change` (of an existing one) is set."""

    replay: ReplayKey | None = None
    transfer: TransferRow | None = None
    change: TransferChange | None = None
    log: tuple[LogRow, ...] = ()
    vault: tuple[VaultRow, ...] = ()
    feed: tuple[FeedRow, ...] = ()
    queue: QueueRow | None = None
    quota: tuple[QuotaUse, ...] = ()  # all of them count, or none
    keys: tuple[KeyRow, ...] = ()  # different ones; all of them are written, or nothing
    uses: tuple[BodyUse, ...] = ()  # different ones
    handled: Handled | None = None


class Verdict(StrEnum):
    COMMITTED = "committed"
    REPLAYED = "replayed"  # the replay key exists: the same signed bytes came before
    DUPLICATE = "duplicate"  # the message id exists: `existing` is its row; only the replay key was written
    FULL = "full"  # the quota `full` of one of its grants is used up: nothing was written
    TAKEN = "taken"  # a business key or a handling is no longer as it was read: nothing was written
    FENCED = "fenced"  # the keeper took the transfer, or declared this process dead


@dataclass(frozen=True, slots=True)
class Written:
    verdict: Verdict
    existing: Mapping[str, object] | None = None
    full: QuotaUse | None = None
