"""Tokens and assertions: the algorithm is the key's, every claim is checked, nothing in a header may choose."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.base.errors import Theirs
from security.tokens import Holder, issue_token, make_assertion, verify_assertion, verify_token
from tests.security.identities import Pair

AUD = "https://gw.example.vn"
ENDPOINT = "https://gw.example.vn/oauth/token"


def refused(call: Callable[..., object], *args: Any, **kw: Any) -> Theirs:
    with pytest.raises(Theirs) as caught:
        call(*args, **kw)
    return caught.value


def forge(pair: Pair, claims: dict[str, Any], *, algorithm: str | None = None, **headers: Any) -> str:
    algorithm = algorithm or {"ecdsa-p256-sha256": "ES256", "ed25519": "EdDSA"}.get(pair.sign.algorithm, "PS256")
    return jwt.encode(claims, pair.sign.private, algorithm=algorithm, headers={"kid": pair.sign.key_id, **headers})


@pytest.mark.parametrize(
    ("name", "algorithm"), [("p256", "ES256"), ("ed25519_pair", "EdDSA"), ("rsa_pair", "PS256"), ("pss_pair", "PS256")]
)
def test_issued_and_verified(name: str, algorithm: str, request: pytest.FixtureRequest, now: float) -> None:
    pair = request.getfixturevalue(name)
    token = issue_token(Holder(system="dieu-hanh", agency="H14.0", thumbprint="thumb"), pair.sign, now, AUD)
    assert jwt.get_unverified_header(token) == {"alg": algorithm, "typ": "at+jwt", "kid": pair.sign.key_id}
    found = verify_token(token, pair.verify, now + 599, AUD)
    assert (found.system, found.agency, found.thumbprint, found.issued, found.expires) == (
        "dieu-hanh",
        "H14.0",
        "thumb",
        int(now),
        int(now) + 600,
    )
    found.check_certificate("thumb")
    for other in ("other", None):
        assert refused(found.check_certificate, other).code == "token.other-certificate"


def test_times_of_a_token(p256: Pair, now: float) -> None:
    token = issue_token(Holder(system="s", agency="H14.0", thumbprint="t"), p256.sign, now, AUD)
    late = refused(verify_token, token, p256.verify, now + 603, AUD)
    assert (late.code, late.facts["late"]) == ("token.expired", 3.0)
    assert refused(verify_token, token, p256.verify, now - 6, AUD).code == "token.from-future"
    assert verify_token(token, p256.verify, now - 5, AUD).system == "s"


def test_a_token_for_others(p256: Pair, other: Pair, now: float) -> None:
    token = issue_token(Holder(system="s", agency="H14.0", thumbprint="t"), p256.sign, now, AUD)
    assert refused(verify_token, token, p256.verify, now, "https://elsewhere").facts["claim"] == "aud"
    foreign = issue_token(Holder(system="s", agency="H14.0", thumbprint="t"), p256.sign, now, AUD, issuer="x")
    assert refused(verify_token, foreign, p256.verify, now, AUD).facts["claim"] == "iss"
    assert refused(verify_token, token, other.verify, now, AUD).code == "token.unknown-key"
    changed = token[:-6] + ("AAAAAA" if token[-6:] != "AAAAAA" else "BBBBBB")
    assert refused(verify_token, changed, p256.verify, now, AUD).code == "token.wrong"


def test_an_assertion_is_no_access_token_and_the_other_way_round(p256: Pair, now: float) -> None:
    assertion = make_assertion("canh-bao", p256.sign, now, AUD)
    assert refused(verify_token, assertion, p256.verify, now, AUD).code == "token.malformed"
    token = issue_token(
        Holder(system="canh-bao", agency="H14.2", thumbprint="t"), p256.sign, now, AUD, issuer="canh-bao"
    )
    assert refused(verify_assertion, token, lambda _: p256.verify, now, AUD).code == "token.malformed"


@pytest.mark.parametrize("name", ["p256", "ed25519_pair", "rsa_pair"])
def test_assertions(name: str, request: pytest.FixtureRequest, now: float) -> None:
    pair = request.getfixturevalue(name)
    assertion = make_assertion(pair.verify.system, pair.sign, now, ENDPOINT, jti="j-1")
    found = verify_assertion(assertion, {pair.verify.key_id: pair.verify}.get, now, ENDPOINT)
    assert (found.system, found.jti, found.exp, found.key) == (pair.verify.system, "j-1", int(now) + 60, pair.verify)
    assert verify_assertion(assertion, lambda _: pair.verify, now, (AUD, ENDPOINT)).jti == "j-1"


def claims(now: float, **changes: Any) -> dict[str, Any]:
    base = {"iss": "canh-bao", "sub": "canh-bao", "aud": ENDPOINT, "iat": int(now), "exp": int(now) + 60, "jti": "j"}
    return {k: v for k, v in {**base, **changes}.items() if v is not None}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"aud": [ENDPOINT]}, None),
        ({"nbf": 1_795_503_600}, None),
        ({"iss": "bao-chay"}, "iss"),
        ({"sub": "bao-chay"}, "sub"),
        ({"iss": None}, "iss"),
        ({"aud": AUD}, "aud"),
        ({"aud": [ENDPOINT, AUD]}, "aud"),
        ({"aud": None}, "aud"),
        ({"exp": None}, "exp"),
        ({"exp": 1_795_503_661}, "exp"),
        ({"iat": 1_795_503_590, "exp": 1_795_503_651}, "exp"),
        ({"exp": 1_795_503_630.5}, "exp"),
        ({"iat": True}, "iat"),
        ({"iat": None}, "iat"),
        ({"jti": None}, "jti"),
        ({"jti": ""}, "jti"),
        ({"jti": "x" * 129}, "jti"),
        ({"jti": "a b"}, "jti"),
        ({"jti": 7}, "jti"),
        ({"nbf": 1_795_503_700}, "nbf"),
    ],
)
def test_claims(changes: Any, expected: str | None, p256: Pair, now: float) -> None:
    made = forge(p256, claims(now, **changes))
    if expected is None:
        assert verify_assertion(made, lambda _: p256.verify, now, ENDPOINT).system == "canh-bao"
    else:
        failure = refused(verify_assertion, made, lambda _: p256.verify, now, ENDPOINT)
        assert (failure.code, failure.facts["claim"]) == ("token.claim", expected)


def test_times_of_an_assertion(p256: Pair, now: float) -> None:
    made = forge(p256, claims(now))
    assert refused(verify_assertion, made, lambda _: p256.verify, now + 61, ENDPOINT).code == "token.expired"
    assert refused(verify_assertion, made, lambda _: p256.verify, now - 6, ENDPOINT).code == "token.from-future"


@pytest.mark.parametrize(
    "header",
    [
        {"jku": "https://evil"},
        {"x5u": "https://evil"},
        {"jwk": {}},
        {"crit": ["exp"], "exp": 1},
        {"zip": "DEF"},
        {"x5c": []},
        {"cty": "JWT"},
    ],
)
def test_headers_that_may_not_be(header: dict[str, Any], p256: Pair, now: float) -> None:
    assert (
        refused(verify_assertion, forge(p256, claims(now), **header), lambda _: p256.verify, now, ENDPOINT).code
        == "token.malformed"
    )


def encode(header: dict[str, Any], payload: bytes, signature: bytes = b"") -> str:
    return ".".join(
        base64.urlsafe_b64encode(p).rstrip(b"=").decode() for p in (json.dumps(header).encode(), payload, signature)
    )


def test_algorithms_are_the_keys(p256: Pair, rsa_pair: Pair, now: float) -> None:
    body = json.dumps(claims(now)).encode()
    find = lambda _: p256.verify  # noqa: E731
    for algorithm in ("none", "None", "HS256", "RS256", "ES384", "EdDSA", 7, None):
        made = encode({"alg": algorithm, "kid": p256.verify.key_id, "typ": "JWT"}, body)
        assert refused(verify_assertion, made, find, now, ENDPOINT).code in ("token.algorithm", "token.malformed")
    # the public certificate used as an HMAC secret, by hand, since PyJWT will not
    start = encode({"alg": "HS256", "kid": p256.verify.key_id}, body).rpartition(".")[0]
    mac = hmac.digest(p256.verify.certificate_der, start.encode(), "sha256")
    confused = start + "." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
    assert refused(verify_assertion, confused, find, now, ENDPOINT).code == "token.algorithm"
    rs256 = forge(rsa_pair, claims(now, iss="kinh-te", sub="kinh-te"), algorithm="RS256")
    assert refused(verify_assertion, rs256, lambda _: rsa_pair.verify, now, ENDPOINT).code == "token.algorithm"


def test_keys_of_assertions(p256: Pair, other: Pair, now: float) -> None:
    made = forge(p256, claims(now))
    assert refused(verify_assertion, made, lambda _: None, now, ENDPOINT).facts["key"] == "canh-bao.sign-1"
    assert refused(verify_assertion, made, lambda _: other.verify, now, ENDPOINT).code == "token.wrong"
    no_kid = jwt.encode(claims(now), p256.sign.private, algorithm="ES256")
    assert refused(verify_assertion, no_kid, lambda _: p256.verify, now, ENDPOINT).code == "token.malformed"
    assert (
        refused(verify_assertion, made, lambda _: p256.verify, now + 366 * 86400, ENDPOINT).code
        == "signature.key-expired"
    )


def test_a_claim_that_stands_twice(p256: Pair, now: float) -> None:
    text = json.dumps(claims(now))[:-1] + ', "sub": "bao-chay"}'
    header = {"alg": "ES256", "kid": p256.verify.key_id, "typ": "JWT"}
    start = encode(header, text.encode()).rpartition(".")[0]
    made = start + "." + base64.urlsafe_b64encode(p256.sign.sign(start.encode())).rstrip(b"=").decode()
    assert refused(verify_assertion, made, lambda _: p256.verify, now, ENDPOINT).facts["rule"] == "JSON"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.one_of(
        st.text(max_size=80),
        st.lists(st.text(alphabet="abcXYZ09-_=", max_size=40), min_size=3, max_size=3).map(".".join),
    )
)
def test_rubbish(text: str, p256: Pair, now: float) -> None:
    for call in (
        lambda: verify_token(text, p256.verify, now, AUD),
        lambda: verify_assertion(text, lambda _: p256.verify, now, ENDPOINT),
    ):
        assert refused(call).code.startswith("token.")
    assert refused(verify_token, "a" * 9000, p256.verify, now, AUD).code == "token.malformed"
