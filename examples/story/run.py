"""Runs the steps in order, with time and result of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from examples.story import (
    contracts,
    developer,
    dossiers,
    evidence,
    exchange,
    files,
    grants,
    keys,
    oldsystems,
    ownkeys,
    refusals,
)
from examples.story.world import Telling, World

STEPS: tuple[Telling, ...] = (
    *exchange.STEPS,
    *developer.STEPS,
    *files.STEPS,
    *dossiers.STEPS,
    *contracts.STEPS,
    *oldsystems.STEPS,
    *refusals.STEPS,
    *keys.STEPS,
    *grants.STEPS,
    *oldsystems.LATER,
    *evidence.STEPS,
    *ownkeys.STEPS,
    *evidence.LAST,
)


@dataclass(frozen=True, slots=True)
class Step:
    """The result of one step. `detail`: what was seen, or what was expected and not seen."""

    name: str
    ok: bool
    ms: int
    detail: str


def run(world: World, tell: Callable[[Step], None] = lambda step: None) -> Iterator[Step]:
    """Run every step. A failing step does not stop the next."""
    for name, telling in STEPS:
        began = time.monotonic()
        try:
            detail, ok = telling(world), True
        except Exception as trouble:  # any error is the step's result, and the story continues
            detail, ok = f"{type(trouble).__name__}: {trouble}", False
        step = Step(name, ok, round((time.monotonic() - began) * 1000), detail)
        tell(step)
        yield step
