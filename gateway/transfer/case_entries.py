"""What a step of a case is in the log, and the rows that follow from the steps (`gateway.cases`).

Invariant: rows follow from the steps alone. Whoever acts writes them by `fold`, and the verification of the log makes
    them again by the same function.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from gateway.journal.write import LogRow

NOTE: Final = "case"
OPEN, ACKNOWLEDGED, ANSWERED, CLOSED, WITHDRAWN = "open", "acknowledged", "answered", "closed", "withdrawn"
STATES: Final = (OPEN, ACKNOWLEDGED, ANSWERED, CLOSED, WITHDRAWN)
RUNNING: Final = (OPEN, ACKNOWLEDGED)  # states in which a deadline runs
SENDER, RECEIVER = "sender", "receiver"
GATEWAY: Final = "gateway"  # whoever acts when nobody does
MOST_REMINDERS: Final = 5  # of the gateway, after the deadline
_encode: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


class Step(NamedTuple):
    """One entry of a case. `facts` are those of its note; `at` is RFC 3339, as in the entry."""

    at: str
    actor: str
    facts: Mapping[str, Any]

    @property
    def case(self) -> str:
        return str(self.facts["case"])

    @property
    def number(self) -> int:
        return int(self.facts["number"])

    @property
    def act(self) -> str:
        return str(self.facts["act"])

    @property
    def agency(self) -> str:
        """For whom it was taken; `gateway` for the gateway itself."""
        return str(self.facts["agency"])

    @property
    def text(self) -> str:
        """The facts as a row has them."""
        return _encode(self.facts)

    def entry(self, now: float) -> LogRow:
        """`at` is `now` as a text."""
        from gateway.transfer import entries  # loads the contracts, which whoever reads a case has no use for

        return entries.note(NOTE, self.facts, now, actor=self.actor)


@dataclass(slots=True)
class Party:
    """`acknowledged` and `answered` are times (RFC 3339) of a receiver."""

    role: str
    acknowledged: str | None = None
    answered: str | None = None


@dataclass(slots=True, kw_only=True)
class Folded:
    """What the rows of a case say. Times are RFC 3339, as in entries."""

    id: str
    kind: str
    sender: str
    reference: str | None
    answers: bool  # whether it waits for an answer of each receiver
    opened: str
    due: str | None
    begins: str | None
    ends: str | None
    state: str
    changed: str
    steps: int = 0
    parties: dict[str, Party] = field(default_factory=dict)

    @property
    def receivers(self) -> list[str]:
        return [code for code, each in self.parties.items() if each.role == RECEIVER]

    @property
    def owing(self) -> list[str]:
        """The receivers who have not done what the deadline is for; none when no deadline runs any more."""
        return [
            code
            for code, each in self.parties.items()
            if self.state in RUNNING
            and each.role == RECEIVER
            and (each.answered if self.answers else each.acknowledged) is None
        ]

    def row(self) -> dict[str, Any]:
        """The columns that the log accounts for."""
        names = ("id", "kind", "sender", "reference", "opened", "due", "begins", "ends", "state", "changed", "steps")
        return {**{name: getattr(self, name) for name in names}, "answers": int(self.answers)}


def fold(steps: Iterable[Step]) -> Folded:
    """The steps of one case in their order, the first of which opened it. Raises: KeyError, ValueError."""
    first, *others = steps
    facts, at = first.facts, first.at
    case = Folded(
        id=first.case,
        kind=str(facts["kind"]),
        sender=first.agency,
        reference=facts.get("reference"),
        answers=bool(facts["answers"]),
        opened=at,
        due=facts.get("due"),
        begins=facts.get("begins"),
        ends=facts.get("ends"),
        state=OPEN,
        changed=at,
        steps=1,
        parties={**{code: Party(RECEIVER) for code in facts["receivers"]}, first.agency: Party(SENDER)},
    )
    for step in others:
        _add(case, step)
    return case


def _add(case: Folded, step: Step) -> None:
    at = step.at
    case.changed, case.steps = at, case.steps + 1
    party = case.parties.get(step.agency)
    if step.act == "close":
        case.state = CLOSED
    elif step.act == "withdraw":
        case.state = WITHDRAWN
    elif party is not None and step.act in ("acknowledge", "answer"):
        party.acknowledged = party.acknowledged or at
        if step.act == "answer":
            party.answered = at
        receivers = [each for each in case.parties.values() if each.role == RECEIVER]
        if case.answers and all(each.answered for each in receivers):
            case.state = ANSWERED
        elif case.state == OPEN and all(each.acknowledged for each in receivers):
            case.state = ACKNOWLEDGED
