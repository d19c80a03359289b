"""Compares the rows by which people sign in with their map, and the map with the entries of its changes.

Each entry of a change has revision, digest and tag of the map (`gateway.registry.seals.accounts`). The newest one must
be that of the map. A missing revision shows that an entry was taken away before it was sequenced.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from gateway.audit.verify.registered import MOST, Registered
from gateway.journal.schema import tables
from gateway.registry.seals.accounts import KEY, PHASES, Head, Seal, borne, proved, stored, stored_rows, well_made
from gateway.registry.seals.mark import Seen
from gateway.registry.seals.rows import Misfit, misfits


def check_accounts(connection: Connection, seal: Seal | None, seen: Seen | Misfit | None = None) -> Registered:
    """Without `seal` (no access to the keys) tags are not checked. `seen` is the mark, read before this moment."""
    wrong: list[str] = []
    present = stored_rows(connection)
    numbers, newest = _entries(connection, seal, wrong)
    for before, after in zip(numbers, numbers[1:], strict=False):
        if after != before + 1:
            wrong.append(f"the accounts: after revision {before} the log has an entry of revision {after}")
    text = stored(connection)
    head = Head.parse(text) if text is not None else None
    if text is None and seal is not None and not seal.never(connection, seen) or text is None and numbers:
        wrong.append(f"the accounts: their map in `instance`, {KEY}, is missing")
    elif text is not None:
        wrong += _of_map(connection, head, seal, seen)
        if head is not None and (head.revision, head.digest) != newest and (head.revision or numbers):
            wrong.append(
                f"the accounts are at revision {head.revision}; the newest entry about them is of revision {newest[0]}"
            )
        rows = head.rows if head is not None else {}
        wrong += [f"the accounts, {each.table} {each.key}: {each.how}" for each in misfits(rows, present)]
    checked = {"entries of accounts": len(numbers), "rows of accounts": sum(map(len, present.values()))}
    return Registered(checked, tuple(wrong[:MOST]))


def _of_map(connection: Connection, head: Head | None, seal: Seal | None, seen: Seen | Misfit | None) -> list[str]:
    """What is wrong with the map itself."""
    if seal is None:
        return [f"the accounts: their map in `instance`, {KEY}, is invalid"] if head is None else []
    found = seal.head(connection, seen, lift=False)
    return [f"the accounts, {found}"] if isinstance(found, Misfit) else []


def _entries(connection: Connection, seal: Seal | None, wrong: list[str]) -> tuple[list[int], tuple[int, str]]:
    """The revisions that entries state, in order; and the newest one with its digest."""
    stated: list[tuple[int, str]] = []
    for table, key in ((tables.log_entry, tables.log_entry.c.idx), (tables.log_pending, tables.log_pending.c.id)):
        query = select(key, table.c.transfer, table.c.phase, table.c.entry).where(table.c.phase.in_(PHASES))
        for number, transfer, phase, raw in connection.execute(query.order_by(key)):
            facts = borne(bytes(raw))
            if facts is None:
                continue
            if not (well_made(facts) if seal is None else proved(seal, facts)):
                name = f"entry {number}" if table is tables.log_entry else "a pending entry"
                wrong.append(
                    f"{name} (transfer {transfer}, {phase}): says what the accounts are, and its seal is not this "
                    "instance's"
                )
                continue
            stated.append((facts["revision"], facts["digest"]))
    stated.sort()
    return [number for number, _ in stated], stated[-1] if stated else (0, "")
