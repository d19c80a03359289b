"""The states of a transfer, as a table. `docs/architecture.md` shows it as a diagram.

1. A transfer exists once its intent is committed. An earlier refusal has a log entry and no transfer.
2. `forwarding`: the intent is on disk, and bytes may have left. Only the process named in the row may end it.
3. The keeper turns `forwarding` rows of a dead process into `in-doubt`: it is unknown whether the provider acted.
4. `in-doubt` returns to `queued` if the operation is idempotent, or if a person found that the provider did not act.
   Else a person settles it (`gateway.delivery.decisions`).

Invariant: final states never change. An outcome is written once, in the transaction that changes the state.
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
    ANSWERED_HERE = "answered from the feed"
    NOTHING_HERE = "nothing in the feed"
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


# (state or None before the intent, event) -> state after. Other steps are refused.
TRANSITIONS: Final[Mapping[tuple[State | None, Event], State]] = {
    (None, Event.HANDED_IN): State.ACCEPTED,
    (None, Event.ANSWERED_HERE): State.ANSWERED,
    (None, Event.NOTHING_HERE): State.FAILED,
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
    """The next state; LookupError for a step that is not in the table."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise LookupError(f"a transfer that is {state or 'new'} cannot have {event.value!r}") from None


def through(state: State | None, *events: Event) -> State:
    """The state after several events."""
    for event in events:
        state = after(state, event)
    assert state is not None
    return state


def drawing() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    for (before, event), then in TRANSITIONS.items():
        lines.append(f"    {_node(before)} --> {_node(then)}: {event.value.replace(':', ',')}")
    lines.extend(f"    {_node(state)} --> [*]" for state in State if state in FINAL)
    return "\n".join(lines) + "\n"


def _node(state: State | None) -> str:
    return "[*]" if state is None else state.name.lower()
