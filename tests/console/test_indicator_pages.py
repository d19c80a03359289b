"""Indicators as pages, by programs of people and of systems: the same value everywhere, and who may see it."""

from __future__ import annotations

import csv
import io
import json
import re
from decimal import Decimal
from typing import Any

import pytest

from contracts.wire.jsontext import read_json
from gateway.console.roles import Role
from gateway.indicators import store
from tests.console.people import Desk, Reader
from tests.console.test_operations_of_pages import Script
from tests.console.test_signing_in import notes
from tests.doors.api.test_api_reading import regrant
from tests.indicators.defining import definition, document
from tests.indicators.sending import LAST, OLD, THIS, Office

FEED = "/feeds/indicator/v1"
REASON = "as the People's Committee decided"


@pytest.fixture
async def office(people: Desk) -> Office:
    made = Office(people)
    await made.seeded()
    return made


def figure(answer: Any, period: Any = LAST) -> dict[str, Any]:
    (one,) = [each for each in answer["figures"] if (each["indicator"], each["period"]) == ("KT-05", str(period))]
    return dict(one)


async def test_one_value_everywhere(office: Office) -> None:
    world = office.desk.world
    page = read_json((await world.signed("dieu-hanh", FEED)).body)
    stated = page["events"][-1]["data"]["values"][0]["value"]
    system = await world.signed("dieu-hanh", f"{FEED}/figures?state=given")
    told = figure(read_json(system.body))
    assert str(told["value"]) == str(stated) == "1615.50" and "lgsp-checkpoint" in system.headers
    script = Script(office.desk, "minh", Role.CENTRE)
    person = figure(read_json((await script.ask("readIndicators")).body))
    assert person == told
    rows = list(csv.DictReader(io.StringIO((await script.get("readIndicators", query="?format=sdmx-csv")).decode())))
    (row,) = [each for each in rows if each["TIME_PERIOD"] == str(LAST)]
    assert (row["OBS_VALUE"], row["INDICATOR"], row["UNIT_MEASURE"], row["OBS_STATUS"]) == (
        "1615.50", "KT-05", "tỷ đồng", "A",
    )  # fmt: skip
    message = read_json(await script.get("readIndicators", query=f"?format=sdmx-json&from={LAST}&until={LAST}"))
    assert [str(each[0]) for each in message["data"]["dataSets"][0]["observations"].values()] == ["1615.50"]
    lan = await office.desk.signed_in("lan", Role.CENTRE)
    for target in ("indicators", "indicators/KT-05"):
        shown = (await lan.get(f"/console/{target}")).body.decode()
        assert '<data value="1615.50">1,615.50</data>' in shown and '<data value="612.450">612.450</data>' in shown
    file = (await lan.get("/console/indicators/file?format=sdmx-csv")).body.decode()
    assert "1615.50" in file and "Bích Ngọc" not in file and "SUM" not in file
    with office.desk.world.engine.connect() as connection:
        assert store.every(connection)["KT-05"][0].owner == told["owner"]


async def test_missing_ones_and_corrections(office: Office) -> None:
    script = Script(office.desk, "minh", Role.CENTRE)
    told = await script.get("readIndicators", query="?indicator=KT-05")
    assert [(each["period"], each["state"], each["owner"]) for each in told["figures"]] == [
        (str(OLD), "missing", "H14.4"),
        (str(LAST), "given", "H14.4"),
        (str(THIS), "awaited", "H14.4"),
    ]
    assert [each["version"] for each in told["definitions"]] == [1]
    (correction,) = figure(told)["corrections"]
    assert (correction["old"]["value"], correction["new"]["value"]) == (612.450, 1615.50)
    assert correction["new"]["agency"] == "H14.4" and correction["new"]["system"] == "kinh-te"
    missing = await script.get("readIndicators", query="?state=missing")
    assert [each["period"] for each in missing["figures"]] == [str(OLD)]
    lan = await office.desk.signed_in("lan", Role.CENTRE)
    shown = " ".join(Reader((await lan.get("/console/indicators")).body).text.split())
    assert "Department of Finance" in shown and "missing" in shown and "not due yet" in shown
    one = (await lan.get("/console/indicators/KT-05")).body.decode()
    assert '<svg class="columns"' in one and "style=" not in one


async def test_a_reading_is_logged_and_masked_by_the_grant(office: Office) -> None:
    world = office.desk.world
    regrant(world, "G-0008", fields=["*", "!values[].value", "!@personal"])
    script = Script(office.desk, "minh", Role.CENTRE)
    for told in (
        figure(await script.get("readIndicators")),
        figure((await world.signed("dieu-hanh", f"{FEED}/figures")).json),
    ):
        assert told["state"] == "absent" and told["value"] == {"absent": "not-permitted"}
        assert all(each["old"]["value"] == {"absent": "not-permitted"} for each in told["corrections"])
    rows = (await script.get("readIndicators", query="?format=sdmx-csv")).decode()
    assert f"{LAST},,Q,H14.4" in rows and "1615" not in rows
    entries = world.logged("feed-read")
    assert {entry["facts"]["grant"] for entry in entries} == {"G-0008"}
    assert {str(entry["actor"]).partition(":")[0] for entry in entries} == {"H14.0/minh", "H14.0/dieu-hanh"}
    assert all(entry["facts"]["owners"] == ["H14.4"] for entry in entries)


async def test_who_may_not(office: Office) -> None:
    world = office.desk.world
    assert (await world.signed("canh-bao", f"{FEED}/figures")).status == 403
    assert (await world.signed("dieu-hanh", "/feeds/incident-alert/v1/figures")).status == 404
    assert (await world.signed("dieu-hanh", f"{FEED}/figures?from=2026-13")).status == 400
    for query in ("state=late", "format=xml", "indicator=a%20b"):
        assert (await world.signed("dieu-hanh", f"{FEED}/figures?{query}")).status == 400, query
    for id, role, agency in (("minh", Role.OPERATOR, "H14.0"), ("khac", Role.CENTRE, "H14.9")):
        other = await office.desk.signed_in(id, role, agency=agency)
        assert (await other.get("/console/indicators")).status == 403, id
        assert (await Script(office.desk, f"{id}-2", role, agency=agency).ask("readIndicators")).status == 403
    lan = await office.desk.signed_in("lan", Role.CENTRE)
    for target in ("nobody", "KT-99", "file?format=xml"):
        assert (await lan.get(f"/console/indicators/{target}")).status in (400, 404), target
    assert world.logged("feed-read") == []


async def test_what_an_agency_owes_is_for_its_people_and_the_centre(office: Office) -> None:
    await office.send(5, period=str(OLD), area="04", indicator="KT-11")  # nobody defined it
    office.desk.world.sequence()
    for name, role, agency, owners in (
        ("ngoc", Role.AGENCY, "H14.4", {"H14.4"}),
        ("hoa", Role.AGENCY, "H14.2", {"H14.2"}),
        ("tam", Role.CENTRE, "H14.0", {"H14.4", "H14.2"}),
        ("xuan", Role.AGENCY, "H14.7", set()),
    ):
        listed = (await Script(office.desk, f"{name}-2", role, agency=agency).get("listOwedIndicators"))["owed"]
        assert {each["owner"] for each in listed} == owners, name
        page = await (await office.desk.signed_in(name, role, agency=agency)).get("/console/indicators/owed")
        text = Reader(page.body).text
        assert page.status == 200 and ("KT-05" in text) == ("H14.4" in owners), name
        assert "1,615.50" not in text and "612" not in text
        if owners == {"H14.4"}:
            states = {each["period"]: each["state"] for each in listed}
            assert states == {str(OLD): "missing", str(LAST): "late", str(THIS): "awaited"}
            assert all((each["delivered"] is None) == (each["state"] in ("missing", "awaited")) for each in listed)
            vy = await office.desk.signed_in("vy", role, agency=agency)
            missing = (await vy.get("/console/indicators/owed?state=missing")).body.decode()
            assert re.findall(r'<td class="period">([^<]+)', missing) == [str(OLD)]
    assert office.desk.world.logged("feed-read") == []  # no value was opened


async def test_definitions_are_handed_in_with_a_reason(office: Office) -> None:
    steward = Script(office.desk, "minh", Role.STEWARD)
    known = await steward.get("listIndicators")
    assert [each["code"] for each in known["definitions"]] == ["KT-05", "MT-04"]
    assert (await steward.get("defineIndicators", {"document": known["document"], "reason": REASON}))["changes"] == []
    changed = document(definition(first=THIS, owner="H14.2"))
    told = await steward.get("defineIndicators", {"document": changed, "reason": REASON})
    assert told["changes"] == [{"id": "KT-05 2", "fields": ["due", "from", "owner"]}]
    (entry,) = [each for each in map(dict[str, Any], notes(office.desk, "registry")) if "KT-05 2" in json.dumps(each)]
    assert entry["facts"]["reason"] == REASON and entry["facts"]["registry"]["revision"] > 0
    newest = (await steward.get("listIndicators"))["definitions"][1]
    assert newest["version"] == 2 and newest["actor"].startswith("H14.0/minh")
    lan = await office.desk.signed_in("lan", Role.OFFICER)
    here = "/console/indicators/definitions"
    assert "Department of Agriculture" in Reader((await lan.get(here)).body).text
    refused = await lan.post(f"{here}/new", document=document(definition(first=OLD, unit="USD")), reason=REASON)
    assert refused.status == 422 and "indicators[0].from" in refused.body.decode()
    assert (
        await lan.post(f"{here}/new", document=document(definition(first=THIS, unit="USD")), reason=REASON)
    ).status == 303
    watcher = await office.desk.signed_in("tam", Role.CENTRE)
    assert "<textarea" not in (await watcher.get(here)).body.decode()
    assert (await watcher.post(f"{here}/new", document=changed, reason=REASON)).status == 403


def test_digits_stay(office: Office) -> None:
    from gateway.console.pages.indicators import exact

    assert exact("vi", Decimal("1234567.80")) == "1.234.567,80" and exact("en", 1234567) == "1,234,567"
