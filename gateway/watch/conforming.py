"""Looks which systems' traffic no longer conforms: calls refused for their form or proofs, answers that break the
contract or prove nothing.

What is counted is of the last day, by system; a few may happen to anybody. The certificate of conformance that the
system has here, if any, is named. Vendors who try things in a sandbox are left out.
Invariant: a look reads `LOOKS` newest rows of a table at most, once in `EVERY` seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, or_, select

from contracts.base.ids import arrived, new_id
from gateway.journal import jobs
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.registry.snapshot import Snapshot
from gateway.registry.tenants import is_tenant
from gateway.watch.alarms import Condition

WINDOW: Final = 86_400.0
EVERY: Final = 60.0
LEAST: Final = 5  # calls
LOOKS: Final = 20_000
MOST: Final = 1_000  # kept of a system
_RUN: Final = "conformance"  # the kind of jobs that are runs (`gateway.sandbox.conformance`)
_ANSWERS: Final = ("provider.bad-answer", "provider.bad-signature")
_CALLS: Final = ("message.", "signature.", "body.", "soap.", "request.", "query.", "token.")
_PASSING: Final = frozenset({"message.in-progress", "message.answer-gone", "body.too-slow", "body.waiting"})


@dataclass(slots=True)
class Conforming:
    """What was found so far: by system and transfer, when, and by which rule."""

    _found: dict[str, dict[str, tuple[float, str]]] = field(default_factory=dict)
    _next: float = 0.0

    def look(self, connection: Connection, snapshot: Snapshot, now: float) -> list[Condition]:
        if not self._next - EVERY <= now < self._next:  # a clock that was set back is no reason to wait
            self._next = now + EVERY
            first = new_id(int((now - WINDOW) * 1000))[:13]
            for system, transfer, rule in (*_answers(connection, first), *_calls(connection, first)):
                own = self._found.setdefault(system, {})
                if len(own) < MOST:
                    own.setdefault(transfer, (arrived(transfer), rule))
            for own in self._found.values():
                for transfer in [each for each, (at, _) in own.items() if at < now - WINDOW]:
                    del own[transfer]
        return list(self._conditions(connection, snapshot))

    def _conditions(self, connection: Connection, snapshot: Snapshot) -> Iterator[Condition]:
        for name, own in sorted(self._found.items()):
            system = snapshot.systems.get(name)
            if len(own) < LEAST or system is None or is_tenant(system.agency):
                continue
            rules = Counter(rule for _, rule in own.values())
            facts: dict[str, str | int] = {"number": len(own), "rule": rules.most_common(1)[0][0]}
            yield Condition(name, "", min(at for at, _ in own.values()), facts | _certificate(connection, name))


def _certificate(connection: Connection, system: str) -> dict[str, str]:
    """The newest that a run gave the system."""
    for job in jobs.newest(connection, _RUN, system, 20, state=jobs.DONE):
        if known := job.facts.get("certificate"):
            return {"certificate": str(known)}
    return {}


def _answers(connection: Connection, first: str) -> Iterator[tuple[str, str, str]]:
    """System, transfer and rule of the answers that were not taken."""
    own = tables.transfer.c
    newest = select(own.id, own.provider, own.failure).where(own.id >= first).order_by(own.id.desc()).limit(LOOKS)
    rows = newest.subquery()
    for id, provider, failure in connection.execute(select(rows).where(rows.c.failure.in_(_ANSWERS))):
        if provider is not None:
            yield provider, id, failure


def _calls(connection: Connection, first: str) -> Iterator[tuple[str, str, str]]:
    """The same of calls that were refused."""
    for table in tables.LOGS:
        columns = (table.c.transfer, table.c.phase, table.c.entry)
        newest = select(*columns).where(table.c.transfer >= first).order_by(table.c.transfer.desc()).limit(LOOKS)
        rows = newest.subquery()
        refusals = or_(rows.c.phase == "refusal", rows.c.phase.like("refusal#%"))
        for transfer, _, raw in connection.execute(select(rows).where(refusals)):
            value: Any = parse(bytes(raw))
            code, caller = str(value.get("failure")), value.get("caller")
            if code.startswith(_CALLS) and code not in _PASSING and isinstance(caller, dict):
                yield str(caller.get("system")), transfer, code + _field(value.get("findings"))


def _field(findings: Any) -> str:
    """The first broken rule of a message, with the place."""
    first = findings[0] if isinstance(findings, list) and findings else None
    if not isinstance(first, dict):
        return ""
    return f" ({first.get('canonical') or first.get('here') or '/'}: {first.get('rule')})"[:200]
