"""Tells those who operate the gateway what stands, by mail and by webhook (`gateway.notices` keeps it until then).

What is raised at about the same time is one message with a number: it waits for `COLLECT` seconds, and the next for
`PAUSE`. What stands is told again after some hours, unless somebody has acknowledged it. What ended is told once, and
one that flaps is told as flapping once.
Invariant: notice, row and entry are one transaction. A receiver may get a message twice, with the same id.
Invariant: a notice names its receiver by a digest, not by address: it goes to those that the settings name by then.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, select

from contracts.base.times import rfc3339
from gateway.journal.schema.watch_tables import finding as table
from gateway.notices import store
from gateway.settings import Settings
from gateway.watch import findings
from gateway.watch.findings import Standing
from security.grants.windows import civil

MESSAGE: Final = "findings"
TEST: Final = "findings-test"
COLLECT: Final = 30.0
PAUSE: Final = 60.0
LINES: Final = 50  # of one message
_STATES: Final = {  # of one line
    "told": ("MỚI", "NEW"),
    "told-again": ("VẪN CÒN", "STILL"),
    "told-flapping": ("CHẬP CHỜN", "FLAPPING"),
    "told-over": ("ĐÃ HẾT", "OVER"),
}


class _Due(NamedTuple):
    one: Standing
    what: str
    at: float


def receivers(settings: Settings) -> Mapping[str, str]:
    """Who is told: the addresses by the names that notices have."""
    mails = settings.alarm_mail.split() if settings.mail_server else []
    named = {_name(store.OPERATOR, each): each for each in mails}
    return named | {_name(store.WEBHOOK, each): each for each in settings.alarm_url.split()}


def _name(prefix: str, address: str) -> str:
    return prefix + hashlib.sha256(address.encode()).hexdigest()[:16]


def tell(connection: Connection, settings: Settings, now: float, again: float) -> int:
    """Puts the messages that are due; `again`: seconds after which what stands is told again. Returns how many."""
    due, to = list(_due(connection, now, again)), receivers(settings)
    if not due or not to:
        return 0
    latest = connection.scalar(select(func.max(func.coalesce(table.c.told, 0.0))))
    over = connection.scalar(select(func.max(func.coalesce(table.c.told_end, 0.0))))
    if now - min(each.at for each in due) < COLLECT or now - max(latest or 0.0, over or 0.0) < PAUSE:
        return 0
    facts = _facts(due)
    for name in to:
        store.put(connection, MESSAGE, due[0].one.id, name, facts, now)
    for each in due:
        findings.mark_told(connection, each.one, each.what, now)
    return len(to)


def put_test(connection: Connection, settings: Settings, now: float) -> list[tuple[str, str]]:
    """A message to each receiver that says that it is a test; the ids of the notices, and to whom."""
    put = []
    for name, address in receivers(settings).items():
        facts = {"number": 0, "events": "[]"}
        put.append((store.put(connection, TEST, "test", name, facts, now), address))
    return put


def body(settings: Settings, one: store.Notice) -> bytes:
    """What a webhook gets: one CloudEvent (docs/operating.md)."""
    data = {
        "instance": settings.name,
        "test": one.kind == TEST,
        "number": one.facts["number"],
        "findings": json.loads(one.facts["events"]),
    }
    event = {
        "specversion": "1.0",
        "id": one.id,
        "source": "urn:lgsp:gateway",
        "type": "urn:lgsp:findings",
        "time": rfc3339(one.made),
        "datacontenttype": "application/json",
        "data": data,
    }
    return json.dumps(event, ensure_ascii=False).encode()


def _due(connection: Connection, now: float, again: float) -> Iterator[_Due]:
    for one in findings.standing(connection):
        if one.acknowledged is not None or one.raised is None:
            continue
        if one.told is None:
            yield _Due(one, "told-flapping" if one.flapping else "told", one.raised)
        elif one.flapping and one.told_flapping is None:
            yield _Due(one, "told-flapping", one.stands)
        elif now - one.told >= again:
            yield _Due(one, "told-again", one.told + again)
    told = table.c.told.is_not(None), table.c.told_end.is_(None)
    for one in findings.ended_and(connection, *told):
        yield _Due(one, "told-over", one.ended or now)


def _facts(due: list[_Due]) -> dict[str, Any]:
    shown = due[:LINES]
    lines = {
        language: "\n".join(_line(each, language, index) for each in shown)
        for index, language in enumerate(("vi", "en"))
    }
    events = [{**each.one.to_json(), "state": each.what.removeprefix("told-").replace("told", "new")} for each in shown]
    return {"number": len(due), "lines": lines, "events": json.dumps(events, ensure_ascii=False)}


def _line(due: _Due, language: str, index: int) -> str:
    one = due.one
    said = one.said[language]
    where = " ".join(filter(None, (one.code, one.about, one.machine)))
    return f"- {_STATES[due.what][index]}: {said['what']} [{where}; {civil(one.since)}]" + (
        "" if due.what == "told-over" else f" {said['next']}"
    )
