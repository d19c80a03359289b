"""The operations of the management API for persons: tokens, permissions, and that pages and operations do the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from contracts.base import safeyaml
from gateway.console.accounts import store, tokens
from gateway.console.operations import operations
from gateway.console.pages import pages
from gateway.console.roles import ROLES, May, Role, sees_all
from gateway.console.site.operation import permissions
from gateway.console.work.searching import Filter
from gateway.doors.api.apis import DOCUMENTS
from gateway.journal.schema import tables
from tests.console.people import HOST, Desk
from tests.console.test_signing_in import notes
from tests.doors.api.client import Answer, ask

DOCUMENT = safeyaml.load((DOCUMENTS / "management.yaml").read_text("utf-8"))
NEEDED = permissions(DOCUMENT)
CALLS = [
    (method.upper(), path, item["operationId"])
    for path, methods in DOCUMENT["paths"].items()
    for method, item in methods.items()
    if item["security"]
]


def token(desk: Desk, account: str, days: int = 1) -> str:
    with desk.changing() as change:
        return tokens.make(change, tokens.wanted(account, "a script", days, desk.now()))[0]


async def call(desk: Desk, token: str, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    named = {"host": HOST, "accept-language": "en", **headers}
    if token:
        named["authorization"] = f"Bearer {token}"
    if body is not None:
        named["content-type"] = "application/json"
    return await ask(desk.app, method, path, named, b"" if body is None else json.dumps(body).encode())


def filled(path: str) -> str:
    return path.replace("{account}", "nobody").replace("{mark}", "00000000").replace("{", "").replace("}", "")


def test_each_operation_has_its_function_and_tells_its_problems() -> None:
    assert set(operations()) == set(NEEDED) == {name for _, _, name in CALLS}
    for path, methods in DOCUMENT["paths"].items():
        for item in methods.values():
            if item["security"]:
                told = set(item["responses"])
                assert told >= {"400", "401", "403", "404", "405", "429", "500", "503"}, path
                assert "requestBody" not in item or told >= {"413", "415"}, path
                assert item["x-lgsp-listeners"] == ["people"] and item["security"] == [{"person": []}], path


def test_each_page_that_acts_has_its_operation_or_says_why_not() -> None:
    for page in pages():
        if page.method == "POST":
            assert bool(page.operation) != bool(page.page_only), page.path
            assert not page.operation or NEEDED[page.operation] is page.may, page.path
        else:
            assert not page.operation and not page.page_only, page.path


def test_the_search_takes_the_same_filters_as_the_page() -> None:
    (item,) = [each["get"] for path, each in DOCUMENT["paths"].items() if path == "/api/entries"]
    assert {each["name"] for each in item["parameters"]} == {*Filter.NAMES, "cursor", "limit"}


@pytest.mark.parametrize("role", list(Role))
async def test_a_token_has_the_roles_of_its_person(people: Desk, role: Role) -> None:
    people.add("lan", role, agency="H14.7")
    mine = token(people, "lan")
    for method, path, name in CALLS:
        answer = await call(people, mine, method, filled(path), {} if method in ("POST", "PUT") else None)
        allowed = NEEDED[name] in ROLES[role] and (sees_all([role]) or name != "listChanges")
        refused = answer.json["code"] if answer.status == 403 else ""
        if name == "readIndicators" and allowed:  # the role may, and the agency has no grant to read the feed
            assert refused == "access.no-operation"
        else:
            assert (refused == "console.forbidden") is not allowed and refused in ("", "console.forbidden"), (
                name,
                refused,
            )


async def test_without_a_token_in_force_nothing_is_answered(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.OPERATOR)
    mine, late = token(people, "lan"), token(people, "lan", 2)
    for method, path, _ in CALLS:
        for headers in ({}, {"cookie": lan.cookie}, {"authorization": f"Basic {mine}"}, {"authorization": "Bearer x"}):
            answer = await call(people, "", method, filled(path), {"x": 1}, **headers)
            assert (answer.status, answer.json["code"]) == (401, "login.needed"), (path, headers)
            assert answer.headers["www-authenticate"].startswith("Bearer")
    assert (await call(people, mine, "GET", "/api/accounts")).status == 200
    people.moved = 86_401.0
    assert (await call(people, mine, "GET", "/api/accounts")).status == 401
    assert (await call(people, late, "GET", "/api/accounts")).status == 200
    with people.changing() as change:
        row = store.row_of(change, "lan")
        change.alter(tables.console_account, row, {"state": "disabled"})
        change.note(store.ACCOUNT, {"account": "lan", "how": "disabled"})
    assert (await call(people, late, "GET", "/api/accounts")).status == 401


async def test_a_change_of_roles_ends_the_tokens(people: Desk) -> None:
    people.add("lan", Role.OFFICER)
    mine = token(people, "lan")
    assert (await call(people, mine, "GET", "/api/entries")).status == 200
    with people.changing() as change:
        store.set_roles(change, "lan", (Role.VENDOR,))
    assert (await call(people, mine, "GET", "/api/entries")).status == 401


async def test_accounts_are_kept_by_operations(people: Desk) -> None:
    people.add("minh", Role.OPERATOR)
    mine = token(people, "minh")
    people.add("lan", Role.STEWARD, Role.AUDITOR)
    wrong = await call(people, mine, "PUT", "/api/accounts/lan/roles", {"roles": ["king"]})
    assert (wrong.status, wrong.json["code"]) == (400, "account.role-unknown")
    changed = await call(people, mine, "PUT", "/api/accounts/lan/roles", {"roles": ["auditor", "auditor"]})
    assert changed.json["account"]["roles"] == ["auditor"]
    no_reason = await call(people, mine, "PUT", "/api/accounts/lan/state", {"state": "disabled"})
    assert (no_reason.status, no_reason.json["code"]) == (400, "console.reason")
    why = {"state": "disabled", "reason": "left the department"}
    closed = await call(people, mine, "PUT", "/api/accounts/lan/state", why)
    assert closed.json["account"]["active"] is False
    listed = (await call(people, mine, "GET", "/api/accounts")).json["accounts"]
    assert [each["id"] for each in listed] == ["lan", "minh"]
    actors = {str(each["actor"]) for each in notes(people, store.ACCOUNT) if each["actor"] != "test"}
    assert {each.partition(": ")[0] for each in actors} == {"H14.0/minh"}
    assert all("console, token " in each for each in actors)


@pytest.mark.parametrize("body", [{}, {"roles": ["auditor"], "more": 1}, {"roles": "auditor"}, []])
async def test_a_body_is_as_the_document_says(people: Desk, body: Any) -> None:
    people.add("minh", Role.OPERATOR)
    answer = await call(people, token(people, "minh"), "PUT", "/api/accounts/minh/roles", body)
    assert (answer.status, answer.json["code"]) == (400, "api.invalid")


async def test_entries_page_by_page_within_the_scope(people: Desk) -> None:
    await people.world.signed("canh-bao", "/feeds/incident-alert/v1")  # refused
    people.add("lan", Role.OFFICER)
    people.world.sequence()
    mine = token(people, "lan")
    first = (await call(people, mine, "GET", "/api/entries?limit=1&order=oldest")).json
    second = (await call(people, mine, "GET", f"/api/entries?limit=1&order=oldest&cursor={first['next']}")).json
    assert [each["index"] for each in first["entries"] + second["entries"]] == [0, 1]
    refused = (await call(people, mine, "GET", "/api/entries?outcome=refused")).json["entries"]
    assert len(refused) == 1 and refused[0]["system"] == "canh-bao"
    bad = await call(people, mine, "GET", "/api/entries?outcome=refused&colour=red")
    assert (bad.status, bad.json["code"]) == (400, "api.invalid")
    people.add("khac", Role.AGENCY, agency="H14.9")
    for query in ("", "?outcome=refused"):
        assert (await call(people, token(people, "khac"), "GET", f"/api/entries{query}")).json["entries"] == []
    other = await call(people, token(people, "khac"), "GET", "/api/entries?agency=" + refused[0]["agency"])
    assert (other.status, other.json["code"]) == (403, "console.other-agency"), "no filter is ignored"


async def test_a_token_is_made_by_a_page_shown_once_and_logged(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.AUDITOR)
    shown = await lan.post("/console/account/tokens", label="nightly report", days="2")
    made = shown.body.decode().split("shown here only")[1].split("<code>")[1].partition("<")[0]
    later = (await lan.get("/console/account/tokens")).body.decode()
    assert shown.status == 200 and made not in later and "nightly report" in later
    (mine,) = (await call(people, made, "GET", "/api/tokens")).json["tokens"]
    (note,) = notes(people, tokens.NOTE)
    assert dict(note["facts"])["mark"] == mine["mark"] and made not in json.dumps(note)  # type: ignore[call-overload]
    with people.world.engine.connect() as connection:
        assert made not in str(connection.execute(select(tables.console_token)).all())
    for days in ("0", "31", "-1", "x", "", "٣"):
        assert (await lan.post("/console/account/tokens", label="x", days=days)).status == 400
    other = await people.signed_in("minh", Role.OPERATOR)
    assert (await other.post(f"/console/account/tokens/{mine['mark']}/revoke")).status == 404
    assert (await call(people, token(people, "minh"), "DELETE", f"/api/tokens/{mine['mark']}")).status == 404
    assert (await call(people, made, "DELETE", f"/api/tokens/{mine['mark']}")).status == 204
    assert (await call(people, made, "GET", "/api/tokens")).status == 401


def test_no_permission_approves_and_no_operation_makes_a_token() -> None:
    assert not any("approve" in each for each in May)
    assert "addToken" not in operations()
