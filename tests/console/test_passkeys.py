"""Passkeys: registered in a session, signing in by them, and what is refused."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest

from gateway.console.accounts import passkeys, signing_in, store
from gateway.console.roles import Role
from tests.console.authenticator import PRESENT, Authenticator
from tests.console.people import HOST, Desk, Person, Reader
from tests.console.test_signing_in import notes

ORIGIN = f"https://{HOST}"
PAGE = "/console/account/passkeys"


def options(page: bytes) -> dict[str, Any]:
    """What the page has for the browser's script."""
    value: dict[str, Any] = json.loads(html.unescape(page.decode().split('data-options="')[1].partition('"')[0]))
    return value


async def registered(person: Person, **lies: Any) -> Authenticator:
    device = Authenticator(ORIGIN)
    asked = options((await person.get(PAGE)).body)
    answer = await person.post(PAGE, credential=device.create(asked, **lies), label="work laptop")
    assert answer.status == 303, answer.body.decode()
    return device


async def entered(desk: Desk, device: Authenticator, **lies: Any) -> Any:
    """Signs in by the page's button."""
    nobody = Person(desk, "?")
    asked = options((await nobody.get("/console/sign-in")).body)
    return await nobody.send("/console/sign-in/passkey", {"credential": device.get(asked, **lies), "next": "/console"})


async def test_a_passkey_is_registered_and_signs_in(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.OFFICER)
    device = await registered(lan)
    assert "work laptop" in Reader((await lan.get(PAGE)).body).text
    answer = await entered(people, device)
    assert answer.status == 303 and answer.headers["location"] == "/console"
    again = Person(people, "lan", answer.headers["set-cookie"].partition(";")[0])
    assert "Name of lan" in Reader((await again.get("/console/account")).body).text
    assert [each["facts"]["how"] for each in notes(people, signing_in.SIGNED_IN)] == ["totp", "passkey"]  # type: ignore[index]
    added = [each["facts"] for each in notes(people, store.ACCOUNT)]
    assert [dict(each)["how"] for each in added][-1] == "passkey-added"  # type: ignore[call-overload]


async def test_one_that_was_removed_signs_nobody_in(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.OFFICER)
    device = await registered(lan)
    minh = await people.signed_in("minh", Role.OFFICER)
    id = passkeys._text(device.id)
    assert (await minh.post(f"{PAGE}/{id}/remove")).status == 404  # another's
    assert (await lan.post(f"{PAGE}/{id}/remove")).status == 303
    assert (await entered(people, device)).status == 401


@pytest.mark.parametrize(
    "lies",
    [
        {"flags": PRESENT | 0x40},
        {"origin": "https://evil.example"},
        {"rp_id": "evil.example"},
        {"type": "webauthn.get"},
        {"crossOrigin": True},
        {"challenge": "AAAA"},
    ],
    ids=lambda lies: [*lies][0],
)
async def test_a_registration_that_does_not_hold(people: Desk, lies: dict[str, Any]) -> None:
    lan = await people.signed_in("lan", Role.OFFICER)
    asked = options((await lan.get(PAGE)).body)
    answer = await lan.post(PAGE, credential=Authenticator(ORIGIN).create(asked, **lies), label="x")
    assert answer.status == 403 and b"passkey.failed" in answer.body
    assert "No passkey yet" in Reader((await lan.get(PAGE)).body).text


@pytest.mark.attack("console: signing in by a passkey")
@pytest.mark.parametrize(
    "lies",
    [
        {"flags": PRESENT},
        {"origin": "https://evil.example"},
        {"rp_id": "evil.example"},
        {"type": "webauthn.create"},
        {"crossOrigin": True},
        {"challenge": "AAAA"},
    ],
    ids=lambda lies: [*lies][0],
)
async def test_an_assertion_that_does_not_hold_says_nothing_of_why(people: Desk, lies: dict[str, Any]) -> None:
    lan = await people.signed_in("lan", Role.OFFICER)
    answer = await entered(people, await registered(lan), **lies)
    assert answer.status == 401 and "set-cookie" not in answer.headers and b"login.failed" in answer.body


@pytest.mark.attack("console: signing in by a passkey")
async def test_a_challenge_counts_once_for_one_purpose_and_not_for_ever(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.OFFICER)
    device, nobody = await registered(lan), Person(people, "?")
    asked = options((await nobody.get("/console/sign-in")).body)
    given = {"credential": device.get(asked)}
    assert (await nobody.send("/console/sign-in/passkey", given)).status == 303
    assert (await nobody.send("/console/sign-in/passkey", given)).status == 401
    device.count += 5
    assert (await nobody.send("/console/sign-in/passkey", {"credential": device.get(asked)})).status == 401
    other = options((await lan.get(PAGE)).body)  # one for registering
    assert (await nobody.send("/console/sign-in/passkey", {"credential": device.get(other)})).status == 401
    old = options((await nobody.get("/console/sign-in")).body)
    people.moved = passkeys.SECONDS + 1
    assert (await nobody.send("/console/sign-in/passkey", {"credential": device.get(old)})).status == 401


@pytest.mark.attack("console: signing in by a passkey")
async def test_a_copied_authenticator_is_found_by_its_count(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.OFFICER)
    device = await registered(lan)
    assert (await entered(people, device)).status == 303
    device.count = 0
    assert (await entered(people, device)).status == 401


@pytest.mark.attack("console: signing in by a passkey")
async def test_failures_do_not_lock_what_cannot_be_guessed(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.OFFICER)
    device = await registered(lan)
    for _ in range(signing_in.FREE + 1):
        assert (await entered(people, device, flags=PRESENT)).status == 401
    assert (await entered(people, device)).status == 303


@pytest.mark.attack("console: signing in by a passkey")
@pytest.mark.parametrize(
    "given", ["", "x", "[]", "{}", '{"id": 1, "response": {}}', '{"id": "x", "response": 7}', "[" * 9000]
)
async def test_no_response_is_an_error(people: Desk, given: str) -> None:
    lan = await people.signed_in("lan", Role.OFFICER)
    assert (await Person(people, "?").send("/console/sign-in/passkey", {"credential": given})).status == 401
    assert (await lan.post(PAGE, credential=given, label="x")).status in (400, 403)


async def test_a_closed_account_does_not_enter(people: Desk) -> None:
    lan, minh = await people.signed_in("lan", Role.OFFICER), await people.signed_in("minh", Role.OPERATOR)
    device = await registered(lan)
    closed = await minh.post("/console/people/lan/state", state="disabled", reason="left the department")
    assert closed.status == 303
    assert (await entered(people, device)).status == 401


@pytest.mark.parametrize(("host", "why"), [("192.0.2.1:8446", "host name"), ("[::1]:8446", "host name")])
async def test_a_bare_address_says_why_it_has_no_passkeys(people: Desk, host: str, why: str) -> None:
    page = Reader((await Person(people, "?").get("/console/sign-in", host=host)).body)
    assert why in page.text and "/console/sign-in/passkey" not in page.forms
