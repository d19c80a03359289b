"""The wall view: areas, overdue handlings, open alerts and systems with alarms, as far as somebody may see them."""

from __future__ import annotations

import csv
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from contracts.base.words import Words
from gateway.console.roles import Role
from gateway.console.site.drawing import Tile, tile_map
from gateway.console.work import wall
from gateway.journal.append import apply
from gateway.journal.database import lock_of, writing
from gateway.keys.key_encryption import AtRest
from gateway.vault.vault import Vault
from gateway.watch import alarms
from gateway.watch.alarms import Condition, Kind, Look
from gateway.workflow import steps
from gateway.workflow.records import Office, Opened
from tests.console.people import Desk, Reader
from tests.console.test_operations_of_pages import Script
from tests.indicators.defining import definition
from tests.indicators.sending import OLD
from tests.indicators.sending import Office as IndicatorOffice
from tests.registry.making import contracts

ALERTS, REPORTS = "incident-alert/v1", "field-report/v1"
AREAS = Path(__file__).parents[2] / "contracts" / "catalogue" / "_codes" / "area.csv"


def handling(people: Desk, number: int, contract: str, ago: float = 0.0, **more: Any) -> None:
    """One that was opened so many seconds ago: of a report by phan-anh, handled by the builders."""
    services, at = people.desk().services, people.now() - ago
    settings = services.settings
    office = Office(
        engine=services.engine,
        registry=services.registry,
        vault=Vault(settings.vault_keys, at_rest=AtRest.of(settings), copies=settings.vault_copies),
        hash_id=str,
        clock=lambda: at,
    )
    values: dict[str, Any] = {
        "agency": "H14.3",
        "system": "do-thi",
        "sender_agency": "H14.5",
        "sender_system": "phan-anh",
    }
    values |= {"kind": "chieu-sang", "area": "01273", "transfer": f"01935b6e-0000-7000-8000-{number:012d}", "at": at}
    values["message"] = f"m-{number}"
    unit = steps.opening(office, Opened(contract=contracts()[contract], **values | more))
    with writing(people.world.engine) as connection:
        apply(connection, [unit.write])


def numbers(page: bytes) -> list[str]:
    return re.findall(r"<strong>([0-9+]+)</strong>", page.decode())


async def test_it_shows_what_is_open_late_and_unwell(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.OFFICER)
    page = await lan.get("/console/wall")
    assert numbers(page.body) == ["0"] * 6 and "No handling is overdue." in page.body.decode()
    handling(people, 1, REPORTS)
    handling(people, 2, REPORTS, ago=30 * 86_400.0, area="01267")  # a ward that became part of Thục Phán
    handling(people, 3, ALERTS, ago=7200.0, kind="Fire Met", area="01447 01477", agency="H14.6", system=None)
    with writing(people.world.engine, lock_of(people.world.engine)) as connection:
        look = Look(people.world.services.registry.snapshot, people.now())
        alarms.settle(connection, Kind.DOWN, [Condition("do-thi", "", people.now() - 300.0, {})], look)
    raw = (await lan.get("/console/wall")).body
    assert numbers(raw) == ["2", "1", "2", "1", "0", "0"]  # overdue, alerts, reports, systems, indicators, cases
    text = Reader(raw).text
    assert text.count("Fire, Meteorological · Tra Linh commune") == 1  # an overdue alert stands in one list
    links = [each for each in Reader(raw).links if each.startswith("/console/") and each != "/console"]
    for number, link in zip(numbers(raw)[:2], ("/console/handlings?list=overdue", links[1]), strict=True):
        opened = Reader((await lan.get(link)).body).links
        assert link in links and len({each for each in opened if each.startswith("/console/handlings/")}) == int(number)
    for words in ("Fire, Meteorological · Tra Linh commune", "Sent to the agency", "takes no connections"):
        assert words in text, words
    rows = {
        row[0]: row[1:]
        for row in re.findall(r'<th scope="row">([^<]+)</th><td>(\d+)</td><td>(\d+)</td><td>(\d+)', raw.decode())
    }
    assert rows["Thuc Phan ward"] == ("2", "0", "1") and rows["Tra Linh commune"] == rows["Trung Khanh commune"] == (
        "1",
        "1",
        "1",
    )
    assert "Song Hien ward" not in rows and rows["Bao Lac commune"] == ("0", "0", "0")


async def test_an_agency_sees_what_concerns_it_and_the_centre_everything(people: Desk) -> None:
    handling(people, 1, REPORTS)
    handling(people, 2, ALERTS, agency="H14.6", sender_agency="H14.2", sender_system="canh-bao", kind="Fire")
    for name, agency, role, seen in (
        ("lan", "H14.3", Role.AGENCY, ["0", "0", "1", "0", "0", "0"]),
        ("minh", "H14.2", Role.AGENCY, ["0", "1", "0", "0", "0", "0"]),
        ("hoa", "H14.7", Role.AGENCY, ["0", "0", "0", "0", "0", "0"]),
        ("binh", "H14.0", Role.CENTRE, ["0", "1", "1", "0", "0", "0"]),
    ):
        reader = await people.signed_in(name, role, agency=agency)
        assert numbers((await reader.get("/console/wall")).body) == seen, name


async def test_indicators_and_cases(people: Desk) -> None:
    office = IndicatorOffice(people)
    office.define(
        definition(first=OLD, last=OLD, due=0),
        definition(code="MT-04", title=Words("Rác", "Waste"), unit="%", owner="H14.2", first=OLD, last=OLD, due=0),
    )
    await office.send(Decimal("1615.50"), period=str(OLD))
    people.world.sequence()
    hoa = Script(people, "hoa", Role.AGENCY, agency="H14.7")
    body = {"kind": "complaint", "subject": "Sai", "text": "Đề nghị sửa.", "receivers": ["H14.3"]}
    await hoa.ask("openCase", body)
    await Script(people, "tam", Role.CENTRE).ask("openCase", {**body, "kind": "task"})
    for name, agency, role, seen in (
        ("binh", "H14.0", Role.CENTRE, ["0", "0", "0", "0", "1", "2"]),
        ("lan", "H14.3", Role.AGENCY, ["0", "0", "0", "0", "0", "2"]),
        ("minh", "H14.2", Role.AGENCY, ["0", "0", "0", "0", "1", "0"]),
        ("tu", "H14.4", Role.AGENCY, ["0", "0", "0", "0", "0", "0"]),
    ):
        page = (await (await people.signed_in(name, role, agency=agency)).get("/console/wall")).body
        assert numbers(page) == seen, name
        text = " ".join(Reader(page).text.split())
        assert ("1,615.50" in text) == (role is Role.CENTRE), name  # only the centre may read the feed
        assert ("missing for" in text) == (seen[4] == "1") and ("Complaint" in text) == (seen[5] == "2")
        assert "Đề nghị" not in text
        if seen[4] == "1":  # the same as on the page of what is owed
            reader = await people.sign_in_anew(name)
            owed = Reader((await reader.get("/console/indicators/owed?state=missing")).body).text
            assert owed.count("missing") >= 1


def test_every_area_that_is_there_has_its_own_place() -> None:
    with AREAS.open(encoding="utf-8", newline="") as file:
        there = {row["code"] for row in csv.DictReader(file) if row["within"] and not row["replaced_by"]}
    places = wall.places()
    assert set(places) == there and len(set(places.values())) == len(places)


@given(st.lists(st.builds(Tile, st.text(max_size=20), *[st.integers(0, 9)] * 5), max_size=6))
def test_any_map_is_well_formed_and_says_its_numbers(tiles: list[Tile]) -> None:
    root = etree.fromstring(re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", str(tile_map(tiles))))
    assert len(root) == len(tiles)
    for tile, drawn in zip(tiles, root, strict=True):
        assert (drawn.get("class"), drawn.xpath("string(*[@class='value'])")) == (tile.kind, str(tile.number or ""))
