"""Approvals in a page: neither a session, nor an assertion for something else, nor another's passkey approves."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import select

from gateway.console.roles import Role
from gateway.journal.schema import tables
from gateway.registry.changes import granting
from tests.console.authenticator import PRESENT, Authenticator
from tests.console.conftest import people  # noqa: F401  a fixture
from tests.console.officers import GRANT, ONE, PROPOSALS, TWO, by_key, officer, proposed, signer
from tests.console.people import Desk, Person
from tests.console.test_approving import signed_by
from tests.console.test_operations import call, token
from tests.console.test_passkeys import options
from tests.doors.api.conftest import world  # noqa: F401  a fixture

pytestmark = pytest.mark.attack("console: an approval without the officer")


async def refused(desk: Desk, person: Person, name: str, given: dict[str, Any]) -> None:
    answer = await person.post(f"{PROPOSALS}/{name}", **given)
    assert answer.status in (400, 403, 404, 409, 422), answer.status
    assert signed_by(desk, name) == ()


async def test_what_an_assertion_does_not_approve(people: Desk) -> None:  # noqa: F811  the fixture
    an = await signer(people)
    name, other = await proposed(people), await proposed(people, id="G-9002", fields="*")
    signing_in = options((await Person(people, "?").get("/console/sign-in")).body)
    altered = json.loads(an.assertion(name))
    altered["response"]["authenticatorData"] = altered["response"]["authenticatorData"][:-2] + "_w"
    for credential in (
        an.assertion(other),  # of another proposal: a replay
        an.device.get(signing_in),  # of signing in
        an.assertion(name, origin="https://localhost.evil"),
        an.assertion(name, rp_id="evil.example"),
        an.assertion(name, flags=PRESENT),  # nobody was verified
        an.assertion(name, crossOrigin=True),
        an.assertion(name, type="webauthn.create"),
        an.assertion(name, challenge="AAAA"),
        json.dumps(altered),
        Authenticator(an.device.origin).get({"challenge": "AAAA"}),
        "{}",
    ):
        await refused(people, an.person, name, {"credential": credential})
    assert (await an.approve(name)).status == 303 and signed_by(people, name) == (ONE,)


async def test_another_agencys_grant_is_not_replaced_under_its_id(people: Desk) -> None:  # noqa: F811
    """Nor is the id of one that was revoked taken."""
    steward = await people.signed_in("lan", Role.STEWARD, Role.OFFICER)
    other = await people.signed_in("khac", Role.AGENCY, agency="H14.3")
    for state in ("proposed", "revoked"):
        name = await proposed(people, id=f"G-90{len(state)}")
        if state == "revoked":
            given = {"reason": "It is wanted no longer."}
            assert (await steward.post(f"/console/access/grants/{name}/revoke", **given)).status == 303
        with people.world.engine.connect() as connection:
            before = granting.stored(connection, name)
        for replaces in ("", name):
            wanted = {**GRANT, "id": name, "agency": "H14.3", "edition": "2", "replaces": replaces}
            assert (await other.post(f"{PROPOSALS}/new", **wanted)).status == 403
        body: dict[str, Any] = {
            **GRANT,
            "id": name,
            "agency": "H14.3",
            "operations": ["getValue"],
            "fields": ["*"],
            "edition": 2,
        }
        answer = await call(people, token(people, "khac"), "POST", "/api/proposals", body)
        assert answer.status == 403, answer.body
        with people.world.engine.connect() as connection:
            assert before is not None and granting.stored(connection, name) == before


async def test_an_agency_lifts_nothing_that_restricts_itself(people: Desk) -> None:  # noqa: F811
    """Neither a denial nor a suspension; it may suspend its own grants."""
    officer = await people.signed_in(ONE, Role.OFFICER)
    ward = await people.signed_in("phuong", Role.AGENCY, agency="H14.7")
    denial = await proposed(people, id="G-9003", denies="true")
    name = await proposed(people)
    notice = {"reason_vi": "Nghi lộ khóa", "reason_en": "A key may have leaked"}
    assert (await ward.post(f"/console/access/grants/{name}/suspend", **notice)).status == 303
    why = {"reason": "We want it back."}
    assert (await ward.post(f"/console/access/grants/{name}/resume", **why)).status == 403
    assert (await ward.post(f"/console/access/grants/{denial}/revoke", **why)).status == 403
    other = {**GRANT, "id": denial, "replaces": denial}
    assert (await ward.post(f"{PROPOSALS}/new", **other)).status == 403
    assert (await officer.post(f"/console/access/grants/{name}/resume", **why)).status == 303
    assert (await ward.post(f"/console/access/grants/{name}/revoke", **why)).status == 303


async def test_a_session_alone_or_another_s_session_approves_nothing(people: Desk) -> None:  # noqa: F811
    an = await signer(people)
    name = await proposed(people)
    binh = await people.signed_in(TWO, Role.OFFICER, Role.OPERATOR, Role.STEWARD)
    await refused(people, binh, name, {})
    await refused(people, binh, name, {"credential": an.assertion(name)})  # in the name of the other
    await refused(people, binh, name, {"officer": TWO, "signature": by_key(people, name, ONE)})
    await refused(people, binh, name, {"officer": ONE, "signature": by_key(people, name, TWO)})
    await refused(people, binh, name, {"officer": "nobody", "signature": by_key(people, name, ONE)})
    auditor = await people.signed_in("kiem", Role.AUDITOR)
    await refused(people, auditor, name, {"officer": ONE, "signature": by_key(people, name, ONE)})
    answer = await an.person.send(f"{PROPOSALS}/{name}", {"credential": an.assertion(name)})  # without the form's token
    assert answer.status == 403 and signed_by(people, name) == ()


async def test_two_keys_of_one_officer_are_one_vote(people: Desk) -> None:  # noqa: F811
    an = await signer(people)
    name = await proposed(people)
    assert (await an.approve(name)).status == 303
    given = {"officer": ONE, "signature": by_key(people, name, ONE)}
    await an.person.post(f"{PROPOSALS}/{name}", **given)
    assert signed_by(people, name) == (ONE,)


async def test_approvals_at_the_same_time_count_once_each(people: Desk) -> None:  # noqa: F811
    """One officer four times is one vote. Two officers at once bring it into force once; a refusal beside them leaves
    it either in force or gone, and never both."""
    person = await people.signed_in("lan", Role.STEWARD, Role.OFFICER)
    raced, other = await proposed(people), await proposed(people, id="G-9003")
    one = {name: {"officer": ONE, "signature": by_key(people, name, ONE)} for name in (raced, other)}
    two = {name: {"officer": TWO, "signature": by_key(people, name, TWO)} for name in (raced, other)}
    await asyncio.gather(*(person.post(f"{PROPOSALS}/{raced}", **one[raced]) for _ in range(4)))
    assert signed_by(people, raced) == (ONE,)
    answers = await asyncio.gather(*(person.post(f"{PROPOSALS}/{raced}", **two[raced]) for _ in range(4)))
    assert [each.status for each in answers].count(303) >= 1
    assert state(people, raced) == "active" and set(signed_by(people, raced)) == {ONE, TWO}
    reason = {"reason": "it is not wanted any more"}
    await asyncio.gather(
        person.post(f"{PROPOSALS}/{other}", **one[other]),
        person.post(f"/console/access/refuse/{other}", **reason),
        person.post(f"{PROPOSALS}/{other}", **two[other]),
    )
    after = state(people, other)
    assert after in ("active", "proposed", "refused", None), after
    assert after != "active" or set(signed_by(people, other)) == {ONE, TWO}


def state(desk: Desk, id: str) -> str | None:
    table = tables.access_grant.c
    with desk.world.engine.connect() as connection:
        found: str | None = connection.scalar(select(table.state).where(table.id == id))
    return found


async def test_nobody_gives_another_officer_a_passkey(people: Desk) -> None:  # noqa: F811
    """A stolen session proposes one; it waits for the officer's own key, which no passkey replaces."""
    an = await signer(people)
    thief = an.person
    device = Authenticator(an.device.origin)
    asked = options((await thief.get("/console/account/passkeys")).body)
    assert (await thief.post("/console/account/passkeys", credential=device.create(asked), label="x")).status == 303
    id = json.loads(device.get({"challenge": "AAAA"}))["id"]
    assert (await thief.post(f"/console/account/passkeys/{id}/approve")).status == 303
    path = next(f"passkey/{each.thumbprint}" for each in officer(people, ONE).passkeys if each.state == "proposed")
    assert (await an.approve(path)).status in (403, 422)  # by the passkey that approves already
    given = {"officer": TWO, "signature": by_key(people, path, TWO)}
    assert (await thief.post(f"{PROPOSALS}/{path}", **given)).status == 303
    assert [each.state for each in officer(people, ONE).passkeys].count("proposed") == 1
