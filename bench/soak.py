"""Twelve agencies at the highest rate that this machine holds, for a while: memory, queue, percentiles.

    python -m bench.soak [--seconds 600] [--json]     from a checkout

Alerts, reports that are dispatched, questions and a reader of the feed, each caller with connections of its own, in a
closed loop: a caller sends its next message when the answer came. An instance as `lgsp up` runs it, over TLS.
It exits with 1 unless each of these holds: `accounted` (each acknowledged alert stands in the feed once), `log`
(verifies), `drained` (nothing waits at the end), `memory` (no kind of process grows in the second half by more than
GROWTH and SLACK), `percentiles` (of each kind of call, within SLOWEST), `answered` (one call in a thousand refused at
most, but for 429 and 503).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib import resources
from itertools import product
from pathlib import Path
from statistics import fmean, median
from typing import Any, Final
from urllib.parse import quote

import yaml

from bench.demo import demo_settings, running, world_of
from bench.process import memory_mib
from contracts.base.words import Words
from examples.story.exchange import ALERTS, QUESTION
from gateway.cli.registry.registry import current
from gateway.cli.run import ensure_instance
from gateway.journal.database import open_engine
from gateway.keys.authority import EmbeddedAuthority
from gateway.keys.keyring import Keyring
from gateway.registry.changes import applying, granting
from gateway.registry.records import System
from gateway.registry.seals.revisions import raise_revision
from gateway.registry.seals.sealing import Seal, changing
from gateway.sample_client.async_rest import AsyncRestClient
from gateway.sample_client.errors import ClientError
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import RestClient
from gateway.sandbox.instance import OFFICERS, PROVINCE, make_identity, register_keys, rsa_keys
from gateway.sandbox.officers import sign_waiting
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from security.grants import approvals

MORE: Final = ("H14.31", "H14.32", "H14.33")  # beside the nine of the sandbox
_EVERY: Final = 1.0  # seconds between two looks
_DRAIN: Final = 120.0
GROWTH: Final = 0.01  # of a process's memory, in the second half
SLACK: Final = 3.5  # MiB more: caches that fill
SLOWEST: Final = (1_000.0, 10_000.0)  # milliseconds: half of a kind's calls, and 999 of a thousand
_FIRST: Final = 60.0  # more seconds for the first answers
Over = Callable[[], bool]
Make = Callable[[], tuple[str, str, Mapping[str, Any] | None]]


@dataclass(slots=True)
class Seen:
    """Of one kind of call: seconds of each answer, refusals by code, acknowledged alerts by identifier.

    `failed`: refusals, but for those that were told to come again.
    """

    took: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    acknowledged: set[str] = field(default_factory=set)

    def percentiles(self) -> dict[str, float]:
        ordered = sorted(self.took) or [0.0]
        at = {name: ordered[min(len(ordered) - 1, int(len(ordered) * share))] for name, share in _SHARES.items()}
        return {f"{name}_ms": round(value * 1000, 1) for name, value in at.items()}


_LATER: Final = (429, 503)  # come again: it is how a full door holds its rate
_SHARES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p999": 0.999}


@dataclass(frozen=True, slots=True)
class Look:
    at: float
    memory: Mapping[str, float]  # MiB by kind of process
    waiting: int  # in the queue
    unplaced: int  # entries without a place in the log


def soak(seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="lgsp-bench-soak-") as folder:
        settings = demo_settings(Path(folder) / "data")
        ensure_instance(settings, say_progress=False)
        _more_agencies(settings)
        with running(settings):
            world = world_of(settings)
            looks: list[Look] = []
            seen, took = asyncio.run(_load(settings, seconds, looks, say))
            drained = _drained(settings)
            key = settings.identities / "bao-chay" / "log.vkey"
            verified = world.lgsp("audit", "verify", "--data", str(settings.data), "--vkey", str(key))
            identifiers = Counter(_in_feed(settings))
    handed_in = seen["alerts"].acknowledged
    half = looks[len(looks) // 2 :]
    memory = {kind: _growth(half, kind) for kind in looks[-1].memory}
    shares = {name: each.percentiles() for name, each in seen.items()}
    holds = {
        "accounted": all(identifiers[each] == 1 for each in handed_in),
        "log": bool(verified["ok"]),
        "drained": drained is not None,
        "memory": all(each["grown"] <= SLACK + GROWTH * each["median"] for each in memory.values()),
        "percentiles": all(each["p50_ms"] <= SLOWEST[0] and each["p999_ms"] <= SLOWEST[1] for each in shares.values()),
        "answered": all(each.failed <= len(each.took) / 1000 for each in seen.values()),
    }
    exchanges = sum(len(each.took) for name, each in seen.items() if name != "feed pages")
    return {
        "ok": all(holds.values()),
        "holds": holds,
        "seconds": round(took, 1),
        "agencies": 9 + len(MORE),
        "exchanges": exchanges,
        "exchanges_per_second": round(exchanges / took, 1),
        "calls": {name: {"answers": len(each.took), **shares[name], "refused": dict(each.refused)}
                  for name, each in seen.items()},
        "memory_mib": memory,
        "queue_most": max(each.waiting for each in looks),
        "unplaced_most": max(each.unplaced for each in looks),
        "drained_seconds": drained,
        "log_verifies": verified["ok"],
    }  # fmt: skip


def _more_agencies(settings: Settings) -> None:
    """Further agencies, each with a system that hands in alerts; approved by the sandbox's officers."""
    document = yaml.safe_load(resources.files("gateway.sandbox").joinpath(PROVINCE).read_bytes())
    agencies, systems, grants = (document[part] for part in ("agencies", "systems", "grants"))
    for number, code in enumerate(MORE):
        name = {"vi": f"Ủy ban nhân dân xã {number}", "en": f"People's Committee of commune {number}"}
        contact = {"office": "Văn phòng", "phone": "0206 000 0030", "email": f"vp{number}@xa.caobang.example"}
        agencies.append({"code": code, "name": name, "level": "commune", "roles": ["commune"], "contact": contact})
        systems.append({"id": f"canh-bao-{number}", "agency": code, "title": name,
                        "formats": {"incident-alert/v1": "bao-chay-json"}})  # fmt: skip
        grants.append({"id": f"G-90{number}", "agency": code, "contract": ALERTS, "operations": ["submitAlert"],
                       "purpose": "Đo tải", "legal_basis": "Đo tải", "valid_from": date(2026, 1, 1),
                       "valid_until": date(2030, 12, 31)})  # fmt: skip
    text = yaml.safe_dump(document, allow_unicode=True).encode()
    keyring, now = Keyring(settings), time.time()
    engine, snapshot = open_engine(settings.database_url), current(settings)
    embedded = EmbeddedAuthority(settings).trust()
    with changing(engine, Seal.of(settings)) as act:
        applied = applying.apply_text(act.connection, text, snapshot, embedded, now, None)
        sign_waiting(act.connection, settings, now)
        for number, officer in product(range(len(MORE)), OFFICERS):
            proposed, secret = f"G-90{number}", (settings.identities / officer / "officer.key").read_bytes()
            content = granting.content_of(act.connection, proposed).canonical()
            granting.approve_grant(act.connection, proposed, officer, approvals.approve(content, officer, secret), now)
        rsa = iter(rsa_keys(2 * len(MORE)))
        for number, code in enumerate(MORE):
            system = System(f"canh-bao-{number}", code, Words("—", "—"), {}, None)
            certificates = make_identity(keyring, settings.base, system, (next(rsa), next(rsa)), now)
            register_keys(act.connection, system, certificates)
        raise_revision(act.connection)
        act.note(applying.NOTE, applied.facts(), now)
    engine.dispose()


async def _load(
    settings: Settings, seconds: float, looks: list[Look], say: Callable[[str], None]
) -> tuple[dict[str, Seen], float]:
    seen = {name: Seen() for name in ("alerts", "reports", "questions", "feed pages")}
    began = time.monotonic()

    def over() -> bool:
        """After so long, once each kind was answered: the first answers of a slow machine take longer."""
        past = time.monotonic() - began
        return past >= seconds and (past >= seconds + _FIRST or all(each.took for each in seen.values()))

    def alert() -> tuple[str, str, Mapping[str, Any]]:
        return "POST", "/incident-alert/v1/alerts", messages.fire_alarm(identifier=f"SOAK-{uuid.uuid4()}")

    def report() -> tuple[str, str, Mapping[str, Any]]:
        return "POST", "/field-report/v1/requests", messages.field_report(area="01273")

    def question() -> tuple[str, str, None]:
        return "GET", messages.indicator_question(**QUESTION), None

    callers: Sequence[tuple[str, int, str, Make]] = (
        ("bao-chay", 2, "alerts", alert),
        *((f"canh-bao-{number}", 1, "alerts", alert) for number in range(len(MORE))),
        ("phan-anh", 4, "reports", report),
        ("y-te", 2, "questions", question),
    )
    async with asyncio.TaskGroup() as group:
        for system, connections, name, make in callers:
            group.create_task(_caller(settings, system, connections, seen[name], make, over))
        group.create_task(_reader(settings, seen["feed pages"], over))
        group.create_task(_look(settings, looks, over, say, began))
    return seen, time.monotonic() - began


async def _caller(settings: Settings, system: str, connections: int, seen: Seen, make: Make, over: Over) -> None:
    client = RestClient(Identity.load(settings.identities / system))

    async def one(caller: AsyncRestClient) -> None:
        while not over():
            method, path, body = make()
            began = time.perf_counter()
            try:
                answer = await caller.call(method, path, body)
            except (ClientError, OSError) as broken:
                seen.refused[type(broken).__name__] += 1
                seen.failed += 1
                await asyncio.sleep(0.1)
                continue
            if not answer.ok:
                seen.failed += answer.status not in _LATER
                seen.refused[(answer.problem or {}).get("code", str(answer.status))] += 1
                await asyncio.sleep(float(answer.headers.get("retry-after", "0.1")))
                continue
            seen.took.append(time.perf_counter() - began)
            if body is not None and "maCanhBao" in body:
                seen.acknowledged.add(body["maCanhBao"])

    async with AsyncRestClient(client, connections=connections) as caller:
        await asyncio.gather(*(one(caller) for _ in range(connections)))


async def _reader(settings: Settings, seen: Seen, over: Over) -> None:
    client, after = RestClient(Identity.load(settings.identities / "dieu-hanh")), ""
    async with AsyncRestClient(client, connections=1) as centre:
        while not over():
            began = time.perf_counter()
            path = f"/feeds/{ALERTS}?limit=500&after={quote(after, safe='')}".removesuffix("&after=")
            page = (await centre.call("GET", path)).json()
            seen.took.append(time.perf_counter() - began)
            after = page["next"]
            await asyncio.sleep(0.2)


async def _look(settings: Settings, looks: list[Look], over: Over, say: Callable[[str], None], began: float) -> None:
    said = began
    while not over():
        looks.append(await asyncio.to_thread(_seen_now, settings))
        if time.monotonic() - said >= 30:
            said = time.monotonic()
            say(f"soak: {said - began:.0f} s, {looks[-1]}")
        await asyncio.sleep(_EVERY)


def _seen_now(settings: Settings) -> Look:
    memory: dict[str, float] = {}
    for kind, pid in _processes(settings):
        memory[kind] = max(memory.get(kind, 0.0), memory_mib(pid))
    counts = [_count(settings, each) for each in (_WAITING, "SELECT count(*) FROM log_pending")]
    return Look(time.monotonic(), memory, counts[0], counts[1])


_WAITING: Final = "SELECT count(*) FROM queue WHERE state = 'waiting'"


def _processes(settings: Settings) -> list[tuple[str, int]]:
    """The processes of this instance: kind and id."""
    found: list[tuple[str, int]] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode("utf-8", "replace").replace("\0", " ").split()
            except OSError:
                continue
            if str(settings.data) in words:
                found += [(kind, int(entry.name)) for kind in ("door", "keeper", "desk", "files") if kind in words]
    return found


def _count(settings: Settings, query: str) -> int:
    base = sqlite3.connect(f"file:{settings.data / 'lgsp.db'}?mode=ro", uri=True, timeout=60)
    try:
        return int(base.execute(query).fetchone()[0])
    finally:
        base.close()


def _growth(looks: Sequence[Look], kind: str) -> dict[str, float]:
    """The median, the largest, and by the line through the second half: what it grew there, and would in an hour."""
    values = [each.memory.get(kind, 0.0) for each in looks]
    times = [each.at for each in looks]
    middle, level = fmean(times), fmean(values)
    spread = sum((at - middle) ** 2 for at in times) or 1.0
    slope = sum((at - middle) * (value - level) for at, value in zip(times, values, strict=True)) / spread
    grown = slope * (times[-1] - times[0])
    found = {"median": median(values), "most": max(values), "grown": grown, "per_hour": slope * 3600}
    return {name: round(value, 1) for name, value in found.items()}


def _drained(settings: Settings) -> float | None:
    """Seconds until nothing waits any more; None if it does not end."""
    began = time.monotonic()
    while time.monotonic() - began < _DRAIN:
        if not _count(settings, _WAITING) and not _count(settings, "SELECT count(*) FROM feed_pending"):
            return round(time.monotonic() - began, 1)
        time.sleep(0.2)
    return None


def _in_feed(settings: Settings) -> list[str]:
    client, after, found = RestClient(Identity.load(settings.identities / "dieu-hanh")), "", list[str]()
    while True:
        path = f"/feeds/{ALERTS}?limit=1000&after={quote(after, safe='')}".removesuffix("&after=")
        page = client.call("GET", path).json()
        found += [event["data"]["identifier"] for event in page["events"]]
        after = page["next"]
        if not page["more"]:
            return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.soak")
    parser.add_argument("--seconds", type=float, default=600.0)
    asked = parser.parse_args()
    result = soak(asked.seconds, lambda text: print(text, file=sys.stderr, flush=True))
    print(json.dumps(result, indent=1))
    raise SystemExit(0 if result["ok"] else 1)


if __name__ == "__main__":
    main()
