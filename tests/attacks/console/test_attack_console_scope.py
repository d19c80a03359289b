"""Somebody else's things, asked for by their ids: by each role, on every page and operation, of another agency."""

from __future__ import annotations

import re
import time

import pytest

from contracts.base.ids import new_id
from gateway.console.pages import pages
from gateway.console.roles import ROLES, May, Role, sees_all
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.write import LogRow
from security.transparency.entry import Caller, Note, Refusal, freeze
from tests.attacks.console.walking import walk
from tests.console.people import Desk
from tests.console.test_operations import CALLS, call, filled, token
from tests.doors.api.client import World

TRANSFER = "01935b6e-0000-7000-8000-000000000001"
MARKS = ("the-secret-subject", "the-secret-operation", "the-secret-reason", "the-secret-source")
LETTERS = {"O": Role.OFFICER, "P": Role.OPERATOR, "S": Role.STEWARD, "A": Role.AUDITOR, "V": Role.VENDOR,
           "C": Role.CENTRE, "G": Role.AGENCY}  # fmt: skip
# Who may open a page, and who may act there: the longest beginning of its address counts. It is written by hand, so
# that neither a role nor a page gets a right without a second look.
TABLE: dict[str, tuple[str, str]] = {
    "": ("OPSAVCG", ""),
    "/access": ("OPSACG", "OSG"),
    "/access/changes": ("OPA", ""),
    "/access/grants": ("OPSACG", "OPSG"),
    "/access/grants/{id}/preview": ("OPACG", ""),
    "/access/officers": ("OP", ""),
    "/access/passkeys": ("", "OP"),
    "/access/proposals/new": ("OSG", "OSG"),
    "/access/refuse/{subject:path}": ("", "OPSG"),
    "/access/who.csv": ("OA", ""),
    "/account": ("OPSAVCG", "OPSAVCG"),
    "/account/passkeys/{id}/approve": ("", "OSG"),
    "/agencies": ("OPSACG", "OP"),
    "/backups": ("OP", "OP"),
    "/cases": ("OPSACG", "OPSCG"),
    "/cases/new": ("OPSCG", "OPSCG"),
    "/catalogue": ("OPSAVCG", ""),
    "/contracts": ("OPSAVCG", ""),
    "/contracts/{id}/v{major}/roll-back": ("", "S"),
    "/contracts/{id}/v{major}/try": ("OPSAVCG", "OPSAVCG"),
    "/contracts/drafts": ("OS", "OS"),
    "/contracts/drafts/new": ("S", "S"),
    "/contracts/drafts/{draft}/hand-in": ("", "S"),
    "/design": ("OPSAVCG", ""),
    "/doctor": ("OP", "OP"),
    "/events": ("OPSAVCG", ""),
    "/feed": ("C", "C"),
    "/feeds": ("C", ""),
    "/go": ("OPACG", ""),
    "/handlings": ("OPACG", "PCG"),
    "/handout": ("OPSACG", ""),
    "/indicators": ("C", ""),
    "/indicators/owed": ("OPSACG", ""),
    "/indicators/definitions": ("OPSAVCG", ""),
    "/indicators/definitions/new": ("", "OPS"),
    "/keys": ("OP", "OP"),
    "/log": ("OPA", "OPA"),
    "/log/reindex": ("", "OP"),
    "/log/stamp": ("", "OP"),
    "/people": ("P", "P"),
    "/queue": ("OPA", "P"),
    "/queue/bulk": ("P", "P"),
    "/queue/bulk/{job}": ("OPA", "P"),
    "/readers": ("OPSACG", ""),
    "/reconciliation": ("OPACG", "OPACG"),
    "/registry": ("OPS", "OPS"),
    "/reports": ("OPSACG", "OPSACG"),
    "/routes": ("OPSAVCG", ""),
    "/scorecards": ("OPSACG", ""),
    "/search": ("OPACG", "OPACG"),
    "/search/export": ("", "OA"),
    "/subscriptions": ("OPA", "P"),
    "/systems": ("OPSACG", "OP"),
    "/systems/{system}/enrol": ("OP", "OP"),
    "/systems/{system}/enrolments": ("OPSACG", ""),
    "/transfers": ("OPACG", ""),
    "/transfers/{id}/message": ("OPACG", "OPA"),
    "/transfers/{id}/opened": ("OPA", ""),
    "/transfers/{id}/package": ("", "OA"),
    "/vault": ("OP", "OP"),
    "/wall": ("OPACG", ""),
    "/watch": ("OPSACG", "OPCG"),
}
_PART = re.compile(r"\{[^}]+\}")
OWN = [role for role in Role if not sees_all([role])]


def permitted(method: str, path: str) -> set[Role]:
    """By the table. A page that has no row of its own area fails."""
    begins = max((each for each in TABLE if path == each or path.startswith(f"{each}/")), key=len)
    assert begins or not path, f"{method} {path} has no row in the table"
    return {LETTERS[each] for each in TABLE[begins][method == "POST"]}


async def fill(world: World) -> None:
    """Things of canh-bao, a system of H14.2."""
    await world.hand_in(TRANSFER, {"identifier": MARKS[0], "headline": MARKS[0]})
    now = time.time()
    entries: list[Refusal | Note] = [
        Refusal(new_id(), now, "rest", "access.no-grant", 403, Caller("H14.2", "canh-bao"), None, "x/v1", MARKS[1]),
        Note(new_id(), now, "body-view", "H14.2/somebody: console", {"reason": MARKS[2], "transfer": TRANSFER}),
        Refusal(new_id(), now, "rest", "access.no-grant", 403, Caller("H14.2", "canh-bao"), MARKS[3]),
    ]
    frozen = [freeze(each) for each in entries]
    with writing(world.engine) as connection:
        append(connection, [LogRow(each.transfer, each.phase, each.entry, each.leaf) for each in frozen])
    world.sequence()


@pytest.mark.attack("idor")
@pytest.mark.parametrize("role", OWN)
async def test_nobody_sees_entries_and_messages_of_another_agency(people: Desk, role: Role) -> None:
    await fill(people.world)
    person = await people.signed_in("lan", role, agency="H14.9")
    people.add("minh", Role.OFFICER, agency="H14.2")
    targets = (TRANSFER, "H14.2", "canh-bao", "G-0001", "minh", "0", "1")
    for target, answer in (await walk(person, *targets)).items():
        assert not [mark for mark in MARKS if mark.encode() in answer.body], target
    for query in ("agency=H14.2", f"transfer={TRANSFER}", "system=canh-bao", f"operation={MARKS[1]}", "kind=body-view"):
        assert not [mark for mark in MARKS[2:] if mark.encode() in (await person.get(f"/console/search?{query}")).body]
        answer = await call(people, token(people, "lan"), "GET", f"/api/entries?{query}")
        assert answer.status == 403 or answer.json["entries"] == [], query


@pytest.mark.attack("idor")
async def test_what_the_walk_would_find_is_there(people: Desk) -> None:
    """The same walk by an officer shows it: so the test above looks where things are."""
    await fill(people.world)
    officer = await people.signed_in("lan", Role.OFFICER)
    bodies = b"".join(each.body for each in (await walk(officer, TRANSFER)).values())
    assert MARKS[1].encode() in bodies


@pytest.mark.attack("idor")
@pytest.mark.parametrize("role", list(Role))
async def test_each_role_is_refused_where_it_may_not_even_with_an_id_that_exists(people: Desk, role: Role) -> None:
    """Each role against each page, by the table; against each operation of the API in `tests.console.test_operations`,
    which has the permissions of the pages."""
    await fill(people.world)
    person = await people.signed_in("lan", role, agency="H14.9")
    people.add("minh", Role.OFFICER, agency="H14.2")
    mine = token(people, "lan")
    for page in pages():
        for id in (TRANSFER, "canh-bao", "minh") if "{" in page.path else ("",):
            path = "/console" + _PART.sub(id, page.path)
            answer = await (person.get(path) if page.method == "GET" else person.post(path))
            if role in permitted(page.method, page.path):
                assert page.may in ROLES[role] and b"console.forbidden" not in answer.body, (page.method, path)
            else:
                assert answer.status == 403 and b"console.forbidden" in answer.body, (page.method, path)
    for method, path, _ in CALLS:
        body = {"roles": ["officer"], "state": "disabled"} if method in ("PUT", "POST") else None
        await call(people, mine, method, filled(path).replace("nobody", "minh"), body)
    if May.ACCOUNTS in ROLES[role]:
        return
    mina = await people.sign_in("minh")
    assert (await mina.get("/console")).status == 200, "and nothing of minh's was changed"
    assert "officer" in (await mina.get("/console/account")).body.decode()


@pytest.mark.attack("idor")
async def test_roles_of_somebody_who_is_signed_in_count_as_they_are_now(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.OPERATOR)
    minh = await people.signed_in("minh", Role.OPERATOR)
    assert (await lan.get("/console/people")).status == 200
    assert (await minh.post("/console/people/lan/state", state="disabled", reason="left the department")).status == 303
    assert (await lan.get("/console/people")).status == 303
    assert (await lan.post("/console/people/minh/state", state="disabled", reason="x" * 20)).status == 401


@pytest.mark.attack("idor")
async def test_a_note_of_ones_own_about_a_transfer_gives_no_proof_of_it(people: Desk) -> None:
    """Such as of a message that somebody of the agency read once: the note is seen, the transfer's entries are not."""
    world = people.world
    await fill(world)
    note = freeze(Note(new_id(), time.time(), "body-view", "H14.9/lan: console", {"transfer": TRANSFER}))
    with writing(world.engine) as connection:
        append(connection, [LogRow(note.transfer, note.phase, note.entry, note.leaf)])
    world.sequence()
    ward = await people.signed_in("lan", Role.AGENCY, agency="H14.9")
    assert (await ward.get(f"/console/transfers/{TRANSFER}")).status == 200
    for below in ("proof", "proof.json", "receipt"):
        answer = await ward.get(f"/console/transfers/{TRANSFER}/{below}")
        assert not any(mark.encode() in answer.body for mark in ("canh-bao", *MARKS)), below
        assert answer.status == 404 or below == "receipt", answer.status
