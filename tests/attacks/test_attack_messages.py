"""RFC 9421 as an attacker would use it: left out, thinned, made by another algorithm or key, altered, replayed, out of
time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from examples.story.world import World
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import Prepared
from gateway.sandbox.standins import messages
from tests.attacks.conftest import Judge
from tests.attacks.forging import USUAL, N, b64, forged, mirrored, parameters, spki
from tests.attacks.raw import Told, ask, of

pytestmark = pytest.mark.server
WHO, OTHER = "bao-chay", "y-te"
ALERTS = "/incident-alert/v1/alerts"
Spoil = Callable[[Prepared, Identity], Prepared]


def prepare(world: World, **how: Any) -> Prepared:
    return world.rest(WHO).prepare(
        "POST", ALERTS, json.dumps(messages.fire_alarm(), ensure_ascii=False).encode(), **how
    )


def send(world: World, prepared: Prepared) -> Told | None:
    return ask(world.identity(WHO), of(prepared))


def tried(world: World, spoil: Spoil, **how: Any) -> Told | None:
    return send(world, spoil(prepare(world, **how), world.identity(WHO)))


def headers(prepared: Prepared, **changed: str | None) -> Prepared:
    made = {
        **prepared.headers,
        **{name.replace("_", "-"): value for name, value in changed.items() if value is not None},
    }
    for name, value in changed.items():
        if value is None:
            made.pop(name.replace("_", "-"), None)
    return Prepared(prepared.method, prepared.path, prepared.target, made, prepared.body)


def value_of(prepared: Prepared) -> bytes:
    return base64.b64decode(str(prepared.headers["signature"]).partition(":")[2].rstrip(":"))


def with_value(prepared: Prepared, value: bytes) -> Prepared:
    return headers(prepared, signature=f"sig1=:{b64(value)}:")


def with_params(change: Callable[[str], str]) -> Spoil:
    return lambda prepared, who: forged(prepared, who.signer.sign, params=change(parameters(prepared)))


def with_names(*names: str) -> Spoil:
    return lambda prepared, who: forged(prepared, who.signer.sign, names=names)


def quoted(*left_out: str) -> list[str]:
    return [f'"{name}"' for name in USUAL if name not in left_out]


EXCLUSION: dict[str, tuple[Spoil, str]] = {
    "no signature at all": (lambda p, _: headers(p, signature=None, signature_input=None), "signature.missing"),
    "Signature without Signature-Input": (lambda p, _: headers(p, signature_input=None), "signature.missing"),
    "Signature-Input without Signature": (lambda p, _: headers(p, signature=None), "signature.missing"),
    "the value under another label": (lambda p, _: headers(p, signature=str(p.headers["signature"]).replace("sig1", "sig2")), "signature.missing"),
    "a tag of somebody else": (with_params(lambda params: params.replace("lgsp-request", "other")), "signature.missing"),
    "an answer's tag": (with_params(lambda params: params.replace("lgsp-request", "lgsp-answer")), "signature.missing"),
    "no tag": (with_params(lambda params: params.replace(';tag="lgsp-request"', "")), "signature.missing"),
    "two signatures with our tag": (
        lambda p, _: headers(p, signature_input=f"{p.headers['signature-input']}, {str(p.headers['signature-input']).replace('sig1', 'sig2')}"),
        "signature.several",
    ),
    "an empty value": (lambda p, _: with_value(p, b""), "signature.wrong"),
    "a value that is a token": (lambda p, _: headers(p, signature="sig1=abc"), "signature.malformed"),
    "a value that is a list": (lambda p, _: headers(p, signature="sig1=(:AAAA:)"), "signature.malformed"),
    "an input that is a text": (lambda p, _: headers(p, signature_input='sig1="@method"'), "signature.malformed"),
}  # fmt: skip

THIN: dict[str, tuple[Spoil, str]] = {
    "an empty list": (with_names(), "signature.not-covering"),
    **{f"without {name}": (with_names(*quoted(name)), "signature.not-covering") for name in USUAL},
    "@path in place of @target-uri": (with_names('"@method"', '"@path"', *quoted("@method", "@target-uri")), "signature.component-unknown"),
    "@authority in place of @target-uri": (with_names('"@authority"', *quoted("@target-uri")), "signature.component-unknown"),
    "@query-param": (with_names('"@query-param";name="a"', *quoted()), "signature.component-unknown"),
    "@request-target": (with_names('"@request-target"', *quoted("@target-uri")), "signature.component-unknown"),
    "a header of any name": (with_names('"x-any"', *quoted()), "signature.component-unknown"),
    "a component twice": (with_names(*quoted(), '"@method"'), "signature.malformed"),
    "upper case": (with_names(*quoted("content-type"), '"Content-Type"'), "signature.component-unknown"),
    "a header as structured field": (with_names(*quoted("content-digest"), '"content-digest";sf'), "signature.component-unknown"),
    "a header as bytes": (with_names(*quoted("content-type"), '"content-type";bs'), "signature.component-unknown"),
    "one member of a header": (with_names(*quoted("content-digest"), '"content-digest";key="sha-256"'), "signature.component-unknown"),
    "a header of the trailers": (with_names(*quoted("content-digest"), '"content-digest";tr'), "signature.component-unknown"),
    "a header of another request": (with_names(*quoted("content-type"), '"content-type";req'), "signature.component-unknown"),
    "a header that is not there": (with_names(*quoted(), '"lgsp-caller"'), "signature.component-absent"),
    "a name that is no text": (with_names(*quoted(), "content-type"), "signature.component-unknown"),
}  # fmt: skip


def keyed(secret: Callable[[Identity], bytes], alg: str | None) -> Spoil:
    """HMAC with what everybody knows, under the name of the registered key."""

    def spoil(prepared: Prepared, who: Identity) -> Prepared:
        params = parameters(prepared) + (f';alg="{alg}"' if alg else "")
        return forged(prepared, lambda base: hmac.new(secret(who), base, hashlib.sha256).digest(), params=params)

    return spoil


def der(prepared: Prepared, _: Identity) -> Prepared:
    value = value_of(prepared)
    return with_value(
        prepared, encode_dss_signature(int.from_bytes(value[:32], "big"), int.from_bytes(value[32:], "big"))
    )


def numbers(change: Callable[[int, int], tuple[int, int]]) -> Spoil:
    def spoil(prepared: Prepared, _: Identity) -> Prepared:
        value = value_of(prepared)
        r, s = change(int.from_bytes(value[:32], "big"), int.from_bytes(value[32:], "big"))
        return with_value(prepared, r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    return spoil


ALGORITHMS: dict[str, tuple[Spoil, str]] = {
    "alg none, no value": (lambda p, who: forged(p, lambda _: b"", params=parameters(p) + ';alg="none"'), "signature.algorithm"),
    "HMAC with the public key, named": (keyed(spki, "hmac-sha256"), "signature.algorithm"),
    "HMAC with the public key, not named": (keyed(spki, None), "signature.wrong"),
    "HMAC with the certificate": (keyed(lambda who: who.signer.certificate_der, None), "signature.wrong"),
    **{
        f"alg {alg} for an EC key": (with_params(partial(lambda alg, params: params + f';alg="{alg}"', alg)), "signature.algorithm")
        for alg in ("rsa-v1_5-sha256", "rsa-pss-sha512", "rsa-v1_5-sha1", "rsa-md5", "ed25519", "ecdsa-p384-sha384")
    },
    "ECDSA over SHA-1": (lambda p, who: forged(p, lambda base: raw_ecdsa(who, base, hashes.SHA1())), "signature.wrong"),
    "ECDSA over SHA-512": (lambda p, who: forged(p, lambda base: raw_ecdsa(who, base, hashes.SHA512())), "signature.wrong"),
    "the value in DER": (der, "signature.wrong"),
    "r and s nought": (numbers(lambda r, s: (0, 0)), "signature.wrong"),
    "s nought": (numbers(lambda r, s: (r, 0)), "signature.wrong"),
    "s the group's order": (numbers(lambda r, s: (r, N)), "signature.wrong"),
    "r and s swapped": (numbers(lambda r, s: (s, r)), "signature.wrong"),
}  # fmt: skip


def raw_ecdsa(who: Identity, base: bytes, digest: hashes.HashAlgorithm) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    key = who.signer.key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(key.sign(base, ec.ECDSA(digest)))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def key_named(name: str) -> Spoil:
    return with_params(lambda params: params.replace(f'keyid="{WHO}.sign-1"', f'keyid="{name}"'))


KEYS: dict[str, tuple[Spoil, str]] = {
    "keyid with a path": (key_named("../../keys/sign.key"), "signature.unknown-key"),
    "keyid with an absolute path": (key_named("/dev/null"), "signature.unknown-key"),
    "keyid with SQL": (key_named(f"{WHO}.sign-1' OR '1'='1"), "signature.unknown-key"),
    "keyid with SQL that ends a statement": (key_named("x'; DROP TABLE key; --"), "signature.unknown-key"),
    "keyid with an address": (key_named("https://localhost:1/keys.json"), "signature.unknown-key"),
    "keyid of a key for TLS": (key_named(f"{WHO}.tls-1"), "signature.unknown-key"),
    "keyid of a key for encryption": (key_named(f"{WHO}.encrypt-1"), "signature.unknown-key"),
    "keyid of the gateway": (key_named("gateway.sign-1"), "signature.unknown-key"),
    "keyid of another agency, signed with one's own": (key_named(f"{OTHER}.sign-1"), "signature.wrong"),
    "keyid empty": (key_named(""), "signature.unknown-key"),
    "keyid very long": (key_named("a" * 8_000), "signature.unknown-key"),
    "keyid a number": (with_params(lambda params: params.replace(f'keyid="{WHO}.sign-1"', "keyid=1")), "signature.parameter"),
    "keyid twice, the last of another": (with_params(lambda params: params + f';keyid="{OTHER}.sign-1"'), "signature.malformed"),
    **{
        f"a parameter {name}": (with_params(partial(lambda name, params: params + f';{name}="https://localhost:1/x"', name)), "signature.parameter")
        for name in ("jku", "x5u", "jwk", "x5c")
    },
}  # fmt: skip

TIMES: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"created": -61.0}, "signature.expired"),
    "expired long ago": ({"created": -86_400.0}, "signature.expired"),
    "from the future": ({"created": 7.0}, "signature.from-future"),
    "from a far future": ({"created": 1e9}, "signature.from-future"),
    "a life of two minutes": ({"lifetime": 120}, "signature.lifetime"),
    "a life of a year": ({"lifetime": 31_536_000}, "signature.lifetime"),
    "a life of nothing": ({"lifetime": 0}, "signature.lifetime"),
    "expires before it was created": ({"lifetime": -30}, "signature.lifetime"),
}
PARAMETERS: dict[str, tuple[Spoil, str]] = {
    "no created": (with_params(lambda p: p.replace(f";created={p.split('created=')[1].split(';')[0]}", "")), "signature.parameter"),
    "no expires": (with_params(lambda p: p.replace(f";expires={p.split('expires=')[1].split(';')[0]}", "")), "signature.parameter"),
    "created a text": (with_params(lambda p: p.replace(p.split("created=")[1].split(";")[0], '"1"', 1)), "signature.parameter"),
    "created with a fraction": (with_params(lambda p: p.replace(";expires", ".5;expires", 1)), "signature.parameter"),
    "created negative": (with_params(lambda p: p.replace("created=", "created=-", 1)), "signature.parameter"),
    "created beyond all bounds": (with_params(lambda p: p.replace("created=", "created=99999", 1)), "signature.parameter"),
    "no nonce": (with_params(lambda p: p.replace(f";nonce={p.split('nonce=')[1].split(';')[0]}", "")), "signature.nonce"),
    "a short nonce": (with_params(lambda p: p.replace(p.split("nonce=")[1].split(";")[0], '"abc"')), "signature.nonce"),
    "a nonce of other letters": (with_params(lambda p: p.replace(p.split("nonce=")[1].split(";")[0], '"' + "a b" * 10 + '"')), "signature.nonce"),
}  # fmt: skip


def digest(*members: tuple[str, bytes]) -> Spoil:
    """Signed rightly over a Content-Digest that says this."""
    text = ", ".join(f"{name}=:{b64(value)}:" for name, value in members)
    return lambda prepared, who: forged(prepared, who.signer.sign, headers={"content-digest": text})


def body(change: Callable[[bytes], bytes], *, digest_too: bool = False) -> Spoil:
    def spoil(prepared: Prepared, _: Identity) -> Prepared:
        changed = change(prepared.body)
        made = dict(prepared.headers)
        if digest_too:
            made["content-digest"] = f"sha-256=:{b64(hashlib.sha256(changed).digest())}:"
        return Prepared(prepared.method, prepared.path, prepared.target, made, changed)

    return spoil


DIGESTS: dict[str, tuple[Spoil, str]] = {
    "a body altered in one place": (body(lambda b: b.replace(b"1", b"2", 1)), "signature.digest-mismatch"),
    "a body with a space more": (body(lambda b: b + b" "), "signature.digest-mismatch"),
    "a body and its digest altered": (body(lambda b: b + b" ", digest_too=True), "signature.wrong"),
    "the digest of nothing": (digest(("sha-256", hashlib.sha256(b"").digest())), "signature.digest-mismatch"),
    "only SHA-1": (digest(("sha", b"a" * 20)), "signature.algorithm"),
    "only MD5": (digest(("md5", b"a" * 16)), "signature.algorithm"),
    "SHA-512 wrong beside SHA-256": (digest(("sha-256", b"a" * 32), ("sha-512", b"b" * 64)), "signature.digest-mismatch"),
    "a digest of no length": (digest(("sha-256", b"")), "signature.digest-mismatch"),
}  # fmt: skip


@pytest.mark.attack("signature exclusion")
@pytest.mark.parametrize("name", EXCLUSION)
def test_signature_left_out(world: World, judge: Judge, name: str) -> None:
    spoil, code = EXCLUSION[name]
    judge.refused(tried(world, spoil), code)


@pytest.mark.attack("thin component lists")
@pytest.mark.parametrize("name", THIN)
def test_list_thinned_or_bent(world: World, judge: Judge, name: str) -> None:
    spoil, code = THIN[name]
    judge.refused(tried(world, spoil), code)


@pytest.mark.attack("algorithm confusion")
@pytest.mark.parametrize("name", ALGORITHMS)
def test_another_algorithm(world: World, judge: Judge, name: str) -> None:
    spoil, code = ALGORITHMS[name]
    judge.refused(tried(world, spoil), code)


@pytest.mark.attack("key confusion")
@pytest.mark.parametrize("name", KEYS)
def test_another_key(world: World, judge: Judge, name: str) -> None:
    spoil, code = KEYS[name]
    judge.refused(tried(world, spoil), code)


@pytest.mark.attack("expired and future")
@pytest.mark.parametrize("name", TIMES)
def test_out_of_time(world: World, judge: Judge, name: str) -> None:
    how, code = TIMES[name]
    judge.refused(send(world, prepare(world, **how)), code)


@pytest.mark.attack("expired and future")
@pytest.mark.parametrize("name", PARAMETERS)
def test_times_and_nonces_of_another_form(world: World, judge: Judge, name: str) -> None:
    spoil, code = PARAMETERS[name]
    judge.refused(tried(world, spoil), code)


@pytest.mark.attack("digest mismatch")
@pytest.mark.parametrize("name", DIGESTS)
def test_a_body_that_is_not_the_signed_one(world: World, judge: Judge, name: str) -> None:
    spoil, code = DIGESTS[name]
    judge.refused(tried(world, spoil), code)


@pytest.mark.attack("replay")
@pytest.mark.parametrize("name", ["the same bytes", "(r, n - s)", "a header more that nobody signs", "another label"])
def test_a_message_again(world: World, judge: Judge, name: str) -> None:
    """What was taken once is not taken again, whatever can be changed of it without its key."""
    prepared = prepare(world)
    first = send(world, prepared)
    assert first is not None and first.status == 200
    again = {
        "the same bytes": lambda: prepared,
        "(r, n - s)": lambda: with_value(prepared, mirrored(value_of(prepared))),
        "a header more that nobody signs": lambda: headers(prepared, x_any="1", accept="*/*"),
        "another label": lambda: headers(
            prepared, **{each: str(prepared.headers[each.replace("_", "-")]).replace("sig1", "again", 1) for each in ("signature", "signature_input")}
        ),
    }[name]()  # fmt: skip
    judge.refused(send(world, again), "message.replayed", 409)


@pytest.mark.attack("replay")
def test_the_mirrored_value_first(world: World, judge: Judge) -> None:
    """The malleated one is as good as the first; then the first is its replay."""
    prepared = prepare(world)
    told = send(world, with_value(prepared, mirrored(value_of(prepared))))
    assert told is not None and told.status == 200
    judge.refused(send(world, prepared), "message.replayed", 409)


@pytest.mark.attack("replay")
def test_a_message_at_another_address_or_by_another_method(world: World, judge: Judge) -> None:
    prepared = prepare(world)
    elsewhere = Prepared("POST", "/field-report/v1/requests", prepared.target, prepared.headers, prepared.body)
    judge.refused(ask(world.identity(WHO), of(elsewhere)), "signature.wrong", 401)
    question = world.rest(WHO).prepare("GET", "/transfers/x")
    told = ask(
        world.identity(WHO), of(Prepared("GET", "/feeds/incident-alert/v1", question.target, question.headers, b""))
    )
    judge.refused(told, "signature.wrong", 401)


@pytest.mark.attack("replay")
def test_a_repeat_with_another_body(world: World, judge: Judge) -> None:
    """A fresh signature over the same message id with another content is no repeat."""
    message_id = str(uuid.uuid4())
    first = send(world, prepare(world, message_id=message_id))
    assert first is not None and first.status == 200
    judge.refused(send(world, prepare(world, message_id=message_id)), "message.other-body", 409)


@pytest.mark.attack("replay")
def test_a_request_to_the_own_apis_again(world: World, judge: Judge) -> None:
    prepared = world.rest("dieu-hanh").prepare("GET", "/feeds/incident-alert/v1")
    first = ask(world.identity("dieu-hanh"), of(prepared))
    assert first is not None and first.status == 200
    judge.refused(ask(world.identity("dieu-hanh"), of(prepared)), "api.replayed", 409)


@pytest.mark.attack("a certificate of another agency with a valid token")
def test_identities_mixed(world: World, judge: Judge) -> None:
    """Certificate, token and signature of two systems, in each mixture."""
    mine, theirs = world.rest(WHO), world.rest(OTHER)
    raw = json.dumps(messages.fire_alarm(), ensure_ascii=False).encode()
    judge.refused(ask(world.identity(OTHER), of(mine.prepare("POST", ALERTS, raw))), "token.other-certificate", 401)
    judge.refused(
        ask(mine.identity, of(mine.prepare("POST", ALERTS, raw, token=theirs.token()))), "token.other-certificate", 401
    )
    judge.refused(
        ask(mine.identity, of(theirs.prepare("POST", ALERTS, raw, token=mine.token()))), "channel.mismatch", 403
    )
