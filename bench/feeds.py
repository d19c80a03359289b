"""Measures feeds at a real door over TLS: a long feed against a short one, in one run.

    python -m bench.feeds [--quick] [--events N] [--streams N] [--webhook N]     from a checkout

`lgsp bench` runs it too. The centre's system reads alerts of about a kilobyte: page one, small pages, the whole feed in
pages of a thousand, and the state. Then it follows by many streams, and by a webhook that catches up. Each request is
signed and each answer is verified. A number is processor time of the door (for the webhook: of the keeper), unless it
says "by the clock".
Invariant: a round counts only if it has exactly the events that were filled, in order.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench import feedpush, feedstreams
from bench.feedfilled import CONTRACT, fill_feed
from bench.gatewayside import GatewaySide, gateway_side
from bench.load import WrongAnswers, fire_now
from bench.process import cpu_seconds, free_port, memory_mib, pinned, two_cores
from bench.rows import Row, row
from bench.tls import throwaway

CENTRE: Final = "dieu-hanh"
FIRST_MS: Final = 10.0  # of page one
SMALL_MS: Final = 1.0  # of a page of ten, without its events
EVENTS: Final = 40_000.0  # a second
_PAGE: Final = 1000
_SMALL: Final = 10
_SAID: Final = 200_000


@dataclass(frozen=True, slots=True)
class Size:
    events: int
    few: int
    keys: int  # of the state
    rounds: int
    small: int  # small pages in a round
    streams: int
    alerts: int  # to all streams
    webhook: int  # events that a webhook catches up by


QUICK: Final = Size(
    events=20_000, few=2_000, keys=2_000, rounds=2, small=100, streams=60, alerts=3, webhook=4_000
)  # fmt: skip
FULL: Final = Size(
    events=1_000_000, few=10_000, keys=100_000, rounds=3, small=400, streams=1000, alerts=5, webhook=1_000_000
)  # fmt: skip
_PART: Final = 50_000  # events that a round reads; one round reads all


@dataclass(slots=True)
class Costs:
    """Of each round, in milliseconds of the door's processor time; rates a second."""

    first: list[float] = field(default_factory=list)  # page one of a hundred
    small: list[float] = field(default_factory=list)  # a page of ten
    small_clock: list[float] = field(default_factory=list)
    shared: list[float] = field(default_factory=list)  # a page of ten, by sixteen connections at once
    events: list[float] = field(default_factory=list)  # a second of processor time
    events_clock: list[float] = field(default_factory=list)
    state: list[float] = field(default_factory=list)

    @property
    def fixed(self) -> float:
        """A page of ten without its events, of a reader who is alone."""
        return median(self.small) - self._events

    @property
    def fixed_shared(self) -> float:
        """The same where sixteen connections read at once, as exchanges are measured: one sync is for many pages."""
        return median(self.shared) - self._events

    @property
    def _events(self) -> float:
        return _SMALL * 1000 / median(self.events)


def measure(quick: bool, say: Callable[[str], None]) -> Row:
    return measured(QUICK if quick else FULL, say)


def measured(size: Size, say: Callable[[str], None]) -> Row:
    large, small, others = costs_of(size, say)
    details = {
        "first_page_ms": median(large.first),
        "page_of_ten_ms": median(large.small),
        "page_of_ten_without_events_ms": large.fixed,
        "page_of_ten_without_events_sixteen_at_once_ms": large.fixed_shared,
        "page_of_ten_clock_ms": median(large.small_clock),
        "events_per_second_by_the_clock": median(large.events_clock),
        "keys_of_the_state_per_second": median(large.state),
        "events": size.events,
        "keys": size.keys,
        **others,
    }
    ratio = {f"page one of {size.few:,}": [1000 / each for each in small.first]}
    firsts = [1000 / each for each in large.first]
    rates = row("feed-million", "events/s", large.events, {}, details)
    against = row("", "", firsts, ratio, {}).against
    return Row(rates.name, rates.median, rates.unit, rates.spread, against, details)


def costs_of(size: Size, say: Callable[[str], None]) -> tuple[Costs, Costs, dict[str, float]]:
    """Of the long feed, of the short one; the memory of the door after the long one in MiB, streams, the webhook."""
    ours, theirs = two_cores()
    with contextlib.ExitStack() as stack, pinned(theirs):
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lgsp-bench-feeds-")))
        sides, receives = [], throwaway(folder)
        for number in (size.few, size.events):
            began = time.monotonic()
            fill = partial(fill_feed, number=number, standing=min(size.keys, number), until=time.time(), say=say)
            nobody, changes = f"https://localhost:{free_port()}/", feedstreams.SETTINGS | feedpush.SETTINGS
            changes |= {"push_anchors": str(receives.authority)}
            place = folder / str(number) / "instance"
            starting = gateway_side(place, nobody, ours, caller=CENTRE, fill=fill, changes=changes)
            sides.append(stack.enter_context(starting))
            say(f"feeds: {number:,} events, filled and started in {time.monotonic() - began:.0f} s")
        costs = Costs(), Costs()
        for at in range(size.rounds + 1):  # the first warms up
            for side, into, number in zip(sides, costs, (size.few, size.events), strict=True):
                _round(side, into if at else Costs(), size, number, say if at == 1 else None)
            say(f"feeds: round {at} of {size.rounds}")
        others = {"door_memory_mib": memory_mib(sides[1].door_pid)}
        if size.webhook:
            others |= feedpush.measure(sides[1], CONTRACT, min(size.webhook, size.events), receives, say)
        if size.streams:
            others |= feedstreams.measure(sides[1], CONTRACT, size.streams, size.alerts, say)
    return costs[1], costs[0], others


def _round(side: GatewaySide, costs: Costs, size: Size, number: int, say: Callable[[str], None] | None) -> None:
    """`say`: of the round that reads all events and the state."""
    with _spent(side, costs.first, [], 20):
        for _ in range(20):
            page = _get(side, f"/feeds/{CONTRACT}?limit=100")
            _check(page["events"], 1)
    cursors = [""]
    with _spent(side, costs.small, costs.small_clock, size.small):
        place = 1
        for _ in range(size.small):
            page = _get(side, f"/feeds/{CONTRACT}?limit={_SMALL}&after={cursors[-1]}")
            _check(page["events"], place)
            cursors, place = [*cursors, page["next"]], place + _SMALL
    costs.shared.append(_at_once(side, cursors))
    spent: list[float] = []
    clock: list[float] = []
    read, after = 0, ""
    until = number if say is not None else min(number, _PART)
    with _spent(side, spent, clock, 1):
        while read < until:
            page = _get(side, f"/feeds/{CONTRACT}?limit={_PAGE}&after={after}")
            _check(page["events"], read + 1)
            read, after = read + len(page["events"]), page["next"]
            if say is not None and read % _SAID == 0:
                say(f"feeds: {read:,} of {number:,} events read")
    costs.events.append(read / spent[0] * 1000)
    costs.events_clock.append(read / clock[0] * 1000)
    if say is None:
        return
    if read != number or _get(side, f"/feeds/{CONTRACT}?after={after}")["events"]:
        raise WrongAnswers(f"{read} of {number} events came")
    state: list[float] = []
    keys, after, more = 0, "", True
    with _spent(side, state, [], 1):
        while more:
            page = _get(side, f"/feeds/{CONTRACT}/state?limit={_PAGE}&after={after}")
            keys, after, more = keys + len(page["events"]), page["next"], page["more"]
    if keys != min(size.keys, number):
        raise WrongAnswers(f"the state has {keys} keys")
    costs.state.append(keys / state[0] * 1000)


def _at_once(side: GatewaySide, cursors: Sequence[str]) -> float:
    """Milliseconds of the door for each page of ten, of those that these cursors lead through."""
    asked = [
        side.ask(f"/feeds/{CONTRACT}?limit={_SMALL}&after={after}".removesuffix("&after="), next.encode())
        for after, next in pairwise(cursors)
    ]
    before = 0.0

    def began() -> None:
        nonlocal before
        before = cpu_seconds(side.door_pid)

    measured = fire_now([shot for shot, _ in asked], side.port, side.context, keep=1, began=began)
    spent = cpu_seconds(side.door_pid) - before
    for number, reply in measured.replies.items():
        _check(json.loads(side.judge(asked[number][1], reply).body)["events"], number * _SMALL + 1)
    return spent / len(asked) * 1000


@contextlib.contextmanager
def _spent(side: GatewaySide, into: list[float], clock: list[float], number: int) -> Iterator[None]:
    """Milliseconds of the door's processor time for each of `number` requests, and by the clock."""
    before, began = cpu_seconds(side.door_pid), time.perf_counter()
    yield
    into.append(max(cpu_seconds(side.door_pid) - before, 1e-6) / number * 1000)
    clock.append((time.perf_counter() - began) / number * 1000)


def _get(side: GatewaySide, path: str) -> dict[str, Any]:
    answer = side.client.call("GET", path.removesuffix("&after="))
    if not answer.ok:
        raise WrongAnswers(f"{path}: {answer.status} {answer.body[:300]!r}")
    page: dict[str, Any] = json.loads(answer.body)
    return page


def _check(events: Sequence[dict[str, Any]], first: int) -> None:
    if [int(each["sequence"]) for each in events] != list(range(first, first + len(events))):
        raise WrongAnswers(f"not the events from {first} on")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.feeds")
    parser.add_argument("--quick", action="store_true", help="20,000 events, 60 streams")
    parser.add_argument("--json", action="store_true", help="what it prints anyway")
    for name, what in (("events", "of the feed"), ("streams", "0: none"), ("webhook", "events; 0: none")):
        parser.add_argument(f"--{name}", type=int, help=what)
    asked = vars(parser.parse_args())
    given = {name: asked[name] for name in ("events", "streams", "webhook") if asked[name] is not None}
    size = replace(QUICK if asked["quick"] else FULL, **given)
    began = time.monotonic()
    result = measured(size, lambda text: print(text, file=sys.stderr, flush=True))
    details = result.details
    holds = {
        "first page": details["first_page_ms"] <= FIRST_MS,
        "page of ten, one reader": details["page_of_ten_without_events_ms"] <= SMALL_MS,
        "page of ten, sixteen at once": details["page_of_ten_without_events_sixteen_at_once_ms"] <= SMALL_MS,
        "events a second": result.median >= EVENTS,
    }
    took = round(time.monotonic() - began)
    print(json.dumps({"ok": all(holds.values()), "holds": holds, "seconds": took, "row": result.to_json()}, indent=1))
    raise SystemExit(0 if all(holds.values()) else 1)


if __name__ == "__main__":
    main()
