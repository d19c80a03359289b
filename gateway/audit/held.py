"""What a transfer's row, its event, its place in the queue and its parts in the vault must be, by its entries in the log and by how they were sealed.

No body is opened, and no key is needed: bodies carry their binding in the clear (`gateway.vault.binding`). Whoever changes a binding to fit has a body
that does not open, which is told when it is read. What retention removed is missed only where its key was not destroyed.
Invariant: all that is compared is read by the statement that reads the transfer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, func, select

from contracts.base.errors import Failure
from contracts.base.times import rfc3339
from contracts.bundle import Bundle
from contracts.loader import load
from contracts.model import Contract, Pattern
from gateway.journal import tables
from gateway.vault import binding
from gateway.vault.classes import BEFORE, OPEN, SALT_PART, KeyName, keeping
from security.seal import plain_size

ANSWERED: Final = frozenset({"accepted", "answered"})
ENDED: Final = frozenset({"accepted", "answered", "failed", "dead"})
_DAY: Final = 86_400.0
_CLOCKS: Final = 3600.0  # by which clocks of different processes may differ
LONGEST: Final = 4 * _DAY  # more than a message waits in the queue from its commit to its last try
_PARTS: Final = ("request", "canonical", "answer", SALT_PART, "forwarded", "provider-answer")
_BOUND: Final = ("request", "canonical", "answer")
Entry = Mapping[str, Any]
Find = Callable[[str], object]


@dataclass(slots=True)
class Terms:
    """What the contracts say, by the digest of their bundles; and what was removed from the vault, to be asked about at the end."""

    connection: Connection
    removed: list[tuple[str, str]] = field(default_factory=list)  # (what, key id)
    _known: dict[str, Contract | None] = field(default_factory=dict)

    def of(self, digest: str) -> Contract | None:
        """None where the bundle is not here, or is another one than its digest says."""
        if digest not in self._known:
            content = self.connection.scalar(select(tables.bundle.c.content).where(tables.bundle.c.digest == digest))
            self._known[digest] = _contract(content, digest) if content is not None else None
        return self._known[digest]

    def end(self) -> Iterator[str]:
        """What is gone although its key was not destroyed. Asked last: a key that is destroyed meanwhile is told of before its bodies go."""
        told = set(self.connection.scalars(select(tables.vault_destroyed.c.key_id)))
        yield from (f"{what} is gone from the vault, and its key {key} was not destroyed" for what, key in self.removed if key not in told)


def _contract(content: bytes, digest: str) -> Contract | None:
    try:
        bundle = Bundle.from_bytes(content)
        return load(bundle).contract if bundle.digest == digest else None
    except (Failure, ValueError):
        return None


def joined(transfer: Any, source: Any) -> tuple[Any, list[ColumnElement[Any]]]:
    """The transfers' statement with what is judged here: event, queue, and the parts of the vault."""
    columns: list[ColumnElement[Any]] = []
    event, waiting, queue = tables.feed_event, tables.feed_pending, tables.queue
    for column in ("event", "body_ref", "contract"):
        columns.append(func.coalesce(event.c[column], waiting.c[column]).label(f"feed_{column}"))
    columns += [queue.c[column].label(f"queue_{column}") for column in ("provider", "body_ref", "next_at")]
    for part in _PARTS:
        vault = tables.vault.alias()
        source = source.outerjoin(vault, vault.c.id == transfer.c.id + f"/{part}")
        columns += [column.label(_of(part, column.name)) for column in (vault.c.key_id, vault.c.size)]
        columns.append(func.length(vault.c.sealed).label(_of(part, "length")))
        if part in _BOUND:
            columns.append(func.substr(vault.c.sealed, 1, binding.HEAD).label(_of(part, "head")))
    return source, columns


def _of(part: str, what: str) -> str:
    return f"{part.replace('-', '_')}_{what}"


def judge(name: str, row: Row[Any], intent: Entry, outcome: Entry | None, terms: Terms, find: Find) -> None:
    """What of it is wrong goes to `find`, in words that begin with the name of the row."""
    contract = terms.of(row.bundle)
    for text in (*_row(row, intent, outcome, contract), *_times(row, intent, outcome), *_queue(row), *_event(row, intent, contract)):
        find(f"{name}: {text}")
    for text in (*_sealed(row), *_kept(name, row, intent, outcome, contract, terms)):
        find(f"{name}: {text}")


def _row(row: Row[Any], intent: Entry, outcome: Entry | None, contract: Contract | None) -> Iterator[str]:
    if outcome is not None and outcome.get("provider") != intent.get("provider"):
        yield f"its outcome in the log names the provider {outcome.get('provider')}, its intent {intent.get('provider')}"
    answer = f"{row.id}/answer" if row.state in ANSWERED else None
    if row.answer_ref != answer:
        yield f"its row refers to {row.answer_ref} for its answer, which is {answer}"
    operation = contract.operations.get(row.operation) if contract is not None else None
    if operation is None:
        return
    if row.pattern != operation.pattern.value:
        yield f"its row says that it is a {row.pattern}, its contract that it is a {operation.pattern.value}"
    idempotent = operation.idempotent and operation.pattern is Pattern.DISPATCH
    if bool(row.idempotent) != idempotent:
        yield f"its row says idempotent {bool(row.idempotent)}, its contract {idempotent}"


def _times(row: Row[Any], intent: Entry, outcome: Entry | None) -> Iterator[str]:
    if rfc3339(row.committed) != intent.get("at"):
        yield f"its row says that it was committed at {rfc3339(row.committed)}, its intent in the log {intent.get('at')}"
    if outcome is not None and (row.finished is None or rfc3339(row.finished) != outcome.get("at")):
        said = None if row.finished is None else rfc3339(row.finished)
        yield f"its row says that it was finished at {said}, its outcome in the log {outcome.get('at')}"
    if outcome is None and row.finished is not None:
        yield f"its row says that it was finished at {rfc3339(row.finished)}, and the log has no outcome of it"
    # The id of a transfer bears the time at which it was received. A file is given its id when it is claimed, and its lines are read later.
    millis = _millis(row.id)
    if intent.get("door") != "files" and int(row.received * 1000) != millis:
        yield f"its row says that it was received at {rfc3339(row.received)}, its id {rfc3339(millis / 1000)}"


def _millis(id: str) -> int:
    """Of a UUIDv7 (RFC 9562 §5.7)."""
    try:
        return int(id.replace("-", "")[:12], 16)
    except ValueError:
        return -1


def _queue(row: Row[Any]) -> Iterator[str]:
    if row.queue_provider is None:
        return
    if row.queue_provider != row.provider:
        yield f"the queue says that it is for {row.queue_provider}, its row {row.provider}"
    if row.queue_body_ref != f"{row.id}/canonical":
        yield f"the queue refers to {row.queue_body_ref} for its body"
    if row.in_queue == "waiting" and not row.committed - _DAY <= row.queue_next_at <= row.committed + LONGEST:
        yield f"the queue says that it is sent at {rfc3339(row.queue_next_at)}, which no message waits for"


def _event(row: Row[Any], intent: Entry, contract: Contract | None) -> Iterator[str]:
    if row.feed_event is None:
        return
    if row.feed_body_ref != f"{row.id}/canonical":
        yield f"its event in the feed refers to {row.feed_body_ref} for its body"
    try:
        event = json.loads(row.feed_event)
        if not isinstance(event, dict):
            raise ValueError
    except ValueError:
        yield "its event in the feed is none"
        return
    caller = intent.get("caller", {})
    true = {"id": row.id, "source": f"urn:lgsp:system:{caller.get('system')}", "specversion": "1.0", "datacontenttype": "application/json"}
    true |= {"time": intent.get("at"), "lgspagency": caller.get("agency"), "lgspbundle": intent.get("bundle")}
    if contract is not None:
        true["type"] = f"{contract.namespace}:{intent.get('operation')}"
    for what, said in true.items():
        if event.get(what) != said:
            yield f"its event in the feed says {what} {event.get(what)}, which is {said}"


def _sealed(row: Row[Any]) -> Iterator[str]:
    """What each part was sealed with, as far as it was sealed with anything, and how long it is."""
    for part in _PARTS:
        size, length = getattr(row, _of(part, "size")), getattr(row, _of(part, "length"))
        if not length:
            continue
        head = bytes(getattr(row, _of(part, "head"))) if part in _BOUND else b""
        bound, _ = binding.split(head)
        if size != plain_size(length - (binding.HEAD if bound is not None else 0)):
            yield f"the vault says that its {part} has {size} bytes; what is sealed has others"
        if bound is None:
            continue
        if part == "answer":
            if row.outcome_leaf is not None and bound != bytes(row.outcome_leaf):
                yield "its answer was sealed with another outcome than the log has"
        elif part == "canonical" and row.feed_event is not None:
            if bound != binding.of_event(row.feed_contract, row.feed_event):
                yield "its event in the feed is not the one that its message was sealed with"
        elif bound != binding.of_transfer(bytes(row.intent_leaf), row):
            yield f"its row (received, payload_digest or another column that never changes) or its intent in the log is not what its {part} was sealed with"


def _kept(name: str, row: Row[Any], intent: Entry, outcome: Entry | None, contract: Contract | None, terms: Terms) -> Iterator[str]:
    """Each part that its contract has kept stands in the vault, or is gone with its key."""
    if contract is None or row.operation not in contract.operations:
        return
    pattern = contract.operations[row.operation].pattern
    keep, parts = keeping(contract.evidence, contract.retention_months, pattern), ["request"]
    parts += ["canonical"] if pattern is not Pattern.QUERY else []
    parts += [SALT_PART] if keep.of(SALT_PART) != keep.rest else []
    told = outcome or {}
    parts += [part for part, digest in (("answer", "out"), ("forwarded", "sent"), ("provider-answer", "back")) if digest in told]
    for part in parts:
        if keep.of(part) in (None, OPEN):
            continue
        if (key := getattr(row, _of(part, "key_id"))) is None:
            yield f"its contract keeps its {part}, and the vault has none"
            continue
        yield from _under(part, key, str(keep.of(part)), row.committed)
        if not getattr(row, _of(part, "length")):
            terms.removed.append((f"{name}: its {part}", key))


def _under(part: str, key: str, wanted: str, committed: float) -> Iterator[str]:
    """The key says when the body goes: its class is the contract's, its day is not before that of the transfer, but for clocks that differ."""
    name = KeyName.of(key)
    if name is None or name.retention not in (wanted, BEFORE):
        yield f"its contract keeps its {part} under a key of the class {wanted}, and it is under {key}"
    elif name.day < datetime.fromtimestamp(committed - _CLOCKS, UTC).date():
        yield f"its {part} is under {key}, a key of a day before it was committed"
