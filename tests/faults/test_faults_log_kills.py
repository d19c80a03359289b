"""Killed with signal 9 at each step of taking in and of sequencing, again and again on one log: nothing acknowledged is
lost, nothing left without an intent, no gap, nothing twice, and the log verifies after every death."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from gateway.audit.log.checkpoints import size_of
from gateway.journal.database import migrate, open_engine, snapshot, writing
from gateway.journal.schema import tables
from gateway.transfer import lease as leases
from tests.attacks.audit.insider import Gateway
from tests.journal import databases
from tests.size import FULL

pytestmark = [pytest.mark.full, pytest.mark.server]
ROOT = Path(__file__).resolve().parents[2]
KILLS = 200 if FULL else 20
SEED = random.randrange(1 << 32) if FULL else 20261125


@dataclass
class Told:
    """What the world outside heard of all lives so far."""

    tried: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    out: set[str] = field(default_factory=set)
    end: set[str] = field(default_factory=set)


class Zygote:
    """Makes the lives, one after the other."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.faults.killed"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def live(self, told: Told, **job: Any) -> tuple[int, dict[str, int]]:
        """How it ended, and which steps it went through if it was not killed."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        steps: dict[str, int] = {}
        for line in self._process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "gone":
                return int(rest), steps
            if word == "steps":
                steps = json.loads(rest)
            else:
                {"try": told.tried, "kept": told.kept, "out": told.out, "end": told.end}[word].add(rest)
        raise AssertionError("the maker of processes is gone")

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    made = Zygote()
    yield made
    made.end()


def check(gateway: Gateway, told: Told, before: int) -> int:
    """The promises, after any death; the size that the file beside the database has now."""
    report, rows = gateway.verify(), gateway.complete()
    assert report.ok, report.wrong
    assert rows.ok, rows.wrong
    logged, states = _logged(gateway.engine)
    assert not {key: count for key, count in logged.items() if count != 1}, "an entry stands twice"
    phases: dict[str, set[str]] = {}
    for transfer, phase in logged:
        phases.setdefault(transfer, set()).add(phase)
    assert all(phases.get(id, set()) >= {"intent", "outcome"} for id in told.kept | told.end), (
        "acknowledged, and not in the log"
    )
    assert all("intent" in phases.get(id, set()) for id in told.out), "it left without an intent"
    assert set(states) <= told.tried, "nobody sent this"
    assert told.kept <= set(states)
    size = size_of(gateway.note)
    assert before <= size <= report.size, "the checkpoint outside went back, or was ahead"
    return size


def _logged(engine: Engine) -> tuple[Counter[tuple[str, str]], dict[str, str]]:
    with snapshot(engine) as connection:
        found = Counter(
            (row.transfer, row.phase)
            for table in (tables.log_entry, tables.log_pending)
            for row in connection.execute(select(table.c.transfer, table.c.phase))
        )
        rows = connection.execute(select(tables.transfer.c.id, tables.transfer.c.state))
        return found, {row.id: row.state for row in rows}


@pytest.mark.parametrize("kind", databases.KINDS)
def test_killed_at_every_step(zygote: Zygote, tmp_path: Path, kind: str) -> None:
    url = databases.fresh_url(kind, tmp_path)
    engine = open_engine(url)
    migrate(engine)
    gateway = Gateway.found(engine, tmp_path)
    with writing(engine) as connection:
        leases.give_back(connection, gateway.lease)
    told, job = Told(), {"url": url, "folder": str(tmp_path)}
    ended, steps = zygote.live(told, **job)
    assert ended == 0 and told.kept and told.end == told.out
    size, rng = check(gateway, told, 0), random.Random(SEED)
    targets = [(step, 1 + rng.randrange(steps[step])) for step in sorted(steps)]
    while len(targets) < KILLS:
        step = rng.choice(sorted(steps))
        targets.append((step, 1 + rng.randrange(steps[step])))
    rng.shuffle(targets)
    if not FULL:  # each database takes other steps
        targets = targets[:KILLS] if kind == "sqlite" else targets[KILLS : KILLS + 8]
    killed: Counter[str] = Counter()
    for step, number in targets:
        for attempt in (number, 1):
            ended, _ = zygote.live(told, **job, kind=step, number=attempt, delay=rng.uniform(0, 0.002))
            size = check(gateway, told, size)
            if ended == -9:
                killed[step] += 1
                break
            assert ended == 0, (SEED, step, attempt, ended)
    missed = {step for step, _ in targets} - set(killed)
    assert len(missed) <= 2, (SEED, missed)
    print(
        f"{kind}: {sum(killed.values())} deaths at {len(killed)} of {len(steps)} steps, {len(told.kept)} "
        f"kept, seed {SEED}"
    )
    ended, _ = zygote.live(told, **job)
    assert ended == 0
    size = check(gateway, told, size)
    assert size == gateway.verify().size
    _, states = _logged(engine)
    left = told.out - told.end
    assert {states[id] for id in left} <= {"in-doubt", "answered"}, "what was out when its process died is named"
    assert "forwarding" not in states.values()
    engine.dispose()
    assert os.listdir(gateway.file.path.parent).count("checkpoint") == 1
