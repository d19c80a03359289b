"""The life of a transfer, as data. The drawing in `docs/architecture.md` is made from this table.

Theory of operation

1. A transfer exists from the moment its intent is committed; what is refused before that has a log entry and no
   transfer.
2. `forwarding` means: the intent is on disk, the bytes may have left. Only the process named in the row may end it.
3. A process that dies leaves its `forwarding` rows behind. The keeper turns them into `in-doubt`: nobody knows whether
   the other side acted.
4. `in-doubt` goes back to `queued` only where the operation is declared idempotent; otherwise a person, or the
   provider's status, decides.
5. Final states never change. An outcome is written once, in the same transaction as the change of state.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    ACCEPTED = "accepted"
    FORWARDING = "forwarding"
    QUEUED = "queued"
    ANSWERED = "answered"
    FAILED = "failed"
    IN_DOUBT = "in-doubt"
    DEAD = "dead"


class Event(StrEnum):
    HANDED_IN = "handed in"
    SENT_NOW = "sent now"
    PUT_ASIDE = "put aside"
    ANSWER_CAME = "answer came"
    PROVIDER_REFUSED = "provider refused"
    PROVIDER_DOWN = "provider down"
    PROCESS_DIED = "process died"
    OUTCOME_UNKNOWN = "outcome unknown"
    TAKEN_UP = "taken up"
    GIVEN_UP = "given up"
    SAFE_TO_REPEAT = "safe to repeat"
    DECIDED_DONE = "decided: done"
    DECIDED_NOT_DONE = "decided: not done"


# (state or None before the intent, event) -> state after. What is not here cannot happen.
TRANSITIONS: Final[Mapping[tuple[State | None, Event], State]] = {
    (None, Event.HANDED_IN): State.ACCEPTED,
    (None, Event.SENT_NOW): State.FORWARDING,
    (None, Event.PUT_ASIDE): State.QUEUED,
    (State.FORWARDING, Event.ANSWER_CAME): State.ANSWERED,
    (State.FORWARDING, Event.PROVIDER_REFUSED): State.FAILED,
    (State.FORWARDING, Event.PROVIDER_DOWN): State.FAILED,
    (State.FORWARDING, Event.PUT_ASIDE): State.QUEUED,
    (State.FORWARDING, Event.PROCESS_DIED): State.IN_DOUBT,
    (State.FORWARDING, Event.OUTCOME_UNKNOWN): State.IN_DOUBT,
    (State.QUEUED, Event.TAKEN_UP): State.FORWARDING,
    (State.QUEUED, Event.GIVEN_UP): State.DEAD,
    (State.IN_DOUBT, Event.SAFE_TO_REPEAT): State.QUEUED,
    (State.IN_DOUBT, Event.DECIDED_DONE): State.ANSWERED,
    (State.IN_DOUBT, Event.DECIDED_NOT_DONE): State.FAILED,
}

FINAL: Final = frozenset({State.ACCEPTED, State.ANSWERED, State.FAILED, State.DEAD})


def after(state: State | None, event: Event) -> State:
    """The next state; LookupError for a step that the table does not hold."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise LookupError(f"a transfer that is {state or 'new'} cannot have {event.value!r}") from None


def through(state: State | None, *events: Event) -> State:
    """The state after several events, one after the other."""
    for event in events:
        state = after(state, event)
    assert state is not None
    return state


def drawing() -> str:
    """The table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2"]
    for (before, event), then in TRANSITIONS.items():
        lines.append(f"    {_node(before)} --> {_node(then)}: {event.value.replace(':', ',')}")
    lines.extend(f"    {_node(state)} --> [*]" for state in State if state in FINAL)
    return "\n".join(lines) + "\n"


def _node(state: State | None) -> str:
    return "[*]" if state is None else state.name.lower()
