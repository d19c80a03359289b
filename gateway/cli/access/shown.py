"""Which fields a grant shows and hides, as an officer reads it before he signs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.registry.snapshot import Snapshot
    from security.grants.grants import Grant


def messages(snapshot: Snapshot, grant: Grant) -> list[dict[str, Any]]:
    """Each message that somebody sees by the grant alone, with the fields; personal ones are marked."""
    from gateway.registry.changes.effects import marked, seen
    from gateway.registry.changes.matrix import operations
    from gateway.registry.parts.grants import FEED, received
    from security.grants.grants import ALL

    compiled = snapshot.contracts.get(grant.contract)
    if compiled is None or grant.denies:
        return []
    known = [each.name for each in received(compiled)] if grant.receives else operations(compiled)
    named = [each for each in known if each in grant.operations or ALL in grant.operations]
    ways = {each: "receives" if grant.receives else "reads" if each == FEED else "asks" for each in named}
    found = dict.fromkeys(message for each, way in ways.items() for message in seen(compiled, each, way))
    rows = []
    for message in found:
        leaves = compiled.leaves(message, grant.fields)
        shown, hidden = ([marked(leaf) for leaf in leaves if leaf.shown is kept] for kept in (True, False))
        rows.append({"message": message, "shown": shown, "hidden": hidden})
    return rows


def lines(rows: list[dict[str, Any]]) -> list[str]:
    return [
        f"{name:<12} {row['message']}: {', '.join(row[of])}"
        for row in rows
        for name, of in (("sees / xem", "shown"), ("hidden / che", "hidden"))
        if row[of]
    ]
