"""The power goes: of what was not synced, any part is lost. What was acknowledged is there, the log verifies and can be
gone on with.

A real door and a real keeper found a log, take messages in and sequence; strace records what they do with their files,
and the record is played up to many moments, each time with another part of the un-synced writes dropped: all of them,
some, torn by the sector.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from gateway.audit.log.checkpoints import CheckpointFile, size_of
from gateway.audit.log.logkey import LogKey
from gateway.journal.database import fold_back, migrate, open_engine, writing
from gateway.transfer import lease as leases
from tests.attacks.audit.insider import ORIGIN, Gateway
from tests.faults.disk import Disk, can_trace, chosen, command
from tests.faults.test_faults_log_kills import Told, check
from tests.size import FULL

pytestmark = [pytest.mark.full, pytest.mark.server]
ROOT = Path(__file__).resolve().parents[2]
CUTS = 300 if FULL else 24
SEED = random.randrange(1 << 32) if FULL else 20261125
SHARES = (0.0, 0.5, 1.0, 0.9)


def recorded(folder: Path, trace: Path) -> None:
    job = {"url": f"sqlite:///{folder / 'lgsp.db'}", "folder": str(folder), "rounds": 4}
    done = subprocess.run(
        command(trace, sys.executable, "-m", "tests.faults.killed"),
        cwd=ROOT,
        input=json.dumps(job) + "\n",
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "gone 0" in done.stdout, done.stderr


def told_by(lines: list[str]) -> Told:
    told = Told()
    sets = {"try": told.tried, "kept": told.kept, "out": told.out, "end": told.end}
    for word, _, id in (line.partition(" ") for line in lines):
        if word in sets:
            sets[word].add(id)
    return told


def goes_on(folder: Path, told: Told, key: LogKey | None) -> LogKey | None:
    """The gateway starts on what is left, and the promises hold; the key of its log, once anything was said under
    it."""
    engine = open_engine(f"sqlite:///{folder / 'lgsp.db'}")
    try:
        with writing(engine) as connection:
            lease = leases.take(connection, "keeper-after", 0.0, over=leases.holder(connection))
        assert lease is not None
        made = LogKey.open(folder / "keys" / "log.key", ORIGIN)
        assert key is None or made.vkey == key.vkey, "the key of the log is gone, and its log stands"
        note = CheckpointFile(folder / "log" / "checkpoint").read()
        gateway = Gateway(engine, folder, made, lease)
        before = size_of(note) if note is not None else 0
        gateway.sequence()
        check(gateway, told, before)
        with writing(engine) as connection:
            leases.give_back(connection, lease)
        return made if note is not None else None
    finally:
        engine.dispose()


def test_what_was_not_synced_is_lost_and_nothing_else(tmp_path: Path) -> None:
    if why := can_trace(tmp_path):
        pytest.skip(f"a record of what is written: {why}")
    folder, before = tmp_path / "data", tmp_path / "before"
    folder.mkdir()
    engine = open_engine(f"sqlite:///{folder / 'lgsp.db'}")
    migrate(engine)
    fold_back(engine)
    engine.dispose()
    shutil.copytree(folder, before)
    trace = tmp_path / "trace"
    recorded(folder, trace)

    rng = random.Random(SEED)
    with trace.open() as lines:
        kinds = list(Disk(folder, before).play(lines))
    moments = chosen(range(len(kinds)), CUTS // 2, rng)
    named = [at for at, kind in enumerate(kinds) if kind in ("name", "sync", "told")]  # where most can go wrong
    moments = sorted({*moments, *chosen(named, CUTS - len(moments), rng)})
    disk, key = Disk(folder, before), None
    cut: Counter[str] = Counter()
    with trace.open() as lines:
        for at, kind in enumerate(disk.play(lines)):
            if at not in moments:
                continue
            share = SHARES[sum(cut.values()) % len(SHARES)]
            place = tmp_path / f"cut-{at}"
            disk.left_over(place, rng, share)
            try:
                key = goes_on(place, told_by(disk.told), key) or key
            except AssertionError as wrong:
                raise AssertionError(
                    f"power gone after call {at} ({kind}), {share:.0%} of what was open kept, seed {SEED}: {wrong}"
                ) from wrong
            cut[kind] += 1
            shutil.rmtree(place)
    assert key is not None and len(told_by(disk.told).kept) == 12 and len(told_by(disk.told).end) == 8
    print(f"{len(kinds)} calls, the power gone at {sum(cut.values())} of them: {dict(cut)}, seed {SEED}")
