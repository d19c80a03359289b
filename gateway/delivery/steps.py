"""The steps of a transfer's life that delivery takes, by name: this floor lies below the table of states.

Invariant: each step is one that `gateway.exchange.states` holds (the tests compare them).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Step:
    """From a state, by events in turn, to a state."""

    before: str
    events: tuple[str, ...]
    after: str


TAKEN_UP: Final = Step("queued", ("taken up",), "forwarding")
ANSWER_CAME: Final = Step("forwarding", ("answer came",), "answered")
PROVIDER_REFUSED: Final = Step("forwarding", ("provider refused",), "failed")
PUT_ASIDE: Final = Step("forwarding", ("put aside",), "queued")
GIVEN_UP: Final = Step("forwarding", ("put aside", "given up"), "dead")
OUTCOME_UNKNOWN: Final = Step("forwarding", ("outcome unknown",), "in-doubt")
ALL: Final = (TAKEN_UP, ANSWER_CAME, PROVIDER_REFUSED, PUT_ASIDE, GIVEN_UP, OUTCOME_UNKNOWN)
