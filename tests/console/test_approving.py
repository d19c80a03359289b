"""A grant from its draft to its force by two officers: by a passkey, and by a signature made elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select, update

from gateway.audit.verify.findings import Findings
from gateway.audit.verify.rows.approvals import check_approvals
from gateway.console.roles import Role
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry.changes.granting import grants
from gateway.registry.changes.officers import officers
from security.grants.passkeys import is_assertion
from tests.console.officers import GRANT, ONE, PROPOSALS, TWO, by_key, content, officer, proposed, signer
from tests.console.people import Desk, Reader
from tests.console.test_signing_in import notes


def signed_by(desk: Desk, name: str) -> tuple[str, ...]:
    with desk.world.engine.connect() as connection:
        return next(each.approved_by for each in grants(connection, officers(connection)) if each.id == name)


def found(desk: Desk) -> list[str]:
    wrong = Findings()
    with desk.world.engine.connect() as connection:
        check_approvals(connection, wrong)
    return wrong.wrong


async def test_two_officers_one_by_a_passkey_put_a_grant_in_force(people: Desk) -> None:
    an = await signer(people)
    name = await proposed(people)
    page = Reader((await an.person.get(f"{PROPOSALS}/{name}")).body)
    for told in ("Who will receive what", "indicator/v1 getValue", "Nobody has signed it yet", "Approve by passkey"):
        assert told in page.text, told
    assert (await an.approve(name)).status == 303
    assert signed_by(people, name) == (ONE,)
    binh = await people.signed_in(TWO, Role.OFFICER)
    given = {"officer": TWO, "signature": by_key(people, name, TWO)}
    assert (await binh.post(f"{PROPOSALS}/{name}", **given)).status == 303
    assert signed_by(people, name) == (ONE, TWO) and found(people) == []
    kept = [each["facts"]["approval"] for each in notes(people, "access") if "approval" in each["facts"]]  # type: ignore[index,operator]
    mine = [each for each in kept if each["subject"] == name]
    assert [(each["officer"], is_assertion(each["signature"])) for each in mine] == [(ONE, True), (TWO, False)]
    assert "counts" in Reader((await an.person.get(f"{PROPOSALS}/{name}")).body).text
    with writing(people.world.engine) as connection:  # somebody edits the row
        of = tables.approval.c.subject == f"grant {name}"
        row = update(tables.approval).where(of, tables.approval.c.officer == TWO)
        connection.execute(row.values(signature=mine[0]["signature"]))
    assert len(found(people)) == 1 and TWO in found(people)[0] and signed_by(people, name) == (ONE,)


async def test_a_passkey_waits_for_its_officer_and_another_one(people: Desk) -> None:
    an = await signer(people, ONE, ONE)
    (waits,) = officer(people, ONE).passkeys
    assert waits.state == "proposed"
    name = await proposed(people)
    assert (await an.approve(name)).status == 409 and signed_by(people, name) == ()
    path = f"passkey/{waits.thumbprint}"
    given = {"officer": TWO, "signature": by_key(people, path, TWO)}
    assert (await an.person.post(f"{PROPOSALS}/{path}", **given)).status == 303
    assert officer(people, ONE).passkeys[0].state == "active"
    assert (await an.approve(name)).status == 303 and signed_by(people, name) == (ONE,)


@pytest.mark.parametrize(("how", "left"), [("retired", (ONE,)), ("revoked", ())])
async def test_a_passkey_that_left(people: Desk, how: str, left: tuple[str, ...]) -> None:
    an = await signer(people)
    name = await proposed(people)
    assert (await an.approve(name)).status == 303
    (passkey,) = officer(people, ONE).passkeys
    minh = await people.signed_in("minh", Role.OFFICER)
    given = {"passkey": passkey.thumbprint, "how": how, "reason": "The phone was lost."}
    assert (await minh.post("/console/account/passkeys/end", **given)).status == 403
    assert (await an.person.post("/console/account/passkeys/end", **given)).status == 303
    assert signed_by(people, name) == left and found(people) == []
    other = await proposed(people, id="G-9002")
    assert (await an.approve(other)).status == 409 and signed_by(people, other) == ()


async def test_who_proposed_does_not_approve(people: Desk) -> None:
    an = await signer(people)
    answer = await an.person.post(f"{PROPOSALS}/new", **GRANT)
    assert answer.headers["location"] == f"{PROPOSALS}/G-9001?done=proposed"
    refused = await an.approve("G-9001")
    assert refused.status == 409 and b"approval.own-proposal" in refused.body
    assert "You proposed it" in Reader(refused.body).text and signed_by(people, "G-9001") == ()


async def test_a_draft_is_checked_as_a_file_is(people: Desk) -> None:
    steward = await people.signed_in("binh", Role.STEWARD)
    page = (await steward.get(f"{PROPOSALS}/new?agency=H14.7&contract=indicator/v1&operations=getValue")).body
    assert b'value="getValue"' in page and b'value="H14.7" selected' in page
    for changes, told in (
        ({"operations": "steal"}, "operations[0]"),
        ({"fields": "nothing.like.it"}, "fields"),
        ({"valid_until": "2025-01-01"}, "valid_until"),
        ({"hours_from": "25:00", "hours_until": "26:00"}, "hours"),
        ({"calls": "many"}, "calls"),
        ({"id": ""}, "id"),
    ):
        answer = await steward.post(f"{PROPOSALS}/new", **{**GRANT, **changes})
        assert answer.status in (400, 422) and told in Reader(answer.body).text, changes
    full = {**GRANT, "hours_from": "07:00", "hours_until": "17:00", "days": "mon tue", "calls": "10", "per": "hour"}
    assert (await steward.post(f"{PROPOSALS}/new", **full)).status == 303
    again = (await steward.get(f"{PROPOSALS}/new?grant=G-9001")).body
    assert b'value="07:00"' in again and b'value="mon tue"' in again and b'value="10"' in again


async def test_a_change_shows_old_and_new_and_an_agency_sees_its_own(people: Desk) -> None:
    name = await proposed(people)
    for each in (ONE, TWO):
        person = await people.signed_in(each, Role.OFFICER)
        given = {"officer": each, "signature": by_key(people, name, each)}
        assert (await person.post(f"{PROPOSALS}/{name}", **given)).status == 303
    before = content(people, name)
    refused = await person.post(f"{PROPOSALS}/new", **{**GRANT, "fields": "*"})
    assert refused.status == 409 and "ends that grant at once" in Reader(refused.body).text
    assert content(people, name) == before and len(signed_by(people, name)) == 2
    form = Reader((await person.get(f"{PROPOSALS}/new?grant={name}")).body)
    assert f"If {name} is in force, it ends when you propose this" in form.text
    await proposed(people, fields="*", replaces=name)
    text = Reader((await person.get(f"{PROPOSALS}/{name}")).body).text
    assert "What differs from what was in force" in text and "*, !responsible" in text
    ward = await people.signed_in("phuong", Role.AGENCY, agency="H14.7")
    other = await people.signed_in("khac", Role.AGENCY, agency="H14.9")
    assert name in Reader((await ward.get(PROPOSALS)).body).text
    assert name not in Reader((await other.get(PROPOSALS)).body).text
    for path in (f"{PROPOSALS}/{name}", f"/console/access/content?subject={name}", f"/console/access/grants/{name}"):
        assert ((await ward.get(path)).status, (await other.get(path)).status) == (200, 404), path
    foreign = await other.post(f"{PROPOSALS}/new", **{**GRANT, "id": "G-9009"})
    assert foreign.status == 403
    for act in ("revoke", "suspend", "resume"):
        given = {"reason": "no such right", "reason_vi": "x", "reason_en": "x"}
        assert (await other.post(f"/console/access/grants/{name}/{act}", **given)).status == 403


async def test_a_grant_is_suspended_resumed_and_revoked_with_reasons(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.OFFICER)
    page = "/console/access/grants/G-0002"
    assert (await lan.post(f"{page}/suspend", reason_vi="", reason_en="")).status == 400
    given = {"reason_vi": "Nghi lộ khóa", "reason_en": "A key may have leaked", "until": "2030-01-01"}
    assert (await lan.post(f"{page}/suspend", **given)).status == 303
    assert "suspended" in Reader((await lan.get(page)).body).text
    assert (await lan.post(f"{page}/resume", reason="short")).status == 400
    assert (await lan.post(f"{page}/resume", reason="The key is safe after all.")).status == 303
    assert (await lan.post(f"{page}/revoke", reason="The purpose has ended.")).status == 303
    shown = Reader((await lan.get(page)).body).text
    assert "revoked" in shown and "lan" in shown
    assert [each["facts"]["reason"] for each in notes(people, "access")] == ["The purpose has ended."]  # type: ignore[index]
    with people.world.engine.connect() as connection:
        state = connection.scalar(select(tables.access_grant.c.state).where(tables.access_grant.c.id == "G-0002"))
    assert state == "revoked"


async def test_a_key_of_another_kind_or_twice_is_not_taken(people: Desk) -> None:
    an = await signer(people)
    id = replace(officer(people, ONE).passkeys[0]).credential
    answer = await an.person.post(f"/console/account/passkeys/{id}/approve")
    assert answer.status == 409 and b"officer.key-taken" in answer.body
    lan = await people.signed_in("lan", Role.OFFICER)  # no officer of the registry
    assert (await lan.post(f"/console/account/passkeys/{id}/approve")).status == 404
