"""Signing in by an OpenID provider: the way that works, and each way in which an answer must not count."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from joserfc.jwk import RSAKey
from sqlalchemy import func, select

from gateway.console.accounts import provider as providers
from gateway.console.accounts import signing_in
from gateway.console.roles import Role
from gateway.journal.schema import tables
from tests.console import openid
from tests.console.openid import OpenId
from tests.console.people import HOST, Desk, Person
from tests.console.test_signing_in import notes
from tests.doors.api.client import Answer, World

ISSUERS = ["https://evil.example", "", None]
CLAIMS: list[dict[str, Any]] = [
    {"nonce": "another"},
    {"nonce": None},
    {"aud": "another client"},
    {"aud": ["another client", "third"]},
    {"aud": [openid.CLIENT, "another client"]},  # without `azp`
    {"aud": openid.CLIENT, "azp": "another client"},
    {"aud": None},
    {"iss": "https://evil.example"},
    {"iss": None},
    {"exp": 1},
    {"exp": None},
    {"exp": "never"},
    {"iat": None},
    {"iat": 99_999_999_999},
    {"nbf": 99_999_999_999},
    {"sub": None},
    {"preferred_username": None},
    {"preferred_username": ["lan"]},
    {"preferred_username": "khong-co"},
    {"preferred_username": "LAN"},
    {"preferred_username": "lan\x00"},
    {"preferred_username": ""},
]
FORGED = ["none", "None", "cut", "hs256", "other-key", "embedded-key", "no-token"]
DESCRIPTIONS: list[dict[str, Any]] = [
    {"issuer": "https://evil.example"},
    {"token_endpoint": "http://idp.example/token"},
    {"authorization_endpoint": "javascript:alert(1)"},
    {"jwks_uri": "file:///etc/passwd"},
    {"jwks_uri": None},
    {"token_endpoint": 7},
]


@pytest_asyncio.fixture
async def theirs() -> AsyncIterator[OpenId]:
    async with openid.running() as running:
        yield running


@pytest.fixture
def people(world: World, theirs: OpenId, quick: None) -> Desk:
    secret = world.services.settings.data / "client-secret"
    secret.write_text(f"{openid.SECRET}\n")
    world.services.settings = replace(
        world.services.settings,
        desk_base=f"https://{HOST}",
        oidc_issuer=theirs.issuer,
        oidc_client=openid.CLIENT,
        oidc_secret_file=str(secret),
    )
    desk = Desk(world)
    desk.add("lan", Role.OFFICER)
    return desk


async def begun(desk: Desk, to: str = "/console/search?x=1") -> tuple[Person, str]:
    """A browser that was sent to the provider, and where to."""
    browser = Person(desk, "")
    answer = await browser.get(f"/console/oidc/start?{urlencode({'next': to})}")
    assert answer.status == 303, answer.body.decode()
    browser.cookie = answer.headers["set-cookie"].partition(";")[0]
    return browser, answer.headers["location"]


async def back(browser: Person, query: dict[str, str]) -> Answer:
    return await browser.get(f"/console/oidc/callback?{urlencode(query)}", sec_fetch_site="cross-site")


def sessions(desk: Desk) -> int:
    with desk.world.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(tables.console_session)) or 0


async def refused(desk: Desk, answer: Answer, code: str = "login.failed") -> None:
    assert answer.status in (401, 503) and code in answer.body.decode(), answer.body.decode()
    assert "lgsp=" not in answer.headers.get("set-cookie", "").replace("lgsp-flow=", "") and sessions(desk) == 0
    assert dict(notes(desk, signing_in.SIGNED_IN)[-1]["facts"])["failure"] == code  # type: ignore[call-overload]


async def test_somebody_signs_in_by_the_organisations_provider(people: Desk, theirs: OpenId) -> None:
    page = (await Person(people, "").get("/console/sign-in?next=/console/search")).body.decode()
    assert "/console/oidc/start?next=%2Fconsole%2Fsearch" in page or "/console/oidc/start?next=/console/search" in page
    browser, address = await begun(people)
    assert address.startswith(f"{theirs.issuer}/authorize?") and HOST in address
    answer = await back(browser, theirs.authorize(address))
    assert answer.status == 200 and "0;url=/console/search?x=1" in answer.body.decode()
    cookies = [value for name, value in answer.headers.items() if name == "set-cookie"]
    assert cookies and sessions(people) == 1
    (note,) = notes(people, signing_in.SIGNED_IN)
    assert note["facts"] == {"account": "lan", "how": "oidc", "source": "192.0.2.7"}


@pytest.mark.attack("openid")
async def test_a_state_counts_once_and_in_its_own_browser(people: Desk, theirs: OpenId) -> None:
    browser, address = await begun(people)
    answer = theirs.authorize(address)
    stranger, other = await begun(people)
    for somebody in (Person(people, ""), stranger):  # a victim who is led to an attacker's answer
        await refused(people, await back(somebody, answer))
    assert "token" not in theirs.asked, "no code of another browser is exchanged"
    for changed in ({"state": ""}, {"state": "x"}, {"state": theirs.authorize(other)["state"]}):
        await refused(people, await back(browser, {**answer, **changed}))
    assert (await back(browser, answer)).status == 200
    again = theirs.authorize(address)  # the same state, with a fresh code
    assert (await back(browser, again)).status == 401 and sessions(people) == 1


@pytest.mark.attack("openid")
async def test_an_answer_that_comes_late_does_not_count(people: Desk, theirs: OpenId) -> None:
    browser, address = await begun(people)
    people.moved = providers.FLOW_SECONDS + 5
    await refused(people, await back(browser, theirs.authorize(address)))
    assert "token" not in theirs.asked


@pytest.mark.attack("openid")
async def test_mix_up(people: Desk, theirs: OpenId) -> None:
    """RFC 9207: the answer of another provider, or one without its issuer; the code is not sent anywhere."""
    for issuer in ISSUERS:
        browser, address = await begun(people)
        answer = theirs.authorize(address) | {"iss": issuer or ""}
        if issuer is None:
            del answer["iss"]
        await refused(people, await back(browser, answer))
    assert "token" not in theirs.asked


@pytest.mark.attack("openid")
async def test_an_id_token_that_does_not_fit(people: Desk, theirs: OpenId) -> None:
    for theirs.claims in CLAIMS:
        browser, address = await begun(people)
        await refused(people, await back(browser, theirs.authorize(address)))


def forged(theirs: OpenId, nonce: str, how: str) -> str:
    header, claims, signature = theirs.signed(nonce).split(".")
    if how in ("none", "None"):
        return f"{_encoded({'alg': how, 'kid': 'k-1'})}.{claims}."
    if how == "cut":
        return f"{header}.{claims}.{signature[:-8]}AAAAAAAA"
    if how == "no-token":
        return "not.a.token"
    if how == "hs256":
        signed = f"{_encoded({'alg': 'HS256', 'kid': 'k-1'})}.{claims}"
        mac = hmac.digest(theirs.key.as_pem(private=False), signed.encode(), "sha256")
        return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    theirs.key = RSAKey.generate_key(2048, {"kid": "k-1"})
    theirs.header = {"jwk": theirs.key.as_dict(private=False)} if how == "embedded-key" else {}
    return theirs.signed(nonce)


def _encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.attack("openid")
async def test_an_id_token_that_the_provider_did_not_sign(people: Desk, theirs: OpenId) -> None:
    theirs.published, own = [theirs.key.as_dict(private=False)], theirs.key
    for how in FORGED:
        theirs.key, theirs.header, theirs.token = own, {}, None
        browser, address = await begun(people)
        answer = theirs.authorize(address)
        theirs.token = forged(theirs, theirs.codes[answer["code"]]["nonce"], how)
        await refused(people, await back(browser, answer))


@pytest.mark.attack("openid")
async def test_a_refusal_of_the_provider_signs_nobody_in(people: Desk, theirs: OpenId) -> None:
    browser, address = await begun(people)
    answer = theirs.authorize(address)
    denied = {"error": "access_denied", "state": answer["state"], "iss": theirs.issuer}
    await refused(people, await back(browser, denied))


@pytest.mark.attack("openid")
async def test_repeated_parameters_do_not_count(people: Desk, theirs: OpenId) -> None:
    browser, address = await begun(people)
    answer = theirs.authorize(address)
    target = f"/console/oidc/callback?{urlencode(answer)}&state={answer['state']}"
    await refused(people, await browser.get(target))


@pytest.mark.attack("openid")
async def test_a_description_that_leads_elsewhere(people: Desk, theirs: OpenId) -> None:
    for theirs.metadata in DESCRIPTIONS:
        people.moved += 10.0  # it is not asked again at once
        answer = await Person(people, "").get("/console/oidc/start")
        assert answer.status == 503 and "login.provider" in answer.body.decode()


@pytest.mark.attack("openid")
async def test_a_redirect_of_the_provider_is_not_followed(people: Desk, theirs: OpenId) -> None:
    theirs.silent = True
    answer = await Person(people, "").get("/console/oidc/start")
    assert answer.status == 503 and theirs.asked == ["metadata"]
    for _ in range(5):
        assert (await Person(people, "").get("/console/oidc/start")).status == 503
    assert theirs.asked == ["metadata"], "strangers cannot make us flood a provider that does not answer"


async def test_new_keys_of_the_provider_are_taken_up_and_not_fetched_for_each_unknown_id(
    people: Desk, theirs: OpenId
) -> None:
    for kid, moved in (("k-1", 0.0), ("k-2", 90.0)):
        theirs.key = RSAKey.generate_key(2048, {"kid": kid})
        theirs.header = {"kid": kid}
        people.moved = moved
        browser, address = await begun(people)
        assert (await back(browser, theirs.authorize(address))).status == 200
    theirs.published = [
        {"kty": "new"},
        7,
        {"kty": "RSA", "kid": "k-4", "use": "enc"},
        theirs.key.as_dict(private=False),
    ]
    people.moved += providers._FRESH + 1  # what else it publishes is no trouble
    browser, address = await begun(people)
    theirs.claims = {"iat": int(people.now()), "exp": int(people.now()) + 60}
    assert (await back(browser, theirs.authorize(address))).status == 200
    theirs.header = {"kid": "k-3"}
    for _ in range(3):
        browser, address = await begun(people)
        assert (await back(browser, theirs.authorize(address))).status == 401
    assert theirs.asked.count("keys") == 3 and theirs.asked.count("metadata") == 2


async def test_without_a_provider_there_is_no_such_page(world: World) -> None:
    for target in ("/console/oidc/start", "/console/oidc/callback?code=x&state=y"):
        world.services.settings = replace(world.services.settings, oidc_issuer="")
        assert (await Person(Desk(world), "").get(target)).status == 404
