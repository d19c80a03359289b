"""The section of cases against SQL over their rows alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Engine, text

from contracts.base.errors import Failure
from contracts.base.times import rfc3339
from gateway.journal.database import snapshot
from gateway.reports.content import Content
from gateway.reports.drawing import Terms, Wanted, draw
from gateway.reports.figures import Figures, Row
from gateway.reports.periods import Period
from gateway.reports.store import Report
from gateway.settings import Settings
from tests.cases.making import BUILD, CENTRE, DAY, FINANCE, HEALTH, MONDAY, Office, office

KINDS = ("data-request", "difficulty", "information", "task", "guidance")
PERIOD = Period.of(MONDAY + 20 * DAY, "2026-11")
_PARTY = "SELECT case_id FROM agency_case_party WHERE agency = :agency"


def busy(here: Office) -> None:
    """Three weeks of cases, from before the period until after it. Some steps are refused, which changes nothing."""
    chance = Random(16)
    here.now = MONDAY - 40 * DAY
    opened = []
    for _ in range(60):
        here.now += DAY * 0.9
        kind = chance.choice(KINDS)
        if kind in ("data-request", "difficulty"):
            opened.append(here.open(chance.choice((BUILD, HEALTH)), kind))
        else:
            opened.append(here.open(CENTRE, kind, *chance.sample((BUILD, HEALTH, FINANCE), chance.randrange(1, 4))))
        for case in chance.sample(opened, min(4, len(opened))):
            agency, act = (
                chance.choice(list(case.parties)),
                chance.choice(("acknowledge", "answer", "close", "withdraw")),
            )
            try:
                if act == "answer":
                    here.answer(agency, case, decision="refused" if case.kind == "data-request" else None)
                else:
                    here.act(agency, case, act)
            except Failure:
                continue


def drawn(here: Office, agency: str = "") -> Figures:
    with snapshot(here.engine) as connection:
        return draw(connection, Settings(here.folder), Wanted(PERIOD, agency), Terms(1, here.now))


def rows(figures: Figures, table: str) -> tuple[dict[Any, Row], Row | None]:
    section = figures.section("cases")
    assert section is not None
    found = next(each for each in section.tables if each.id == table)
    return {row[0]: row[1:] for row in found.rows}, found.total


def counted(here: Office, group: str, where: str = "1 = 1", **more: str) -> dict[str, Row]:
    """By SQL: opened and ended in the period, open and overdue now."""
    query = text(f"""
        SELECT {group},
            sum(CASE WHEN c.opened >= :since AND c.opened < :until THEN 1 ELSE 0 END),
            sum(CASE WHEN c.state IN ('closed', 'withdrawn') AND c.changed >= :since AND c.changed < :until
                THEN 1 ELSE 0 END),
            sum(CASE WHEN c.state NOT IN ('closed', 'withdrawn') THEN 1 ELSE 0 END),
            sum(CASE WHEN c.state IN ('open', 'acknowledged') AND c.due <= :now THEN 1 ELSE 0 END)
        FROM agency_case c {"JOIN agency_case_party p ON p.case_id = c.id" if "p." in group else ""}
        WHERE {where} GROUP BY 1
    """)
    span = {"since": rfc3339(PERIOD.span.since), "until": rfc3339(PERIOD.span.until), "now": rfc3339(here.now)}
    used = {name: value for name, value in span.items() if f":{name}" in str(query)}
    with here.engine.connect() as connection:
        return {row[0]: tuple(map(int, row[1:])) for row in connection.execute(query, used | more) if any(row[1:])}


def test_cases_are_counted_as_sql_counts_them(database: Engine, tmp_path: Path) -> None:
    here = office(database, tmp_path)
    busy(here)
    figures = drawn(here)
    shown, total = rows(figures, "kinds")
    assert shown == counted(here, "c.kind") and set(shown) <= set(KINDS)
    sums = tuple(sum(each) for each in zip(*shown.values(), strict=True))
    assert total == (None, *sums) and all(sums), "the weeks have each of them"
    assert rows(figures, "agencies")[0] == counted(here, "p.agency", "p.role = 'receiver'")
    section = figures.section("cases")
    assert section is not None
    facts = {fact.id: fact.value for fact in section.facts}
    tasks = counted(here, "c.kind", "c.kind = 'task'")["task"]
    assert facts == dict(zip(("opened", "ended", "open", "overdue"), sums, strict=True)) | {
        "tasks": tasks[2], "late_tasks": tasks[3],
    }  # fmt: skip


def test_an_agency_has_the_cases_of_which_it_is_a_party(sqlite: Engine, tmp_path: Path) -> None:
    here = office(sqlite, tmp_path)
    busy(here)
    own = drawn(here, BUILD)
    assert rows(own, "kinds")[0] == counted(here, "c.kind", f"c.id IN ({_PARTY})", agency=BUILD)
    assert set(rows(own, "agencies")[0]) == {BUILD}
    shown = Content(Report("r", here.now, own, own.encoded(), bytes(32)), "vi")
    titles = Counter(cell for table in shown.tables() for row in table.rows for cell in row)
    assert titles["Yêu cầu dữ liệu hoặc hình thức nhận"] == 1


@pytest.mark.parametrize("agency", ["", BUILD])
def test_a_period_without_cases(sqlite: Engine, tmp_path: Path, agency: str) -> None:
    here = office(sqlite, tmp_path)
    assert rows(drawn(here, agency), "kinds") == ({}, None)
