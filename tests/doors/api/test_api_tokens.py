"""The token endpoint: whom it believes, and that its refusals are OAuth errors and problem documents at once."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import urlencode

import pytest

from gateway.journal.database import writing
from gateway.registry import store
from security.tokens import verify_token
from tests.doors.api.client import BASE, World, ask


async def test_a_token_bound_to_the_certificate(world: World) -> None:
    answer = await world.token("canh-bao")
    assert answer.status == 200, answer.json
    assert answer.json["token_type"] == "Bearer" and answer.json["expires_in"] == 600
    assert answer.headers["cache-control"] == "no-store" and answer.headers["pragma"] == "no-cache"
    token = verify_token(answer.json["access_token"], world.gateway.sign.verify_key(), time.time(), BASE)
    assert (token.system, token.agency, token.thumbprint) == (
        "canh-bao",
        "H14.2",
        world.identities["canh-bao"].tls_thumbprint,
    )
    (entry,) = world.logged("token")
    assert entry["actor"] == "H14.2/canh-bao" and "access_token" not in str(entry)


async def test_a_chunked_request_is_taken(world: World) -> None:
    assert (await world.token("canh-bao", chunks=5)).status == 200


def well_formed(answer: Any) -> str:
    """RFC 6749 §5.2, and ours beside."""
    value = answer.json
    assert answer.headers["content-type"] == "application/json" and answer.headers["cache-control"] == "no-store"
    assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+", value["error_description"])
    assert value["type"] == f"urn:lgsp:problem:{value['code']}" and value["messages"]["vi"]["title"]
    return f"{answer.status} {value['error']} {value['code']}"


async def test_without_certificate(world: World) -> None:
    assert well_formed(await world.token("canh-bao", certificate=None)) == "401 invalid_client channel.no-certificate"
    (refusal,) = world.logged("refusal")
    assert refusal["source"] == "192.0.2.7"


async def test_an_unknown_certificate(world: World, keys: Any) -> None:
    stranger = keys.identity("y-te", time.time())
    assert (
        well_formed(await world.token("canh-bao", certificate=stranger.tls_der))
        == "403 invalid_client channel.unknown-system"
    )


async def test_an_assertion_of_another_system(world: World) -> None:
    form = world.form("canh-bao", signer="dieu-hanh")
    assert well_formed(await world.token("canh-bao", form)) == "403 invalid_client token.other-system"


async def test_an_assertion_serves_once(world: World) -> None:
    form = world.form("canh-bao")
    assert (await world.token("canh-bao", form)).status == 200
    assert well_formed(await world.token("canh-bao", form)) == "400 invalid_client token.assertion-used"
    assert (await world.token("canh-bao", world.form("canh-bao", jti="same-again-1"))).status == 200
    again = world.form("canh-bao", jti="same-again-1")  # freshly signed, the same jti
    assert (await world.token("canh-bao", again)).json["code"] == "token.assertion-used"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_assertion_type": "urn:other"}, "invalid_request"),
        ({"client_assertion": "x.y.z"}, "invalid_client"),
        ({"audience": "https://other.example/token"}, "invalid_client"),
    ],
)
async def test_wrong_forms(changes: dict[str, str], error: str, world: World) -> None:
    answer = await world.token("canh-bao", world.form("canh-bao", **changes))
    assert answer.json["error"] == error, answer.json
    assert well_formed(answer)


async def test_a_form_with_fields_missing_or_twice(world: World) -> None:
    answer = await world.token("canh-bao", {"grant_type": "client_credentials", "client_assertion": ""})
    assert well_formed(answer) == "400 invalid_request api.invalid"
    assert {found["expected"] for found in answer.json["findings"]} == {"client_assertion_type", "client_assertion"}
    body = (urlencode(world.form("canh-bao")) + "&grant_type=client_credentials").encode()
    certificate = world.identities["canh-bao"].tls_der
    answer = await ask(
        world.app,
        "POST",
        "/oauth/token",
        {"content-type": "application/x-www-form-urlencoded"},
        body,
        certificate=certificate,
    )
    assert well_formed(answer) == "400 invalid_request api.invalid"


@pytest.mark.parametrize("media", ["application/json", "text/plain", ""])
async def test_a_body_of_another_type(media: str, world: World) -> None:
    certificate = world.identities["canh-bao"].tls_der
    answer = await ask(
        world.app, "POST", "/oauth/token", {"content-type": media} if media else {}, b"{}", certificate=certificate
    )
    assert well_formed(answer) == "415 invalid_request body.media-type"
    assert "application/x-www-form-urlencoded is expected" in answer.body.decode()


async def test_an_empty_body(world: World) -> None:
    answer = await ask(world.app, "POST", "/oauth/token", {"content-type": "application/x-www-form-urlencoded"}, b"")
    assert well_formed(answer) == "400 invalid_request api.invalid"


async def test_a_suspended_system_gets_none(world: World) -> None:
    with writing(world.engine) as connection:
        store.set_state(connection, "agency", "H14.2", False)
    with world.engine.connect() as connection:
        world.services.registry.refresh(connection)
    assert well_formed(await world.token("canh-bao")) == "403 invalid_client channel.suspended"


async def test_metadata(world: World) -> None:
    answer = await world.public("GET", "/.well-known/oauth-authorization-server")
    assert answer.status == 200 and answer.json["token_endpoint"] == f"{BASE}/oauth/token"
    assert answer.json["tls_client_certificate_bound_access_tokens"] is True
