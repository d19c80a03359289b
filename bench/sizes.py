"""What a transfer takes on the disk, by kind of exchange and by table; and what an idle instance takes of memory.

    python -m bench.sizes [--calls 400] [--database postgresql+psycopg://…]     from a checkout

A sandbox without traffic takes calls of one kind, one after the other kind. After each kind it is waited until nothing
waits for its place in the log, its index or its provider; then the tables are weighed with their indexes. Without
`--database` (an empty one) it is SQLite, and both weigh allocated pages: take enough calls that pages do not matter.
docs/sizing.md quotes these figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, func, select, table, text

from bench.demo import demo_settings, running
from examples.story.exchange import QUESTION
from gateway.cli.run import ensure_instance
from gateway.journal.database import open_engine
from gateway.sample_client.async_rest import AsyncRestClient
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import RestClient
from gateway.sandbox.standins import messages
from gateway.settings import Settings

_STILL: Final = 120.0  # seconds
_WAITS: Final = (
    "SELECT (SELECT count(*) FROM log_pending) + (SELECT count(*) FROM feed_pending)"
    " + (SELECT count(*) FROM queue WHERE state IN ('waiting', 'leased'))"
)
_SQLITE: Final = (
    "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_master m ON m.name = s.name"
    " WHERE s.aggregate = TRUE GROUP BY m.tbl_name"
)
_POSTGRESQL: Final = (
    "SELECT relname, pg_total_relation_size(oid) FROM pg_class"
    " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
)
_BODIES: Final = "vault"
_PASSING: Final = frozenset(
    {"log_pending", "feed_pending", "queue", "sqlite_schema", "sqlite_sequence", "sqlite_stat1"}
)
_PROCESSES: Final = ("door", "keeper", "desk", "files", "standin", "agent", "up")
Call = tuple[str, str, Mapping[str, Any] | None]


def _alert() -> Call:
    return "POST", "/incident-alert/v1/alerts", messages.fire_alarm(identifier=f"SIZE-{uuid.uuid4()}")


def _report() -> Call:
    return "POST", "/field-report/v1/requests", messages.field_report(area="01273")


def _question() -> Call:
    return "GET", messages.indicator_question(**QUESTION), None


KINDS: Final[Mapping[str, tuple[str, Callable[[], Call]]]] = {
    "submit": ("bao-chay", _alert),  # taken into a feed
    "dispatch": ("phan-anh", _report),  # forwarded to a SOAP provider, whose answer is awaited
    "query": ("y-te", _question),  # answered by a provider
}


def measure(calls: int, database: str = "") -> dict[str, Any]:
    """By kind, of one transfer: `rows`; bytes that stay (`kept`) and that go with their retention (`bodies`); `tables`.

    `memory`: MiB by process, shared pages counted once.
    """
    with tempfile.TemporaryDirectory(prefix="lgsp-bench-sizes-") as folder:
        settings = replace(demo_settings(Path(folder) / "data"), database=database, doors=1)
        ensure_instance(settings, say_progress=False)
        engine = open_engine(settings.database_url)
        with running(settings):
            result: dict[str, Any] = {"calls": calls, "memory": _memory(settings)}
            for name, (system, make) in KINDS.items():
                asyncio.run(_load(settings, system, make, 20))  # what only the first ones write
                before = _weighed(engine)
                taken = asyncio.run(_load(settings, system, make, calls))
                after = _weighed(engine)
                result[name] = _grown(before, after, taken)
        engine.dispose()
        return result


async def _load(settings: Settings, system: str, make: Callable[[], Call], calls: int) -> int:
    client, left, taken = RestClient(Identity.load(settings.identities / system)), calls, 0

    async def one(caller: AsyncRestClient) -> None:
        nonlocal left, taken
        while left > 0:
            left -= 1
            answer = await caller.call(*make())
            if answer.status == 429:
                left += 1
                await asyncio.sleep(float(answer.headers.get("retry-after", "1")))
            elif not answer.ok:
                raise RuntimeError(f"{answer.status}: {answer.body!r}")
            else:
                taken += 1

    async with AsyncRestClient(client, connections=4, timeout=60) as caller:
        await asyncio.gather(*(one(caller) for _ in range(4)))
    return taken


def _weighed(engine: Engine) -> dict[str, tuple[int, int]]:
    """Rows and bytes of each table in which something stays, once nothing waits."""
    until, quiet = time.monotonic() + _STILL, 0
    while quiet < 3:  # the index of the log follows the sequencer
        with engine.connect() as connection:
            waits = int(connection.scalar(text(_WAITS)) or 0)
        quiet = 0 if waits else quiet + 1
        if time.monotonic() > until:
            raise RuntimeError(f"{waits} rows still wait")
        time.sleep(0.5)
    weigh = _SQLITE if engine.dialect.name == "sqlite" else _POSTGRESQL
    with engine.connect() as connection:
        sizes = {str(name): int(size) for name, size in connection.execute(text(weigh))}
        return {
            name: (int(connection.scalar(select(func.count()).select_from(table(name))) or 0), size)
            for name, size in sizes.items()
            if name not in _PASSING
        }


def _grown(before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]], calls: int) -> dict[str, Any]:
    tables = {
        name: {"rows": round((rows - before[name][0]) / calls, 2), "bytes": round((size - before[name][1]) / calls)}
        for name, (rows, size) in after.items()
        if size > before[name][1] or rows > before[name][0]
    }
    bodies = int(tables[_BODIES]["bytes"])
    kept = int(sum(each["bytes"] for each in tables.values())) - bodies
    rows = round(sum(each["rows"] for each in tables.values()), 1)
    largest = dict(sorted(tables.items(), key=lambda pair: -pair[1]["bytes"]))
    return {"rows": rows, "kept": kept, "bodies": bodies, "tables": largest}


def _memory(settings: Settings) -> dict[str, float]:
    """MiB of each process of the instance: the proportional set size of Linux; 0.0 elsewhere."""
    found: dict[str, float] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode("utf-8", "replace").replace("\0", " ").split()
            if str(settings.data) not in words:
                continue
            lines = (entry / "smaps_rollup").read_text("ascii").splitlines()
        except OSError:
            continue
        kind = next((each for each in _PROCESSES if each in words), "")
        pss = sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
        found[kind] = round(found.get(kind, 0.0) + pss, 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sizes")
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--database", default="")
    asked = parser.parse_args()
    print(json.dumps(measure(asked.calls, asked.database), indent=1))


if __name__ == "__main__":
    main()
