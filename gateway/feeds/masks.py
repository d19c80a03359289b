"""Masks of a feed's events: what a reader's grant, or his older version of the contract, does not show.

Invariant: an attribute of an event that follows from hidden fields is hidden with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from contracts.canonical.model import Kind, Operation
from contracts.compiled.contract import CompiledContract
from contracts.compiled.event_facts import UNKNOWN, Counted, counted_where
from contracts.compiled.pinned import PinnedCodec
from gateway.registry.records import System
from gateway.registry.snapshot import Mask, Snapshot
from gateway.transfer.transfer_records import NONE, ending_of, event_type, operation_of
from security.grants.grants import Decision

_PROBE: Final = "x"
_OPEN: Final = (None, NONE, UNKNOWN)  # what every reader sees alike
Masks = Mapping[str, Mask | None]  # of the data of each operation's events


def masks_of(snapshot: Snapshot, system: System | None, contract: CompiledContract, decision: Decision) -> Masks:
    """What the reader sees of the events of each operation; None: everything. `system` is None for a person."""
    codec = None if system is None else snapshot.codec(system, contract)

    def mask_of(operation: Operation, message: str) -> Mask | None:
        mask = snapshot.mask(contract, message, decision.views)
        return _brought_down(codec, operation, message, mask) if isinstance(codec, PinnedCodec) else mask

    return {each.name: of_data([mask_of(each, message) for message in each.fed]) for each in contract.contract.fed}


def masked(event: dict[str, Any], contract: CompiledContract, masks: Masks) -> None:
    """Masks an event in place. Its type names its operation, and so the message of its data. `lgspmasked` names what
    its reader does not see: `data` in part, and attributes that are left out.
    """
    operation = operation_of(contract.namespace, event["type"])
    mask = masks.get(operation, _nothing)
    if mask is None or event.get("tombstonereason") == "tampered":
        return
    hidden = _hidden_of(mask, contract, operation)
    left, told = hidden.left, hidden.told
    if hidden.kind and ending_of(event["type"]) is None:
        event["type"] = event_type(contract.namespace, operation, Kind.SUBMITTED)
        left, told = (*left, "lgspreplaces"), (*told, *hidden.told_kind)
    if event.get("lgspfailedrules") not in _OPEN:  # they may be rules of hidden fields
        left, told = (*left, "lgspfailedrules"), (*told, "lgspfailedrules")
    if "data" in event:
        event["data"] = data = mask(event["data"])
        if hidden.counted is not None and event.get("lgspcompleteness") not in _OPEN:
            event["lgspcompleteness"] = hidden.counted.of(data.get("request") if hidden.two else data)
    elif event.get("lgspcompleteness") not in _OPEN:
        left, told = (*left, "lgspcompleteness"), (*told, "lgspcompleteness")
    for name in left:
        event.pop(name, None)
    for name in hidden.undeclared:
        if event.get(name) not in _OPEN:
            del event[name]
    event["lgspmasked"] = "data" if not told else " ".join(("data", *told))


class _Hidden(NamedTuple):
    """What follows from fields that a reader does not see. `left`: attributes that are left out; `told`: those that his
    contract declares. `undeclared`: those whose field only an earlier version named, so that nobody knows who may see
    it. `kind`: whether it is hidden what a message does. `counted`: the fields that he sees. `two`: data are a request
    and perhaps an answer.
    """

    left: tuple[str, ...]
    told: tuple[str, ...]
    undeclared: tuple[str, ...]
    kind: bool
    told_kind: tuple[str, ...]
    counted: Counted | None
    two: bool


_known: Final[WeakKeyDictionary[Mask, dict[tuple[str, str], _Hidden]]] = WeakKeyDictionary()


def _hidden_of(mask: Mask, contract: CompiledContract, name: str) -> _Hidden:
    known, key = _known.setdefault(mask, {}), (contract.digest, name)
    if key not in known:
        known[key] = _judged(mask, contract, contract.contract.operations.get(name), bool(name))
    return known[key]


def _judged(mask: Mask, contract: CompiledContract, operation: Operation | None, named: bool) -> _Hidden:
    if operation is None:
        every = ("subject", "lgspcompleteness", "lgspage", "lgspexpires")
        return _Hidden(left=every, told=every, undeclared=(), kind=named, told_kind=(), counted=None, two=False)
    event, identity = operation.event, operation.identity
    facts = {"lgspage": event.made, "lgspexpires": event.expires}
    left = [] if _shows(mask, operation.subject) else ["subject"]
    told = [name for name, path in facts.items() if path and not sees(mask, operation, path)]
    return _Hidden(
        left=(*left, *told),
        told=(*left, *told) if operation.subject else tuple(told),
        undeclared=tuple(name for name, path in facts.items() if not path),
        kind=identity is None or not _shows(mask, identity.decisive),
        told_kind=() if identity is None else ("type", "lgspreplaces"),
        counted=counted_where(contract, operation.request, lambda path: sees(mask, operation, path)),
        two=operation.in_feed,
    )


def sees(mask: Mask | None, operation: Operation, path: str) -> bool:
    """Whether a reader sees this field of the requests of an operation, in its events."""
    return mask is None or _seen(mask, f"request.{path}" if operation.in_feed else path)


def of_data(masks: Sequence[Mask | None]) -> Mask | None:
    """The mask of an event's data, which is one message, or an object of two: `request` and `answer`."""
    if len(masks) == 1 or not any(masks):
        return masks[0]
    request, answer = (each or _all for each in masks)
    own = {"request": request, "answer": answer}
    return lambda data: {name: own.get(name, _nothing)(message) for name, message in data.items()}


def _brought_down(codec: PinnedCodec, operation: Operation, message: str, mask: Mask | None) -> Mask:
    """The mask, then only the fields of the reader's older version. An operation unknown to it becomes an event without
    data.
    """
    if not codec.supports(operation.name):
        return _nothing
    project = codec.projection(message)
    return project if mask is None else lambda data: project(mask(data))


def _shows(mask: Mask, paths: Sequence[str]) -> bool:
    """Whether the reader sees all of these fields, and there are any."""
    return bool(paths) and all(_seen(mask, path) for path in paths)


def _seen(mask: Mask, path: str) -> bool:
    value: Any = _PROBE
    for step in reversed(path.split(".")):
        value = {step.removesuffix("[]"): [value] if step.endswith("[]") else value}
    shown: Any = mask(value)
    for step in path.split("."):
        shown = shown.get(step.removesuffix("[]")) if isinstance(shown, Mapping) else None
        if step.endswith("[]"):
            shown = shown[0] if isinstance(shown, list) and shown else None
    return bool(shown == _PROBE)


def _all(data: dict[str, Any]) -> dict[str, Any]:
    return data


def _nothing(data: dict[str, Any]) -> dict[str, Any]:
    """For an event whose operation the contract in force does not have: no field may be shown."""
    return {}
