"""An insider who writes the database, and has no key of the instance, gives himself what people sign in by."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select, update
from webauthn.helpers import encode_cbor

from gateway.audit.verify.accounts import check_accounts
from gateway.console.accounts import passkeys, secrets, sessions, store, tokens
from gateway.console.roles import Role
from gateway.doctor.store import accounts as doctors
from gateway.journal.database import snapshot, writing
from gateway.journal.schema import tables
from gateway.registry.seals.accounts import KEY, TABLES
from tests.console.authenticator import Authenticator, text
from tests.console.people import HOST, PASSWORD, Desk, Person
from tests.console.test_operations import call, token
from tests.console.test_passkeys import entered, registered

account, passkey, session, link, api = TABLES
SECRET = "a token that the insider made up"
Rows = dict[str, list[dict[str, Any]]]


def found(desk: Desk) -> tuple[list[str], list[str]]:
    """What `lgsp audit verify` and the doctor say."""
    seal = desk.seal
    seen = seal.seen()
    with snapshot(desk.world.engine) as connection:
        wrong = check_accounts(connection, seal, seen).wrong
    return list(wrong), [str(each.facts["rows"]) for each in doctors(desk.services.settings, desk.world.engine)]


def taken(desk: Desk) -> Rows:
    """All that the database has of accounts."""
    with desk.world.engine.connect() as connection:
        rows = {each.name: [dict(row) for row in connection.execute(select(each)).mappings()] for each in TABLES}
        value = connection.scalar(select(tables.instance.c.value).where(tables.instance.c.key == KEY))
    return rows | {"instance": [{"key": KEY, "value": value}]}


def put_back(desk: Desk, rows: Rows, *, with_map: bool) -> None:
    with writing(desk.world.engine) as inside:
        for each in TABLES:
            inside.execute(delete(each))
            if rows[each.name]:
                inside.execute(insert(each), rows[each.name])
        if with_map:
            inside.execute(update(tables.instance).where(tables.instance.c.key == KEY).values(rows["instance"][0]))


async def enters(desk: Desk, name: str = "lan", password: str = PASSWORD) -> bool:
    """By password and code."""
    desk.moved += 31
    given = {"name": name, "password": password, "code": desk.code(name), "next": "/console"}
    answer = await Person(desk, name).send("/console/sign-in", given)
    assert answer.status in (303, 401), answer.body.decode()
    return answer.status == 303


async def shown(desk: Desk, cookie: str) -> bool:
    """Whether this session shows the page of accounts."""
    answer = await Person(desk, "?", cookie).get("/console/people")
    assert answer.status in (200, 303, 403), answer.body.decode()
    return answer.status == 200


async def answered(desk: Desk, sent: str, path: str = "/api/accounts") -> bool:
    answer = await call(desk, sent, "GET", path)
    assert answer.status in (200, 401, 403), answer.body.decode()
    return answer.status == 200


async def followed(desk: Desk, sent: str) -> bool:
    answer = await Person(desk, "?").send(f"/console/link/{sent}", {})
    assert answer.status in (303, 401), answer.body.decode()
    return answer.status == 303


# --- rows that he adds ------------------------------------------------------------------------------------------------
def _session(now: float, **more: Any) -> dict[str, Any]:
    times = {"opened": now, "seen": now, "expires": now + sessions.LONGEST}
    return {"digest": secrets.digest(SECRET), "account": "lan", "how": "totp", "source": "192.0.2.9", **times, **more}


async def a_session(desk: Desk, inside: Connection) -> Callable[[], Awaitable[bool]]:
    inside.execute(insert(session).values(_session(desk.now())))
    return lambda: shown(desk, f"__Host-lgsp={SECRET}")


async def a_link(desk: Desk, inside: Connection) -> Callable[[], Awaitable[bool]]:
    values = {"digest": secrets.digest(SECRET), "account": "lan", "made_by": "test", "expires": desk.now() + 600}
    inside.execute(insert(link).values(values))
    return lambda: followed(desk, SECRET)


async def a_token(desk: Desk, inside: Connection) -> Callable[[], Awaitable[bool]]:
    values = {"digest": secrets.digest(SECRET), "account": "lan", "label": "x", "created": desk.now()}
    inside.execute(insert(api).values(**values, expires=desk.now() + 86_400))
    return lambda: answered(desk, SECRET)


async def a_passkey(desk: Desk, inside: Connection) -> Callable[[], Awaitable[bool]]:
    device = Authenticator(f"https://{HOST}")
    mine = inside.execute(select(passkey).where(passkey.c.account == "minh")).mappings().one()
    numbers = device.key.public_key().public_numbers()
    key = encode_cbor({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
    inside.execute(insert(passkey).values({**mine, "id": text(device.id), "account": "lan", "public_key": key}))

    async def tries() -> bool:
        answer = await entered(desk, device)
        assert answer.status in (303, 401)
        return bool(answer.status == 303)

    return tries


async def an_account(desk: Desk, inside: Connection) -> Callable[[], Awaitable[bool]]:
    """With the password and the codes of his own account, under a name that the seal of the codes does not fit."""
    own = inside.execute(select(account).where(account.c.id == "minh")).mappings().one()
    inside.execute(insert(account).values({**own, "id": "khac", "roles": json.dumps(["operator"])}))
    inside.execute(insert(session).values(_session(desk.now(), account="khac")))
    return lambda: shown(desk, f"__Host-lgsp={SECRET}")


# --- rows that he edits -----------------------------------------------------------------------------------------------
def edits(table: Any, where: Any, check: str, **values: Any) -> Any:
    async def edit(desk: Desk, inside: Connection) -> Callable[[], Awaitable[bool]]:
        assert inside.execute(update(table).where(where).values(**values)).rowcount >= 1
        checks: dict[str, Callable[[], Awaitable[bool]]] = {
            "minh's session": lambda: shown(desk, desk.cookies["minh"]),
            "minh's token": lambda: answered(desk, desk.secrets["token of minh"]),
            "minh's link": lambda: followed(desk, desk.secrets["link of minh"]),
            "minh enters": lambda: enters(desk, "minh"),
            "cuc enters": lambda: enters(desk, "cuc"),
            "lan enters": lambda: enters(desk, "lan", "the password of minh 1"),
            "late token": lambda: answered(desk, desk.secrets["late token"], "/api/entries"),
        }
        return checks[check]

    return edit


OPERATOR = json.dumps(["operator"])
MINE = secrets._hasher.hash("the password of minh 1")
EDITS: dict[str, Any] = {
    "a role": edits(account, account.c.id == "minh", "minh's session", roles=OPERATOR),
    "a role, used by a token": edits(account, account.c.id == "minh", "minh's token", roles=OPERATOR),
    "another agency": edits(account, account.c.id == "minh", "minh enters", agency="H14.9"),
    "a closed account opened": edits(account, account.c.id == "cuc", "cuc enters", state="active"),
    "a password": edits(account, account.c.id == "lan", "lan enters", password=MINE),
    "a session of another": edits(session, session.c.account == "minh", "minh's session", account="lan"),
    "a token of another": edits(api, api.c.account == "minh", "minh's token", account="lan"),
    "a link of another": edits(link, link.c.account == "minh", "minh's link", account="lan"),
    "a token that never ends": edits(api, api.c.label == "late", "late token", expires=9e9),
    "a session added": a_session,
    "a link added": a_link,
    "a token added": a_token,
    "a passkey added": a_passkey,
    "an account added": an_account,
}


async def province(desk: Desk) -> None:
    """Lan may keep accounts; minh, who writes the database, may not; cuc's account is closed."""
    await desk.signed_in("lan", Role.OPERATOR)
    minh = await desk.signed_in("minh", Role.AUDITOR)
    desk.cookies["minh"] = minh.cookie
    await registered(minh)
    desk.secrets["token of minh"] = token(desk, "minh")
    desk.add("cuc", Role.OPERATOR)
    with desk.changing() as change:
        desk.secrets["link of minh"] = store.make_link(change, "minh")
        store.set_active(change, "cuc", False)
    with desk.changing(desk.now() - 2 * 86_400) as change:
        desk.secrets["late token"] = tokens.make(change, tokens.wanted("minh", "late", 1, change.now))[0]


@pytest.mark.attack("console: rows of accounts written in the database")
@pytest.mark.parametrize("name", EDITS)
async def test_a_row_that_the_instance_did_not_seal_lets_nobody_in(
    people: Desk, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    await province(people)
    assert found(people) == ([], [])
    with writing(people.world.engine) as inside:
        tries = await EDITS[name](people, inside)
    with caplog.at_level(logging.ERROR, "lgsp.accounts"):
        assert not await tries()
    assert "accounts.altered: console_" in caplog.text
    wrong, said = found(people)
    assert wrong and all(each.startswith("the accounts, console_") for each in wrong) and said
    assert await enters(people) is (name != "a password"), "who was not touched works on"


# --- rows of the past -------------------------------------------------------------------------------------------------
async def closed(desk: Desk) -> Callable[[], Awaitable[bool]]:
    with desk.changing() as change:
        store.set_active(change, "minh", False)
    return lambda: enters(desk, "minh")


async def code_used(desk: Desk) -> Callable[[], Awaitable[bool]]:
    desk.moved += 31
    given = {"name": "minh", "password": PASSWORD, "code": desk.code("minh")}
    assert (await Person(desk, "minh").send("/console/sign-in", given)).status == 303

    async def again() -> bool:
        return (await Person(desk, "minh").send("/console/sign-in", given)).status == 303

    return again


async def password_changed(desk: Desk) -> Callable[[], Awaitable[bool]]:
    with desk.changing() as change:
        row = store.row_of(change, "minh")
        store.set_factors(change, "minh", secrets.hash_password("minh", "another password"), row.totp)
    return lambda: enters(desk, "minh")


async def token_revoked(desk: Desk) -> Callable[[], Awaitable[bool]]:
    sent = desk.secrets["token of minh"]
    with desk.changing() as change:
        tokens.revoke(change, "minh", sessions.mark_of(secrets.digest(sent)))
    return lambda: answered(desk, sent, "/api/entries")


async def link_used(desk: Desk) -> Callable[[], Awaitable[bool]]:
    assert await followed(desk, desk.secrets["link of minh"])
    return lambda: followed(desk, desk.secrets["link of minh"])


async def signed_out(desk: Desk) -> Callable[[], Awaitable[bool]]:
    minh = Person(desk, "minh", desk.cookies["minh"])
    assert (await minh.post("/console/sign-out")).status == 303

    async def again() -> bool:
        return (await minh.get("/console/account")).status == 200

    return again


PAST = {
    "an account closed": closed,
    "a code used": code_used,
    "a password changed": password_changed,
    "a token revoked": token_revoked,
    "a link used": link_used,
    "a session ended": signed_out,
}


@pytest.mark.attack("console: rows of accounts of the past put back")
@pytest.mark.parametrize("with_map", [False, True])
@pytest.mark.parametrize("name", PAST)
async def test_a_row_of_the_past_does_not_come_back_with_its_seal(people: Desk, name: str, with_map: bool) -> None:
    await province(people)
    before = taken(people)
    tries = await PAST[name](people)
    put_back(people, before, with_map=with_map)
    assert not await tries()
    wrong, said = found(people)
    assert wrong and said
    if with_map:
        assert any("the newest entry about them is of revision" in each for each in wrong)
        people.seal.mark.path.unlink()  # who has the folder too is found by the log
        assert any("the newest entry about them is of revision" in each for each in found(people)[0])


@pytest.mark.attack("console: rows of accounts of the past put back")
async def test_a_row_that_was_hidden_from_its_end_does_not_come_back(people: Desk) -> None:
    await province(people)
    minh, before = Person(people, "minh", people.cookies["minh"]), taken(people)
    id = before[passkey.name][0]["id"]
    with writing(people.world.engine) as inside:
        for each in (api, passkey, session, link):
            inside.execute(delete(each).where(each.c.account == "minh"))
    await token_revoked(people)
    with people.changing() as change:
        passkeys.remove(change, "minh", id)
        store.set_roles(change, "minh", (Role.VENDOR,))
    put_back(people, before | {account.name: taken(people)[account.name]}, with_map=False)
    assert (await minh.get("/console/account")).status == 303
    assert not await followed(people, people.secrets["link of minh"])
    assert not await answered(people, people.secrets["token of minh"], "/api/entries")
