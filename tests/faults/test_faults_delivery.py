"""Random faults, one after the other, while systems hand in, dispatch and read, on both databases.

After them: each acknowledged alert stands once in the feed. Readers by pages, by a stream and by webhooks got the same
in the same order, and the state is the fold of it. Each report that was dispatched has ended, or has a reason.
Nothing unlogged reached its receiver. The log verifies.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, text

from bench.demo import demo_settings
from examples.story.exchange import ALERTS, read_feed
from gateway.cli.run import ensure_instance
from gateway.journal.database import open_engine
from tests.faults.followers import Amending, Receiving, Streaming, standing, state, text_of
from tests.faults.following import Dispatching, Pulling
from tests.faults.load import Load, children, until
from tests.faults.test_faults_children import Instance
from tests.journal.databases import KINDS, fresh_url
from tests.size import FULL

pytestmark = pytest.mark.server

FAULTS = 100 if FULL else 10  # on each database
PROCESSES = ("door", "keeper", "desk", "files", "forkserver")
PROVIDER = ("wrong-status", "malformed", "close", "bad-signature", "slow")
ENDED = {"answered", "failed", "in-doubt", "dead", "accepted", "refused"}


@pytest.fixture(params=KINDS)
def one(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    place = tmp_path_factory.mktemp("delivery")
    settings = replace(
        demo_settings(place / "data"),
        provider_seconds=1.0,
        push_seconds=1.0,
        push_networks="127.0.0.0/8",
        stream_seconds=5.0,
        database=fresh_url(request.param, place / "data"),
    )
    if request.param == "sqlite":
        settings = replace(settings, database="")
    ensure_instance(settings, say_progress=False)
    made = Instance(settings)
    yield made
    made.end()


class Faults:
    """What can go wrong, drawn from a seed that is printed; `happened` counts it."""

    def __init__(self, one: Instance, engine: Engine, seed: int) -> None:
        self.happened: Counter[str] = Counter()
        self._one, self._engine, self._chance = one, engine, random.Random(seed)
        self._kinds: list[Callable[[], str]] = [self._kill] * 5 + [self._provider] * 3 + [self._stop, self._database]

    def next(self) -> None:
        time.sleep(self._chance.uniform(0.1, 1.0))
        self.happened[self._chance.choice(self._kinds)()] += 1

    def _victim(self) -> tuple[int, str] | None:
        kind = self._chance.choice(PROCESSES)
        found = [pid for pid, words in children(self._one.pid).items() if kind in words]
        return (self._chance.choice(found), kind) if found else None

    def _kill(self) -> str:
        victim = self._victim()
        if victim is None:  # it is being started anew
            return "nobody there"
        os.kill(victim[0], signal.SIGKILL)
        return f"{victim[1]} killed"

    def _stop(self) -> str:
        """A process that stands still for a while, as one that waits for a slow disk."""
        victim = self._victim()
        if victim is None:
            return "nobody there"
        os.kill(victim[0], signal.SIGSTOP)
        time.sleep(self._chance.uniform(0.2, 2.0))
        os.kill(victim[0], signal.SIGCONT)
        return f"{victim[1]} stopped for a while"

    def _provider(self) -> str:
        kind = self._chance.choice(PROVIDER)
        self._one.world.fault("do-thi", kind, seconds=self._chance.uniform(0.5, 3.0), count=self._chance.randint(1, 5))
        return f"provider: {kind}"

    def _database(self) -> str:
        """All connections to the server end at once; of SQLite, the whole instance is started anew instead."""
        if self._engine.dialect.name == "sqlite":
            self._one.restart()
            return "all of it started anew"
        ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
        with self._engine.connect() as connection:
            connection.execute(text(ends + "pg_backend_pid()"))
        return "connections to the database cut"


def all_ended(asked: Callable[[str], list[Any]]) -> None:
    """Waits until nothing is under way. A door writes its outcome again, so that nothing waits for the keeper, which
    closes what a living process left open after five minutes (`FORGOTTEN_SECONDS`).
    """
    open_ones = "SELECT id, state, process FROM transfer WHERE state IN ('forwarding', 'queued')"
    try:
        until("the end of all that was under way", lambda: not asked(open_ones), 60.0)
    except AssertionError:
        print("still under way:", asked(open_ones))
        raise


@pytest.mark.full
def test_what_was_acknowledged_appears_once_whatever_fails(one: Instance) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    engine = open_engine(one.settings.database_url)

    def asked(query: str) -> list[Any]:
        with engine.connect() as connection:
            return list(connection.execute(text(query)).all())

    faults = Faults(one, engine, seed)
    lies = random.Random(seed + 1)
    with (
        Pulling(one.settings, ALERTS) as centre,
        Streaming(one.settings, ALERTS) as stream,
        Receiving(one.settings, ALERTS, lies) as hook,
    ):
        with (
            Load(one.settings, connections=2) as alerts,
            Amending(one.settings, random.Random(seed + 2)) as warnings,
            Dispatching(one.settings) as reports,
        ):
            alerts.wait(20)
            for _ in range(FAULTS):
                faults.next()
            alerts.wait(20)  # it goes on after all of them
        one.world.fault("do-thi", "none")
        print(dict(faults.happened))
        print(
            f"alerts: {len(alerts.acknowledged)} acknowledged, {len(alerts.unanswered)} unanswered, {alerts.others}; "
            f"reports: {len(reports.acknowledged)} acknowledged, {reports.unanswered} unanswered, {reports.others}; "
            f"reader: {centre.broken} calls without a page; warnings: {dict(warnings.kinds)}; stream: {stream.broken} "
            f"refused; receiver: {dict(hook.lies)}, {hook.again} events again"
        )
        hook.honest.set()
        handed_in = set(alerts.acknowledged.values()) | warnings.acknowledged
        until("all acknowledged alerts at the reader", lambda: handed_in <= set(centre.ids))
        all_ended(asked)
        until(
            "a place in the log for all",
            lambda: not asked("SELECT id FROM log_pending UNION ALL SELECT id FROM feed_pending"),
        )
        everything = [event["id"] for event in read_feed(one.world, ALERTS)]
        for what, reader in {"pages": centre, "stream": stream, "webhooks": hook}.items():
            until(f"the reader by {what} at the end", lambda: len(reader.events) >= len(everything), 120.0)  # noqa: B023
    for reader in (centre, stream, hook):
        assert reader.ids == everything, f"{type(reader).__name__}: however it is read, a feed is the same"
    assert list(map(text_of, stream.events)) == list(map(text_of, hook.events))
    stands = state(one.settings, ALERTS)
    assert len(stands) == len(set(stands)) and set(stands) == standing(centre.events), "the state is the fold"
    assert len(stands) < len(everything) and hook.lies, "some were corrected or recalled; the receiver lied"
    assert set(Counter(everything).values()) == {1}
    assert [int(event["sequence"]) for event in centre.events] == list(range(1, len(everything) + 1))
    assert handed_in <= set(everything)

    states = {str(id): (state, failure) for id, state, failure in asked("SELECT id, state, failure FROM transfer")}
    assert {state for state, _ in states.values()} <= ENDED
    named = {id: failure for id, (state, failure) in states.items() if state in ("failed", "dead")}
    assert all(named.values()), f"ended without a reason: {[id for id, why in named.items() if not why]}"
    assert set(reports.acknowledged) <= set(states)
    later = [id for id, status in reports.acknowledged.items() if status == 202]
    print(f"{len(later)} of the reports were to be answered later")
    assert later and {states[id][0] for id in later} <= {"answered", "failed", "dead", "in-doubt"}

    intents = {str(id) for (id,) in asked("SELECT transfer FROM log_entry WHERE phase = 'intent'")}
    seen = one.world.seen("do-thi")
    received = {item["transfer"] for item in seen["transfers"]}
    assert received <= intents, "nothing unlogged was forwarded"
    assert seen["records"] == len(received), "nothing was carried out twice"
    answered = {id for id, (state, _) in states.items() if state == "answered"}
    dispatched = {str(id) for (id,) in asked("SELECT id FROM transfer WHERE pattern = 'dispatch'")}
    told = Counter(
        event["id"] for event in read_feed(one.world, "field-report/v1") if event["type"].endswith(":handled")
    )
    assert set(told) == answered & dispatched and set(told.values()) <= {1}

    key = one.settings.identities / "bao-chay" / "log.vkey"
    verified = one.world.lgsp("audit", "verify", "--data", str(one.settings.data), "--vkey", str(key))
    assert verified["ok"], verified
    engine.dispose()
