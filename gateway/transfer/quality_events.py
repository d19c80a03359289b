"""Makes the events of the feed `quality-event/v1` from entries of the log.

    refused      a refusal of a message by rules of its contract: the entry has findings
    bad-answer   a try whose answer could not be used: the entry says so by its code

An event follows from one entry, and of a bad answer from the intent of its transfer too; its id as well. So it is the
same however often it is made, and `audit verify` makes it anew and compares.
Invariant: of a finding only the rule and the paths are told, as the log keeps them (`kept_findings`). No value of a
  message comes into an event.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from contracts.base.ids import derived_id
from contracts.base.times import moment
from contracts.compiled.contract import CompiledContract
from gateway.registry.own_feed import QUALITY
from gateway.transfer.entries import TRY_FAILED
from gateway.transfer.transfer_records import NONE, facts_of

OPERATION: Final = "recordEvent"
POSITION: Final = "feed.quality"  # in `instance`: how far the log was followed (`Position`)
SOURCE: Final = "urn:lgsp:gateway"
BAD_ANSWERS: Final = frozenset({"provider.bad-answer", "provider.bad-signature", "provider.answer-too-large"})
REFUSAL: Final = "refusal"
TRIES: Final = (TRY_FAILED, "queued")
TYPE: Final = f"urn:lgsp:contract:{QUALITY.replace('/', ':')}:{OPERATION}"
_TOLD: Final = ("lgspbundle", "lgspcompleteness", "lgspage")
Entry = Mapping[str, Any]


class Position(NamedTuple):
    """How far a log was followed: from the entry `begin` to before `next`. `leaf`: of the entry before `next`, in hex;
    it tells a log that was begun anew.
    """

    begin: int
    next: int
    leaf: str

    @classmethod
    def of(cls, text: str) -> Position:
        begin, next, leaf = text.split(" ")
        return cls(int(begin), int(next), leaf)

    @property
    def text(self) -> str:
        return f"{self.begin} {self.next} {self.leaf}"


class Made(NamedTuple):
    """An event. `text`: its attributes as the feed keeps them."""

    id: str
    text: str
    message: Mapping[str, Any]


def may_concern(phase: str) -> bool:
    """Whether an event can follow from an entry of this phase: of others the bytes need not be read."""
    return phase == REFUSAL or phase.partition("#")[0] in TRIES


def concerns(phase: str, entry: Entry) -> bool:
    """Whether an event follows from this entry."""
    if not isinstance(entry.get("transfer"), str) or moment(entry.get("at")) is None:
        return False
    if phase == REFUSAL:
        return bool(entry.get("findings")) and isinstance(entry.get("contract"), str)
    return phase.partition("#")[0] in TRIES and _facts(entry).get("failure") in BAD_ANSWERS


def message_of(phase: str, entry: Entry, intent: Entry) -> dict[str, Any]:
    """The message. `intent`: the entry of the transfer's intent; empty for a refusal."""
    message = {"transfer": entry["transfer"], "time": entry["at"]}
    if phase == REFUSAL:
        caller, told, about = entry.get("caller") or {}, entry, entry
        message |= {"kind": "refused", "agency": caller.get("agency"), "system": caller.get("system")}
    else:
        caller, told, about = intent.get("caller") or {}, _facts(entry), intent
        message |= {"kind": "bad-answer", "agency": intent.get("provider_agency"), "system": told.get("provider")}
        message["caller"] = caller.get("system")
    message |= {"contract": about.get("contract"), "operation": about.get("operation"), "failure": told.get("failure")}
    message |= {"count": entry.get("count"), "findings": list(_findings(told)), "more": told.get("more")}
    return {name: value for name, value in message.items() if value}


def made(phase: str, entry: Entry, intent: Entry, contract: CompiledContract) -> Made:
    """The event of an entry that one follows from, by the contract in force."""
    message = message_of(phase, entry, intent)
    operation = contract.contract.operations[OPERATION]
    facts = facts_of(contract, operation, message, moment(entry["at"]) or 0.0)
    return _made(phase, message, {"lgspbundle": contract.digest, **facts})


def made_again(phase: str, entry: Entry, intent: Entry, event: Mapping[str, Any]) -> Made:
    """The same to compare with an event: what depends on the contract is as that event tells it."""
    return _made(phase, message_of(phase, entry, intent), {name: str(event.get(name)) for name in _TOLD})


def id_of(phase: str, entry: Entry) -> str:
    """The id of the event of an entry."""
    at = moment(entry["at"]) or 0.0
    return derived_id(f"{QUALITY}\n{entry['transfer']}\n{phase}", int(at * 1000))


def _made(phase: str, message: Mapping[str, Any], told: Mapping[str, str]) -> Made:
    id = id_of(phase, {"transfer": message["transfer"], "at": message["time"]})
    event = {
        "specversion": "1.0",
        "id": id,
        "source": SOURCE,
        "type": TYPE,
        "time": message["time"],
        "datacontenttype": "application/json",
        "lgspagency": message.get("agency", ""),
        "lgspformat": "canonical",
        **told,
        "lgspfailedrules": NONE,  # of the event itself
        "subject": message["transfer"],
    }
    return Made(id, json.dumps(event, ensure_ascii=False, separators=(",", ":")), message)


def _findings(told: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for each in told.get("findings") or ():
        yield {name: each[name] for name in ("rule", "here", "canonical") if each.get(name)}


def _facts(entry: Entry) -> Mapping[str, Any]:
    facts = entry.get("facts")
    return facts if isinstance(facts, dict) else {}
