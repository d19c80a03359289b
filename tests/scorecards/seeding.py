"""Two months of traffic in the journal, as the gateway writes it: with an outage, doubts, gaps, late data, corrections,
repeats and refusals."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from random import Random
from typing import Any, Final, NamedTuple

from sqlalchemy import Engine, insert

from contracts.base.ids import new_id
from contracts.base.times import rfc3339
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.journal.schema.watch_tables import probe_day
from gateway.scorecards.cards import Dates
from security.grants.windows import VIETNAM
from security.transparency import entry as form
from tests.registry.making import PROVINCE

DATES: Final = Dates(date(2026, 9, 1), date(2026, 9, 30))
NOW: Final = datetime(2026, 10, 20, 9, tzinfo=VIETNAM).timestamp()
SINCE: Final = DATES.span.since
OUTAGE: Final = (
    datetime(2026, 9, 10, 8, tzinfo=VIETNAM).timestamp(),
    datetime(2026, 9, 10, 14, tzinfo=VIETNAM).timestamp(),
)
GRANT: Final = """
  - id: G-0901
    agency: H14.2
    contract: observation/v1
    operations: ["*"]
    fields: ["*"]
    purpose: test
    legal_basis: test
    valid_from: 2026-01-01
    valid_until: 2028-01-01
"""
DOCUMENT: Final = PROVINCE.replace("\ngrants:\n", f"\ngrants:{GRANT}", 1)
AGENCIES: Final = {"quan-trac": "H14.2", "so-lieu": "H14.4", "phan-anh": "H14.5", "y-te": "H14.7", "bao-chay": "H14.6"}
_NONE: Final = form.Digest(bytes(32), 1)
_HOUR: Final = 3600.0
_LOGGED: Final = 57  # days of the two months whose probes are entries


class Step(NamedTuple):
    """A transfer, refusal or repeat, with what belongs to it."""

    at: float
    row: dict[str, Any] | None
    entries: tuple[form.Entry, ...]
    event: tuple[str, dict[str, Any]] | None = None


def seed(engine: Engine, number: int) -> int:
    """About so many transfers; returns how many there are."""
    steps = sorted(_steps(Random(number), number), key=lambda each: each.at)
    offsets: dict[str, int] = {}
    rows, log, events = [], [], []
    for idx, (at, row, entries, event) in enumerate(steps):
        rows += [] if row is None else [row]
        for one in entries:
            frozen = form.freeze(one)
            names = ("transfer", "phase", "entry", "leaf")
            log.append((idx, {name: getattr(frozen, name) for name in names}, at + 0.3))
        if event is not None:
            contract, attributes = event
            offsets[contract] = offsets.get(contract, 0) + 1
            text = json.dumps(attributes, ensure_ascii=False, separators=(",", ":"))
            named = {"contract": contract, "transfer": attributes["id"], "event": text, "offset": offsets[contract]}
            events.append({**named, "sequenced": at + 0.3, "body_ref": f"{attributes['id']}/canonical"})
    third = len(steps) // 3  # of a log that ended; the newest wait for the sequencer
    past = [(named, at) for idx, named, at in log if idx < third]
    present = [(named, at) for idx, named, at in log if third <= idx < len(steps) - 20]
    pending = [named for idx, named, _ in log if idx >= len(steps) - 20]
    # Entries that move from one table to the next while they are read.
    pending += [named for named, _ in present if named["phase"] in ("refusal", "repeat")][:20]
    kept = [dict(zip(probe_day.c.keys(), each, strict=True)) for each in _probes(_LOGGED, DATES.span.days)]
    with writing(engine) as connection:
        for table, some in (
            (tables.transfer, rows),
            (tables.past_entry, [n | {"origin": "old", "idx": i, "sequenced": at} for i, (n, at) in enumerate(past)]),
            (tables.log_entry, [n | {"idx": i, "sequenced": at} for i, (n, at) in enumerate(present)]),
            (tables.log_pending, pending),
            (tables.feed_event, events),
        ):
            for start in range(0, len(some), 5000):
                connection.execute(insert(table), some[start : start + 5000])
        connection.execute(insert(probe_day), kept)
    return len(rows)


def _steps(chance: Random, number: int) -> Iterator[Step]:
    days = DATES.span.days
    for system, day, probes, answered in _probes(0, _LOGGED):
        at = datetime.combine(date.fromisoformat(day), datetime.max.time(), VIETNAM).timestamp()
        facts: dict[str, form.Json] = {"provider": system, "day": day, "probes": probes, "answered": answered}
        yield Step(at, None, (form.Note(new_id(int(at * 1000)), at + 60, "probes", "gateway", facts),))
    yield _submit(SINCE - 200 * 86_400, "so-lieu", "indicator/v1", "submitValues", "GDP,04,2025-Q4")
    # Values of the second quarter are due at the end of September.
    yield _submit(SINCE + 3 * 86_400, "so-lieu", "indicator/v1", "submitValues", "GDP,04,2026-Q2 GRDP,04,2026-Q2")
    yield _submit(SINCE + 4 * 86_400, "so-lieu", "indicator/v1", "submitValues", "GDP,04,2026-Q2", "corrected")
    yield _submit(SINCE + 5 * 86_400, "so-lieu", "indicator/v1", "submitValues", "GDP,04,2026-12 X,04,0001 Y,04,9999")
    each = max(1, number // 2 // (days * 24))
    for hour in range(5 * 24, days * 24 + 30):  # from then on its data are expected
        yield from _readings(chance, SINCE + hour * _HOUR, each)
    for _ in range(number // 2):
        at = SINCE + chance.random() * days * 86_400
        yield from _calls(chance, at)
    for call in range(12):
        yield from _calls(chance, OUTAGE[0] + 1200.0 * call, "do-thi")
    for _ in range(max(60, number // 25)):
        yield _refused(chance, SINCE + chance.random() * days * 86_400)


def _probes(first: int, until: int) -> Iterator[tuple[str, str, int, int]]:
    """Of days of the month and of the month before: system, day, probes, answered. The newest days are in the table."""
    for day in range(first, until):
        at = DATES.first - timedelta(days=DATES.span.days // 2 - day)
        yield "do-thi", at.isoformat(), 1440, 1080 if at.isoformat() == "2026-09-10" else 1440
        yield "kinh-te", at.isoformat(), 1440, 1440 - day % 3


def _readings(chance: Random, hour: float, each: int) -> Iterator[Step]:
    """Of one hour: some hours have none, of some they come late, or too late to count."""
    draw = chance.random()
    if draw < 0.06:
        return
    wait = 0.0 if draw < 0.85 else chance.uniform(1, 5) * _HOUR if draw < 0.97 else 9 * 86_400
    for _ in range(each):
        time = hour + chance.random() * _HOUR
        at = time + wait + chance.random() * 1800
        if at >= NOW:
            continue
        kind = "corrected" if chance.random() < 0.03 else ""
        listed = chance.random() < 0.3
        times = [time, time - 60] if listed else [time]
        subject = " ".join(f"D%2C1,{_utc(one)}" for one in times)
        operation = "submitReadings" if listed else "submitObservation"
        step = _submit(at, "quan-trac", "observation/v1", operation, subject, kind)
        yield step
        if chance.random() < 0.02:
            assert step.row is not None
            again = new_id(int((at + 5) * 1000))
            yield Step(at + 5, None, (form.Repeat(again, at + 5, "rest", _caller("quan-trac"), step.row["id"], 200),))


def _calls(chance: Random, at: float, called: str = "") -> Iterator[Step]:
    caller, provider = chance.choice((("phan-anh", "do-thi"), ("y-te", "kinh-te"), ("phan-anh", "truong-ha")))
    provider = called or provider
    id = new_id(int(at * 1000))
    draw, entries = chance.random(), list[form.Entry]()
    state, failure = "answered", None
    down = provider == "do-thi" and OUTAGE[0] <= at < OUTAGE[1]
    if down and draw < 0.5:  # it waits, and is answered after the outage
        entries.append(_try(id, at, "queued", "provider.down", provider))
        entries.append(_try(id, at + 60, "try-failed", "provider.timeout", provider))
    elif down:
        state, failure = "failed", "provider.timeout"
        entries.append(_try(id, at, "try-failed", failure, provider))  # the same call
    elif draw < 0.03:
        state, failure = "failed", chance.choice(("provider.refused", "provider.not-found"))
    elif draw < 0.05:
        state, failure = "failed", chance.choice(("provider.resting", "provider.bad-answer"))
    elif draw < 0.06:
        state, failure = "dead", "provider.dropped"
        entries.append(_try(id, at, "queued", "provider.dropped", provider))
    elif draw < 0.07:
        state = "in-doubt"
        entries.append(form.InDoubt(id, at, "p", chance.choice(("provider.dropped", "process-died"))))
    elif draw < 0.08:
        state = "queued"
        entries.append(_try(id, at, "queued", "provider.resting", provider))
    elif draw < 0.09:
        entries.append(form.Note(new_id(int(at * 1000)), at, "connection-test", "gateway", {"provider": provider}))
    row = _row(id, at, caller, ("field-report/v1", "createRequest"), state)
    yield Step(at, row | {"provider": provider, "failure": failure}, (_intent(row, provider), *entries))


def _refused(chance: Random, at: float) -> Step:
    caller = chance.choice(("quan-trac", "phan-anh", "bao-chay"))
    code, status = chance.choice((("body.invalid", 422), ("access.no-grant", 403), ("gateway.overloaded", 503)))
    rules = [{"canonical": "result", "rule": "maximum"}, {"canonical": "Datastream.id", "rule": "required"}]
    refusal = form.Refusal(
        new_id(int(at * 1000)),
        at,
        "rest",
        code,
        status,
        _caller(caller) if chance.random() < 0.9 else None,
        contract="observation/v1" if status != 422 or chance.random() < 0.9 else None,  # else of the gateway's own API
        findings=rules[: chance.randrange(3)] if status == 422 else (),
        count=chance.choice((1, 1, 1, 7)),
    )
    return Step(at, None, (refusal,))


def _submit(at: float, system: str, contract: str, operation: str, subject: str, kind: str = "") -> Step:
    row = _row(new_id(int(at * 1000)), at, system, (contract, operation), "accepted")
    name, _, major = contract.partition("/v")
    event = {
        "specversion": "1.0",
        "id": row["id"],
        "source": f"urn:lgsp:system:{system}",
        "type": f"urn:lgsp:contract:{name}:v{major}:{operation}" + (f":{kind}" if kind else ""),
        "time": rfc3339(at),
        "lgspagency": AGENCIES[system],
        "subject": subject,
    }
    return Step(at, row, (_intent(row, None), form.Outcome(row["id"], at, 200)), (contract, event))


def _row(id: str, at: float, system: str, named: tuple[str, str], state: str) -> dict[str, Any]:
    contract, operation = named
    return {
        **dict.fromkeys(column.name for column in tables.transfer.columns),
        "id": id, "state": state, "pattern": "submit", "caller_system": system, "caller_agency": AGENCIES[system],
        "contract": contract, "operation": operation, "bundle": "b", "message_id": id, "payload_digest": bytes(32),
        "grant_id": "G", "idempotent": True, "received": at, "committed": at,
    }  # fmt: skip


def _intent(row: dict[str, Any], provider: str | None) -> form.Intent:
    message = hashlib.sha256(row["id"].encode()).hexdigest()
    return form.Intent(
        row["id"], row["received"], "rest", _caller(row["caller_system"]), row["contract"], row["operation"], "b",
        message, "G", provider, _NONE,
    )  # fmt: skip


def _try(id: str, at: float, what: str, failure: str, provider: str) -> form.Note:
    return form.Note(id, at, what, "gateway", {"failure": failure, "provider": provider})


def _caller(system: str) -> form.Caller:
    return form.Caller(AGENCIES[system], system)


def _utc(at: float) -> str:
    return (datetime(1970, 1, 1) + timedelta(seconds=at)).isoformat(timespec="milliseconds") + "Z"
