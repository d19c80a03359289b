"""Signing in and out, sessions, lock-out, and what each role may open."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from gateway.console.accounts import sessions, signing_in, store
from gateway.console.pages import pages
from gateway.console.roles import Role, allowed
from gateway.journal.schema import tables
from gateway.registry.seals.accounts import FACT
from tests.console.people import PASSWORD, Desk, Person, Reader


def notes(desk: Desk, what: str) -> list[dict[str, object]]:
    """The entries of a kind that wait for their index."""
    with desk.world.engine.connect() as connection:
        entries = [json.loads(row.entry) for row in connection.execute(select(tables.log_pending.c.entry))]
        entries += [json.loads(row.entry) for row in connection.execute(select(tables.log_entry.c.entry))]
    found = [each for each in entries if each.get("what") == what]
    for each in found:  # the seal of the accounts, which has tests of its own
        each["facts"].pop(FACT, None)
    return found


async def test_a_person_signs_in_works_and_signs_out(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.OFFICER)
    home = await lan.get("/console")
    assert home.status == 200 and "Name of lan" in Reader(home.body).text
    out = await lan.post("/console/sign-out")
    assert out.status == 303 and "Max-Age=0" in out.headers["set-cookie"]
    assert (await lan.get("/console")).headers["location"].startswith("/console/sign-in?next=")
    signed_in, signed_out = notes(people, signing_in.SIGNED_IN), notes(people, signing_in.SIGNED_OUT)
    assert [each["facts"] for each in signed_in] == [{"account": "lan", "how": "totp", "source": "192.0.2.7"}]
    assert [str(each["actor"]).partition(": ")[0] for each in signed_out] == ["H14.0/lan"]


@pytest.mark.parametrize("wrong", [{"password": "x"}, {"code": "000000"}, {"name": "ai-do"}, {"code": ""}])
async def test_a_failed_attempt_says_nothing_of_what_was_wrong(people: Desk, wrong: dict[str, str]) -> None:
    people.add("lan", Role.OFFICER)
    given = {"name": "lan", "password": PASSWORD, "code": people.code("lan"), **wrong}
    answer = await Person(people, "lan").send("/console/sign-in", given)
    assert answer.status == 401 and "set-cookie" not in answer.headers
    assert "login.failed" in Reader(answer.body).text
    (note,) = notes(people, signing_in.SIGNED_IN)
    assert note["facts"] == {"account": given["name"], "failure": "login.failed", "source": "192.0.2.7"}


async def test_a_code_works_once(people: Desk) -> None:
    people.add("lan", Role.OFFICER)
    given = {"name": "lan", "password": PASSWORD, "code": people.code("lan")}
    nobody = Person(people, "lan")
    assert (await nobody.send("/console/sign-in", given)).status == 303
    assert (await nobody.send("/console/sign-in", given)).status == 401


async def test_an_account_is_locked_after_five_failures_and_opens_again(people: Desk) -> None:
    people.add("lan", Role.OFFICER)
    nobody = Person(people, "lan")
    for _ in range(signing_in.FREE):
        assert (await nobody.send("/console/sign-in", {"name": "lan", "password": "x", "code": "1"})).status == 401
    right = {"name": "lan", "password": PASSWORD, "code": people.code("lan")}
    locked = await nobody.send("/console/sign-in", right)
    assert locked.status == 429 and "account.locked" in Reader(locked.body).text
    people.moved = 31.0
    right["code"] = people.code("lan")
    assert (await nobody.send("/console/sign-in", right)).status == 303


async def test_a_link_signs_in_once_and_only_by_its_button(people: Desk) -> None:
    people.add("lan", Role.OFFICER)
    with people.changing() as change:
        token = store.make_link(change, "lan")
    nobody = Person(people, "lan")
    for _ in range(2):  # a preview of the address does not use it up
        assert (await nobody.get(f"/console/link/{token}")).status == 200
    first, second = [await nobody.send(f"/console/link/{token}", {}) for _ in range(2)]
    assert (first.status, second.status) == (303, 401)
    with people.changing(people.now() - store.LINK_SECONDS) as change:
        late = store.make_link(change, "lan")
    assert (await nobody.send(f"/console/link/{late}", {})).status == 401


async def test_a_session_ends_when_idle_and_in_any_case(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.OFFICER)
    people.moved = sessions.IDLE - 60
    assert (await lan.get("/console")).status == 200
    people.moved = 2 * sessions.IDLE - 120
    assert (await lan.get("/console")).status == 200
    people.moved = 3 * sessions.IDLE
    assert (await lan.get("/console")).status == 303
    lan, people.moved = await people.sign_in("lan"), people.moved
    begun = people.moved
    while people.moved < begun + sessions.LONGEST - sessions.IDLE:
        people.moved += sessions.IDLE - 60
        assert (await lan.get("/console/account")).status == 200
    people.moved = begun + sessions.LONGEST
    assert (await lan.get("/console")).status == 303


async def test_roles_changed_end_the_sessions(people: Desk) -> None:
    lan, minh = await people.signed_in("lan", Role.OFFICER), await people.signed_in("minh", Role.OPERATOR)
    assert (await minh.post("/console/people/lan/roles", roles="auditor")).status == 303
    assert (await lan.get("/console")).status == 303
    (change,) = [each for each in notes(people, store.ACCOUNT) if dict(each["facts"]).get("how") == "roles"]  # type: ignore[call-overload]
    assert change["facts"] == {"account": "lan", "how": "roles", "changed": {"old": ["officer"], "new": ["auditor"]}}
    assert str(change["actor"]).startswith("H14.0/minh: ")


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_opens_its_pages_and_no_others(people: Desk, role: Role) -> None:
    person = await people.signed_in("lan", role, agency="H14.7")
    for page in pages():
        path = "/console" + page.path.replace("{", "").replace("}", "")
        answer = await (person.get(path) if page.method == "GET" else person.post(path))
        if page.may in allowed([role]):
            assert answer.status != 403 or b"console.forbidden" not in answer.body, path
        else:
            assert answer.status == 403 and b"console.forbidden" in answer.body, path


async def test_password_and_codes_are_set_by_their_form(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.OFFICER)
    page = (await lan.get("/console/account/factors")).body.decode()
    sealed = page.split('name="sealed" value="')[1].partition('"')[0]
    people.secrets["lan"] = page.split("<code>")[1].partition("<")[0]
    new = "nam bon ba hai mot"
    wrong = {"sealed": sealed, "password": new, "again": new, "code": "000000"}
    assert (await lan.post("/console/account/factors", **wrong)).status == 400
    weak = {**wrong, "password": "ngan", "again": "ngan", "code": people.code("lan")}
    assert b"account.password-weak" in (await lan.post("/console/account/factors", **weak)).body
    right = {**wrong, "code": people.code("lan")}
    assert (await lan.post("/console/account/factors", **right)).status == 303
    people.moved += 31  # the code of the form does not sign in too
    given = {"name": "lan", "password": new, "code": people.code("lan")}
    assert (await Person(people, "lan").send("/console/sign-in", given)).status == 303
