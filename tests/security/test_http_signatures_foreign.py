"""HTTP signatures against another implementation (http-message-signatures), both ways."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms
from http_message_signatures.structures import CaseInsensitiveDict

from security.http_signatures import HttpRequest, content_digest, sign_request, verify_request
from tests.security.identities import Pair

URI = "https://gw.example.vn/field-report/v1/requests?x=1"
COMPONENTS = ("@method", "@target-uri", "authorization", "content-type", "content-digest", "idempotency-key")


class Message:
    """What the other implementation takes for a request."""

    def __init__(self, request: HttpRequest) -> None:
        self.method, self.url = request.method, request.target_uri
        self.headers: Any = CaseInsensitiveDict(request.headers)  # type: ignore[no-untyped-call]  # published half typed


class Keys(HTTPSignatureKeyResolver):
    def __init__(self, pair: Pair) -> None:
        self.pair = pair

    def resolve_private_key(self, key_id: str) -> Any:
        return self.pair.sign.private

    def resolve_public_key(self, key_id: str) -> Any:
        return self.pair.verify.public


def _algorithm(pair: Pair) -> Any:
    return (
        algorithms.ECDSA_P256_SHA256 if isinstance(pair.sign.private, EllipticCurvePrivateKey) else algorithms.ED25519
    )


def _request() -> HttpRequest:
    body = b'{"service_code":"001"}'
    headers = {
        "authorization": "Bearer abc",
        "content-type": "application/json",
        "content-digest": content_digest(body),
        "idempotency-key": '"m-1"',
    }
    return HttpRequest("POST", URI, headers, body)


@pytest.fixture(params=["p256", "ed25519_pair"])
def pair(request: pytest.FixtureRequest) -> Pair:
    made: Pair = request.getfixturevalue(request.param)
    return made


def test_they_sign_and_we_verify(pair: Pair, now: float) -> None:
    request = _request()
    message = Message(request)
    at = datetime.datetime.fromtimestamp(now)
    HTTPMessageSigner(signature_algorithm=_algorithm(pair), key_resolver=Keys(pair)).sign(
        message,
        key_id=pair.sign.key_id,
        created=at,
        expires=at + datetime.timedelta(seconds=60),
        nonce="MTIzNDU2Nzg5MGFiY2RlZg",
        label="sig1",
        tag="lgsp-request",
        include_alg=True,
        covered_component_ids=COMPONENTS,
        use_existing_digest=True,
    )
    received = request._replace(headers={name.lower(): value for name, value in message.headers.items()})
    assert verify_request(received, lambda _: pair.verify, now).key == pair.verify


def test_we_sign_and_they_verify(pair: Pair) -> None:
    now = datetime.datetime.now().timestamp()  # the other implementation reads the clock itself
    request = _request()
    signed = request._replace(headers={**request.headers, **sign_request(request, pair.sign, now)})
    found = HTTPMessageVerifier(signature_algorithm=_algorithm(pair), key_resolver=Keys(pair)).verify(Message(signed))
    assert len(found) == 1 and found[0].parameters["tag"] == "lgsp-request"


def test_the_base_of_a_request_written_out_by_hand(p256: Pair, now: float) -> None:
    request = _request()
    signed = request._replace(
        headers={**request.headers, **sign_request(request, p256.sign, now, nonce="MTIzNDU2Nzg5MGFiY2RlZg")}
    )
    assert verify_request(signed, lambda _: p256.verify, now).base.decode() == (
        '"@method": POST\n'
        '"@target-uri": https://gw.example.vn/field-report/v1/requests?x=1\n'
        '"authorization": Bearer abc\n'
        '"content-type": application/json\n'
        '"content-digest": sha-256=:7sG1kAbt2rpxBUUDLDOGaH1xcsgrIjtAbXMqNU9GTKg=:\n'
        '"idempotency-key": "m-1"\n'
        '"@signature-params": ("@method" "@target-uri" "authorization" "content-type" "content-digest" '
        '"idempotency-key")'
        ';created=1795503600;expires=1795503660;nonce="MTIzNDU2Nzg5MGFiY2RlZg";keyid="canh-bao.sign-1";tag="lgsp-request"'
    ).replace("7sG1kAbt2rpxBUUDLDOGaH1xcsgrIjtAbXMqNU9GTKg=", content_digest(request.body)[9:-1])
