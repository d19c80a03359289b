"""What the report of a month, or of any days, says of indicators: values that fell due, missing ones, corrections.

Everything is as it stood when the days ended, so that a later report of the same days says the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Final, NamedTuple

from contracts.base.times import moment
from gateway.feeds.sessions import Span
from gateway.indicators.figures import Correction, Figure, Known, State, Wanted, figures, state_of
from gateway.indicators.periods import midnight
from gateway.indicators.values import Source

YEARS: Final = 3  # before the days, in which periods begin that are looked at


class Reported(NamedTuple):
    """`due`: the figures whose values fell due in the days; `owed`: those of them without a value when the days ended.
    `corrected`: the corrections that came in the days, of any period. `span`: what of the feed was read, for the log.
    """

    due: tuple[Figure, ...]
    owed: tuple[Figure, ...]
    corrected: tuple[tuple[Figure, Correction], ...]
    span: Span | None


def of_period(source: Source, known: Known, first: date, after: date, now: float) -> Reported:
    """Of the days from `first` on and before `after`, as far as they are over."""
    since, until = midnight(first), min(midnight(after), now)
    wanted = Wanted(date(first.year - YEARS, 1, 1), after)
    found = figures(source, known, wanted, now)
    stood = [_as_of(each, until) for each in found.figures]
    due = tuple(each for each in stood if since <= each.due < until)
    return Reported(
        due=due,
        owed=tuple(each for each in due if each.state in (State.MISSING, State.ABSENT)),
        corrected=tuple(_corrected(stood, since)),
        span=found.span,
    )


def _as_of(figure: Figure, until: float) -> Figure:
    """What was handed in by then."""
    handed_in = tuple(each for each in figure.observations if (moment(each.received) or 0.0) < until)
    return replace(figure, observations=handed_in, state=state_of(handed_in, figure.due, until))


def _corrected(stood: Sequence[Figure], since: float) -> list[tuple[Figure, Correction]]:
    return [
        (each, correction)
        for each in stood
        for correction in each.corrections
        if (moment(correction.new.received) or 0.0) >= since
    ]
