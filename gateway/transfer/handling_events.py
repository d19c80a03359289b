"""Makes rows and events of handlings from entries of the log: each step of a handling is one entry (`NOTE`).

The facts of an entry say all that a step decided, also the deadlines that run from then on. So the rows of `handling`
and `handling_step`, and the events of the feed `handling/v1`, are the same however often they are made, and `audit
verify` makes them anew and compares.
Invariant: what somebody writes as a reason stands in the sealed body of the event alone. Entry and row have its keyed
  hash.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from contracts.base.ids import derived_id
from contracts.base.times import moment, rfc3339
from contracts.canonical.model import Kind
from gateway.journal.write import Handled, HandlingRow, HandlingStep
from gateway.registry.own_feed import HANDLING
from gateway.transfer.states import State
from gateway.transfer.transfer_records import ENDS, EXPIRED, NONE, ending_of

NOTE: Final = "handling"  # of a step
NONE_NOTE: Final = "handling-none"  # a message that nobody handles, and why
OPERATION: Final = "recordStep"
OPENED: Final = "workflow.opened"  # in `instance`, with a contract: operation, and offset up to which it was followed
OPEN: Final = "@open"
UPDATE: Final = "@update"
FAR: Final = 9_999_999_999  # seconds: no deadline
SOURCE: Final = "urn:lgsp:gateway"
TYPE: Final = f"urn:lgsp:contract:{HANDLING.replace('/', ':')}:{OPERATION}"
TOLD: Final = ("lgspbundle", "lgspcompleteness", "lgspage")  # of an event: what depends on the contract of the feed
UNLOGGED: Final = ("seal", "next_at", "told")  # columns of `handling` that follow from no entry
_KINDS: Final = frozenset({Kind.CORRECTED, Kind.RECALLED, Kind.RESPONDED})
_COPIED: Final = ("contract", "operation", "transfer", "message", "sender_agency", "sender_system", "kind", "area")
HashId = Callable[[str], str]
Entry = Mapping[str, Any]


class Event(NamedTuple):
    """`text`: its attributes as the feed keeps them."""

    id: str
    text: str


def doing(type: str, operation: str) -> Kind | None:
    """What a message does whose event in the feed has this type; None if no handling follows from it: it is of another
    operation, its sender was told that it failed, or its content has ended.
    """
    _, found, rest = type.partition(f":{operation}")
    if not found or rest.partition(":")[0] or ending_of(type) in (EXPIRED, ENDS[State.FAILED.value]):
        return None
    kind = rest[1:]
    return Kind(kind) if kind in _KINDS else Kind.SUBMITTED


def phase_of(number: int) -> str:
    """The phase of the entry of a step."""
    return NOTE if number == 1 else f"{NOTE}#{number}"


def number_of(phase: str) -> int | None:
    """The reverse; None for another phase."""
    what, _, number = phase.partition("#")
    return None if what != NOTE else int(number) if number.isdecimal() else 1


def id_of(transfer: str, agency: str, at: float) -> str:
    """The id of the handling of a message, as it is first opened for an agency."""
    return derived_id(f"{HANDLING}\n{transfer}\n{agency}", int(at * 1000))


def event_id(handling: str, number: int, at: float) -> str:
    """The id of the event of a step, which was taken at that time."""
    return derived_id(f"{HANDLING}\n{handling}\n{number}", int(at * 1000))


def after(before: HandlingRow | None, entry: Entry) -> Handled:
    """The handling after the step of an entry, without what follows from none (`UNLOGGED`). `before` is None if it was
    opened by it.
    """
    facts, at = entry["facts"], moment(entry["at"]) or 0.0
    due, whole = facts.get("due"), facts.get("whole_due")
    nearest = min(each for each in (due, whole, FAR) if each is not None)
    changed: dict[str, Any] = {
        **{name: facts.get(name) for name in ("agency", "system", "state", "ended")},
        "due": due,
        "whole_due": whole,
        "nearest": nearest,
        "version": facts["number"],
        "seal": "",
    }
    if before is None:
        told = {name: facts[name] for name in (*_COPIED, "bundle")}
        watched: dict[str, Any] = {"next_at": nearest, "told": 0}
        row = HandlingRow(id=entry["transfer"], **told, **changed, **watched, opened=at, entered=at, merged_into=None)
    elif facts["step"] == UPDATE:
        row = before._replace(**changed)
    else:
        changed |= {"next_at": nearest, "told": 0, "entered": at, "merged_into": facts.get("merged_into")}
        row = before._replace(**changed)
    step = HandlingStep(
        handling=row.id,
        number=row.version,
        step=facts["step"],
        source=facts.get("source", ""),
        target=row.state,
        party=facts["party"],
        agency=facts.get("by", ""),
        actor=str(entry["actor"]),
        reason=facts.get("reason"),
        at=at,
        transfer=facts.get("report"),
    )
    return Handled(row, step)


def folded(entries: Iterable[Entry]) -> list[Handled]:
    """The handling after each of its steps, by their entries in order."""
    handled: list[Handled] = []
    for entry in entries:
        handled.append(after(handled[-1].row if handled else None, entry))
    return handled


def message_of(entry: Entry, handled: Handled, reason: str | None = None) -> dict[str, Any]:
    """The message of the event of a step. `reason` is its text."""
    facts, row, step = entry["facts"], handled.row, handled.step
    message: dict[str, Any] = {
        "handling": row.id,
        "number": row.version,
        "step": step.step,
        "from": step.source,
        "state": row.state,
        "shown": facts["shown"],
        "ended": row.ended,
        "party": step.party,
        "by": step.agency,
        "reason": reason,
        "time": entry["at"],
        "contract": row.contract,
        "operation": row.operation,
        "transfer": row.transfer,
        "report": step.transfer,
        "agency": row.agency,
        "system": row.system,
        "sender_agency": row.sender_agency,
        "sender_system": row.sender_system,
        "kind": row.kind,
        "area": row.area,
        "due": _time(row.due),
        "whole_due": _time(row.whole_due),
        "merged_into": row.merged_into,
    }
    return {name: value for name, value in message.items() if value is not None and value != ""}


def event_of(entry: Entry, handled: Handled, told: Mapping[str, str]) -> Event:
    """The event of a step. `told`: the attributes of `TOLD`."""
    row = handled.row
    id = event_id(row.id, row.version, handled.step.at)
    event = {
        "specversion": "1.0",
        "id": id,
        "source": SOURCE,
        "type": TYPE,
        "time": entry["at"],
        "datacontenttype": "application/json",
        "lgspagency": handled.step.agency or row.agency,
        "lgspformat": "canonical",
        **{name: told[name] for name in TOLD},
        "lgspfailedrules": NONE,
        "subject": row.id,
    }
    return Event(id, json.dumps(event, ensure_ascii=False, separators=(",", ":")))


def told_by(event: Mapping[str, Any]) -> dict[str, str]:
    """What an event tells that depends on the contract of the feed."""
    return {name: str(event.get(name)) for name in TOLD}


def seal_of(row: HandlingRow, hash_id: HashId) -> str:
    """The keyed hash of a row, also of what follows from no entry: when its deadlines are told next, and what was."""
    values = [value for name, value in row._asdict().items() if name != "seal"]
    return hash_id("handling row\n" + json.dumps(values))


def differing(row: HandlingRow, stored: Sequence[Any]) -> list[str]:
    """The columns that follow from the log and are not as they must be. `stored` has the fields of a `HandlingRow`."""
    pairs = zip(HandlingRow._fields, row, stored, strict=True)
    return [name for name, value, other in pairs if name not in UNLOGGED and value != other]


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else rfc3339(seconds)
