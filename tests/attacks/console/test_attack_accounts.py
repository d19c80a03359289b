"""A stolen token, and one operator who would be several persons."""

from __future__ import annotations

import re
from typing import Any

import pyotp
import pytest
from sqlalchemy import select

from contracts.base.errors import Failure
from gateway.console.accounts import attempts, hands, passkeys, secrets, sessions, store
from gateway.console.accounts.records import Account
from gateway.console.roles import Role
from gateway.journal.schema import tables
from gateway.registry.seals.accounts import TABLES
from tests.console.authenticator import Authenticator
from tests.console.people import PASSWORD, Desk, Person
from tests.console.test_operations import CALLS, call, filled, token
from tests.console.test_passkeys import ORIGIN

# What remains of each operation that changes something once its token is revoked. Written by hand, so that none is
# added without this question. "nobody" is let in by any of them.
REMAINS = {
    "setAccountRoles": "fewer roles", "setAccountState": "a closed account", "revokeToken": "a token less",
    "signProposal": "a signature made by the officer's own key", "revokePasskey": "an approving key less",
    "enrolSystem": "a system's certificate, in the log and at its agency; it signs messages in, and nobody to a page",
    "keepKeys": "a system's older keys", "revokeSystemKeys": "fewer keys", "proposeGrant": "what waits for two keys",
    "handInDraft": "what waits for another person", "checkContract": "a draft", "draftRollBack": "a draft",
    "rejectDraft": "a draft less", "refuseProposal": "a proposal less", "recordReview": "a note",
    "applyDocument": "registry rows, of which officers sign what discloses", "previewDocument": "nothing",
    "defineIndicators": "definitions", "setContacts": "addresses that get notices, none of which signs in",
    "openBody": "a note", "makePackage": "a package", "exportEntries": "a table", "exportPersonFeed": "a table",
    "compareCounts": "nothing", "saveFilter": "a search", "deleteFilter": "a search less",
    "settleMessage": "a decision", "decidePush": "a decision",
    "startBulkRetry": "a job", "moveBulkRetry": "a job", "acknowledgeAlarm": "a note",
    "acknowledgeFinding": "a note", "makeReport": "a report", "suspendSystem": "a state", "resumeSystem": "a state",
    "testConnection": "a job", "suspendAgency": "a state", "resumeAgency": "a state", "openCase": "a case",
    "takeCaseStep": "a step", "revokeGrant": "a grant less", "suspendGrant": "a state", "resumeGrant": "a state",
    "verifyLog": "a check", "stampLog": "a stamp", "reindexLog": "a job", "recordDrill": "a note", "addHold": "a hold",
    "releaseHold": "a hold less", "confirmClock": "a note", "askAuthorities": "a job", "tryMessage": "nothing",
    "takeHandlingStep": "a step", "findRoute": "nothing", "readHandlingMessage": "a note",
}  # fmt: skip


def rows(people: Desk) -> dict[str, Any]:
    """All by which anybody signs in."""
    with people.world.engine.connect() as connection:
        return {each.name: [tuple(row) for row in connection.execute(select(each))] for each in TABLES}


def test_each_operation_that_changes_something_says_what_remains() -> None:
    assert {name for method, _, name in CALLS if method != "GET"} == set(REMAINS)


@pytest.mark.attack("console: tokens")
async def test_a_token_never_becomes_a_person(people: Desk) -> None:
    people.add("minh", Role.OPERATOR, Role.OFFICER, Role.STEWARD)
    people.add("thief", Role.VENDOR)
    people.add("closed", Role.OFFICER)
    with people.changing() as change:
        store.set_active(change, "closed", False)
    mine = token(people, "minh")
    before = rows(people)
    account = {"id": "new", "agency": "H14.0", "name": "New", "roles": ["officer"], "reason": "wanted by nobody"}
    tries: list[tuple[str, str, Any]] = [
        ("POST", "/api/accounts", account),
        ("POST", "/api/accounts/thief/link", None),
        ("PUT", "/api/accounts/thief/roles", {"roles": ["vendor", "operator"], "reason": "wanted by nobody"}),
        ("PUT", "/api/accounts/closed/state", {"state": "active", "reason": "wanted by nobody"}),
        ("POST", "/api/tokens", {"label": "x", "days": 30}),
    ]
    for method, path, body in tries:
        answer = await call(people, mine, method, path, body)
        assert answer.status in (403, 404, 405), (path, answer.status)
    for method, path, _ in CALLS:
        for account_id in ("thief", "closed"):
            body = {"roles": ["vendor", "officer"], "state": "active", "reason": "wanted by nobody"}
            sent = None if method == "GET" else body
            await call(people, mine, method, filled(path).replace("nobody", account_id), sent)
    assert rows(people) == before
    with people.changing() as change:
        change.by_token = True
        for let_in in (lambda: store.make_link(change, "thief"), lambda: store.set_factors(change, "thief", "x", b"x")):
            with pytest.raises(Exception, match="token") as caught:
                let_in()
            assert getattr(caught.value, "code", "") == "accounts.by-token"


def links(text: str) -> str:
    """The address of a link that a page shows."""
    found: list[str] = re.findall(r"/console/link/[\w-]+", text)
    (address,) = found
    return address


async def with_link(people: Desk, address: str, code: str = "") -> Person | None:
    person = Person(people, "?")
    answer = await person.send(address, {"code": code})
    if answer.status != 303:
        return None
    person.cookie = answer.headers["set-cookie"].partition(";")[0]
    return person


@pytest.mark.attack("console: two persons")
async def test_one_operator_signs_no_steward_in(people: Desk) -> None:
    minh, thu = await people.signed_in("minh", Role.OPERATOR), await people.signed_in("thu", Role.OPERATOR)
    new = {"agency": "H14.0", "name": "Lan", "reason": "the new steward"}
    page = (await minh.post("/console/people", id="lan", roles="steward", **new)).body.decode()
    assert await with_link(people, address := links(page)) is None, "it waits"
    own = await minh.post("/console/people/lan/link/confirm")
    assert own.status == 403 and b"account.one-hand" in own.body
    with people.changing() as change:  # the same person as a second operator of his own
        change.actor = "H14.0/minh: console, totp 00000000"
        store.add(change, Account("minh-2", "H14.0", "Minh", (Role.OPERATOR,), True))
        second = store.make_link(change, "minh-2")
    again = await with_link(people, f"/console/link/{second}")
    assert again is not None
    refused = await again.post("/console/people/lan/link/confirm")
    assert refused.status == 403 and b"account.one-hand" in refused.body
    told = (await thu.post("/console/people/lan/link/confirm")).body.decode()
    (code,) = re.findall(r"<code>([A-Z2-7]{16})</code>", told)
    assert await with_link(people, address) is None, "the one who asked has no code"
    assert await with_link(people, address, code.lower()) is not None
    assert await with_link(people, address, code) is None, "once"


@pytest.mark.attack("console: two persons")
async def test_a_role_of_two_persons_is_not_given_to_factors_of_one(people: Desk) -> None:
    minh = await people.signed_in("minh", Role.OPERATOR)
    lan = await people.signed_in("lan", Role.AUDITOR)
    assert (await minh.post("/console/people/lan/roles", roles=["auditor", "steward"])).status == 303
    answer = await lan.send("/console/sign-in", {"name": "lan", "password": PASSWORD, "code": people.code("lan")})
    assert answer.status == 401
    with people.rows() as rows:
        assert not store.has_factors(rows, "lan")


@pytest.mark.attack("console: two persons")
@pytest.mark.parametrize(
    ("made", "one"),
    [
        ({"lan": "minh", "hoa": "minh"}, True),
        ({"lan": "hoa"}, True),
        ({"hoa": "lan"}, True),
        ({"lan": "minh", "hoa": "nam", "nam": "minh"}, True),
        ({"lan": "minh", "hoa": "nam"}, False),
        ({}, False),
    ],
)
async def test_two_accounts_of_one_hand_are_one_person(people: Desk, made: dict[str, str], one: bool) -> None:
    for id, by in made.items():
        with people.changing() as change:
            change.actor = f"H14.0/{by}: console, totp 00000000"
            store.add(change, Account(id, "H14.0", id, (Role.STEWARD,), True))
    with people.world.engine.connect() as connection:
        try:
            hands.check_two(connection, "lan", "hoa")
        except Failure as failure:
            assert one and failure.code == "account.one-hand"
        else:
            assert not one


@pytest.mark.attack("brute-force")
async def test_a_stranger_keeps_out_neither_passkeys_nor_links_nor_anybody_for_long(people: Desk) -> None:
    people.add("lan", Role.OFFICER)
    wrong = {"name": "lan", "password": "wrong", "code": "000000"}
    for _ in range(attempts.FREE + 1):
        await Person(people, "?").send("/console/sign-in", wrong)
    sign = people.desk().sign_in("192.0.2.9")
    device, site = Authenticator(ORIGIN), people.desk().passkeys(ORIGIN)
    with people.changing() as change:
        made = device.create(passkeys.creation(change, site, "lan", "Lan", change.now))
        passkeys.register(change, site, "lan", (made, "x"))
    response = device.get(passkeys.request(site, passkeys.challenge(site, passkeys.SIGN_IN, sign.now)))
    assert isinstance(sign.by_passkey(site, response), str)
    for _ in range(attempts.FREE + 1):
        assert not isinstance(sign.by_passkey(site, response), str), "a replay"
    with people.rows() as rows:
        assert store.row_of(rows, "lan").failed == 0
    failed, locked = attempts.after_failure(0, None, 0.0)
    for tried in range(200):  # each time as soon as it opens
        now = locked
        failed, locked = attempts.after_failure(failed, locked, now)
        assert locked - now <= 900.0, tried
    assert attempts.after_failure(failed, locked, locked + 7200.0) == (1, locked + 7200.0)


@pytest.mark.attack("console: sessions")
async def test_factors_are_changed_after_a_fresh_sign_in_and_end_the_rest(people: Desk) -> None:
    thief = await people.signed_in("lan", Role.OFFICER)
    people.moved += sessions.FRESH + 1
    lan = await people.sign_in("lan")
    mine = token(people, "lan")
    with people.changing() as change:
        link = store.make_link(change, "lan")
    forms = {"factors": {}, "tokens": {"label": "x", "days": "1"}, "passkeys": {"credential": "{}", "label": "x"}}
    for path, form in {**forms, "passkeys/x/remove": {}}.items():
        answer = await thief.post(f"/console/account/{path}", **{"sealed": "00", **form})
        assert answer.status in (400, 403), path
    assert (await thief.get("/console/account/factors")).status == 403
    assert b"account.not-fresh" in (await thief.post("/console/account/passkeys/x/remove")).body
    secret = secrets.new_secret()
    sealed = people.desk().sealer.seal("lan", secret).hex()
    code = pyotp.TOTP(secret).at(int(people.now()))
    form = {"sealed": sealed, "password": "bon nam sau bay tam", "again": "bon nam sau bay tam", "code": code}
    refused = await thief.post("/console/account/factors", **form)
    assert refused.status == 403 and b"account.not-fresh" in refused.body
    assert (await lan.post("/console/account/factors", **form)).status == 303
    assert (await lan.get("/console")).status == 200 and (await thief.get("/console")).status == 303
    assert (await call(people, mine, "GET", "/api/tokens")).status == 401
    assert await with_link(people, f"/console/link/{link}") is None
    given = {"name": "lan", "password": "bon nam sau bay tam", "code": code}
    assert (await Person(people, "?").send("/console/sign-in", given)).status == 401, "the code was used"


@pytest.mark.attack("console: sessions")
async def test_everybody_ends_his_other_sessions_and_a_browser_keeps_one(people: Desk) -> None:
    old = await people.signed_in("lan", Role.OFFICER)
    lan = await people.sign_in_anew("lan")
    mine = token(people, "lan")
    assert (await lan.post("/console/account/others")).status == 303
    assert (await lan.get("/console")).status == 200 and (await old.get("/console")).status == 303
    assert (await call(people, mine, "GET", "/api/tokens")).status == 401
    people.add("hoa", Role.AUDITOR)
    former = Person(people, "lan", lan.cookie)
    given = {"name": "hoa", "password": PASSWORD, "code": people.code("hoa")}
    assert (await lan.send("/console/sign-in", given)).status == 303
    assert (await former.get("/console")).status == 303, "the browser's session of before ended"


@pytest.mark.attack("console: sessions")
async def test_a_link_that_was_not_used_ends_with_a_newer_one(people: Desk) -> None:
    people.add("lan", Role.OFFICER)
    with people.changing() as change:
        first = store.make_link(change, "lan")
    with people.changing() as change:
        second = store.make_link(change, "lan")
    assert await with_link(people, f"/console/link/{second}") is not None
    assert await with_link(people, f"/console/link/{first}") is None


@pytest.mark.attack("terminal")
@pytest.mark.parametrize("name", ["A\x1b[2J", "A\u202eB", "A\r\nB", "A\u200bB", " ", "A" * 201])
async def test_a_name_has_no_character_that_nobody_sees(people: Desk, name: str) -> None:
    minh = await people.signed_in("minh", Role.OPERATOR)
    new = {"agency": "H14.0", "roles": "auditor", "reason": "a new auditor"}
    assert (await minh.post("/console/people", id="lan", name=name, **new)).status == 400


async def test_an_account_named_as_an_officer_is_of_his_agency(people: Desk) -> None:
    minh = await people.signed_in("minh", Role.OPERATOR)
    with people.world.engine.connect() as connection:
        officer = connection.execute(select(tables.officer).where(tables.officer.c.state == "active")).first()
    assert officer is not None
    other = "H14.2" if officer.agency != "H14.2" else "H14.0"
    new = {"id": officer.id, "name": "X", "roles": "auditor", "reason": "a new auditor"}
    refused = await minh.post("/console/people", agency=other, **new)
    assert refused.status == 409 and b"account.other-agency" in refused.body
    assert (await minh.post("/console/people", agency=officer.agency, **new)).status == 200
