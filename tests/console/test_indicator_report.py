"""Values of indicators in the written report, from values that came in by the real exchange."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import Any

import openpyxl
import pypdf
import pytest
from sqlalchemy import text

from contracts.base.words import Words
from gateway.indicators.periods import day_of
from gateway.reports import store
from gateway.reports.content import Content
from gateway.reports.drawing import Wanted
from gateway.reports.figures import Figures, Row
from gateway.reports.forms import document
from gateway.reports.periods import Period
from gateway.reports.store import Making, Report
from tests.console.people import Desk
from tests.indicators.defining import definition
from tests.indicators.sending import OLD, Office

AREAS = ("04", "01273", "01279")


@pytest.fixture
async def office(people: Desk) -> Office:
    """One period is due: two of three values were handed in, one of them twice; another agency owes one."""
    made = Office(people)
    one: dict[str, Any] = {"first": OLD, "last": OLD, "due": 0}
    made.define(
        definition(areas=AREAS, **one),
        definition(code="MT-04", title=Words("Rác thải", "Waste"), unit="%", owner="H14.2", **one),
    )
    await made.send(Decimal("612.450"), period=str(OLD))
    await made.send(Decimal("1615.50"), period=str(OLD))
    await made.send(7, period=str(OLD), area="01273")
    made.desk.world.sequence()
    return made


def made(office: Office, agency: str = "") -> Report:
    services, now = office.desk.world.services, office.gateway.now
    period = Period.from_days(OLD.begin.isoformat(), day_of(now).isoformat())
    return store.make(services.engine, services.settings, Wanted(period, agency), Making("lan", now))


def tables(figures: Figures) -> dict[str, tuple[Row, ...]]:
    section = figures.section("indicators")
    assert section is not None
    return {each.id: each.rows for each in section.tables}


def total(figures: Figures) -> Row | None:
    section = figures.section("indicators")
    assert section is not None
    return next(each.total for each in section.tables if each.id == "owners")


async def test_values_and_who_owes_one(office: Office) -> None:
    figures = made(office).figures
    period = str(OLD)
    found = tables(figures)
    assert found["owners"] == (("H14.2", 1, 0, 0, 1, 0), ("H14.4", 3, 2, 2, 1, 1))
    assert found["owed"] == (
        ("H14.4", "KT-05", "01279", period, "missing"), ("H14.2", "MT-04", "04", period, "missing"),
    )  # fmt: skip
    assert found["values"] == (
        ("KT-05", "04", period, "1615.50", "tỷ đồng"),
        ("KT-05", "01273", period, "7", "tỷ đồng"),
    )
    ((*which, old, new, _at),) = found["corrected"]
    assert (which, old, new) == (["KT-05", "04", period], "612.450", "1615.50")
    assert {"KT-05", "MT-04"} == set(figures.names.indicator) and set(AREAS) == set(figures.names.area)


async def test_totals_equal_those_of_sql(office: Office) -> None:
    with office.desk.world.engine.connect() as connection:

        def number(query: str) -> int:
            return int(connection.execute(text(query)).scalar_one())

        due = sum(len(json.loads(body)["areas"]) for (body,) in connection.execute(text("SELECT body FROM indicator")))
        given = number("SELECT count(*) FROM feed_key WHERE contract = 'indicator/v1' AND state = 'live'")
        corrected = number("SELECT count(*) FROM feed_key_past WHERE contract = 'indicator/v1' AND state = 'live'")
    assert total(made(office).figures) == (None, due, given, given, due - given, corrected)
    assert (due, given, corrected) == (4, 2, 1)


async def test_each_form_has_the_value(office: Office) -> None:
    report = made(office)
    content = Content(report, "vi")
    pdf = " ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(document(content, "pdf"))).pages)
    assert "1.615,50" in pdf and "Chưa nộp" in pdf
    book = openpyxl.load_workbook(io.BytesIO(document(content, "xlsx")))
    cells = {cell.value: cell.number_format for sheet in book for row in sheet.iter_rows() for cell in row}
    assert cells[1615.5] == "#,##0.00" and cells[612.45] == "#,##0.000"
    figures: Any = json.loads(document(content, "json"))
    assert "1615.50" in json.dumps(figures)


async def test_an_agency_sees_what_it_handed_in(office: Office) -> None:
    own = tables(made(office, "H14.4").figures)
    assert [row[3] for row in own["values"]] == ["1615.50", "7"] and {row[0] for row in own["owners"]} == {"H14.4"}
    other = made(office, "H14.2").figures
    assert tables(other)["owners"] == (("H14.2", 1, 0, 0, 1, 0),) and tables(other)["values"] == ()
    assert "indicators" not in {each.id for each in made(office, "H14.7").figures.sections}
