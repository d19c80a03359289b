"""Accounts: nobody changes his own, the role officer is for officers of the registry, and each change is a change."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from gateway.audit.search.search import Query, reading, search
from gateway.audit.search.shown import shown
from gateway.console.accounts import store
from gateway.console.roles import Role
from gateway.journal.database import writing
from gateway.journal.schema import tables
from tests.console.people import Desk, Person, Reader

REASON = "she left the department"


def roles(people: Desk, id: str) -> list[str]:
    table = tables.console_account.c
    with people.world.engine.connect() as connection:
        found: list[str] = json.loads(connection.scalar(select(table.roles).where(table.id == id)) or "[]")
    return found


def changes(people: Desk) -> list[Any]:
    people.world.sequence()
    with reading(people.world.engine) as connection:
        hits = search(connection, Query(kind="change", oldest_first=True)).hits
    return [each for each in hits if each.facts.kind == "console-account"]


async def test_nobody_changes_his_own_account(people: Desk) -> None:
    minh = await people.signed_in("minh", Role.OPERATOR)
    for path, form in (("roles", {"roles": ["operator", "auditor"]}), ("state", {"state": "disabled"})):
        answer = await minh.post(f"/console/people/minh/{path}", reason=REASON, **form)
        assert answer.status == 403 and b"account.own" in answer.body, path
    assert roles(people, "minh") == ["operator"]
    page = Reader((await minh.get("/console/people/minh")).body)
    assert [each for each in page.forms if "/people/" in each] == ["/console/people/minh/link"]
    assert (await minh.get("/console/people")).status == 200  # his session goes on


async def test_the_role_officer_needs_an_officer_of_the_registry(people: Desk) -> None:
    minh = await people.signed_in("minh", Role.OPERATOR)
    new = {"agency": "H14.0", "name": "X", "roles": "officer", "reason": REASON}
    refused = await minh.post("/console/people", id="stranger", **new)
    assert refused.status == 409 and b"account.not-officer" in refused.body
    people.add("lan", Role.AUDITOR)
    assert (await minh.post("/console/people/lan/roles", roles=["auditor", "officer"])).status == 409
    assert roles(people, "stranger") == [] and roles(people, "lan") == ["auditor"]
    with writing(people.world.engine) as connection:
        known = connection.scalars(select(tables.officer.c.id).where(tables.officer.c.state == "active")).first()
    assert (await minh.post("/console/people", id=known, **new)).status == 200
    people.add("old", Role.OFFICER)  # given at the command line: it may stay, and be taken away
    assert (await minh.post("/console/people/old/roles", roles=["officer", "auditor"])).status == 303
    assert (await minh.post("/console/people/old/roles", roles=["auditor"])).status == 303


async def test_roles_are_chosen_by_name(people: Desk) -> None:
    minh = await people.signed_in("minh", Role.OPERATOR)
    people.add("lan", Role.STEWARD)
    page = (await minh.get("/console/people/lan")).body.decode()
    assert page.count('type="checkbox" name="roles"') == len(Role)
    assert 'value="steward" checked' in page and 'value="officer" disabled' in page
    minh.language = "vi"
    assert "quản lý dữ liệu" in Reader((await minh.get("/console/people")).body).text


async def test_an_account_is_closed_with_a_reason_and_both_are_changes(people: Desk) -> None:
    minh = await people.signed_in("minh", Role.OPERATOR)
    lan = await people.signed_in("lan", Role.STEWARD)
    assert (await minh.post("/console/people/lan/state", state="disabled")).status == 400
    assert (await lan.get("/console")).status == 200
    await minh.post("/console/people/lan/roles", roles=["auditor"], reason=REASON)
    sent_away = await lan.get("/console/search?agency=H14.6")
    assert sent_away.status == 303 and "ended=1" in sent_away.headers["location"]
    assert "Your session has ended" in Reader((await lan.get(sent_away.headers["location"])).body).text
    assert "ended" not in (await Person(people, "nobody").get("/console/search")).headers["location"]
    assert (await minh.post("/console/people/lan/state", state="disabled", reason=REASON)).status == 303
    made = [json.loads(each.entry)["facts"] for each in changes(people)]
    assert [each["how"] for each in made if each["account"] == "lan"][-2:] == ["roles", "disabled"]
    assert [each["reason"] for each in made if "reason" in each] == [REASON, REASON]
    (told,) = [each["changed"] for hit in changes(people) if "changed" in (each := shown(hit))]
    assert told == {"console_account": {"lan": {"roles": [["steward"], ["auditor"]]}}}
    an = await people.signed_in("an", Role.AUDITOR)
    text = Reader((await an.get("/console/access/changes")).body).text
    assert "lan: roles steward → auditor" in text and "lan: closed" in text and REASON in text


@pytest.mark.parametrize("body", [{"roles": ["auditor"]}, {"roles": ["operator", "auditor"]}])
async def test_nor_by_the_api(people: Desk, body: dict[str, Any]) -> None:
    from tests.console.test_operations import call, token

    people.add("minh", Role.OPERATOR)
    answer = await call(people, token(people, "minh"), "PUT", "/api/accounts/minh/roles", body)
    assert (answer.status, answer.json["code"]) == (403, "account.own")


async def test_an_account_is_of_an_agency_of_the_registry(people: Desk) -> None:
    minh = await people.signed_in("minh", Role.OPERATOR)
    agencies = people.world.services.registry.snapshot.agencies
    for number, agency in enumerate(("H14.2", agencies["H14.2"].name.vi.upper())):
        page = await minh.post(
            "/console/people", id=f"new-{number}", agency=agency, name="A", roles="auditor", reason=REASON
        )
        text = Reader(page.body).text
        assert page.status == 200 and "://" in text.partition("/console/link/")[0].rpartition(" ")[2], text
        with people.rows() as rows:
            assert store.find(rows, f"new-{number}").agency == "H14.2"
    refused = await minh.post(
        "/console/people", id="new-2", agency="H14.22222", name="A", roles="auditor", reason=REASON
    )
    assert refused.status == 400 and b"console.unknown-name" in refused.body
    unreasoned = await minh.post("/console/people", id="new-2", agency="H14.2", name="A", roles="auditor")
    assert unreasoned.status == 400 and b"console.reason" in unreasoned.body
    with people.rows() as rows:
        assert store.row_of(rows, "new-2") is None
    (added, _other) = [each for each in changes(people) if b'"added"' in each.entry and b"new-" in each.entry]
    assert REASON.encode() in added.entry


async def test_an_address_without_a_page_leaves_nobody_without_the_menu(people: Desk) -> None:
    minh = await people.signed_in("minh", Role.OPERATOR)
    page = await minh.get("/console/nothing-here")
    assert page.status == 404 and "/console/people" in Reader(page.body).links
    stranger = await Person(people, "?").get("/console/nothing-here")
    assert stranger.status == 404 and "/console/people" not in Reader(stranger.body).links
