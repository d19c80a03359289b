"""HTTP message signatures: the RFC's own vectors, an outside library in both directions, and what must not pass."""

from __future__ import annotations

import base64
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    algorithms,
)

from gateway.sample_client.errors import WrongAnswer, WrongRequest
from gateway.sample_client.fields import BadField, InnerList, Item, read_bytes, read_dictionary
from gateway.sample_client.httpsig import (
    Message,
    base,
    digest_fits,
    digest_header,
    sign_answer,
    sign_request,
    verify_answer,
    verify_request,
)
from gateway.sample_client.identity import Identity
from gateway.sample_client.signing import Verifier, verify_raw

P256 = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END PUBLIC KEY-----
"""
ED25519 = b"""-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
-----END PUBLIC KEY-----
"""
# RFC 9421 appendix B.1 and B.2: the test request and response, and what the RFC says of them
RFC_REQUEST = Message(
    {
        "host": "example.com",
        "date": "Tue, 20 Apr 2021 02:07:55 GMT",
        "content-type": "application/json",
        "content-digest": "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",  # noqa: E501
        "content-length": "18",
    },
    "POST",
    "https://example.com/foo?param=Value&Pet=dog",
)
RFC_ANSWER = Message(
    {
        "date": "Tue, 20 Apr 2021 02:07:56 GMT",
        "content-type": "application/json",
        "content-digest": "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:",  # noqa: E501
        "content-length": "23",
    },
    status=200,
)
B23 = (
    '("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" '
    '"content-length");created=1618884473;keyid="test-key-rsa-pss"'
)
B24 = '("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256"'
B26 = (
    '("date" "@method" "@path" "@authority" "content-type" '
    '"content-length");created=1618884473;keyid="test-key-ed25519"'
)


def _list(text: str) -> InnerList:
    found = read_dictionary(f"x={text}")["x"]
    assert isinstance(found, InnerList)
    return found


def test_rfc_b_2_3_signature_base() -> None:
    assert base(_list(B23), RFC_REQUEST).decode() == "\n".join(
        [
            '"date": Tue, 20 Apr 2021 02:07:55 GMT',
            '"@method": POST',
            '"@path": /foo',
            '"@query": ?param=Value&Pet=dog',
            '"@authority": example.com',
            '"content-type": application/json',
            f'"content-digest": {RFC_REQUEST.headers["content-digest"]}',
            '"content-length": 18',
            f'"@signature-params": {B23}',
        ]
    )


@pytest.mark.parametrize(
    ("public", "covered", "message", "signature"),
    [
        (
            P256,
            B24,
            RFC_ANSWER,
            "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==",
        ),
        (
            ED25519,
            B26,
            RFC_REQUEST,
            "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
        ),
    ],
    ids=["B.2.4 ECDSA", "B.2.6 Ed25519"],
)
def test_rfc_signatures_hold(public: bytes, covered: str, message: Message, signature: str) -> None:
    text = base(_list(covered), message)
    assert verify_raw(load_pem_public_key(public), text, base64.b64decode(signature))
    assert not verify_raw(load_pem_public_key(public), text + b" ", base64.b64decode(signature))


def test_rfc_2_4_bound_to_its_request() -> None:
    request = replace(
        RFC_REQUEST,
        headers={
            **RFC_REQUEST.headers,
            "signature": "sig1=:LAH8BjcfcOcLojiuOBFWn0P5keD3xAOuJRGziCLuD8r5MW9S0RoXXLzLSRfGY/3SF8kVIkHjE13SEFdTo4Af/fJ/Pu9wheqoLVdwXyY/UkBIS1M8Brc8IODsn5DFIrG0IrburbLi0uCc+E2ZIIb6HbUJ+o+jP58JelMTe0QE3IpWINTEzpxjqDf5/Df+InHCAkQCTuKsamjWXUpyOT1Wkxi7YPVNOjW4MfNuTZ9HdbD2Tr65+BXeTG9ZS/9SWuXAc+BZ8WyPz0QRz//ec3uWXd7bYYODSjRAxHqX+S1ag3LZElYyUKaAIjZ8MGOt4gXEwCSLDv/zqxZeWLj/PDkn6w==:",  # noqa: E501
        },
    )
    answer = replace(RFC_ANSWER, request=request)
    lines = base(_list('("@status" "signature";req;key="sig1" "@method";req)'), answer).decode().splitlines()
    assert lines[0] == '"@status": 200'
    assert lines[1].startswith('"signature";req;key="sig1": :LAH8BjcfcOcLojiu') and lines[1].endswith("PDkn6w==:")
    assert lines[2] == '"@method";req: POST'


def test_target_uri_and_authority() -> None:
    message = Message({"x": " a \n  b "}, "GET", "https://Localhost:8443/indicator/v1/values?area=04&period=2026-Q3")
    assert base(_list('("@target-uri" "@authority" "@scheme" "x")'), message).decode().splitlines()[:4] == [
        '"@target-uri": https://Localhost:8443/indicator/v1/values?area=04&period=2026-Q3',
        '"@authority": localhost:8443',
        '"@scheme": https',
        '"x": a b',
    ]


@pytest.mark.parametrize(
    "covered",
    ['("x" "x")', '("missing")', '("@nothing")', '("@status")', '("x";sf)', '("x";req)', '("@method";key="a")'],
)
def test_what_has_no_base(covered: str) -> None:
    with pytest.raises(BadField):
        base(_list(covered), Message({"x": "1"}, "GET", "https://localhost/"))


# --- against an outside library ---------------------------------------------------------------------------------------

ALGORITHMS = {"canh-bao": algorithms.ECDSA_P256_SHA256, "bao-chay": algorithms.ED25519}


class Keys(HTTPSignatureKeyResolver):
    def __init__(self, identity: Identity) -> None:
        self.signer = identity.signer

    def resolve_public_key(self, key_id: str) -> Any:
        assert key_id == self.signer.key_id
        return self.signer.certificate.public_key()

    def resolve_private_key(self, key_id: str) -> Any:
        return self.signer.key


def _request(body: bytes) -> Message:
    headers = {
        "authorization": "Bearer abc.def",
        "content-type": "application/json",
        "content-digest": digest_header(body),
        "idempotency-key": '"8b11-3c5f"',
    }
    return Message(headers, "POST", "https://localhost:8443/incident-alert/v1/alerts?x=%E1%BB%99")


def _find(identity: Identity) -> Any:
    key = Verifier(identity.signer.key_id, identity.signer.certificate)
    return lambda key_id: [key] if key_id == key.key_id else []


@pytest.mark.parametrize("system", ALGORITHMS)
def test_library_accepts_our_request(identities: Any, system: str) -> None:
    identity, now = identities(system), int(time.time())
    request = _request(b'{"a":1}')
    headers = dict(request.headers) | sign_request(
        request, identity.signer, created=now, expires=now + 60, nonce="A" * 24
    )
    outside = HTTPMessageVerifier(signature_algorithm=ALGORITHMS[system], key_resolver=Keys(identity))
    (result,) = outside.verify(SimpleNamespace(method="POST", url=request.target, headers=headers))
    assert result.parameters["tag"] == "lgsp-request"
    assert set(result.covered_components) >= {f'"{name}"' for name in ("@method", "@target-uri", *request.headers)}
    headers["idempotency-key"] = '"another"'
    with pytest.raises(InvalidSignature):
        outside.verify(SimpleNamespace(method="POST", url=request.target, headers=headers))


@pytest.mark.parametrize("system", ALGORITHMS)
def test_library_accepts_our_answer(identities: Any, system: str) -> None:
    caller, provider, now = identities("phan-anh"), identities(system), int(time.time())
    request = _request(b'{"a":1}')
    sent = dict(request.headers) | sign_request(request, caller.signer, created=now, expires=now + 60, nonce="A" * 24)
    answer = Message(
        {"content-type": "application/json", "content-digest": digest_header(b"{}")},
        status=200,
        request=replace(request, headers=sent),
    )
    headers = dict(answer.headers) | sign_answer(answer, provider.signer, created=now)
    asked = SimpleNamespace(method="POST", url=request.target, headers=sent)
    outside = HTTPMessageVerifier(signature_algorithm=ALGORITHMS[system], key_resolver=Keys(provider))
    (result,) = outside.verify(SimpleNamespace(status_code=200, headers=headers, request=asked, url=request.target))
    assert result.parameters["tag"] == "lgsp-answer"


@pytest.mark.parametrize("system", ALGORITHMS)
def test_we_accept_what_the_library_signs(identities: Any, system: str) -> None:
    identity, now = identities(system), time.time()
    body = b'{"a":1}'
    request = _request(body)
    message = SimpleNamespace(method="POST", url=request.target, headers=dict(request.headers))
    created = datetime.fromtimestamp(int(now), UTC)
    HTTPMessageSigner(signature_algorithm=ALGORITHMS[system], key_resolver=Keys(identity)).sign(
        message,
        key_id=identity.signer.key_id,
        created=created,
        expires=created + timedelta(seconds=60),
        nonce="N" * 24,
        label="sig1",
        tag="lgsp-request",
        include_alg=True,
        use_existing_digest=True,
        covered_component_ids=(
            "@method",
            "@target-uri",
            "authorization",
            "content-type",
            "content-digest",
            "idempotency-key",
        ),
    )
    headers = {name.lower(): value for name, value in message.headers.items()}
    proof = verify_request(replace(request, headers=headers), body, _find(identity), now)
    assert proof.key.key_id == identity.signer.key_id


# --- what must not pass -----------------------------------------------------------------------------------------------


def _signed(identity: Identity, now: int, body: bytes = b'{"a":1}', **how: Any) -> Message:
    request = _request(body)
    times: dict[str, Any] = {"created": now, "expires": now + 60, "nonce": "A" * 24} | how
    return replace(request, headers=dict(request.headers) | sign_request(request, identity.signer, **times))


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"expires": 0}, "expires"),
        ({"created": 30}, "in the future"),
        ({"created": -120, "expires": -60}, "expired"),
        ({"created": -10, "expires": 60}, "more than 60"),
        ({"nonce": "short"}, "nonce"),
        ({"leave_out": ("authorization",)}, 'does not cover "authorization"'),
        ({"leave_out": ("content-digest",)}, 'does not cover "content-digest"'),
        ({"leave_out": ("@target-uri",)}, 'does not cover "@target-uri"'),
    ],
)
def test_a_request_out_of_the_profile(identities: Any, how: dict[str, Any], says: str) -> None:
    identity, now = identities("canh-bao"), int(time.time())
    times = {name: value if name in ("nonce", "leave_out") else now + value for name, value in how.items()}
    times.setdefault("expires", times.get("created", now) + 60)
    with pytest.raises(WrongRequest, match=says):
        verify_request(_signed(identity, now, **times), b'{"a":1}', _find(identity), now)


def test_a_request_that_was_altered(identities: Any) -> None:
    identity, other, now = identities("canh-bao"), identities("bao-chay"), int(time.time())
    signed, body = _signed(identity, now), b'{"a":1}'
    assert verify_request(signed, body, _find(identity), now).covered
    altered = [
        (signed, b'{"a":2}', "Content-Digest"),
        (replace(signed, target=signed.target + "0"), body, "does not fit"),
        (replace(signed, method="PUT"), body, "does not fit"),
        (replace(signed, headers={**signed.headers, "authorization": "Bearer other"}), body, "does not fit"),
        (replace(signed, headers={k: v for k, v in signed.headers.items() if k != "signature"}), body, "no signature"),
        (
            replace(signed, headers={**signed.headers, "lgsp-caller": "H14.2/canh-bao"}),
            body,
            'does not cover "lgsp-caller"',
        ),
    ]
    for message, content, says in altered:
        with pytest.raises(WrongRequest, match=says):
            verify_request(message, content, _find(identity), now)
    with pytest.raises(WrongRequest, match="not known"):
        verify_request(signed, body, _find(other), now)
    with pytest.raises(WrongRequest, match="missing: lgsp-caller"):
        verify_request(signed, body, _find(identity), now, needed=("lgsp-caller",))


def test_an_answer_to_another_request(identities: Any) -> None:
    caller, gateway, now = identities("canh-bao"), identities("gateway"), int(time.time())
    first, second = _signed(caller, now, nonce="A" * 24), _signed(caller, now, nonce="B" * 24)
    answer = Message(
        {"content-type": "application/json", "content-digest": digest_header(b"{}")}, status=200, request=first
    )
    signed = replace(answer, headers=dict(answer.headers) | sign_answer(answer, gateway.signer, created=now))
    assert verify_answer(signed, b"{}", _find(gateway), now).covered
    with pytest.raises(WrongAnswer, match="does not fit"):
        verify_answer(replace(signed, request=second), b"{}", _find(gateway), now)
    with pytest.raises(WrongAnswer, match="does not fit"):
        verify_answer(replace(signed, status=202), b"{}", _find(gateway), now)
    with pytest.raises(WrongAnswer, match="lgsp-receipt"):
        verify_answer(
            replace(signed, headers={**signed.headers, "lgsp-receipt": "intent=:AA==:"}), b"{}", _find(gateway), now
        )
    with pytest.raises(WrongAnswer, match="tag"):
        verify_answer(
            replace(
                signed,
                headers={
                    **signed.headers,
                    "signature-input": signed.headers["signature-input"].replace("lgsp-answer", "x"),
                },
            ),
            b"{}",
            _find(gateway),
            now,
        )


def test_digests() -> None:
    assert digest_fits(digest_header(b"x"), b"x")
    assert not digest_fits(digest_header(b"x"), b"y")
    assert not digest_fits("sha-512=:AA==:", b"x")
    assert not digest_fits("garbage,,", b"x")
    assert read_bytes(digest_header(b""), "sha-256") is not None
    assert str(Item("signature", (("req", True), ("key", "sig1")))) == '"signature";req;key="sig1"'
