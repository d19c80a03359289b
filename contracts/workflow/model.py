"""The table of states by which messages are handled (articles 11.2, 12.2 and 13.3 of the regulation).

Invariant: every state can be reached from the first one, and an end can be reached from every state.
Invariant: a step is possible only from the states that it names, for the parties that it names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from contracts.base.words import Words
from contracts.errors import WORKFLOW_NO_STEP, WORKFLOW_NOT_NOW, WORKFLOW_OTHER_PARTY
from contracts.workflow.working_time import Calendar

Projection = Literal["open", "closed"]  # of GeoReport v2, which knows no other states


class Party(StrEnum):
    """Who takes a step: the agency that handles the message, whoever sent it, the centre, or the gateway itself."""

    AGENCY = "agency"
    SENDER = "sender"
    CENTRE = "centre"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Term:
    """How long something may take: working minutes by the hours of this name."""

    minutes: int
    hours: str

    @property
    def soon(self) -> int:
        """The minutes after which it is due soon: three quarters of them."""
        return -(-self.minutes * 3 // 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """`term` runs from when the state was entered. While it `pauses`, no term of the workflow runs."""

    name: str
    title: Words
    shown: Projection
    term: Term | None = None
    pauses: bool = False
    ends: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`reason`: whoever takes it must say why."""

    name: str
    title: Words
    sources: tuple[str, ...]
    target: str
    by: tuple[Party, ...]
    reason: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """How the messages of `operation` are handled. `kind` and `area` are fields of them, by which they find their
    agency. `term` is for the whole, from the first state to an end. `when`: only messages are handled whose fields have
    these values.
    """

    operation: str
    kind: str
    area: str | None
    start: str
    term: Term | None
    states: Mapping[str, State]
    steps: Mapping[str, Step]
    hours: Mapping[str, Calendar]
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def possible(self, state: str, party: Party | None = None) -> Iterator[Step]:
        """The steps from a state, of one party or of all."""
        for step in self.steps.values():
            if state in step.sources and (party is None or party in step.by):
                yield step

    def take(self, state: str, name: str, party: Party) -> State:
        """The state that a step leads to.

        Raises: workflow.no-step, workflow.not-now, workflow.other-party. Each names the steps that are possible.
        """
        facts: dict[str, Any] = {
            "step": name,
            "state": state,
            "title": self.states[state].title,
            "party": party,
            "possible": ", ".join(step.name for step in self.possible(state, party)) or "—",
        }
        step = self.steps.get(name)
        if step is None:
            raise WORKFLOW_NO_STEP(**facts)
        if party not in step.by:
            raise WORKFLOW_OTHER_PARTY(**facts, by=", ".join(step.by))
        if state not in step.sources:
            raise WORKFLOW_NOT_NOW(**facts)
        return self.states[step.target]
