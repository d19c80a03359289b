"""Builds the records of a transfer: row, canonical bodies, feed event, receipt."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from contracts.base.errors import Failure
from contracts.base.ids import derived_id
from contracts.base.times import moment, rfc3339
from contracts.canonical.model import Kind, Operation, Pattern
from contracts.compiled.contract import CompiledContract
from contracts.compiled.event_facts import UNKNOWN, age, counted, expires
from contracts.compiled.identity import key_from, subject_of
from contracts.wire.jsontext import read_json
from gateway.journal.write import FeedRow, TransferRow
from gateway.registry.records import System
from gateway.transfer.kept_findings import rule_of
from gateway.transfer.stages import Decoded, Fed, Message, Receipt, Requested
from gateway.transfer.states import Event, State, after

MOST_REPLACED: Final = 20  # ids in an event
# How a dispatched transfer ended, as the type of its event says.
EXPIRED: Final = "expired"  # the end of a content's validity, as the type of its event says
NONE: Final = "none"
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
NOT_READ: Final = {"lgspcompleteness": UNKNOWN, "lgspage": UNKNOWN}  # of a request that was not opened
_FACTS: Final = tuple(NOT_READ)
_OF_EXPIRED: Final = frozenset(
    "specversion source datacontenttype lgspagency lgspformat lgspbundle lgspcompleteness lgspage lgspfailedrules"
    " lgspexpires subject".split()
)
ENDS: Final = {
    State.ANSWERED.value: "handled",
    State.FAILED.value: "refused",
    State.DEAD.value: "undelivered",
    State.ACCEPTED.value: "accepted",  # no system gets it: its agency handles it on its page
}


def row_of(decoded: Decoded, provider: System | None, now: float, process: str, event: Event) -> TransferRow:
    """The row of a new transfer."""
    requested = decoded.requested
    assert decoded.authorised.decision.grant is not None
    return TransferRow(
        id=requested.received.transfer,
        state=after(None, event).value,
        pattern=requested.operation.pattern.value,
        caller_system=requested.caller.id,
        caller_agency=requested.caller.agency,
        contract=requested.contract.contract.name,
        bundle=requested.contract.digest,
        operation=requested.operation.name,
        message_id=requested.message_id,
        payload_digest=requested.authenticated.payload_digest,
        grant_id=decoded.authorised.decision.grant.id,
        provider=provider.id if provider is not None else None,
        process=process,
        idempotent=requested.operation.idempotent and requested.operation.pattern is Pattern.DISPATCH,
        received=requested.received.at,
        committed=now,
    )


def has_answer(state: str, pattern: str) -> bool:
    """Whether a transfer in this state has an answer. A dispatched message that no system gets has none."""
    return state == State.ANSWERED or state == State.ACCEPTED and pattern == Pattern.SUBMIT


def canonical(requested: Requested, message: Message) -> bytes:
    """The request as canonical JSON."""
    return requested.contract.codec("canonical").write_json(requested.request, message)


def canonical_answer(requested: Requested, answer: Message) -> bytes:
    """The answer as canonical JSON."""
    return requested.contract.codec("canonical").write_json(requested.operation.answer, answer)


def event_type(namespace: str, operation: str, kind: Kind) -> str:
    """The type of an event. A message that only states something keeps the type that names its operation alone."""
    return f"{namespace}:{operation}" if kind is Kind.SUBMITTED else f"{namespace}:{operation}:{kind.value}"


def ending_of(type: str) -> str | None:
    """The same as `end_of`, and `expired` for the event of an end of validity."""
    return EXPIRED if type.endswith(f":{EXPIRED}") else end_of(type)


def operation_of(namespace: str, type: str) -> str:
    """The operation that the type of an event names; empty for a type of another contract."""
    return type.removeprefix(f"{namespace}:").partition(":")[0] if type.startswith(f"{namespace}:") else ""


def end_of(type: str) -> str | None:
    """How the dispatched transfer ended that an event of this type tells of; None for a submission's event."""
    end = type.rpartition(":")[2]
    return end if end in ENDS.values() else None


def event(decoded: Decoded, now: float, kind: Kind, replaces: Collection[str]) -> str:
    """The CloudEvents 1.0 attributes of a submitted message. Readers add its data from the vault. `replaces`: the
    transfers whose content it corrects or recalls.
    """
    requested = decoded.requested
    event = {
        "specversion": "1.0",
        "id": requested.received.transfer,
        "source": f"urn:lgsp:system:{requested.caller.id}",
        "type": event_type(requested.contract.namespace, requested.operation.name, kind),
        "time": rfc3339(now),
        "datacontenttype": "application/json",
        "lgspagency": requested.caller.agency,
        "lgspformat": requested.format,
        "lgspbundle": requested.contract.digest,
        **facts_of(requested.contract, requested.operation, decoded.message, now + requested.received.ahead),
        "lgspfailedrules": NONE,  # a message that breaks a rule is not accepted
    }
    operation = requested.operation
    if (until := expires(operation, decoded.message)) is not None:
        event["lgspexpires"] = rfc3339(until)
    key = decoded.message.get(operation.key) if operation.key else None
    if operation.identity is not None:
        event["subject"] = subject_of(operation.identity, decoded.message)
    elif isinstance(key, str):
        event["subject"] = key
    if replaces:
        event["lgspreplaces"] = " ".join(sorted(replaces)[-MOST_REPLACED:])
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def facts_of(contract: CompiledContract, operation: Operation, message: Message, at: float) -> dict[str, str]:
    """How complete a request is, and how old its content was when it was taken in."""
    complete = counted(contract, operation.request).of(message)
    return {"lgspcompleteness": complete, "lgspage": age(operation, message, at)}


def expired_event(event: Mapping[str, Any]) -> tuple[str, str]:
    """The id and the JSON text of the event that tells of the end of this one's content. It says nothing that this one
    does not, so whoever has both can compare them.
    """
    until = moment(event.get("lgspexpires")) or 0.0
    id = derived_id(f"{EXPIRED}\n{event['id']}", int(until * 1000))
    kept = {name: value for name, value in event.items() if name in _OF_EXPIRED}
    type = ":".join([*event["type"].split(":")[:5], EXPIRED])
    ended = kept | {"id": id, "type": type, "time": event["lgspexpires"], "lgspreplaces": event["id"]}
    return id, json.dumps(ended, ensure_ascii=False, separators=(",", ":"))


def fed(operation: Operation, row: object) -> Fed | None:
    """`row` has the columns of `transfer` as attributes. None if the operation has no events of this kind."""
    return fed_of(row, operation.key) if operation.in_feed else None


def fed_of(row: object, key: str | None) -> Fed:
    return Fed(*(getattr(row, name) for name in Fed._fields[:-2]))._replace(key=key)


def failed_rules(failure: str | None, call: object) -> str:
    """The kinds of rules that the provider's answer broke, as words. UNKNOWN if what failed is not at hand."""
    if failure is None:
        return NONE
    if not isinstance(call, Failure):
        return UNKNOWN
    return " ".join(sorted({rule_of(each) for each in call.findings})) or NONE


def end_subject(of: Fed, answer: bytes | None) -> str | None:
    """The subject of the event, by the canonical answer. None without an answer, or without a key."""
    return key_from(read_json(answer), (of.key,)) if of.key is not None and answer is not None else None


class EndFacts(NamedTuple):
    """What the event of an end tells that its transfer's row does not; its own binding covers it."""

    subject: str | None = None
    facts: Mapping[str, str] = NOTHING  # those of the request
    rules: str | None = None

    @classmethod
    def of(cls, event: Mapping[str, Any], *, named: bool) -> EndFacts:
        """As an event tells them; the subject only if its contract names it."""
        facts = {name: str(event[name]) for name in _FACTS if name in event}
        rules = event.get("lgspfailedrules")
        return cls(str(event.get("subject")) if named else None, facts, None if rules is None else str(rules))


def end_event(transfer: str, of: Fed, state: str, failure: str | None, at: float, told: EndFacts) -> FeedRow:
    """The event of a dispatched transfer that has ended. But for `told` it says nothing that its row does not:
    `audit verify` makes it anew and compares.
    """
    event = {
        "specversion": "1.0",
        "id": transfer,
        "source": f"urn:lgsp:system:{of.caller_system}",
        "type": f"urn:lgsp:contract:{of.contract.replace('/', ':')}:{of.operation}:{ENDS[state]}",
        "time": rfc3339(at),
        "datacontenttype": "application/json",
        "lgspagency": of.caller_agency,
        "lgspbundle": of.bundle,
        **told.facts,
        "lgspfailedrules": told.rules,
        "lgspprovider": of.provider,
        "lgspfailure": failure,
        "subject": told.subject,
    }
    known = {name: value for name, value in event.items() if value is not None}
    return FeedRow(
        of.contract, transfer, json.dumps(known, ensure_ascii=False, separators=(",", ":")), f"{transfer}/canonical"
    )


def receipt_text(receipt: Receipt) -> str:
    """The leaves of a receipt as stored in the transfer's row."""
    leaves = {"intent": receipt.intent, "outcome": receipt.outcome}
    return json.dumps({name: base64.b64encode(leaf).decode() for name, leaf in leaves.items() if leaf is not None})


def receipt_of(transfer: str, text: object) -> Receipt:
    """The reverse of `receipt_text`. A transfer without an outcome has no leaves."""
    leaves = json.loads(str(text)) if text else {}
    return Receipt(transfer, **{name: base64.b64decode(leaf) for name, leaf in leaves.items()})
