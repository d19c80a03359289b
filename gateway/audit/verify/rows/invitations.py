"""Compares the invitations of a sandbox with the log: who made which, who withdrew it, and who joined by it.

Invariant: the log alone says how often and until when an invitation may be used. A row that it does not know, or that
  states more, admits nobody (`gateway.sandbox.vendors.invitations`) and is a finding.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, select

from gateway.audit.verify.findings import Findings
from gateway.audit.verify.rows.quotas import moment
from gateway.journal.noted import read_notes
from gateway.journal.schema import tables

KIND: Final = "sandbox-invitation"  # the note
PREFIX: Final = "sandbox.invitation."  # of the key of a row of `instance`
JOINED: Final = "registry"  # the note of a vendor who joined, with the invitation's mark
LATEST: Final = 32_503_680_000.0  # the year 3000: no time that cannot be shown
_ROUNDED: Final = 1.0  # seconds: the log has the time as text


@dataclass(frozen=True, slots=True)
class Invitation:
    """`mark` names it; `until` is Unix time."""

    mark: str
    label: str
    uses: int
    used: int
    until: float

    def holds(self, now: float) -> bool:
        return self.used < self.uses and now < self.until


def logged(connection: Connection) -> Mapping[str, Invitation]:
    """The invitations as the log has them, by mark; without those that were withdrawn."""
    known: dict[str, Invitation] = {}
    for note in read_notes(connection, (KIND, JOINED)):
        facts = note.facts
        mark = facts.get("mark" if note.what == KIND else "invitation")
        if not isinstance(mark, str):
            continue
        if note.what == JOINED:
            if facts.get("joined") is True and mark in known:
                known[mark] = replace(known[mark], used=known[mark].used + 1)
        elif facts.get("withdrawn") is True:
            known.pop(mark, None)
        else:
            uses = facts.get("uses")
            known[mark] = Invitation(
                mark,
                str(facts.get("label")),
                uses if isinstance(uses, int) else 0,
                0,
                moment(facts.get("until")),
            )
    return known


def read(key: str, value: str) -> Invitation | None:
    """What a row states; None if it is no invitation that was ever made."""
    try:
        stated = json.loads(value)
    except ValueError:
        return None
    if not isinstance(stated, dict) or stated.keys() != {"mark", "label", "uses", "used", "until"}:
        return None
    counts: list[Any] = [stated["uses"], stated["used"]]
    fits = (
        isinstance(stated["label"], str)
        and PREFIX + str(stated["mark"]) == key
        and all(type(each) is int and 0 <= each <= 1_000_000 for each in counts)
        and type(stated["until"]) in (int, float)
        and 0 <= stated["until"] <= LATEST
    )
    return Invitation(**stated) if fits else None


def check_invitations(connection: Connection, wrong: Findings) -> None:
    table = tables.instance.c
    rows = connection.execute(select(table.key, table.value).where(table.key.startswith(PREFIX, autoescape=True)))
    stored = {row.key: row.value for row in rows}
    if not stored:
        return
    known = logged(connection)
    wrong.count("invitations", len(stored))
    for key, value in sorted(stored.items()):
        mark = key.removeprefix(PREFIX)
        row, note = read(key, value), known.get(mark)
        if note is None:
            wrong.add(f"the invitation {mark}: the log knows of none, or it was withdrawn")
        elif row is None:
            wrong.add(f"the invitation {mark}: its row is not of the right form")
        elif replace(row, until=note.until) != note or abs(row.until - note.until) > _ROUNDED:
            stated = f"{row.used} of {row.uses} uses until {row.until:.0f}"
            wrong.add(f"the invitation {mark}: {stated}; the log has {note.used} of {note.uses} until {note.until:.0f}")
