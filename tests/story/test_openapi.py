"""The served OpenAPI documents and the door agree: schemathesis, a foreign tool, generates calls from one and judges
the other."""

from __future__ import annotations

import secrets
import time
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from requests.auth import AuthBase
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from examples.story import World
from gateway.sample_client.httpsig import Message, digest_header, sign_request
from gateway.sample_client.identity import encryption_of
from gateway.sample_client.jose import MEDIA_TYPE, seal, unseal
from gateway.sample_client.rest import RestClient

pytestmark = pytest.mark.server

CALLERS = {"incident-alert/v1": "quan-trac", "field-report/v1": "phan-anh", "indicator/v1": "y-te"}
OPENAPI = {contract: f"{contract}/openapi.json" for contract in CALLERS}
# A system that speaks a format of its own goes on with the OpenAPI of that format.
CALLERS["incident-alert/v1 bao-chay-json"] = "bao-chay"
OPENAPI["incident-alert/v1 bao-chay-json"] = "incident-alert/v1/formats/bao-chay-json/openapi.json"
# Of a contract whose bodies are encrypted, the client encrypts what is generated, and what is judged is what was in the
# answer.
CALLERS["dossier-status/v1 mot-cua-json"] = "mot-cua"
OPENAPI["dossier-status/v1 mot-cua-json"] = "dossier-status/v1/formats/mot-cua-json/openapi.json"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


class Signed(AuthBase):
    """Signs whatever schemathesis made, so that its calls get past the signature to the decoder."""

    def __init__(self, client: RestClient, encrypted: bool) -> None:
        self._client, self._encrypted = client, encrypted

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body: Any = request.body or b""
        raw = body.encode() if isinstance(body, str) else bytes(body)
        if raw and self._encrypted:
            keys = encryption_of(self._client.identity)
            request.body = raw = seal(
                raw, "application/json", self._client.identity.signer, keys.gateway_key_id, keys.gateway
            )
            request.headers.update({"content-type": MEDIA_TYPE, "content-length": str(len(raw))})
        request.headers["authorization"] = f"Bearer {self._client.token()}"
        if raw:
            request.headers["content-digest"] = digest_header(raw)
        names = ("authorization", "content-type", "content-digest", "idempotency-key")
        headers = {name: str(request.headers[name]) for name in names if name in request.headers}
        now = int(time.time())
        assert request.method is not None and request.url is not None
        request.headers.update(
            sign_request(
                Message(headers, request.method, request.url),
                self._client.identity.signer,
                created=now,
                expires=now + 60,
                nonce=secrets.token_urlsafe(18),
            )
        )
        return request


def in_clear(document: Any) -> bool:
    """Put what is in the encrypted bodies of a document in their place; whether there were any."""
    found = False
    for item in (
        list(document.values()) if isinstance(document, dict) else document if isinstance(document, list) else ()
    ):
        found = in_clear(item) or found
    if isinstance(document, dict) and MEDIA_TYPE in document.get("content", {}):
        document["content"] = document["content"][MEDIA_TYPE]["x-lgsp-content"]
        found = True
    return found


def opened(client: RestClient, response: requests.Response) -> None:
    """Every answer of such a contract that is signed is encrypted too; it goes on as what was in it."""
    if "signature" not in response.headers:
        return
    assert response.headers["content-type"] == MEDIA_TYPE
    keys, identity = encryption_of(client.identity), client.identity
    response._content, media = unseal(response.content, keys.key_id, keys.key, identity.keys.by_id, time.time())
    response.headers["content-type"] = response.raw.headers["content-type"] = media


@pytest.mark.parametrize("contract", CALLERS)
def test_the_door_keeps_its_openapi(contract: str, world: World) -> None:
    client = world.rest(CALLERS[contract])
    identity = client.identity
    session = requests.Session()
    session.trust_env = False
    session.verify = str(identity.folder / "ca.crt")
    session.cert = (str(identity.folder / "tls.crt"), str(identity.folder / "tls.key"))
    document = session.get(f"{identity.gateway}/contracts/{OPENAPI[contract]}", timeout=60).json()
    base = document["servers"][0]["url"]
    encrypted = in_clear(document)
    assert encrypted == contract.startswith("dossier-status")
    if encrypted:
        session.hooks["response"].append(lambda response, **_: opened(client, response))
    schema = schemathesis.openapi.from_dict(document)
    called = 0

    for found in schema.get_all_operations():
        operation: Any = found

        @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.ok().as_strategy())
        def attack(case: Any) -> None:
            nonlocal called
            response = case.call(
                base_url=base, session=session, auth=Signed(client, encrypted), verify=session.verify, timeout=60
            )
            case.validate_response(response, checks=CHECKS)
            called += 1

        attack()
    assert called >= 40
