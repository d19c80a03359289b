"""Probes: each is counted once, a day that has ended is in the log, and a system that is away is seen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, select, text

from adapters.opening import ConnectionProbe, Peers
from contracts.base.errors import Failure
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.scorecards.cards import Dates, cards
from gateway.transfer.lease import Lease
from gateway.watch import probes
from gateway.watch.probing import Probing
from security.grants.windows import VIETNAM
from tests.delivery.posting import Post
from tests.journal.databases import KINDS, migrated
from tests.registry.making import House
from tests.size import examples

NOON = datetime(2026, 11, 27, 12, tzinfo=VIETNAM).timestamp()
DAY = 86_400.0


@pytest.fixture(scope="module", params=KINDS)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = migrated(request.param, tmp_path_factory.mktemp("watch"))
    yield engine
    engine.dispose()


def logged(engine: Engine) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        rows = connection.scalars(select(tables.log_pending.c.entry).where(tables.log_pending.c.phase == "probes"))
        return [json.loads(bytes(raw))["facts"] for raw in rows]


def probing_of(post: Post, hold: float = 120.0) -> Probing:
    return Probing(
        engine=post.engine,
        lock=lock_of(post.engine),
        registry=post.registry,
        probe=ConnectionProbe(Peers(post.tls)),
        clock=lambda: post.clock[0],
        hold=hold,
    )


ROUND = st.tuples(st.integers(1, 40), st.dictionaries(st.sampled_from("abc"), st.booleans()))


@given(st.lists(ROUND, max_size=12))
@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_probe_is_counted_once(engine: Engine, rounds: list[tuple[int, dict[str, bool]]]) -> None:
    with writing(engine) as connection:
        connection.execute(delete(tables.log_pending))
        connection.execute(text("DELETE FROM probe_day"))
    now, wanted = NOON, dict[tuple[str, str], list[int]]()
    for hours, results in rounds:
        now += hours * 3600.0
        day = datetime.fromtimestamp(now, VIETNAM).date().isoformat()
        with writing(engine) as connection:
            probes.record(connection, results, now)
        for system, answered in results.items():
            counts = wanted.setdefault((system, day), [0, 0])
            counts[0] += 1
            counts[1] += answered
    today = datetime.fromtimestamp(now, VIETNAM).date().isoformat()
    with engine.connect() as connection:
        kept = {(each.system, each.day): [each.probes, each.answered] for each in probes.counted(connection, "", "9")}
    assert all(day == today for _, day in kept)  # days that have ended are in the log
    entries = {(each["provider"], each["day"]): [each["probes"], each["answered"]] for each in logged(engine)}
    assert not kept.keys() & entries.keys() and kept | entries == wanted


async def test_an_overtaken_keeper_counts_nothing(post: Post) -> None:
    post.clock[0] = NOON
    with pytest.raises(Failure):
        await probing_of(post).run_once(Lease("keeper", "nobody", 7))
    with post.engine.connect() as connection:
        assert not list(probes.counted(connection, "", "9"))


async def test_a_system_that_is_away_is_seen_in_its_scorecard(post: Post, keys: House, tmp_path: Path) -> None:
    post.clock[0] = NOON
    probing = probing_of(post)
    for _ in range(3):
        await probing.run_once(post.lease)
    port = post.provider.port
    await post.provider.stop()
    await probing.run_once(post.lease)
    await post.provider.start(keys, port)
    assert await probing.run_once(post.lease) == 0
    snapshot, dates = post.registry.snapshot, Dates.of(NOON, "2026-11-27", "2026-11-27")
    named = [snapshot.systems["truong-ha"], snapshot.systems["phan-anh"]]

    def availability() -> list[tuple[int, int]]:
        with post.engine.connect() as connection:
            made = cards(connection, snapshot, named, dates, post.clock[0])
        shares = [card.score.parts[0].share for card in made]
        return [(share.numerator, share.denominator) for share in shares]

    assert availability() == [(4, 5), (0, 0)]  # the second receives no calls
    post.clock[0] += DAY
    await probing.run_once(post.lease)
    assert availability() == [(4, 5), (0, 0)]  # now from the log
