"""Measures the audit log: durable entries a second, delay until the signed checkpoint, verification of a whole log.

A journal in this process and the real keeper in another, over real files with full sync. An entry counts when a
signed checkpoint outside the database covers it. For comparison: the same rows in a plain SQLite table, in commits
of the same size, without a tree. Invariant: the filled log is whole and verifies, or there is no row.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from sqlalchemy import Engine, select

from bench.auditkeeper import checkpoint_file, database_url, log_key
from bench.process import NotUp, cpu_seconds, last_lines, running, two_cores
from bench.rows import Row, row
from contracts.base.ids import new_id
from gateway.audit.log.checkpoints import CheckpointFile, size_of
from gateway.audit.log.sequencer import Sequencer
from gateway.audit.verify.verify import verify_log
from gateway.journal.append import append
from gateway.journal.database import lock_of, migrate, open_engine, writing
from gateway.journal.schema import tables
from gateway.journal.write import LogRow, Write
from gateway.journal.writer import Journal
from gateway.transfer import lease as leases
from security.transparency.entry import Caller, Digest, Intent, Outcome, freeze

AT_ONCE: Final = 256  # units in hand
ROUNDS: Final = 3
PACE: Final = 2000  # entries a second while delays are measured
_STEP: Final = 0.01
_SECONDS: Final = 60.0
_MIXED: Final = hashlib.sha256


def measure(quick: bool, say: Callable[[str], None]) -> tuple[Row, ...]:
    durable, checked = (36_000, 100_000) if quick else (90_000, 1_000_000)
    with tempfile.TemporaryDirectory(prefix="lgsp-audit-") as name:
        folder = Path(name)
        engine = open_engine(database_url(folder))
        migrate(engine)
        try:
            first, held = _growing(engine, folder, durable, 2.0 if quick else 10.0, say)
            say(f"log: {first.median:,.0f} durable entries/s, {first.details['delay_p50_ms']:.0f} ms to the checkpoint")
            _fill(engine, folder, checked - held)
            second = _checking(engine, folder, checked)
            say(f"log: {second.median:,.0f} entries/s checked")
        finally:
            engine.dispose()
    return first, second


def units(start: int, count: int) -> list[Write]:
    """Transfers as an exchange logs them, two entries each, prepared beforehand: the exchange pays for freezing."""
    return [Write(log=pair) for pair in pairs(start, count)]


def pairs(start: int, count: int) -> list[tuple[LogRow, LogRow]]:
    now = time.time()
    entries = []
    for number in range(start, start + count):
        mark = _MIXED(str(number).encode()).digest()
        caller = Caller("H14.5", "phan-anh", mark.hex(), "phan-anh.sign-1")
        transfer = new_id(int(now * 1000) + number % 1000)
        bundle = f"sha256:{mark[::-1].hex()}"
        intent = Intent(
            transfer,
            now,
            "rest",
            caller,
            "field-report/v1",
            "createRequest",
            bundle,
            mark.hex(),
            "G-0007",
            "do-thi",
            Digest(mark, 1024),
        )
        outcome = Outcome(transfer, now, 200, "do-thi", None, Digest(mark, 2311), Digest(mark, 1800), Digest(mark, 640))
        frozen = freeze(intent), freeze(outcome)
        entries.append((LogRow(*frozen[0]), LogRow(*frozen[1])))
    return entries


# --- growing ---
def _growing(engine: Engine, folder: Path, durable: int, seconds: float, say: Callable[[str], None]) -> tuple[Row, int]:
    _ours, theirs = two_cores()
    journal = Journal(engine, lock_of(engine), "door-bench")
    journal.start()
    log = folder / "keeper.log"
    try:
        with running("bench.auditkeeper", [str(folder)], log, core=theirs) as keeper:
            _await_size(folder, 0, log)
            rates, plain, held, used = [], [], 0, 0.0
            for _ in range(ROUNDS):
                prepared = units(held, durable // ROUNDS // 2)
                began, before = time.perf_counter(), cpu_seconds(os.getpid(), keeper.pid)
                asyncio.run(_commit(journal, prepared))
                held += 2 * len(prepared)
                _await_size(folder, held, log)
                used += cpu_seconds(os.getpid(), keeper.pid) - before
                rates.append(2 * len(prepared) / (time.perf_counter() - began))
                plain.append(_plainly(folder, [each for unit in prepared for each in unit.log]))
                say(f"log: {rates[-1]:,.0f} durable entries/s, {plain[-1]:,.0f} plain")
            delays = asyncio.run(_delays(journal, folder, held, seconds))
            held += 2 * len(delays)
            _await_size(folder, held, log)
            if keeper.poll() is not None:
                raise NotUp(f"the keeper ended:\n{last_lines(log)}")
    finally:
        journal.stop()
    late = sorted(delays)
    details = {
        "processor_us_an_entry_both_sides": 1e6 * used / durable,
        "delay_p50_ms": 1000 * median(late),
        "delay_p99_ms": 1000 * late[len(late) * 99 // 100],
        "delay_max_ms": 1000 * late[-1],
        "delay_at_entries_per_second": float(PACE),
    }
    return row("audit-durable-entries", "entries/s", rates, {"the same rows in a plain table": plain}, details), held


async def _commit(journal: Journal, prepared: Sequence[Write]) -> None:
    for at in range(0, len(prepared), AT_ONCE):
        await asyncio.gather(*[journal.commit(unit) for unit in prepared[at : at + AT_ONCE]])


async def _delays(journal: Journal, folder: Path, held: int, seconds: float) -> list[float]:
    """The time from handing in a transfer's entries until a signed checkpoint covers both, at a steady pace."""
    steps = int(seconds / _STEP)
    a_step = int(PACE * _STEP) // 2
    prepared = units(held, steps * a_step)
    seen: list[tuple[float, int]] = []
    done = asyncio.Event()

    async def look() -> None:
        while not done.is_set() or seen[-1][1] < held + 2 * len(prepared):
            seen.append((time.perf_counter(), size_of(checkpoint_file(folder).read_text("utf-8"))))
            await asyncio.sleep(0.005)

    looking = asyncio.create_task(look())
    handed: list[float] = []
    waiting = []
    began = time.perf_counter()
    for step in range(steps):
        await asyncio.sleep(max(0.0, began + step * _STEP - time.perf_counter()))
        handed += [time.perf_counter()] * a_step
        waiting += [journal.commit(unit) for unit in prepared[step * a_step : (step + 1) * a_step]]
    await asyncio.gather(*waiting)
    done.set()
    await asyncio.wait_for(looking, _SECONDS)
    delays, at = [], 0
    for number, handed_at in enumerate(handed):
        while seen[at][1] < held + 2 * (number + 1):
            at += 1
        delays.append(max(0.0, seen[at][0] - handed_at))
    return delays


def _await_size(folder: Path, size: int, log: Path) -> None:
    until, file = time.monotonic() + _SECONDS, CheckpointFile(checkpoint_file(folder))
    while (note := file.read()) is None or size_of(note) < size:
        if time.monotonic() > until:
            raise NotUp(f"no checkpoint of {size} entries in {_SECONDS:.0f} s:\n{last_lines(log)}")
        time.sleep(0.002)


def _plainly(folder: Path, rows: Sequence[LogRow]) -> float:
    """Write the same rows, in commits as large as the journal's, into a plain table with the same unique key."""
    connection = sqlite3.connect(folder / "plain.db", isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS entry (idx INTEGER PRIMARY KEY, transfer, phase, entry, leaf, UNIQUE "
            "(transfer, phase))"
        )
        began = time.perf_counter()
        for at in range(0, len(rows), 2 * AT_ONCE):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT INTO entry (transfer, phase, entry, leaf) VALUES (?, ?, ?, ?)", rows[at : at + 2 * AT_ONCE]
            )
            connection.execute("COMMIT")
        return len(rows) / (time.perf_counter() - began)
    finally:
        connection.close()


# --- checking ---
def _fill(engine: Engine, folder: Path, count: int) -> None:
    """Add entries without measuring."""
    now = time.time()
    with writing(engine) as connection:
        lease = leases.take(connection, "filler-bench", now, seconds=3600.0, over="keeper-bench")
    if lease is None:
        raise NotUp("the keeper of the bench still leads")
    sequencer = Sequencer(engine, lock_of(engine), log_key(folder), CheckpointFile(checkpoint_file(folder)), limit=5000)
    for at in range(0, count // 2, 10_000):
        with writing(engine) as connection:
            append(connection, [each for pair in pairs(10**9 + at, min(10_000, count // 2 - at)) for each in pair])
        while sequencer.run_once(lease).busy:
            pass


def _checking(engine: Engine, folder: Path, count: int) -> Row:
    """Compare with hashing the leaves of the same entries, in processor time."""
    key, note = log_key(folder).vkey, checkpoint_file(folder).read_text("utf-8")
    with engine.connect() as connection:
        began, by_clock = time.process_time(), time.perf_counter()
        report = verify_log(connection, key, newest=note)
        used, clock = time.process_time() - began, time.perf_counter() - by_clock
        if not report.ok or report.size != count:
            raise NotUp(f"the log of the bench is not whole: {report}")
        some = [bytes(each) for each in connection.execute(select(tables.log_entry.c.entry).limit(20_000)).scalars()]
    began = time.process_time()
    for each in some:
        _MIXED(b"\x00" + each).digest()
    hashing = len(some) / (time.process_time() - began)
    details = {
        "entries": float(count),
        "seconds_by_the_clock": clock,
        "a_million_in_seconds_of_processor": used / count * 1e6,
    }
    return row("audit-verify-whole-log", "entries/s", [count / used], {"leaf hashes alone": [hashing]}, details)
