"""The same figures from their definitions alone: every row is read, one message after the other, and nothing of
`gateway.scorecards` is used. Slow, and plain."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

VIETNAM: Final = ZoneInfo("Asia/Ho_Chi_Minh")
HEALTHY: Final = {"provider.refused", "provider.not-found", "provider.resting"}
LATE: Final = timedelta(days=7)
HOUR: Final = timedelta(hours=1)
# Which contracts are periodic, and who may hand in data with a time, as the test's province has it.
SUPPLIERS: Final = {("quan-trac", "observation/v1"), ("so-lieu", "indicator/v1")}
Shares = dict[tuple[str, date, str], list[int]]  # system, day, part -> [good, all]


def at_of(id: str) -> datetime:
    return datetime.fromtimestamp(int(id[:8] + id[9:13], 16) / 1000, VIETNAM)


def midnight(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=VIETNAM)


def fault(code: object) -> bool:
    return isinstance(code, str) and code.startswith("provider.") and code not in HEALTHY


def recount(connection: Connection, now: datetime) -> tuple[Shares, Mapping[tuple[str, date], Counter[Any]], Any]:
    shares: Shares = defaultdict(lambda: [0, 0])
    rules: dict[tuple[str, date], Counter[Any]] = defaultdict(Counter)
    hours: dict[tuple[str, date, int], set[str]] = defaultdict(set)

    def mark(system: str, at: datetime, part: str, good: int, of: int) -> None:
        share = shares[system, at.date(), part]
        share[0] += good
        share[1] += of

    entries: dict[str, list[dict[str, Any]]] = defaultdict(list)
    tables = ("past_entry", "log_entry", "log_pending")
    every = " UNION ".join(f"SELECT transfer, phase, entry FROM {table}" for table in tables)
    for transfer, _, raw in connection.execute(text(every)):
        entries[transfer].append(json.loads(bytes(raw)))
    transfers = connection.execute(text("SELECT id, caller_system, provider, state, failure, received FROM transfer"))
    for id, caller, provider, state, failure, received in transfers:
        at = datetime.fromtimestamp(received, VIETNAM)
        mark(caller, at, "validity", 1, 1)
        mark(caller, at, "duplication", 1, 1)
        hours[caller, at.date(), at.hour].add("heard")
        if provider is None:
            continue
        codes = [failure if state in ("failed", "dead") else None]
        codes += [each["facts"]["failure"] for each in entries[id] if each["kind"] == "note"]
        codes += [each["reason"] for each in entries[id] if each["kind"] == "in-doubt"]
        answer = state == "answered" or failure in ("provider.refused", "provider.not-found")
        if any(fault(code) for code in codes):
            mark(provider, at, "answers", 0, 1)
            hours[provider, at.date(), at.hour].add("failed")
        elif answer:
            mark(provider, at, "answers", 1, 1)
            hours[provider, at.date(), at.hour].add("heard")
    for system, day, probes, answered in connection.execute(text("SELECT * FROM probe_day")):
        mark(system, midnight(day), "availability", answered, probes)
    for id, own in entries.items():
        for each in own:
            if each.get("what") == "probes":
                facts = each["facts"]
                mark(facts["provider"], midnight(facts["day"]), "availability", facts["answered"], facts["probes"])
            caller = each.get("caller", {}).get("system")
            if each["kind"] not in ("repeat", "refusal") or caller is None:
                continue
            at = at_of(id)
            hours[caller, at.date(), at.hour].add("heard")
            if each["kind"] == "repeat":
                mark(caller, at, "duplication", 0, 1)
            elif each["status"] < 500:
                if "contract" in each and each["status"] == 422:  # the seed's invalid messages
                    mark(caller, at, "validity", 0, each.get("count", 1))
                broken = {(f["rule"], f["canonical"]) for f in each.get("findings", ())} or {("", "")}
                for rule in broken:
                    rules[caller, at.date()][(each["failure"], *rule)] += each.get("count", 1)
    _feeds(connection, mark, now)
    return shares, rules, hours


def _feeds(connection: Connection, mark: Any, now: datetime) -> None:
    first: dict[tuple[str, str], datetime] = {}
    came: dict[tuple[str, str, datetime], datetime] = {}  # system, contract, begin of the period
    rows = [tuple(row) for row in connection.execute(text("SELECT contract, event FROM feed_event ORDER BY transfer"))]
    for contract, raw in rows:
        event = json.loads(raw)
        system, at = event["source"].rpartition(":")[2], at_of(event["id"])
        first.setdefault((system, contract), at)
        kind = event["type"].rpartition(":")[2]
        mark(system, at, "corrections", kind not in ("corrected", "recalled"), 1)
        times = [time for key in event["subject"].split(" ") for time in _time(contract, key) if time is not None]
        begun = [(time, begin) for time in times if (begin := _period(contract, time)[0]) <= at]
        if not begun:
            continue
        for _, begin in begun:
            key = (system, contract, begin)
            came[key] = min(at, came.get(key, at))
        newest, begin = max(begun)
        _, end, _ = _period(contract, newest)
        mark(system, at, "freshness", max(at - newest, timedelta()) <= end - begin, 1)
    for system, contract in SUPPLIERS:
        begin = _period(contract, first[system, contract])[1]
        while (due := _period(contract, begin)[2]) <= now:
            arrived = came.get((system, contract, begin))
            if arrived is not None and arrived > due + LATE:
                arrived = None
            day = due - timedelta(microseconds=1)
            mark(system, day, "completeness", arrived is not None, 1)
            if arrived is not None:
                mark(system, day, "timeliness", arrived <= due, 1)
            begin = _period(contract, begin)[1]


def _time(contract: str, key: str) -> Iterator[datetime | None]:
    """The time in a business key: of a period its last microsecond."""
    if contract == "observation/v1":
        yield datetime.fromisoformat(key.split(",")[1]).astimezone(VIETNAM)
        return
    found = re.fullmatch(r"(\d{4})(-Q(\d)|-(\d\d))?", key.split(",")[2])
    assert found is not None
    year, month = int(found[1]), int(found[3]) * 3 if found[3] else int(found[4] or 12)
    if 1970 <= year < 9999:
        yield datetime(year + month // 12, month % 12 + 1, 1, tzinfo=VIETNAM) - timedelta(microseconds=1)


def _period(contract: str, time: datetime) -> tuple[datetime, datetime, datetime]:
    """The begin and end of the hour or quarter that a time lies in, and when its data are due."""
    if contract == "observation/v1":
        begin = time.replace(minute=0, second=0, microsecond=0)
        return begin, begin + HOUR, begin + 2 * HOUR
    begin = datetime(time.year, (time.month - 1) // 3 * 3 + 1, 1, tzinfo=VIETNAM)
    ends = [(begin + timedelta(days=days)).replace(day=1) for days in (95, 190)]
    return begin, ends[0], ends[1]
