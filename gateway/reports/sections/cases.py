"""Cases between agencies: opened and ended in the period, and what is open or overdue (articles 4.5, 6.1c, 6.2b, 12.2).

An agency's report has the cases of which it is a party.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from sqlalchemy import select

from contracts.base.times import rfc3339
from gateway.cases.kinds import TASK, kinds
from gateway.cases.reading import counts
from gateway.journal.schema import tables
from gateway.reports.drawing import Drawing, Provider
from gateway.reports.figures import Column, Fact, Row, Section, Table
from gateway.transfer.case_entries import CLOSED, RECEIVER, RUNNING, WITHDRAWN

_NUMBERS: Final = (Column("opened"), Column("ended_then"), Column("open_now"), Column("overdue"))
_KINDS: Final = (Column("case", "case"), *_NUMBERS)
_AGENCIES: Final = (Column("agency", "agency"), *_NUMBERS)


def draw(drawing: Drawing) -> Section:
    span, case, party = drawing.wanted.period.span, tables.agency_case.c, tables.agency_case_party.c
    since, until, now = rfc3339(span.since), rfc3339(span.until), rfc3339(drawing.now)
    over = case.state.in_((CLOSED, WITHDRAWN))
    query = select(case.id, case.kind, case.opened, case.due, case.state, case.changed, party.agency, party.role)
    query = query.join(tables.agency_case_party, party.case_id == case.id)
    in_period = (case.opened >= since) & (case.opened < until) | (case.changed >= since) & (case.changed < until)
    rows = drawing.connection.execute(query.where(~over | in_period))
    seen, own = dict[str, tuple[str, list[int]]](), set[str]()
    agencies: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for id, kind, opened, due, state, changed, agency, role in rows:
        ended = state in (CLOSED, WITHDRAWN)
        late = state in RUNNING and due is not None and due <= now
        numbers = [since <= opened < until, ended and since <= changed < until, not ended, late]
        seen[id] = kind, list(map(int, numbers))
        own |= {id} if drawing.has(agency) else set()
        if role == RECEIVER and drawing.has(agency):
            agencies[agency] = _sum(agencies[agency], seen[id][1])
    by_kind: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for id in own:
        kind, counted = seen[id]
        by_kind[kind] = _sum(by_kind[kind], counted)
    total = [sum(each[at] for each in by_kind.values()) for at in range(4)]
    open_now = counts(drawing.connection, drawing.wanted.agency or None, drawing.now)
    facts = (
        Fact("opened", total[0], "cases"),
        Fact("ended", total[1], "cases"),
        Fact("open", open_now["open"], "cases"),
        Fact("overdue", open_now["overdue"], "cases"),
        Fact("tasks", by_kind[TASK][2], "cases"),
        Fact("late_tasks", by_kind[TASK][3], "cases"),
    )
    shown: list[Row] = [(kind, *by_kind[kind]) for kind in kinds() if any(by_kind[kind])]
    receivers: list[Row] = [(agency, *numbers) for agency, numbers in sorted(agencies.items()) if any(numbers)]
    return Section("cases", facts, (
        Table.of("kinds", "cases", _KINDS, shown),
        Table.of("agencies", "case-receivers", _AGENCIES, receivers, total=False),
    ))  # fmt: skip


def _sum(one: list[int], other: list[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)]


SECTION = Provider(28, draw)
