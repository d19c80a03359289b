"""Measures page one of each page of the console: a long log against a much shorter one, in one run.

Both sides are sandbox instances with a filled log, transfers and queue. The desk answers in this process. Pages that
later modules add are measured too: every GET page of the menu is.
Invariant: every timed page answers 200 and is that of the person who signed in.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, Final

from sqlalchemy import Engine, insert

from bench.rows import Row, row
from bench.search import START, fill
from contracts.base.ids import new_id
from gateway.audit.log.checkpoints import NewestCheckpoint
from gateway.cli import run
from gateway.console.accounts import sessions, store
from gateway.console.accounts.records import Account
from gateway.console.app import build_desk
from gateway.console.pages import pages
from gateway.console.roles import Role
from gateway.doors.api.services import DeskServices
from gateway.journal.database import open_engine, writing
from gateway.journal.schema import tables
from gateway.registry.registry import Registry
from gateway.registry.seals import account_rows, accounts
from gateway.registry.seals.sealing import Seal
from gateway.settings import Settings

_HOST: Final = "desk.example"
_CHUNK: Final = 5_000
_ROLES: Final = (Role.OFFICER, Role.OPERATOR, Role.STEWARD, Role.AUDITOR)


@dataclass(frozen=True, slots=True)
class Side:
    """A desk over a filled instance, and the cookie of somebody who sees every page."""

    app: Any
    engine: Engine
    cookie: str


def measure(quick: bool, say: Callable[[str], None]) -> Row:
    number, few = (40_000, 4_000) if quick else (1_000_000, 10_000)
    rounds = 3 if quick else 5
    with tempfile.TemporaryDirectory(prefix="lgsp-bench-console-") as folder:
        small, large = (_side(Path(folder) / str(size), size, say) for size in (few, number))
        paths = [f"/console{page.path}" for page in pages() if page.menu is not None]
        took, against, slowest = [], [], dict[str, list[float]]()
        for _ in range(rounds):
            took.append(_rate(large, paths, slowest))
            against.append(_rate(small, paths, {}))
        for side in (small, large):
            side.engine.dispose()
    worst = max(slowest, key=lambda path: median(slowest[path]))
    say(f"console: the slowest page is {worst}")
    details = {
        "slowest_page_ms": median(slowest[worst]) * 1000,
        "median_page_ms": median(map(median, slowest.values())) * 1000,
        "pages": len(paths),
        "entries": number,
    }
    return row("console-pages-million", "pages/s", took, {f"the same of {few:,}": against}, details)


def _rate(side: Side, paths: Sequence[str], times: dict[str, list[float]]) -> float:
    """Pages per second of processor time. The wall time of each page goes to `times`."""
    began = time.process_time()
    for path in paths:
        before = time.perf_counter()
        status, body = asyncio.run(_get(side, path))
        times.setdefault(path, []).append(time.perf_counter() - before)
        if status != 200 or b'action="/console/sign-out"' not in body:
            raise AssertionError(f"{path} answered {status}")
    return len(paths) / (time.process_time() - began)


async def _get(side: Side, path: str) -> tuple[int, bytes]:
    headers = {"host": _HOST, "cookie": side.cookie, "accept-language": "en"}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": (_HOST, 443),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "extensions": {},
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await side.app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def _side(folder: Path, number: int, say: Callable[[str], None]) -> Side:
    settings = replace(Settings(folder), origin="localhost/lgsp-bench", live=False)
    run.ensure_instance(settings, say_progress=False)
    engine = open_engine(settings.database_url)
    say(f"console: {number:,} entries")
    fill(engine, number, lambda text: None)
    for some in _chunks(_transfers(Random(number), number // 2)):
        with writing(engine) as connection:
            connection.execute(insert(tables.transfer), [each[0] for each in some])
            waiting = [each[1] for each in some if each[1] is not None]
            if waiting:
                connection.execute(insert(tables.queue), waiting)
    registry = Registry(engine, Seal.of(settings))
    with engine.connect() as connection:
        registry.refresh(connection)
    now = START + number * 0.1
    services = DeskServices(
        engine, registry, NewestCheckpoint(settings.checkpoint_file), settings, clock=lambda: now + 1.0
    )
    with account_rows.changing(engine, accounts.Seal.of(settings), now, "bench") as change:
        store.add(change, Account("bench", "H14.0", "Bench", _ROLES, True))
        token = sessions.open_session(change, "bench", "link", "127.0.0.1")
    return Side(build_desk(services), engine, f"__Host-lgsp={token}")


def _chunks(rows: Iterator[Any]) -> Iterator[list[Any]]:
    some: list[Any] = []
    for each in rows:
        some.append(each)
        if len(some) == _CHUNK:
            yield some
            some = []
    if some:
        yield some


def _transfers(chance: Random, number: int) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Rows of `transfer`, and of `queue` for one in ten. A few wait, a few are dead, a few are in doubt."""
    for at in range(number):
        now = START + at * 0.2
        queued, draw = at % 10 == 0, chance.random()
        waits = "waiting" if draw < 0.002 else "dead" if draw < 0.004 else "done"
        state = "answered"
        if queued and waits != "done":
            state = "queued" if waits == "waiting" else "dead"
        elif draw > 0.9995:
            state = "in-doubt"
        id = new_id(int(now * 1000))
        row = {
            "id": id,
            "state": state,
            "pattern": "dispatch" if queued else "query",
            "caller_system": "phan-anh",
            "caller_agency": "H14.5",
            "contract": "field-report/v1",
            "bundle": "sha256:" + "ab" * 32,
            "operation": "createRequest",
            "message_id": f"m-{at}",
            "payload_digest": bytes(32),
            "grant_id": "G-0001",
            "provider": "do-thi",
            "idempotent": True,
            "received": now,
            "committed": now,
            "finished": now + 0.1,
            "status": 200,
        }
        message = {
            "transfer": id,
            "provider": "do-thi",
            "body_ref": f"{id}/canonical",
            "state": waits,
            "tries": 1,
            "next_at": now,
            "last_failure": None if waits == "done" else "provider.down",
        }
        yield row, message if queued else None
