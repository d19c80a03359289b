"""Reports as pages and by program: ordered, made by the keeper, read, downloaded; an agency has its own alone."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from gateway.console.roles import Role
from gateway.journal.database import lock_of
from gateway.reports import orders
from gateway.reports.forms import FORMS, MEDIA
from tests.console.people import Desk, Reader
from tests.console.test_operations_of_pages import Script
from tests.reports import seeding
from tests.scorecards import seeding as traffic


@pytest.fixture
def month(people: Desk) -> Desk:
    people.moved = seeding.NOW - time.time()
    traffic.seed(people.world.engine, 300)
    seeding.complete(people.world.engine, 300)
    return people


def kept(desk: Desk) -> int:
    """A round of the keeper."""
    engine, settings = desk.world.engine, desk.world.services.settings
    return orders.carry_out(orders.Keeping(engine, settings, lock_of(engine), lambda _: None, desk.now))


async def made(desk: Desk, script: Script, **wanted: Any) -> str:
    job = (await script.get("makeReport", {"month": "2026-09", **wanted}))["job"]
    assert job["state"] == "running" and kept(desk) == 1
    listed = await script.get("listReports")
    done = next(each for each in listed["jobs"] if each["id"] == job["id"])
    assert done["state"] == "done" and (done["of"] is None or done["step"] == done["of"] - 1 > 4)
    assert done["report"] in [each["report"] for each in listed["reports"]]
    return str(done["report"])


async def test_a_report_is_ordered_made_and_read(month: Desk) -> None:
    script = Script(month, "minh", Role.OPERATOR)
    report = await made(month, script)
    assert await made(month, script) == report  # the same is used again
    read = await script.get("readReport", report=report)
    assert read["report"]["from"] == "2026-09-01" and read["figures"]["sections"][0]["id"] == "connections"
    lan = await month.signed_in("lan", Role.OFFICER)
    page = (await lan.get(f"/console/reports/{report}")).body.decode()
    text = " ".join(Reader(page.encode()).text.split())
    assert "style=" not in page and page.count("<svg") >= 3 and read["report"]["sha256"] in text.replace(" ", "")
    (transfers,) = (
        fact["value"]
        for section in read["figures"]["sections"]
        for fact in section["facts"]
        if (section["id"], fact["id"]) == ("exchange", "transfers")
    )
    assert f"{transfers:,} transfers" in text
    for form in FORMS:
        for language in ("vi", "en"):
            path = f"/console/reports/{report}/document?form={form}&language={language}"
            first, second = await lan.get(path), await lan.get(path)
            assert first.status == 200 and first.body == second.body and len(first.body) > 1000
            assert first.headers["content-type"] == MEDIA[form]
    assert (await lan.get(f"/console/reports/{report}/document?form=exe")).status == 400
    assert json.loads((await lan.get(f"/console/reports/{report}/document?form=json")).body) == read["figures"]
    assert (await lan.get(f"/console/transfers/{report}/proof.json")).status in (200, 404)  # not yet sequenced here
    assert "September 2026" in Reader((await lan.get("/console/reports")).body).text


async def test_an_agency_has_its_own_reports_alone(month: Desk) -> None:
    whole = await made(month, Script(month, "minh", Role.OPERATOR))
    other = await made(month, Script(month, "tam", Role.CENTRE, agency="H14.0"), agency="H14.4")
    script = Script(month, "hoa", Role.AGENCY, agency="H14.3")
    own = await made(month, script)
    listed = await script.get("listReports")
    assert {each["agency"] for each in (*listed["reports"], *listed["jobs"])} == {"H14.3"}
    mine = await month.signed_in("mai", Role.AGENCY, agency="H14.3")
    assert (await mine.get(f"/console/reports/{own}")).status == 200
    for report in (whole, other, "nobody"):
        assert (await mine.get(f"/console/reports/{report}")).status == 404
        assert (await mine.get(f"/console/reports/{report}/document?form=pdf")).status == 404
    page = Reader((await mine.get("/console/reports")).body).text
    assert "H14.4" not in page and "H14.3" in page
    assert (await mine.post("/console/reports", month="2026-09", agency="H14.4")).status == 404


async def test_what_is_no_period_is_refused(month: Desk) -> None:
    lan = await month.signed_in("lan", Role.AUDITOR)
    for wanted in (
        {"month": "2026-12"},
        {"month": "x"},
        {"from": "2026-09-02", "until": "2026-09-01"},
        {"agency": "H1"},
    ):
        assert (await lan.post("/console/reports", **wanted)).status == 400, wanted
    assert kept(month) == 0
