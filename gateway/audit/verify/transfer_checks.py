"""Compares a transfer's row, event, queue place and vault parts with its entries in the log and its contract.

No body is opened, and no key is needed: bodies carry their binding in the clear (`gateway.vault.binding`). An attacker
who changes a binding to fit has a body that does not open, which is reported when it is read. Parts that are gone are
an error only if their key was not destroyed.

Invariant: the statement that reads the transfer reads all that is compared.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select

from contracts.base.errors import Failure
from contracts.base.times import rfc3339
from contracts.canonical.model import Kind, Pattern
from contracts.compiled.contract import terms_of
from contracts.folder.bundle import Bundle
from gateway.journal.schema import tables
from gateway.transfer.states import State
from gateway.transfer.transfer_records import ENDS, EndFacts, end_event, event_type, fed_of, has_answer
from gateway.vault import attachments, binding
from gateway.vault.classes import BEFORE, OPEN, SALT_PART, SHORT, Keeping, KeyName, keeping
from gateway.vault.errors import TRANSFER_TAMPERED
from security.seal import plain_size

ENDED: Final = frozenset({"accepted", "answered", "failed", "dead"})
_DAY: Final = 86_400.0
_EPOCH: Final = date(1970, 1, 1).toordinal()
# Sealed when the transfer is committed; the other parts when it ends.
_AT_FIRST: Final = frozenset({"request", "canonical", SALT_PART})
_CLOCKS: Final = 3600.0  # by which clocks of different machines may differ
LONGEST: Final = 300.0 + _CLOCKS  # no message waits longer for its next try (`delivery.policy`)
_PARTS: Final = ("request", "canonical", "answer", SALT_PART, "forwarded", "provider-answer", binding.EVENT_PART)
_BOUND: Final = ("request", "canonical", "answer", binding.EVENT_PART)
_DIGESTS: Final = (("answer", "out"), ("forwarded", "sent"), ("provider-answer", "back"))
Entry = Mapping[str, Any]
Find = Callable[[str], object]
_decode: Final = json.JSONDecoder().decode


@dataclass(frozen=True, slots=True)
class Term:
    """The contract's rules for one of its operations."""

    namespace: str
    pattern: str
    idempotent: bool
    keep: Keeping
    in_feed: bool = False  # its end is an event of the feed
    key: str | None = None  # the field that names the event
    ordered: bool = False  # a message that cannot be delivered is held for a person

    def kept(self, outcome: Entry) -> Iterator[str]:
        """The parts that are kept after the end of a transfer with that outcome (empty: none yet)."""
        parts = ["request"] if self.pattern == Pattern.QUERY else ["request", "canonical"]
        if SALT_PART in self.keep.named:
            parts.append(SALT_PART)
        parts += [part for part, digest in _DIGESTS if digest in outcome]
        if self.in_feed and outcome and outcome.get("failure") != TRANSFER_TAMPERED.code:
            parts.append(binding.EVENT_PART)
        return (part for part in parts if self.keep.of(part) not in (None, OPEN))


@dataclass(slots=True)
class Terms:
    """The contracts' rules, by digest of their bundles.

    `removed` are parts gone from the vault, with their keys, which `end` checks. `keys` are the new business keys by
    outcomes in the log, by contract.
    """

    connection: Connection
    now: float = field(default_factory=time.time)  # Unix seconds
    removed: list[tuple[str, str]] = field(default_factory=list)  # (what, key id)
    keys: Counter[str] = field(default_factory=Counter)
    _known: dict[str, Mapping[str, Term]] = field(default_factory=dict)

    def of(self, digest: str, operation: str) -> Term | None:
        """None if the bundle is missing, differs from its digest, or has no such operation."""
        terms = self._known.get(digest)
        if terms is None:
            content = self.connection.scalar(select(tables.bundle.c.content).where(tables.bundle.c.digest == digest))
            terms = self._known[digest] = _terms(content, digest) if content is not None else {}
        return terms.get(operation)

    def doubts(self, transfer: str) -> set[str]:
        """The reasons of doubt of a transfer in the log; there may be newer ones than when its row was read."""
        reasons = {"transfer.in-doubt"}
        for table in tables.LOGS:
            in_doubt = or_(table.c.phase == "in-doubt", table.c.phase.like("in-doubt#%"))
            for entry in self.connection.scalars(select(table.c.entry).where(table.c.transfer == transfer, in_doubt)):
                value = json.loads(bytes(entry))
                reasons.add(str(value.get("reason")))
        return reasons

    def lists_contents(self, transfer: str) -> bool:
        """Whether the vault has, or had until its retention ended, the list of the transfer's large contents."""
        id = f"{transfer}/{attachments.PART}"
        return self.connection.scalar(select(tables.vault.c.id).where(tables.vault.c.id == id)) is not None

    def end(self) -> Iterator[str]:
        """Parts that are gone although their key was not destroyed.

        Called last, as the note of a destroyed key precedes the removal of its bodies.
        """
        destroyed = set(self.connection.scalars(select(tables.vault_destroyed.c.key_id)))
        yield from (
            f"{what} is gone from the vault, and its key {key} was not destroyed"
            for what, key in self.removed
            if key not in destroyed
        )


def _terms(content: bytes, digest: str) -> Mapping[str, Term]:
    try:
        bundle = Bundle.from_bytes(content)
        contract = terms_of(bundle) if bundle.digest == digest else None
    except (Failure, ValueError):
        contract = None
    if contract is None:
        return {}
    return {
        each.name: Term(
            contract.namespace,
            each.pattern.value,
            each.idempotent and each.pattern is Pattern.DISPATCH,
            keeping(contract.evidence, contract.retention_months, each.pattern),
            each.in_feed,
            each.key,
            bool(each.order),
        )
        for each in contract.operations.values()
    }


def joined(transfer: Any, source: Any) -> tuple[Any, list[ColumnElement[Any]]]:
    """Adds to the statement of the transfers the columns that are compared here: event, queue, parts of the vault."""
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


_part: Final = {part: attrgetter(*(_of(part, name) for name in ("key_id", "size", "length"))) for part in _PARTS}
_lengths: Final = attrgetter(*(_of(part, "length") for part in _PARTS))
_head: Final = {part: attrgetter(_of(part, "head")) for part in _BOUND}
_queued: Final = attrgetter("queue_provider", "queue_body_ref", "queue_next_at")
_fed: Final = attrgetter("feed_event", "feed_body_ref", "feed_contract")
_ended: Final = attrgetter("state", "answer_ref", "pattern", "idempotent")
_timed: Final = attrgetter("received", "committed", "finished")


def judge(name: str, row: Row[Any], intent: Entry, outcome: Entry | None, terms: Terms, find: Find) -> None:
    """Passes each finding to `find`, as a text that begins with `name`."""
    id, term = row.id, terms.of(row.bundle, row.operation)
    body = f"{id}/canonical"
    event = _fed(row)
    for texts in (
        _row(id, _ended(row), intent, outcome, term),
        _times(id, _timed(row), intent, outcome),
        _open(row, terms) if row.state not in ENDED else (),
        _queue(row, body, term, terms.now) if row.queue_provider is not None else (),
        _end_event(row, event, term, outcome or {})
        if row.pattern == Pattern.DISPATCH
        else _event(id, event, body, intent, term)
        if event[0] is not None
        else (),
        _sealed(row, event),
        _kept(name, row, outcome or {}, term, terms) if term is not None else (),
        _contents(row, intent, terms),
    ):
        for text in texts:
            find(f"{name}: {text}")


def _row(id: str, stored: tuple[Any, ...], intent: Entry, outcome: Entry | None, term: Term | None) -> Iterator[str]:
    state, answer_ref, pattern, idempotent = stored
    if outcome is not None and outcome.get("provider") != intent.get("provider"):
        yield (
            f"its outcome in the log names the provider {outcome.get('provider')}, its intent {intent.get('provider')}"
        )
    answer = f"{id}/answer" if has_answer(state, pattern) else None
    if answer_ref != answer:
        yield f"its row refers to {answer_ref} for its answer, which is {answer}"
    if term is None:
        return
    if pattern != term.pattern:
        yield f"its row says that it is a {pattern}, its contract that it is a {term.pattern}"
    if bool(idempotent) != term.idempotent:
        yield f"its row says idempotent {bool(idempotent)}, its contract {term.idempotent}"


def _open(row: Row[Any], terms: Terms) -> Iterator[str]:
    """Checks a transfer that has not ended: it has no result, and one in doubt has a reason from the log."""
    if row.receipt is not None:
        yield "it has not ended, and its row has a receipt"
    if row.state != "in-doubt":
        for what, stored in (("status", row.status), ("failure", row.failure)):
            if stored is not None:
                yield f"it has not ended, and its row says {what} {stored}"
    elif row.failure not in terms.doubts(row.id):
        yield f"its row says failure {row.failure}, which the log gives for no doubt of it"


def _times(id: str, stored: tuple[Any, ...], intent: Entry, outcome: Entry | None) -> Iterator[str]:
    received, committed, finished = stored
    if (at := rfc3339(committed)) != intent.get("at"):
        yield f"its row says that it was committed at {at}, its intent in the log {intent.get('at')}"
    if outcome is None:
        if finished is not None:
            yield f"its row says that it was finished at {rfc3339(finished)}, and the log has no outcome of it"
    elif finished is None or rfc3339(finished) != outcome.get("at"):
        at = finished and rfc3339(finished)
        yield f"its row says that it was finished at {at}, its outcome in the log {outcome.get('at')}"
    # The id of a transfer bears the time of its receipt. A file gets its id before its lines are read.
    if int(received * 1000) != (millis := _millis(id)) and intent.get("door") != "files":
        yield f"its row says that it was received at {rfc3339(received)}, its id {rfc3339(millis / 1000)}"


def _millis(id: str) -> int:
    """The time in a UUIDv7, in milliseconds (RFC 9562 §5.7); -1 for another text."""
    try:
        return int(id[:8] + id[9:13], 16)
    except ValueError:
        return -1


def _queue(row: Row[Any], body: str, term: Term | None, now: float) -> Iterator[str]:
    provider, body_ref, next_at = _queued(row)
    if provider != row.provider:
        yield f"the queue says that it is for {provider}, its row {row.provider}"
    if body_ref != body:
        yield f"the queue refers to {body_ref} for its body"
    if row.in_queue == "waiting" and not row.committed - _DAY <= next_at <= max(now, row.committed) + LONGEST:
        yield f"the queue says that it is sent at {rfc3339(next_at)}, which no message waits for"
    if row.in_queue == "held" and term is not None and not term.ordered:
        yield "the queue holds it for a person, and its contract asks for no order"


def _event(id: str, stored: tuple[Any, ...], body: str, intent: Entry, term: Term | None) -> Iterator[str]:
    text, body_ref, _ = stored
    if body_ref != body:
        yield f"its event in the feed refers to {body_ref} for its body"
    try:
        event = _decode(text)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        yield "its event in the feed is none"
        return
    caller = intent.get("caller", {})
    for what, expected in (
        ("id", id),
        ("source", f"urn:lgsp:system:{caller.get('system')}"),
        ("specversion", "1.0"),
        ("datacontenttype", "application/json"),
        ("time", intent.get("at")),
        ("lgspagency", caller.get("agency")),
        ("lgspbundle", intent.get("bundle")),
    ):
        if event.get(what) != expected:
            yield f"its event in the feed says {what} {event.get(what)}, which is {expected}"
    if term is not None and event.get("type") not in (types := _types(term, str(intent.get("operation")))):
        yield f"its event in the feed says type {event.get('type')}, which is {types[0]}"


def _end_event(row: Row[Any], stored: tuple[Any, ...], term: Term | None, outcome: Entry) -> Iterator[str]:
    """A dispatched transfer has its event once it has ended, if its contract says so, and was not altered."""
    wanted = term is not None and term.in_feed and row.state in ENDS and row.failure != TRANSFER_TAMPERED.code
    text, body_ref, contract = stored
    if text is None:
        if wanted:
            yield "it has ended, and its event stands in no feed"
        return
    if not wanted:
        if term is not None:
            yield "it has an event in a feed, which its contract does not give it"
        return
    # Only the sealed answer has the subject; the event's own binding covers it. What a person settled has no answer.
    answered = row.state == State.ANSWERED.value and "out" in outcome
    named = term is not None and term.key is not None and answered
    told = EndFacts.of(_object(text), named=named)
    made = end_event(row.id, fed_of(row, None), row.state, row.failure, row.finished or 0.0, told)
    if body_ref != made.body_ref:
        yield f"its event in the feed refers to {body_ref} for its body"
    if (contract, text) != (made.contract, made.event):
        yield f"its event in the feed is not the one of its end, which is {made.event}"


def _object(event: str) -> Mapping[str, Any]:
    try:
        value = _decode(event)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _types(term: Term, operation: str) -> list[str]:
    """The types that an event of this operation may have; its body is sealed with the one that it has."""
    return [event_type(term.namespace, operation, kind) for kind in Kind]


def _sealed(row: Row[Any], event: tuple[Any, ...]) -> Iterator[str]:
    """Compares the binding and the length of each part."""
    dispatched = row.pattern == Pattern.DISPATCH
    for part, length in zip(_PARTS, _lengths(row), strict=True):
        if not length:
            continue
        bound = binding.split(bytes(_head[part](row)))[0] if part in _BOUND else None
        size = _part[part](row)[1]
        if size != plain_size(length if bound is None else length - binding.HEAD):
            yield f"the vault says that its {part} has {size} bytes; what is sealed has others"
        if bound is None:
            continue
        if part == "answer":
            if row.outcome_leaf is not None and bound != bytes(row.outcome_leaf):
                yield "its answer was sealed with another outcome than the log has"
        elif part == binding.EVENT_PART or part == "canonical" and event[0] is not None and not dispatched:
            if event[0] is not None and bound != binding.of_event(event[2], event[0]):
                yield "its event in the feed is not the one that its message was sealed with"
        elif bound != binding.of_transfer(bytes(row.intent_leaf), row):
            yield (
                "its row (received, payload_digest or another column that never changes) or its intent in the log"
                f" is not what its {part} was sealed with"
            )


def _contents(row: Row[Any], intent: Entry, terms: Terms) -> Iterator[str]:
    """A request that is shorter than the log says has its large contents beside it."""
    told = intent.get("in")
    size = told.get("size") if isinstance(told, dict) else None
    if isinstance(size, int) and row.request_size is not None and size > row.request_size:
        if not terms.lists_contents(row.id):
            yield "its request had large contents, and the vault has no list of them"


def _kept(name: str, row: Row[Any], outcome: Entry, term: Term, terms: Terms) -> Iterator[str]:
    """Each part that the contract keeps is in the vault, or gone with its key."""
    for part in term.kept(outcome):
        key, _, length = _part[part](row)
        if key is None:
            yield f"its contract keeps its {part}, and the vault has none"
            continue
        day, retention = _key(key)
        at = row.committed if part in _AT_FIRST or row.finished is None else row.finished
        # A part of short retention that is needed for longer gets the key of a later day; a part on hold keeps its day.
        moved = retention in (SHORT, OPEN) and day >= at // _DAY
        if retention not in (term.keep.of(part), BEFORE) or day != at // _DAY and not moved:
            yield f"the vault says that its {part} is under the key {key}, which is of another day or class"
        if not length:
            terms.removed.append((f"{name}: its {part}", key))


@lru_cache(maxsize=4096)
def _key(key_id: str) -> tuple[int, str]:
    """The day of a key, in days since 1970, and its class; (-1, "") for another text."""
    name = KeyName.of(key_id)
    return (-1, "") if name is None else (name.day.toordinal() - _EPOCH, name.retention)
