"""Masks of a feed's events: what a reader's grant, or his older version of the contract, does not show.

Invariant: an attribute of an event that follows from hidden fields is hidden with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from contracts.canonical.model import Kind, Operation
from contracts.compiled.contract import CompiledContract
from contracts.compiled.pinned import PinnedCodec
from gateway.registry.records import System
from gateway.registry.snapshot import Mask, Snapshot
from gateway.transfer.transfer_records import end_of, event_type, operation_of
from security.grants.grants import Decision

_PROBE: Final = "x"
Masks = Mapping[str, Mask | None]  # of the data of each operation's events


def masks_of(snapshot: Snapshot, system: System | None, contract: CompiledContract, decision: Decision) -> Masks:
    """What the reader sees of the events of each operation; None: everything. `system` is None for a person."""
    codec = None if system is None else snapshot.codec(system, contract)

    def mask_of(operation: Operation, message: str) -> Mask | None:
        mask = snapshot.mask(contract, message, decision.views)
        return _brought_down(codec, operation, message, mask) if isinstance(codec, PinnedCodec) else mask

    return {each.name: of_data([mask_of(each, message) for message in each.fed]) for each in contract.contract.fed}


def masked(event: dict[str, Any], contract: CompiledContract, masks: Masks) -> None:
    """Masks an event in place. Its type names its operation, and so the message of its data."""
    operation = operation_of(contract.namespace, event["type"])
    mask = masks.get(operation, _nothing)
    if mask is not None:
        _hide(event, contract, operation, mask)
        if "data" in event:
            event["data"] = mask(event["data"])


def _hide(event: dict[str, Any], contract: CompiledContract, name: str, mask: Mask) -> None:
    """Leaves out of an event's attributes what follows from fields that its reader does not see."""
    operation = contract.contract.operations.get(name)
    if "subject" in event and (operation is None or not _shows(mask, operation.subject)):
        del event["subject"]
    identity = operation.identity if operation is not None else None
    if name and end_of(event["type"]) is None and (identity is None or not _shows(mask, identity.decisive)):
        event["type"] = event_type(contract.namespace, name, Kind.SUBMITTED)
        event.pop("lgspreplaces", None)


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
