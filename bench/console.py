"""Measures page one of each page of the console: a long history against a much shorter one, in one run.

    python -m bench.console [--quick] [--json]     from a checkout; `lgsp bench` runs it too

Both sides are sandbox instances with filled transfers, log and queue (`bench.filled`). The desk answers in this
process, and takes turns between the sides. A number is processor time of the whole process, in which nothing else runs.
Invariant: every timed answer has the status that it must have, and a page is that of the person who signed in.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlencode

from sqlalchemy import Engine

from bench.filled import Filled, fill
from bench.rows import Row, row
from contracts.base.times import rfc3339
from gateway.audit.log.checkpoints import NewestCheckpoint
from gateway.cli import run
from gateway.console.accounts import secrets, sessions, store
from gateway.console.accounts.records import Account
from gateway.console.app import build_desk
from gateway.console.pages import pages
from gateway.console.roles import Role
from gateway.console.site.desk import Desk
from gateway.console.work import board, home, queueing
from gateway.doors import health
from gateway.doors.api.services import DeskServices
from gateway.doors.health import Vitals
from gateway.journal.database import open_engine
from gateway.keys.keyring import Keyring
from gateway.registry.registry import Registry
from gateway.registry.seals import account_rows, accounts
from gateway.registry.seals.sealing import Seal
from gateway.settings import Settings

MOST_MS: Final = 100.0  # of server time for page one of a list
MOST_RATIO: Final = 1.5  # of the long history to the short one
TRIFLE_MS: Final = 5.0  # what costs less has no ratio
_HOST: Final = "localhost"
_ROLES: Final = (Role.OFFICER, Role.OPERATOR, Role.STEWARD, Role.AUDITOR, Role.CENTRE)
_EXPORTED: Final = 300.0  # seconds of the log that a table holds


@dataclass(frozen=True, slots=True)
class Side:
    """A desk over a filled instance, and the session of somebody who sees every page."""

    app: Any
    engine: Engine
    desk: Desk
    token: str
    filled: Filled
    now: float


class Question(NamedTuple):
    """One request of either side. `form`: of a POST. `look`: no request, but the look for an open page.

    `without`: a goal that it does not have. A page that ends at a bound has no ratio, where the short history ends
    before the bound. The doctor is no list, and opens keys.
    """

    name: str
    path: Callable[[Side], str]
    form: Callable[[Side], dict[str, str]] | None = None
    status: int = 200
    look: Callable[[Desk], object] | None = None
    without: Literal["ms", "ratio"] | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of each round, by processor time, and by the clock for the long history."""

    question: Question
    large: list[float] = field(default_factory=list)
    small: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.question.name

    @property
    def ratio(self) -> float:
        """Of the cheapest rounds: whatever else the machine does adds to a round, and takes nothing away."""
        return min(self.large) / min(self.small)

    @property
    def holds(self) -> bool:
        least, without = min(self.large), self.question.without
        return (without == "ms" or least <= MOST_MS) and (
            without == "ratio" or least <= TRIFLE_MS or self.ratio <= MOST_RATIO
        )

    def to_json(self) -> dict[str, Any]:
        numbers = {
            "ms": median(self.large),
            "least_ms": min(self.large),
            "clock_ms": median(self.clock),
            "short_ms": median(self.small),
            "ratio": self.ratio,
        }
        return {"page": self.name, "holds": self.holds} | {name: round(value, 2) for name, value in numbers.items()}


def measure(quick: bool, say: Callable[[str], None]) -> Row:
    costs, entries = costs_of(quick, say)
    listed = [each for each in costs if each.question.without is None]
    worst = max(listed, key=lambda each: median(each.large))
    steepest = max(listed, key=lambda each: each.ratio if min(each.large) > TRIFLE_MS else 0.0)
    say(f"console: the slowest is {worst.name}, the steepest {steepest.name}")
    rounds = range(len(listed[0].large))
    took = [len(listed) / sum(each.large[at] for each in listed) * 1000 for at in rounds]
    against = [len(listed) / sum(each.small[at] for each in listed) * 1000 for at in rounds]
    details = {
        "slowest_page_ms": median(worst.large),
        "median_page_ms": median(median(each.large) for each in listed),
        "steepest_ratio": steepest.ratio,
        "pages": len(listed),
        "pages_beyond_the_goal": sum(not each.holds for each in costs),
        "entries": entries,
    }
    few = 4_000 if quick else 10_000
    return row("console-pages-million", "pages/s", took, {f"the same of {few:,}": against}, details)


def costs_of(quick: bool, say: Callable[[str], None]) -> tuple[list[Cost], int]:
    """What each page costs, and the number of entries of the long history."""
    number, few, rounds = (40_000, 4_000, 4) if quick else (1_000_000, 10_000, 7)
    with tempfile.TemporaryDirectory(prefix="lgsp-bench-console-") as folder, _without_cache():
        small, large = (_side(Path(folder), size, say) for size in (few, number))
        costs = [_cost(each, small, large, rounds) for each in (*questions(), *LOOKS)]
        for side in (small, large):
            side.engine.dispose()
    return costs, large.filled.entries


def report(costs: Sequence[Cost]) -> str:
    """A table in Markdown, the slowest first."""
    lines = ["| page | ms | by the clock | of the short history | ratio |", "|---|---|---|---|---|"]
    left_out = {None: "", "ms": " (no goal in ms)", "ratio": " (bound, or no list)"}
    for each in sorted(costs, key=lambda one: -median(one.large)):
        numbers = f"{median(each.large):.1f} | {median(each.clock):.1f} | {median(each.small):.1f} | {each.ratio:.2f}"
        lines.append(
            f"| {each.name} | {numbers}{left_out[each.question.without]}{'' if each.holds else ' **beyond**'} |"
        )
    return "\n".join(lines)


# --- questions --------------------------------------------------------------------------------------------------------
def questions() -> Iterator[Question]:
    """Every page of the menu, the search with each filter, the lists of the queue, tables, and one transfer."""
    for page in pages():
        if page.menu is not None and page.method == "GET":
            yield _page(page.path)._replace(without="ms" if page.path == "/doctor" else None)
    party = {"agency": "H14.5", "system": "phan-anh", "provider": "do-thi", "contract": "field-report/v1"}
    codes = {"operation": "createRequest", "failure": "access.no-grant", "grant": "G-0007", "actor": "bench"}
    for name, value in {**party, **codes, "kind": "refusal", "order": "oldest"}.items():
        yield _page("/search", **{name: value})
    for outcome in ("ok", "refused", "failed", "in-doubt"):
        yield _page("/search", outcome=outcome)
    yield Question("/search?transfer", lambda side: f"/search?transfer={side.filled.last}")
    yield Question("/search?message", lambda side: f"/search?message={side.filled.message}")
    yield Question("/search?from,to", lambda side: f"/search?{urlencode(_span(side))}")
    yield _page("/search", agency="H14.5", outcome="refused")
    yield _page("/search", agency="H14.5", role="owner")
    rare = {"contract": "field-report/v1", "system": "phan-anh", "outcome": "failed"}
    yield _page("/search", **rare)._replace(without="ratio")
    never = {"failure": "provider.timeout", "kind": "intent"}  # both are common, and never meet
    yield _page("/search", **never)._replace(without="ratio")
    for state in ("in-doubt", "waiting", "under-way", "dead"):
        yield _page("/queue", state=state)
        yield _page("/queue", state=state, provider="do-thi")
        yield _page("/queue", state=state, failure="provider.timeout")
    yield _page("/queue/bulk", state="waiting", failure="provider.timeout")._replace(without="ratio")
    yield _page("/systems/do-thi")
    yield _page("/access/matrix", agency="H14.5")
    yield _page("/access/who", mark="personal")
    yield _page("/access/who", field="phone")
    yield _page("/access/changes", since="2026-01-01")
    yield _page("", days="30")
    for form in ("csv", "xlsx"):
        yield Question(f"/search/export: {form}", lambda _side: "/search/export", partial(_table, form))
    yield Question("/access/who.csv", lambda _side: "/access/who.csv?mark=personal")
    yield Question("/transfers/…", lambda side: f"/transfers/{side.filled.last}")
    yield Question("/go: transfer", lambda side: f"/go?q={side.filled.last}", status=303)
    yield Question("/go: message", lambda side: f"/go?q={side.filled.message}", status=303)
    yield Question("/go: anything", lambda _side: "/go?q=khong-co", status=303)
    yield _page("/status")._replace(without="ratio")  # it counts every transfer, in one twentieth of the time at most


def _nowhere(_side: Side) -> str:
    return ""


def _page(path: str, **query: str) -> Question:
    asked = f"{path}?{urlencode(query)}" if query else path
    return Question(asked or "/console", lambda _side: asked)


def _span(side: Side) -> dict[str, str]:
    """The last minutes of the history, in the time of Vietnam."""
    return {"from": rfc3339(side.now - _EXPORTED), "to": rfc3339(side.now)}


def _table(form: str, side: Side) -> dict[str, str]:
    return {**_span(side), "reason": "a table for the measures", "form": form, "csrf": secrets.csrf_of(side.token)}


LOOKS: Final = (
    Question("look of an open /console", _nowhere, look=home.mark),
    Question("look of an open /queue", _nowhere, look=queueing.mark),
    Question("look of an open /systems", _nowhere, look=board.mark),
)


# --- costs ------------------------------------------------------------------------------------------------------------
def _cost(question: Question, small: Side, large: Side, rounds: int) -> Cost:
    cost = Cost(question)
    for side in (small, large):
        _ask(question, side)  # nothing is read for the first time in a round
    for _ in range(rounds):
        spent, took = _ask(question, large)
        cost.large.append(spent)
        cost.clock.append(took)
        cost.small.append(_ask(question, small)[0])
    return cost


def _ask(question: Question, side: Side) -> tuple[float, float]:
    """Milliseconds of the processor, and by the clock."""
    registry = side.desk.services.registry
    with side.engine.connect() as connection:
        registry.refresh(connection)  # as the desk does beside its pages
    began, before = time.process_time(), time.perf_counter()
    if question.look is not None:
        question.look(side.desk)
    else:
        status, body = asyncio.run(_get(side, question))
        if status != question.status or (status == 200 and not body):
            raise AssertionError(f"{question.name} answered {status}")
        public = question.name in ("/status", "/wall")  # no form that signs out
        if status == 200 and body.startswith(b"<!") and not public and b'action="/console/sign-out"' not in body:
            raise AssertionError(f"{question.name} is no page of somebody signed in")
    return (time.process_time() - began) * 1000, (time.perf_counter() - before) * 1000


async def _get(side: Side, question: Question) -> tuple[int, bytes]:
    path, _, query = f"/console{question.path(side)}".partition("?")
    body = urlencode(question.form(side)).encode() if question.form is not None else b""
    headers = {"host": _HOST, "cookie": f"__Host-lgsp={side.token}", "accept-language": "en"}
    if question.form is not None:
        headers |= {"origin": f"https://{_HOST}", "content-type": "application/x-www-form-urlencoded"}
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET" if question.form is None else "POST",
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": (_HOST, 443),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "extensions": {},
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await side.app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def _side(folder: Path, number: int, say: Callable[[str], None]) -> Side:
    settings = replace(Settings(folder / str(number)), origin="localhost/lgsp-bench", live=False)
    run.ensure_instance(settings, say_progress=False)
    engine = open_engine(settings.database_url)
    registry = Registry(engine, Seal.of(settings))
    with engine.connect() as connection:
        registry.refresh(connection)
    engine.dispose()
    began, until = time.monotonic(), time.time()
    filled = fill(Path(str(engine.url.database)), registry.snapshot, Keyring(settings).hash_key(), number, until)
    took = time.monotonic() - began
    say(f"console: {filled.transfers:,} transfers, {filled.entries:,} entries, filled in {took:.0f} s")
    # No keeper works here: what needs one says so, and the clock stands still.
    services = DeskServices(
        engine, registry, NewestCheckpoint(settings.checkpoint_file), settings, clock=lambda: until + 1.0
    )
    with account_rows.changing(engine, accounts.Seal.of(settings), until, "bench") as change:
        store.add(change, Account("bench", "H14.0", "Bench", _ROLES, True))
        token = sessions.open_session(change, "bench", "link", "127.0.0.1")
    desk = Desk(services, Vitals(engine, registry, services.clock))
    return Side(build_desk(services), engine, desk, token, filled, until)


@contextmanager
def _without_cache() -> Iterator[None]:
    """The counts of `Vitals` are made for each page, as for the first of two seconds."""
    kept = health.KEPT_SECONDS, health.REST
    health.KEPT_SECONDS, health.REST = 0.0, 0.0  # type: ignore[misc]
    try:
        yield
    finally:
        health.KEPT_SECONDS, health.REST = kept  # type: ignore[misc]


def main() -> None:
    costs, _ = costs_of("--quick" in sys.argv, lambda text: print(text, file=sys.stderr))
    result = {"ok": all(each.holds for each in costs), "pages": [each.to_json() for each in costs]}
    print(json.dumps(result, indent=1) if "--json" in sys.argv else report(costs))
    raise SystemExit(0 if result["ok"] else 1)


if __name__ == "__main__":
    main()
