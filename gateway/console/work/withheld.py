"""What each side of a transfer was not shown: the fields that the grants of then hide.

Invariant: the fields are those that the mask of the named grants hides, by the registry that decided the transfer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contracts.base.errors import Failure
from contracts.canonical.model import Pattern
from contracts.compiled.contract import CompiledContract
from gateway.console.site.desk import Desk
from gateway.console.work.journeys import Seen
from gateway.registry.judging import Judged, judged, standing_at
from gateway.registry.snapshot import Snapshot, load_snapshot


@dataclass(frozen=True, slots=True)
class Withheld:
    """Canonical paths of single values, and the grants that decided. `paths` is None if they are not known any more."""

    paths: frozenset[str] | None = frozenset()
    grants: tuple[str, ...] = ()


NOTHING = Withheld()


def withheld(desk: Desk, seen: Seen, compiled: CompiledContract) -> tuple[Withheld, Withheld]:
    """Of the request, from the system that was called; and of the answer, from the caller."""
    asked = judged(seen.entry)
    if asked is None or seen.refused:
        return NOTHING, NOTHING
    operation = compiled.contract.operations[asked.operation]
    named = (tuple(asked.entry.get("receiving") or ()), (str(asked.entry.get("grant")), *asked.entry.get("also", ())))
    try:
        fields = _fields(desk, asked, [each for names in named for each in names])
    except Failure:  # the registry of then is not known
        fields = {}
    found = []
    for message, names in zip((operation.request, operation.answer), named, strict=True):
        # The gateway's own answer to a submission is not masked.
        whole = message == operation.answer and operation.pattern is Pattern.SUBMIT
        if whole or not names:
            found.append(NOTHING)
        elif any(each not in fields for each in names):
            found.append(Withheld(None, names))
        else:
            found.append(Withheld(_hidden(compiled, message, [fields[each] for each in names]), names))
    return found[0], found[1]


def _fields(desk: Desk, asked: Judged, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The list of fields of each grant, in the registry of then."""
    present = desk.services.registry.snapshot
    if asked.revision == present.revision:
        return dict(_listed(present, names))
    with standing_at(desk.services.engine, asked.at, asked.revision) as stands:
        return dict(_listed(load_snapshot(stands.registry), names))


def _listed(snapshot: Snapshot, names: Sequence[str]) -> Iterable[tuple[str, tuple[str, ...]]]:
    for agency in snapshot.agencies:
        for each in snapshot.grants(agency):
            if each.id in names:
                yield each.id, each.fields


def _hidden(compiled: CompiledContract, message: str, views: Sequence[Sequence[str]]) -> frozenset[str]:
    return frozenset(each.path for each in compiled.leaves(message, *views) if not each.shown)
