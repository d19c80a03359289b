"""A caller's run: it begins, goes from step to step, and ends by itself, whether or not her system still answers.

Whoever drives it (command line, page, API) calls `look` from time to time. The state lies in the run's folder, so that
any process may go on with it. Invariant: a system has one run at a time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from contracts.base.words import Words
from gateway.sandbox.conformance import trial
from gateway.sandbox.conformance.caller import Came, judge, not_seen, read_calls
from gateway.sandbox.conformance.caller_suite import steps_of
from gateway.sandbox.conformance.cases import Suite
from gateway.sandbox.conformance.results import Run, Software

_RUN: Final = "run.json"
SECONDS: Final = 120.0  # that a step waits for a first call
QUIET: Final = 5.0  # seconds without a call that end a step


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a step waits for its first call, and how long for another one."""

    seconds: float = SECONDS
    quiet: float = QUIET


@dataclass(frozen=True, slots=True)
class CallerRun:
    """Where a run stands. `number`: of the step, from 0; as many as there are steps: it is over. Times are Unix's."""

    id: str
    contract: str
    started: float
    number: int
    since: float
    seconds: float
    quiet: float


def begin(place: Path, suite: Suite, id: str, now: float, pace: Pace = Pace()) -> CallerRun:
    """A new run, at its first step. One that was open before is over. `place`: the folder of the system."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with trial.locked(place):
        (place / trial.CALLS).unlink(missing_ok=True)
    return _at(place, suite, CallerRun(id, suite.contract, now, 0, now, pace.seconds, pace.quiet), 0, now)


def current(place: Path) -> CallerRun | None:
    """The newest run of a system; None if it never had one."""
    try:
        return CallerRun(**json.loads((place / _RUN).read_bytes()))
    except FileNotFoundError:
        return None


def look(place: Path, suite: Suite, run: CallerRun, now: float) -> CallerRun:
    """Goes on where a step has had its time."""
    steps = steps_of(suite)
    while run.number < len(steps):
        calls = of_step(read_calls(place, run.id), steps[run.number][0].name)
        ends = calls[-1].at + run.quiet if calls else run.since + run.seconds
        if ends > now:
            break
        run = _at(place, suite, run, run.number + 1, ends)
    return run


def next_step(place: Path, suite: Suite, run: CallerRun, now: float) -> CallerRun:
    """Goes on now."""
    return _at(place, suite, run, run.number + 1, now)


def calls_of(place: Path, run: CallerRun, step: str) -> list[Came]:
    return of_step(read_calls(place, run.id), step)


def count(suite: Suite) -> int:
    return len(steps_of(suite))


def over(suite: Suite, run: CallerRun) -> bool:
    return run.number >= len(steps_of(suite))


def asked(suite: Suite, run: CallerRun) -> tuple[str, Words] | None:
    """The step that is open, and what is asked; None if the run is over."""
    steps = steps_of(suite)
    return (steps[run.number][0].name, steps[run.number][1]) if run.number < len(steps) else None


def report(place: Path, suite: Suite, run: CallerRun, software: Software) -> Run:
    calls = read_calls(place, run.id)
    return Run(suite, software, run.started, run.since - run.started, tuple(judge(suite, calls)), tuple(not_seen()))


def of_step(calls: list[Came], name: str) -> list[Came]:
    return [each for each in calls if each.step == name]


def _at(place: Path, suite: Suite, run: CallerRun, number: int, now: float) -> CallerRun:
    """At a step: the doors are told, and the state is written down."""
    run, steps = replace(run, number=number, since=now), steps_of(suite)
    with trial.locked(place):
        if number < len(steps):
            step = steps[number][0]
            told: Mapping[str, Any] = {
                "run": run.id,
                "step": step.name,
                "change": step.name if step.most else "",
                "left": step.most,
                "until": now + run.seconds + 60 * run.quiet,
            }
            trial.replace(place / trial.STEP, json.dumps(told).encode())
        else:
            (place / trial.STEP).unlink(missing_ok=True)
        trial.replace(place / _RUN, json.dumps(asdict(run)).encode())
    return run
