"""Routes in a page, where a message would go, and registry documents: previewed, then applied exactly so."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest

from gateway.console.roles import Role
from gateway.console.work import documents, routes
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry import store
from gateway.registry.changes.content import Subject, in_force
from gateway.registry.changes.proposals import proposals
from gateway.registry.routing import FEED
from gateway.registry.seals.rows import contents
from tests.console.people import Desk, Person, Reader
from tests.console.test_signing_in import notes
from tests.console.zipping import upload
from tests.doors.api.client import Answer
from tests.registry.making import PROVINCE

PAGE = "/console/registry/document"
REASON = "agreed with the department of construction"
RULE = '    when: {area: ["01392"]}  # xã Trường Hà\n'
ROUTED = PROVINCE.replace(RULE, '    when: {area: ["01392", "01393"]}\n')
CONTACT = PROVINCE.replace("0206 000 0003", "0206 000 0033")


def rows(people: Desk) -> dict[str, dict[str, str]]:
    with people.world.engine.connect() as connection:
        return contents(connection)


async def previewed(person: Person, text: str) -> tuple[Answer, str, str]:
    """The page, its digest, and the document as its form sends it back."""
    answer = await upload(person, PAGE, "file", text.encode(), "registry.yaml", document="")
    page = answer.body.decode()
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', page)
    area = re.search(r'<textarea id="applied"[^>]*>(.*?)</textarea>', page, re.S)
    return answer, digest[1] if digest else "", html.unescape(area[1]).replace("\n", "\r\n") if area else ""


async def apply(person: Person, text: str, digest: str, reason: str = REASON) -> Answer:
    return await upload(person, f"{PAGE}/apply", "file", b"", "", document=text, digest=digest, reason=reason)


# --- routes -----------------------------------------------------------------------------------------------------------
async def test_every_route_is_listed_with_condition_system_and_address(people: Desk) -> None:
    tu = await people.signed_in("tu", Role.STEWARD)
    page = Reader((await tu.get("/console/routes")).body).text
    snapshot = people.services.registry.snapshot
    with people.world.engine.connect() as connection:
        force = {subject: each for subject, each in in_force(connection).items() if subject.what == "route"}
    assert len(force) >= 3
    assert "never seen to work" in page, "the state is that of the board, and not the registry's alone"
    for content in force.values():
        assert content["operation"] in page and content["contract"] in page
        for each in content["table"]:
            system = snapshot.systems.get(each.get("system", ""))
            if system is not None and system.endpoint is not None:
                assert f"{system.agency}/{system.id}" in page and system.title.en in page
                assert system.endpoint.url in page.replace(" ", "")
            for values in each["when"].values():
                assert " / ".join(values) in page
    only = Reader((await tu.get("/console/routes?contract=dossier-status/v1")).body).text
    assert "mot-cua" in only and "H14.22/truong-ha" not in only


@pytest.mark.parametrize("area", ["01392", "01273", ""])
@pytest.mark.parametrize(
    "of", [("field-report/v1", "createRequest", "area service_code"), ("indicator/v1", "getValue", "indicator")]
)
async def test_where_a_message_would_go_is_where_it_goes(people: Desk, area: str, of: tuple[str, str, str]) -> None:
    """The reports of one kind in 01273 go to an agency without a system."""
    people.add("tu", Role.STEWARD)
    desk, snapshot = people.desk(), people.services.registry.snapshot
    contract, operation, paths = of
    values = dict(zip(paths.split(), (area, "an-ninh"), strict=False))
    if "indicator" in values and area == "01392":
        values["indicator"] = "KT-02"
    viewer = _viewer(people, "tu")
    assert routes.conditions(desk, contract, operation) == tuple(paths.split())
    for agency in snapshot.agencies:
        found = routes.where(desk, viewer, (agency, contract, operation), values)
        wanted = snapshot.route(contract, operation, values)
        assert found.row is not None and found.row.name == wanted
        assert found.asks.allowed == snapshot.decide(agency, contract, operation, people.now()).allowed
        assert (wanted == "") == (area == "01273" and "area" in values)
        if wanted in (FEED, ""):
            assert found.arrives == found.asks.allowed and found.receives is None


async def test_the_page_asks_for_what_the_rules_look_at(people: Desk) -> None:
    tu = await people.signed_in("tu", Role.STEWARD)
    base = "/console/routes?agency=H14.5&of=field-report/v1+createRequest"
    page = (await tu.get(base)).body.decode()
    assert 'name="v0"' in page and "Rule 2 decides" in Reader(page.encode()).text
    page = Reader((await tu.get(f"{base}&v0=01392")).body).text
    assert "Rule 1 decides" in page and "truong-ha" in page and "G-0003" in page
    refused = Reader((await tu.get("/console/routes?agency=H14.4&of=field-report/v1+createRequest")).body).text
    assert "The sender may not ask" in refused and "would not arrive" in refused
    for wrong in (
        "agency=H1&of=field-report/v1+createRequest",
        "agency=H14.5&of=x/v1+y",
        "agency=H14.5&of=field-report/v1+y",
    ):
        assert (await tu.get(f"/console/routes?{wrong}")).status == 400


async def test_who_sees_one_agency_sees_its_routes_and_no_other_address(people: Desk) -> None:
    xuan = await people.signed_in("xuan", Role.AGENCY, agency="H14.22")
    page = Reader((await xuan.get("/console/routes")).body).text
    assert "H14.22/truong-ha" in page and "H14.3/do-thi" not in page and "H14.4" not in page
    asked = "/console/routes?agency=H14.5&of=field-report/v1+createRequest"
    page = Reader((await xuan.get(asked)).body).text
    url = people.services.registry.snapshot.systems["do-thi"].endpoint
    assert "Rule 2 decides" in page and url is not None
    assert "may not ask" in page, "the sender is his own agency, whatever was asked"
    where = routes.where(people.desk(), _viewer(people, "xuan"), ("H14.5", "field-report/v1", "createRequest"), {})
    assert where.row is not None and where.row.name == "do-thi" and where.row.address is None


# --- documents --------------------------------------------------------------------------------------------------------
async def test_a_preview_changes_nothing_and_applying_does_exactly_that(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.OPERATOR)
    before = rows(people)
    answer, digest, text = await previewed(lan, CONTACT)
    page = Reader(answer.body).text
    assert answer.status == 200 and "0206 000 0033" in page and "0206 000 0003" in page and "H14.3" in page
    assert rows(people) == before and notes(people, "registry") == []
    assert (await apply(lan, text, digest, "short")).status == 400 and rows(people) == before
    assert (await apply(lan, text, digest)).status == 303
    after = rows(people)
    assert {table for table in after if after[table] != before.get(table)} == {"agency"}
    assert json.loads(json.loads(after["agency"]["H14.3"])["contact"])["phone"] == "0206 000 0033"
    (entry,) = notes(people, "registry")
    facts: Any = entry["facts"]
    assert facts["reason"] == REASON and str(entry["actor"]).startswith("H14.0/lan")
    assert facts["changes"] == [{"what": "agency", "id": "H14.3", "how": "changed", "fields": ["contact"]}]
    answer, digest, _ = await previewed(lan, CONTACT)
    assert digest == "" and "Nothing would change" in Reader(answer.body).text


async def test_what_changed_since_the_preview_is_not_applied(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.OFFICER)
    _, digest, text = await previewed(lan, CONTACT)
    answer = await apply(lan, text.replace("0206 000 0033", "0206 000 0044"), digest)
    assert answer.status == 409 and b"document.other" in answer.body
    with writing(people.world.engine) as connection:
        store.set_state(connection, "agency", "H14.7", False)
        store.raise_revision(connection)
    _, other, _ = await previewed(lan, CONTACT)
    assert other == digest, "a suspension that the document does not mention is no part of it"
    with writing(people.world.engine) as connection:
        connection.execute(tables.agency.update().where(tables.agency.c.code == "H14.2").values(level="province"))
        store.raise_revision(connection)
    before = rows(people)
    assert (await apply(lan, text, digest)).status == 409 and rows(people) == before
    assert notes(people, "registry") == []


async def test_a_steward_may_propose_a_route_and_nothing_that_takes_effect_at_once(people: Desk) -> None:
    tu = await people.signed_in("tu", Role.STEWARD)
    force = rows(people)["route"]
    answer, digest, text = await previewed(tu, ROUTED)
    page = Reader(answer.body).text
    assert "waits for two officers" in page and "01393" in page and digest
    assert (await apply(tu, text, digest)).status == 303
    assert rows(people)["route"] == force, "officers sign first"
    with people.world.engine.connect() as connection:
        (subject,) = proposals(connection, "waiting")
    assert subject == Subject("route", "field-report/v1 createRequest")
    links = Reader((await tu.get("/console/routes")).body).links
    assert f"/console/access/proposals/{subject.path}" in links
    before = rows(people)
    for other in (CONTACT, PROVINCE.partition("\ngrants:")[0]):
        answer, digest, text = await previewed(tu, other)
        assert digest == "" and answer.status == 200
        answer = await apply(tu, other, documents.preview(people.desk(), _viewer(people, "tu"), other).digest)
        assert answer.status == 403 and b"console.forbidden" in answer.body and rows(people) == before


async def test_faults_of_a_document_come_back_with_their_places(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.OPERATOR)
    before = rows(people)
    bad = PROVINCE.replace("    system: do-thi\n", "    system: nobody\n").replace(
        "operation: getStatus", "operation: none"
    )
    answer, digest, _ = await previewed(lan, bad)
    page = Reader(answer.body).text
    assert answer.status == 422 and digest == "" and "routes[1].system" in page and "routes[4].operation" in page
    assert "nobody" in page
    for raw, status in ((b"\xff\xfe", 400), (b"", 400), (b"a: [", 422), (b"x" * (documents.MOST + 1), 400)):
        answer = await upload(lan, PAGE, "file", raw, "registry.yaml", document="")
        assert answer.status == status, (raw[:10], answer.status)
    assert rows(people) == before and notes(people, "registry") == []


def _viewer(people: Desk, id: str) -> Any:
    from gateway.console.accounts import store as accounts
    from gateway.console.accounts.records import Viewer

    with people.rows() as rows:
        return Viewer(accounts.find(rows, id), "totp", "test")
