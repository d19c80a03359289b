"""Tokens as an attacker would make them (RFC 7515, 7519, 7523, 8725, 8705): at the token endpoint, and as access tokens
at a door."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from examples.story.world import World
from gateway.keys.keyring import Keyring
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import ASSERTION_TYPE, Prepared
from gateway.sample_client.signing import sign_raw
from gateway.settings import Settings
from security.tokens import Holder, issue_token
from tests.attacks.conftest import QUESTION, Judge
from tests.attacks.forging import b64url, jws, mirrored, spki
from tests.attacks.raw import Told, ask, of

pytestmark = pytest.mark.server
WHO, OTHER = "y-te", "thuc-phan"
Make = Callable[[Identity], str]
ATTACKER = ec.generate_private_key(ec.SECP256R1())
JWK = json.loads(ECAlgorithm.to_jwk(ATTACKER.public_key()))


def claims(who: Identity, **changed: Any) -> dict[str, Any]:
    now = int(time.time())
    made = {
        "iss": who.system,
        "sub": who.system,
        "aud": f"{who.gateway}/oauth/token",
        "iat": now,
        "exp": now + 50,
        "jti": str(uuid.uuid4()),
    }
    return {name: value for name, value in (made | changed).items() if value is not None}


def header(who: Identity, **changed: Any) -> dict[str, Any]:
    made = {"alg": "ES256", "typ": "JWT", "kid": who.signer.key_id} | changed
    return {name: value for name, value in made.items() if value is not None}


def headed(**changed: Any) -> Make:
    """Rightly signed by the registered key, with another header."""
    return lambda who: jws(header(who, **changed), claims(who), who.signer.sign)


def by_attacker(**changed: Any) -> Make:
    return lambda who: jws(header(who, **changed), claims(who), lambda data: sign_raw(ATTACKER, data))


def claiming(**changed: Any) -> Make:
    return lambda who: jws(header(who), claims(who, **changed), who.signer.sign)


def secret(of_: Callable[[Identity], bytes], alg: str = "HS256") -> Make:
    return lambda who: jws(
        header(who, alg=alg), claims(who), lambda data: hmac.new(of_(who), data, hashlib.sha256).digest()
    )


def now(offset: float) -> int:
    return int(time.time() + offset)


def twice(name: str) -> Make:
    """A claim twice, the second time with what the attacker wants."""

    def make(who: Identity) -> str:
        text = json.dumps(claims(who))
        return jws(header(who), (text[:-1] + f', "{name}": "{OTHER}"}}').encode(), who.signer.sign)

    return make


def pbes2(who: Identity) -> str:
    top = {"alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "p2c": 2_000_000_000, "p2s": b64url(b"a" * 16), "cty": "JWT"}
    return ".".join([b64url(json.dumps(top).encode()), *(b64url(b"a" * size) for size in (40, 12, 100, 16))])


ALGORITHMS: dict[str, tuple[Make, str]] = {
    **{
        f"alg {alg}, no signature": (
            partial(lambda alg, who: jws(header(who, alg=alg), claims(who), lambda _: b""), alg),
            "token.algorithm",
        )
        for alg in ("none", "None", "NONE", "nOnE")
    },
    "alg missing": (headed(alg=None), "token.algorithm"),
    "alg empty": (headed(alg=""), "token.algorithm"),
    "alg a list": (headed(alg=["ES256"]), "token.algorithm"),
    "HS256 with the public key": (secret(spki), "token.algorithm"),
    "HS256 with the certificate": (secret(lambda who: who.signer.certificate_der), "token.algorithm"),
    "HS256 with nothing": (secret(lambda _: b""), "token.algorithm"),
    "ES256 said, HMAC made": (secret(spki, "ES256"), "token.wrong"),
    **{
        f"alg {alg}": (headed(alg=alg), "token.algorithm")
        for alg in ("RS256", "PS256", "ES384", "ES256K", "EdDSA", "RS1", "HS512")
    },
    "no signature behind the last point": (lambda who: jws(header(who), claims(who), lambda _: b""), "token.wrong"),
    "only two parts": (
        lambda who: jws(header(who), claims(who), who.signer.sign).rpartition(".")[0],
        "token.malformed",
    ),
    "PBES2 of two thousand million rounds": (pbes2, "token.malformed"),
    "very long": (claiming(note="a" * 20_000), "api.invalid"),
    "a header nested without end": (
        lambda who: jws(b"[" * 2_500 + b"]" * 2_500, claims(who), who.signer.sign),
        "token.malformed",
    ),
    "a header that is a list": (lambda who: jws(b"[]", claims(who), who.signer.sign), "token.malformed"),
}

KEYS: dict[str, tuple[Make, str]] = {
    "jku": (by_attacker(jku="https://localhost:1/keys.json"), "token.malformed"),
    "x5u": (by_attacker(x5u="https://localhost:1/key.pem"), "token.malformed"),
    "x5c": (by_attacker(x5c=["MIIB"]), "token.malformed"),
    "an embedded jwk": (by_attacker(jwk=JWK), "token.malformed"),
    "an embedded jwk without kid": (by_attacker(jwk=JWK, kid=None), "token.malformed"),
    "jku, signed by the registered key": (headed(jku="https://localhost:1/keys.json"), "token.malformed"),
    "kid with a path": (headed(kid="../../../../dev/null"), "token.unknown-key"),
    "kid with SQL": (headed(kid=f"x' UNION SELECT '{WHO}.sign-1"), "token.unknown-key"),
    "kid with a command": (headed(kid="x|id"), "token.unknown-key"),
    "kid with a null": (headed(kid="a\x00b"), "token.unknown-key"),
    "kid missing": (headed(kid=None), "token.malformed"),
    "kid a number": (headed(kid=1), "token.malformed"),
    "kid of a key for TLS": (headed(kid=f"{WHO}.tls-1"), "token.unknown-key"),
    "kid of another agency": (headed(kid=f"{OTHER}.sign-1"), "token.wrong"),
    "the attacker's key under the registered kid": (by_attacker(), "token.wrong"),
    "crit": (headed(crit=["exp"]), "token.malformed"),
    "b64 false": (headed(b64=False, crit=["b64"]), "token.malformed"),
    "zip": (headed(zip="DEF"), "token.malformed"),
    "an access token's typ": (headed(typ="at+jwt"), "token.malformed"),
}

CLAIMS: dict[str, tuple[Make, str]] = {
    "iss of another": (claiming(iss=OTHER), "token.claim"),
    "sub of another": (claiming(sub=OTHER), "token.claim"),
    "sub twice": (twice("sub"), "token.malformed"),
    "aud of another server": (claiming(aud="https://evil.example/oauth/token"), "token.claim"),
    "aud of several": (
        lambda who: jws(
            header(who), claims(who, aud=[f"{who.gateway}/oauth/token", "https://evil.example"]), who.signer.sign
        ),
        "token.claim",
    ),
    "no aud": (claiming(aud=None), "token.claim"),
    "expired": (lambda who: claiming(iat=now(-120), exp=now(-60))(who), "token.expired"),
    "from the future": (lambda who: claiming(iat=now(60), exp=now(100))(who), "token.from-future"),
    "nbf in the future": (lambda who: claiming(nbf=now(600))(who), "token.claim"),
    "a life of an hour": (lambda who: claiming(exp=now(3600))(who), "token.claim"),
    "no exp": (claiming(exp=None), "token.claim"),
    "exp a text": (claiming(exp="9999999999"), "token.claim"),
    "exp beyond all bounds": (claiming(exp=1e300), "token.claim"),
    "exp infinite": (
        lambda who: jws(
            header(who), json.dumps(claims(who)).replace('"exp": ', '"exp": Infinity, "x": ').encode(), who.signer.sign
        ),
        "token.claim",
    ),
    "no jti": (claiming(jti=None), "token.claim"),
    "jti very long": (claiming(jti="a" * 1_000), "token.claim"),
    "a payload that is a list": (lambda who: jws(header(who), b"[]", who.signer.sign), "token.malformed"),
    "a payload nested without end": (
        lambda who: jws(header(who), b"[" * 3_000 + b"]" * 3_000, who.signer.sign),
        "token.malformed",
    ),
}


def asked(who: Identity, assertion: str, **changed: str) -> Prepared:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
    } | changed
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return Prepared("POST", "/oauth/token", f"{who.gateway}/oauth/token", headers, urlencode(form).encode())


def assert_told(judge: Judge, told: Told | None, code: str) -> None:
    """A refusal of the token endpoint: an OAuth error with our code beside."""
    assert told is not None
    judge.refused(Told(told.status, {**told.headers, "content-type": "application/problem+json"}, told.body), code)
    assert b"access_token" not in told.body and json.loads(told.body)["error"]


@pytest.mark.attack("algorithm confusion")
@pytest.mark.parametrize("name", ALGORITHMS)
def test_assertion_of_another_algorithm(world: World, judge: Judge, name: str) -> None:
    make, code = ALGORITHMS[name]
    who = world.identity(WHO)
    assert_told(judge, ask(who, of(asked(who, make(who)))), code)


@pytest.mark.attack("key confusion")
@pytest.mark.parametrize("name", KEYS)
def test_assertion_that_names_its_own_key(world: World, judge: Judge, name: str) -> None:
    make, code = KEYS[name]
    who = world.identity(WHO)
    assert_told(judge, ask(who, of(asked(who, make(who)))), code)


@pytest.mark.attack("expired and future")
@pytest.mark.parametrize("name", CLAIMS)
def test_assertion_that_claims_too_much(world: World, judge: Judge, name: str) -> None:
    make, code = CLAIMS[name]
    who = world.identity(WHO)
    assert_told(judge, ask(who, of(asked(who, make(who)))), code)


@pytest.mark.attack("replay")
@pytest.mark.parametrize("name", ["the same", "(r, n - s)", "another header"])
def test_assertion_again(world: World, judge: Judge, name: str) -> None:
    who = world.identity(WHO)
    said = claims(who)
    first = jws(header(who), said, who.signer.sign)
    told = ask(who, of(asked(who, first)))
    assert told is not None and told.status == 200
    again = {
        "the same": lambda: first,
        "(r, n - s)": lambda: jws(header(who), said, lambda data: mirrored(who.signer.sign(data))),
        "another header": lambda: jws(header(who, typ=None), said, who.signer.sign),
    }[name]()
    assert_told(judge, ask(who, of(asked(who, again))), "token.assertion-used")


@pytest.mark.attack("a certificate of another agency with a valid token")
def test_assertion_over_the_certificate_of_another(world: World, judge: Judge) -> None:
    who = world.identity(WHO)
    assert_told(judge, ask(world.identity(OTHER), of(asked(who, claiming()(who)))), "token.other-system")
    assert_told(judge, ask(who, of(asked(who, claiming()(who))), with_certificate=False), "channel.no-certificate")
    assert_told(judge, ask(world.identity("chua-dang-ky"), of(asked(who, claiming()(who)))), "channel.unknown-system")


@pytest.mark.attack("algorithm confusion")
@pytest.mark.parametrize(
    "changed",
    [{"grant_type": "password"}, {"grant_type": "authorization_code"}, {"client_assertion_type": "x"}],
    ids=lambda changed: "=".join(*changed.items()),
)
def test_another_way_to_a_token(world: World, judge: Judge, changed: dict[str, str]) -> None:
    who = world.identity(WHO)
    assert_told(
        judge,
        ask(who, of(asked(who, claiming()(who), **changed))),
        "token.grant-type" if "grant_type" in changed else "token.assertion-type",
    )


# --- access tokens ----------------------------------------------------------------------------------------------------


def access(who: Identity, instance: Settings, **changed: Any) -> str:
    """An access token as the gateway issues them, by the gateway's own key."""
    keyring = Keyring(instance)
    said: dict[str, Any] = {
        "system": who.system,
        "agency": who.agency,
        "thumbprint": thumbprint(who),
        "now": time.time(),
        "audience": who.gateway,
        "lifetime": 600,
    } | changed
    return issue_token(
        Holder(system=said["system"], agency=said["agency"], thumbprint=said["thumbprint"]),
        keyring.signing_key(),
        said["now"],
        said["audience"],
        said["lifetime"],
    )


def thumbprint(who: Identity) -> str:
    import ssl

    pem = (who.folder / "tls.crt").read_text().partition("-----END")[0] + "-----END CERTIFICATE-----\n"
    return b64url(hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest())


def altered(token: str, **changed: Any) -> str:
    import base64

    top, inner, value = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(inner + "==")) | changed
    return f"{top}.{b64url(json.dumps(said).encode())}.{value}"


ACCESS: dict[str, tuple[Callable[[Identity, Settings], str], str]] = {
    "none": (
        lambda who, at: jws({"alg": "none", "typ": "at+jwt", "kid": "gateway.sign-1"}, claims(who), lambda _: b""),
        "token.algorithm",
    ),
    "HS256 with the gateway's public key": (
        lambda who, at: jws(
            {"alg": "HS256", "typ": "at+jwt", "kid": "gateway.sign-1"},
            claims(who),
            lambda data: hmac.new((who.folder / "gateway-sign.crt").read_bytes(), data, hashlib.sha256).digest(),
        ),
        "token.algorithm",
    ),
    "issued by the system to itself": (
        lambda who, at: jws({"alg": "ES256", "typ": "at+jwt", "kid": "gateway.sign-1"}, claims(who), who.signer.sign),
        "token.wrong",
    ),
    "issued by the system under its own kid": (
        lambda who, at: jws({"alg": "ES256", "typ": "at+jwt", "kid": who.signer.key_id}, claims(who), who.signer.sign),
        "token.unknown-key",
    ),
    "an assertion in its place": (lambda who, at: jws(header(who), claims(who), who.signer.sign), "token.malformed"),
    "another system in it": (lambda who, at: altered(access(who, at), sub=OTHER), "token.wrong"),
    "another certificate in it": (lambda who, at: altered(access(who, at), cnf={"x5t#S256": "A" * 43}), "token.wrong"),
    "expired": (lambda who, at: access(who, at, now=time.time() - 700), "token.expired"),
    "from the future": (lambda who, at: access(who, at, now=time.time() + 60), "token.from-future"),
    "for another gateway": (lambda who, at: access(who, at, audience="https://evil.example"), "token.claim"),
    "bound to another certificate": (lambda who, at: access(who, at, thumbprint="A" * 43), "token.other-certificate"),
    "of another system, bound to this certificate": (lambda who, at: access(who, at, system=OTHER), "channel.mismatch"),
    "with jku": (
        lambda who, at: jws(
            {"alg": "ES256", "typ": "at+jwt", "kid": "gateway.sign-1", "jku": "https://localhost:1"},
            claims(who),
            lambda d: sign_raw(ATTACKER, d),
        ),
        "token.malformed",
    ),
    "no token at all": (lambda who, at: "", "request.no-token"),
    "a word": (lambda who, at: "abc", "token.malformed"),
}


@pytest.mark.attack("access tokens")
@pytest.mark.parametrize("name", ACCESS)
def test_access_token(world: World, instance: Settings, judge: Judge, name: str) -> None:
    make, code = ACCESS[name]
    who = world.identity(WHO)
    prepared = world.rest(WHO).prepare("GET", QUESTION, token=make(who, instance))
    judge.refused(ask(who, of(prepared)), code)


@pytest.mark.attack("access tokens")
@pytest.mark.parametrize("scheme", ["Basic", "Digest", "DPoP", "MAC"])
def test_another_scheme(world: World, judge: Judge, scheme: str) -> None:
    client = world.rest(WHO)
    prepared = client.prepare("GET", QUESTION, headers={"authorization": f"{scheme} {client.token()}"})
    judge.refused(ask(world.identity(WHO), of(prepared)), "request.no-token", 401)
