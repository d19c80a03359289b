"""Two machines on a PostgreSQL primary with a synchronous standby, steady calls to both, and one fault after the other.

After each: what was acknowledged is there once, that of one key in its order; the log verifies, and the checkpoints of
both machines are of one log; both servers have the digests of the feed as it was read; what is in doubt has a name.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.faults.cluster.breaking import Faults
from tests.faults.cluster.held import ALERTS, Held
from tests.faults.cluster.machines import Cluster, cluster, why_no_hosts
from tests.faults.cluster.traffic import PAUSE, Asking, Chains, Handing, Told
from tests.faults.following import Dispatching, Pulling
from tests.faults.load import until
from tests.journal.pairs import why_no_disk
from tests.size import FULL
from tests.upgrade.programs import older, program

pytestmark = [pytest.mark.full, pytest.mark.server, pytest.mark.usefixtures("older")]
__all__ = ["older"]

FAULTS = 200 if FULL else 0
FEW = (  # else it takes six minutes
    "machine_comes_and_goes",
    "keeper_killed",
    "door_killed",
    "machine_killed",
    "primary_killed",
    "standby_killed",
    "keys_primary_killed",
)
ROOM = 2048 if FULL else 512  # MiB of the disk of each server
OLDER = "0.2.0"  # in full size the first fault is the upgrade of both machines from this release, then of the keys


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Cluster]:
    before = program(OLDER) if FULL else None
    with cluster(tmp_path, room=0 if why_no_disk() else ROOM, older=before, provider_seconds=1.0) as one:
        yield one


def test_what_was_acknowledged_outlives_every_fault(made: Cluster) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    told = Told()
    settings = [each.settings for each in made.machines]
    calls = {each.data.name: Handing(each, told) for each in settings}
    faults = Faults(made, calls, told, chance)
    if not made.pair.room:
        print(f"left out: a full disk: {why_no_disk()}")
    if why := why_no_hosts():
        print(f"left out: a death that the other machine cannot see: {why}")
    kinds = [each for each in faults.kinds if FULL or each.__name__ in FEW]
    chance.shuffle(kinds)
    kinds += [chance.choice(kinds) for _ in range(FAULTS - len(kinds))]
    if made.first.older:
        kinds[:0] = [faults.upgraded, faults.keys_moved]
    print("faults:", *(each.__name__ for each in kinds))
    with ExitStack() as readers:
        here = readers.enter_context(Pulling(settings[0], ALERTS, settings[1], pause=PAUSE))
        with ExitStack() as callers:
            for each in calls.values():
                callers.enter_context(each)
            chains = callers.enter_context(Chains(settings, told))
            asking = callers.enter_context(Asking(settings, told))
            reports = callers.enter_context(Dispatching(settings[0], connections=1, pause=PAUSE))
            held = Held(made, chains, lambda: [*calls.values(), *faults.gone], here)
            for name, each in calls.items():
                until(f"calls to {name}", partial(each.beyond, 5))
            for kind in kinds:
                faults.one(kind)
                held.check()
        held.check_end([here, readers.enter_context(Pulling(settings[1], ALERTS))])
    held.check_reports(reports.acknowledged)
    links = [len(chain) for chain in chains.links]
    print(
        f"{sum(len(each.acknowledged) for each in calls.values())} alerts and chains of {links} acknowledged, "
        f"{chains.repeats} repeats, {dict(asking.answered)} questions, {len(reports.acknowledged)} reports "
        f"({dict(reports.others)}); told: {dict(told.all)}; the longest refusal took {told.refused:.1f} s"
    )
    assert told.refused < 2 * settings[0].database_seconds, "callers are refused in time, and never hang"
    assert min(links) > len(kinds) and chains.repeats and min(asking.answered.values()) > 0 and reports.acknowledged
    assert Counter(each.data.name for each in settings) == Counter(asking.answered.keys())
