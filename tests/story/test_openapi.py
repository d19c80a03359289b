"""The served OpenAPI documents and the door agree: schemathesis, a foreign tool, generates calls from one and judges the other."""

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
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from examples.clients.httpsig import Message, digest_header, sign_request
from examples.clients.rest import RestClient
from examples.story import World

pytestmark = pytest.mark.server

CALLERS = {"incident-alert/v1": "quan-trac", "field-report/v1": "phan-anh", "indicator/v1": "y-te"}
OPENAPI = {contract: f"{contract}/openapi.json" for contract in CALLERS}
# A system that speaks a format of its own goes on with the OpenAPI of that format.
CALLERS["incident-alert/v1 bao-chay-json"] = "bao-chay"
OPENAPI["incident-alert/v1 bao-chay-json"] = "incident-alert/v1/formats/bao-chay-json/openapi.json"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


class Signed(AuthBase):
    """Signs whatever schemathesis made, so that its calls get past the signature to the decoder."""

    def __init__(self, client: RestClient) -> None:
        self._client = client

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        raw = body.encode() if isinstance(body, str) else bytes(body)
        request.headers["authorization"] = f"Bearer {self._client.token()}"
        if raw:
            request.headers["content-digest"] = digest_header(raw)
        names = ("authorization", "content-type", "content-digest", "idempotency-key")
        headers = {name: request.headers[name] for name in names if name in request.headers}
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


@pytest.mark.parametrize("contract", CALLERS)
def test_the_door_keeps_its_openapi(contract: str, world: World) -> None:
    client = world.rest(CALLERS[contract])
    identity = client.identity
    session = requests.Session()
    session.trust_env = False
    session.verify = str(identity.folder / "ca.crt")
    session.cert = (str(identity.folder / "tls.crt"), str(identity.folder / "tls.key"))
    document = session.get(f"{identity.gateway}/contracts/{OPENAPI[contract]}", timeout=10).json()
    base = document["servers"][0]["url"]
    schema = schemathesis.openapi.from_dict(document)
    called = 0

    for operation in schema.get_all_operations():

        @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.ok().as_strategy())
        def attack(case: Any) -> None:
            nonlocal called
            response = case.call(base_url=base, session=session, auth=Signed(client), verify=session.verify, timeout=20)
            case.validate_response(response, checks=CHECKS)
            called += 1

        attack()
    assert called >= 40
