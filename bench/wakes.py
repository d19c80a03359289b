"""What LISTEN and NOTIFY cost and bring on PostgreSQL (`gateway.journal.wakes`).

    python -m bench.wakes --database postgresql+psycopg://… [--rounds 6]     from a checkout; an empty database

- `commits`: units a second that writers of several processes acknowledge, told and untold in turn; and the processor
  time of a unit, in microseconds: of writers, of a process that listens, and of a server on this machine.
- `idle`: transactions a second of an instance without traffic, and the share of one core that its processes take.
- `reader`: milliseconds from the call of a sender until its event has reached a reader that waits.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Engine, text

from bench.demo import demo_settings, running
from bench.process import cpu_seconds
from contracts.base.ids import new_id
from gateway.cli.run import ensure_instance
from gateway.journal import wakes
from gateway.journal.database import migrate, open_engine
from gateway.journal.write import FeedRow, LogRow, VaultRow, Write
from gateway.journal.writer import Journal
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import RestClient
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from security.transparency.merkle import leaf_hash

WRITERS: Final = 3  # processes
CALLERS: Final = 16  # of each
SECONDS: Final = 5.0  # of a round
IDLE_SECONDS: Final = 30.0
ALERTS: Final = 40
_FEED: Final = "incident-alert/v1"
_TRANSACTIONS: Final = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"


# --- commits ----------------------------------------------------------------------------------------------------------
def _unit() -> Write:
    id = new_id()
    entry = json.dumps({"transfer": id, "filling": "x" * 600}).encode()
    return Write(
        log=tuple(LogRow(id, phase, entry, leaf_hash(entry)) for phase in ("intent", "outcome")),
        vault=(VaultRow(f"{id}/canonical", "bench", 1000, os.urandom(1000)),),
        feed=(FeedRow(_FEED, id, "{}", f"{id}/canonical"),),
    )


async def _commits(url: str, name: str, barrier: Barrier) -> int:
    journal, count = Journal(open_engine(url), None, name), 0
    journal.start()
    await journal.commit(_unit())
    await asyncio.to_thread(barrier.wait)
    until = time.monotonic() + SECONDS

    async def caller() -> None:
        nonlocal count
        while time.monotonic() < until:
            await journal.commit(_unit())
            count += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    for _ in range(2):  # at the second one the time was taken
        await asyncio.to_thread(barrier.wait)
    await asyncio.to_thread(journal.stop)
    return count


def _write(url: str, told: bool, barrier: Barrier, counts: Any) -> None:
    if not told:
        wakes.topics_of = lambda units: set()
    counts.put(asyncio.run(_commits(url, f"door-{new_id()}", barrier)))


def _listen(url: str, ready: Event, stop: Event) -> None:
    async def wait() -> None:
        engine = open_engine(url)
        wakers = [wakes.waker(engine, topic) for topic in wakes.TOPICS]
        while not all(each.connected for each in wakers):
            await asyncio.sleep(0.05)
        ready.set()
        while not stop.is_set():
            await asyncio.wait({asyncio.ensure_future(each.wait(0.5)) for each in wakers})

    asyncio.run(wait())


@contextmanager
def _listening(url: str) -> Iterator[int]:
    ready, stop = multiprocessing.Event(), multiprocessing.Event()
    process = multiprocessing.Process(target=_listen, args=(url, ready, stop))
    process.start()
    ready.wait(60)
    try:
        yield process.pid or 0
    finally:
        stop.set()
        process.join()


def _round(url: str, engine: Engine, listener: int, told: bool) -> tuple[float, float]:
    """Units a second, and microseconds of a unit."""
    counts: Any = multiprocessing.Queue()
    barrier = multiprocessing.Barrier(WRITERS + 1)
    writers = [multiprocessing.Process(target=_write, args=(url, told, barrier, counts)) for _ in range(WRITERS)]
    for each in writers:
        each.start()
    barrier.wait()
    pids = [listener, *(each.pid or 0 for each in writers)]
    with engine.begin() as connection:
        pids += connection.scalars(text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()"))
    spent = cpu_seconds(*pids)
    barrier.wait()
    spent = cpu_seconds(*pids) - spent
    barrier.wait()
    units = sum(counts.get() for _ in writers)
    for each in writers:
        each.join()
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE log_pending, feed_pending, vault"))
    return units / SECONDS, spent / units * 1e6


def commits(url: str, rounds: int) -> dict[str, Any]:
    """Medians of the rounds; `share`: told in relation to untold."""
    engine = open_engine(url)
    migrate(engine)
    found: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    with _listening(url) as listener:
        for number in range(rounds * 2):
            told = (number + number // 2) % 2 == 0  # each goes first as often
            found[told].append(_round(url, engine, listener, told))
    engine.dispose()
    middle = {told: [median(each) for each in zip(*rounds, strict=True)] for told, rounds in found.items()}
    return {
        name: {"told": round(told), "untold": round(untold), "share": round(told / untold, 3)}
        for name, told, untold in zip(("units", "microseconds"), middle[True], middle[False], strict=True)
    }


# --- an instance ------------------------------------------------------------------------------------------------------
def _transactions(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(_TRANSACTIONS)).scalar_one())


def _processes(settings: Settings) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode("utf-8", "replace").replace("\0", " ").split()
            if str(settings.data) in words:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def idle(settings: Settings, engine: Engine) -> dict[str, float]:
    """Once it has settled."""
    time.sleep(15.0)
    pids = _processes(settings)
    spent, before = cpu_seconds(*pids), _transactions(engine)
    time.sleep(IDLE_SECONDS)
    spent, after = cpu_seconds(*pids) - spent, _transactions(engine)
    return {"transactions": round((after - before) / IDLE_SECONDS, 1), "core": round(spent / IDLE_SECONDS, 4)}


class _Reader(threading.Thread):
    """Waits for the events of the feed. `came`: when each did, by its identifier."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self.came: dict[str, float] = {}
        self.changed = threading.Condition()
        self._client = RestClient(Identity.load(settings.identities / "dieu-hanh"), timeout=60.0)
        (listed,) = [each for each in self._client.call("GET", "/feeds").json()["feeds"] if each["contract"] == _FEED]
        self._after = listed["head"]

    def run(self) -> None:
        while True:
            page = self._client.call("GET", f"/feeds/{_FEED}?wait=20&after={quote(self._after)}").json()
            now, self._after = time.monotonic(), page["next"]
            with self.changed:
                self.came |= {event["data"]["identifier"]: now for event in page["events"]}
                self.changed.notify_all()

    def when(self, name: str) -> float:
        with self.changed:
            if not self.changed.wait_for(lambda: name in self.came, 60):
                raise RuntimeError(f"{name} did not come")
            return self.came[name]


def reader(settings: Settings) -> dict[str, float]:
    waiting = _Reader(settings)
    waiting.start()
    sender, took = RestClient(Identity.load(settings.identities / "bao-chay")), list[float]()
    for number in range(ALERTS):
        time.sleep(random.uniform(0.5, 1.0))  # noqa: S311
        name, began = f"WAKES-{number}", time.monotonic()
        answer = sender.call("POST", "/incident-alert/v1/alerts", messages.fire_alarm(identifier=name))
        if not answer.ok:
            raise RuntimeError(f"{answer.status}: {answer.body!r}")
        took.append(waiting.when(name) - began)
    took.sort()
    return {"median": round(median(took) * 1000, 1), "p90": round(took[int(len(took) * 0.9)] * 1000, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.wakes")
    parser.add_argument("--database", required=True)
    parser.add_argument("--rounds", type=int, default=6)
    asked = parser.parse_args()
    found: dict[str, Any] = {}
    if asked.rounds:
        found["commits"] = commits(asked.database, asked.rounds)
    with tempfile.TemporaryDirectory(prefix="lgsp-bench-wakes-") as folder:
        settings = replace(demo_settings(Path(folder) / "data"), database=asked.database)
        ensure_instance(settings, say_progress=False)
        engine = open_engine(settings.database_url)
        with running(settings):
            found |= {"idle": idle(settings, engine), "reader": reader(settings)}
        engine.dispose()
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
