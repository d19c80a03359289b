"""JWS in JWE: what one side seals the other opens; everything outside the profile is refused before a key is used,
everything else in one way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, RSAKey

from contracts.base.errors import Theirs
from security import jose
from security.jose import Opener, seal, sign, verify
from tests.security.joseparts import NOW, PAYLOAD, b64, header_of, known, receiver, signer, with_header

JSON = "application/json"
RSA, EC = receiver("gateway", "RSA-2048"), receiver("gateway", "P-256")
OTHER = receiver("other", "P-256")
SENDERS = {kind: signer("mot-cua", kind) for kind in ("P-256", "Ed25519", "RSA-2048")}
ME = SENDERS["P-256"]


def refused(body: bytes, keys: Any = (EC,), find: Any = None) -> tuple[str, str]:
    with pytest.raises(Theirs) as caught:
        Opener(keys).open(body, find or known(ME), NOW)
    return caught.value.code, str(caught.value.facts.get("rule", ""))


def sealed(payload: bytes = PAYLOAD, to: Any = EC, media_type: str = JSON) -> bytes:
    return seal(payload, media_type, ME, to.encrypt_key())[0]


SEALED = sealed()


@pytest.mark.parametrize("to", [RSA, EC], ids=["RSA-OAEP-256", "ECDH-ES+A256KW"])
@pytest.mark.parametrize("kind", SENDERS)
def test_what_is_sealed_is_opened(kind: str, to: Any) -> None:
    sender = SENDERS[kind]
    body, jws = seal(PAYLOAD, JSON, sender, to.encrypt_key())
    assert header_of(body) | {"epk": None} == {
        "alg": header_of(body)["alg"],
        "enc": "A256GCM",
        "kid": to.key_id,
        "cty": "JWS",
        "epk": None,
    }
    assert header_of(jws) == {
        "alg": {"P-256": "ES256", "Ed25519": "EdDSA"}.get(kind, "PS256"),
        "kid": sender.key_id,
        "cty": JSON,
    }
    opened = Opener([OTHER, to]).open(body, known(sender), NOW)
    assert (opened.payload, opened.media_type, opened.key.system, opened.jws) == (PAYLOAD, JSON, "mot-cua", jws)
    assert verify(opened.jws, known(sender), NOW).payload == PAYLOAD  # later, without the key that decrypts
    assert seal(PAYLOAD, JSON, sender, to.encrypt_key())[0] != body


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=3000))
def test_any_bytes_come_back(payload: bytes) -> None:
    assert Opener([EC]).open(sealed(payload), known(ME), NOW).payload == payload


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_changed_character_opens_nothing(data: st.DataObject) -> None:
    at, other = data.draw(st.integers(0, len(SEALED) - 1)), data.draw(st.sampled_from(b"ABCDwxyz0189-_."))
    if SEALED[at] != other:
        assert refused(SEALED[:at] + bytes([other]) + SEALED[at + 1 :])[0] in (
            "body.decryption",
            "body.encryption-profile",
        )


def test_a_key_that_signs_with_pss_is_ps256_too() -> None:
    sender = signer("mot-cua", "RSA-2048", "rsa-pss-sha512")
    assert header_of(sign(PAYLOAD, JSON, sender))["alg"] == "PS256"
    assert verify(sign(PAYLOAD, JSON, sender), known(sender), NOW).payload == PAYLOAD


# --- headers of the JWE -----------------------------------------------------------------------------------------------

_BASE: dict[str, Any] = {"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "kid": EC.key_id, "cty": "JWS"}


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"alg": "none"}, '"alg":"ECDH-ES+A256KW"'),
        ({"alg": "dir"}, '"alg":"ECDH-ES+A256KW"'),
        ({"alg": "ECDH-ES"}, '"alg":"ECDH-ES+A256KW"'),
        ({"alg": "A256KW"}, '"alg":"ECDH-ES+A256KW"'),
        ({"alg": "RSA1_5"}, '"alg":"ECDH-ES+A256KW"'),
        ({"alg": "RSA-OAEP"}, '"alg":"ECDH-ES+A256KW"'),
        ({"alg": "RSA-OAEP-256"}, '"alg":"ECDH-ES+A256KW"'),
        ({"alg": "PBES2-HS512+A256KW", "p2s": "AAAAAAAAAAA", "p2c": 300_000}, "≠ p2s"),
        ({"alg": ["ECDH-ES+A256KW"]}, '"alg":"ECDH-ES+A256KW"'),
        ({"enc": "A128GCM"}, '"enc":"A256GCM"'),
        ({"enc": "A256CBC-HS512"}, '"enc":"A256GCM"'),
        ({"enc": None}, '"enc":"A256GCM"'),
        ({"zip": "DEF"}, "≠ zip"),
        ({"jku": "https://evil.example/keys"}, "≠ jku"),
        ({"x5u": "https://evil.example/cert"}, "≠ x5u"),
        ({"x5c": ["MIIB"]}, "≠ x5c"),
        ({"x5t#S256": "AAAA"}, "≠ x5t#S256"),
        ({"jwk": {"kty": "oct", "k": "AAAA"}}, "≠ jwk"),
        ({"crit": ["exp"], "exp": 1}, "≠ crit"),
        ({"b64": False}, "≠ b64"),
        ({"apu": "QQ"}, "≠ apu"),
        ({"cty": "JWE"}, '"cty":"JWS"'),
        ({"cty": "application/json"}, '"cty":"JWS"'),
        ({"cty": None}, '"cty":"JWS"'),
        ({"typ": "JWT"}, '"typ":"JOSE"'),
        ({"epk": None}, "epk: kty, crv, x, y"),
        ({"epk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": 1}}, "epk: kty, crv, x, y"),
        ({"epk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "d": "AA"}}, "epk: kty, crv, x, y"),
        ({"epk": {"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}}, '"crv":"P-256"'),
        ({"epk": {"kty": "OKP", "crv": "X25519", "x": "AA", "y": "AA"}}, '"kty":"EC"'),
    ],
)
def test_a_header_that_says_something_else(changed: dict[str, Any], rule: str) -> None:
    body = sealed()
    header = {name: value for name, value in (header_of(body) | changed).items() if value is not None}
    code, why = refused(with_header(body, header))
    assert code == "body.encryption-profile" and rule in why


def test_rsa_with_its_old_paddings_and_an_ephemeral_key() -> None:
    body = sealed(to=RSA)
    for changed in (
        {"alg": "RSA1_5"},
        {"alg": "RSA-OAEP"},
        {"alg": "RSA-OAEP-512"},
        {"epk": header_of(sealed())["epk"]},
    ):
        assert refused(with_header(body, header_of(body) | changed), (RSA,))[0] == "body.encryption-profile"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"a.b.c.d",
        b"a.b.c.d.e.f",
        b64(_BASE) + b"..AAAA.AAAA.AAAA",  # no encrypted key: `dir`, or direct agreement
        json.dumps(
            {
                "protected": b64(_BASE).decode(),
                "ciphertext": "AAAA",
                "iv": "AAAA",
                "tag": "AAAA",
                "recipients": [{"encrypted_key": "AAAA"}],
            }
        ).encode(),
        json.dumps(
            {
                "protected": b64(_BASE).decode(),
                "ciphertext": "AAAA",
                "iv": "AAAA",
                "tag": "AAAA",
                "encrypted_key": "AAAA",
            }
        ).encode(),
        b" " + sealed(),
        sealed() + b"\n",
        sealed() + b"=",
        with_header(sealed(), "[]"),
        with_header(sealed(), "{"),
        with_header(sealed(), "[" * 1000),
        # a name twice: the last would win
        with_header(sealed(), json.dumps(header_of(sealed()))[:-1] + ',"alg":"RSA1_5"}'),
        with_header(sealed(), header_of(sealed()) | {"typ": "J" * 3000}),
        b".".join([b64(b"\xff{}"), *sealed().split(b".")[1:]]),
        sign(PAYLOAD, JSON, ME),  # signed only
    ],
)
def test_what_is_no_compact_jwe(body: bytes) -> None:
    assert refused(body)[0] == "body.encryption-profile"


# --- what goes wrong with a key in hand -------------------------------------------------------------------------------


def _off_curve(body: bytes) -> bytes:
    return with_header(
        body,
        header_of(body)
        | {"epk": {"kty": "EC", "crv": "P-256", "x": b64(b"\x01" * 32).decode(), "y": b64(b"\x02" * 32).decode()}},
    )


def _changed(number: int) -> Any:
    def change(body: bytes) -> bytes:
        parts = body.split(b".")
        parts[number] = (b"B" if parts[number][:1] == b"A" else b"A") + parts[number][1:]
        return b".".join(parts)

    return change


def _shorter(number: int) -> Any:
    def change(body: bytes) -> bytes:
        parts = body.split(b".")
        parts[number] = parts[number][: (len(parts[number]) - 1) // 4 * 4]
        return b".".join(parts)

    return change


FAULTS: dict[str, Any] = {
    "another recipient": lambda body: seal(PAYLOAD, JSON, ME, OTHER.encrypt_key())[0],
    "another recipient's under our id": lambda body: with_header(
        seal(PAYLOAD, JSON, ME, OTHER.encrypt_key())[0], header_of(body)
    ),
    "a kid that is a path": lambda body: with_header(body, header_of(body) | {"kid": "../../keys/decrypt"}),
    "a kid that is SQL": lambda body: with_header(body, header_of(body) | {"kid": "' OR 1=1 --"}),
    "no kid": lambda body: with_header(body, {name: value for name, value in header_of(body).items() if name != "kid"}),
    "a kid that is no text": lambda body: with_header(body, header_of(body) | {"kid": ["gateway.encrypt-1"]}),
    "a point off the curve": _off_curve,
    "the point at infinity": lambda body: with_header(
        body, header_of(body) | {"epk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}}
    ),
    "coordinates that are no base64": lambda body: with_header(
        body, header_of(body) | {"epk": {"kty": "EC", "crv": "P-256", "x": "*", "y": "ÿ"}}
    ),
    "another header, as good": lambda body: with_header(body, header_of(body) | {"typ": "JOSE"}),
    **{
        f"another {name}": _changed(number)
        for number, name in enumerate(("encrypted key", "iv", "ciphertext", "tag"), 1)
    },
    **{
        f"a shorter {name}": _shorter(number)
        for number, name in enumerate(("encrypted key", "iv", "ciphertext", "tag"), 1)
    },
}


# With an RSA key an ephemeral key is refused for what it is.
_OF_EC = (
    "a point off the curve",
    "the point at infinity",
    "coordinates that are no base64",
    "another recipient's under our id",
)


@pytest.mark.parametrize(
    ("key", "fault"), [(key, fault) for key in (EC, RSA) for fault in FAULTS if key is EC or fault not in _OF_EC]
)
def test_all_that_fails_with_a_key_fails_alike(key: Any, fault: str) -> None:
    with pytest.raises(Theirs) as caught:
        Opener([key]).open(FAULTS[fault](sealed(to=key)), known(ME), NOW)
    assert (caught.value.code, dict(caught.value.facts)) == ("body.decryption", {})
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_nothing_is_decompressed() -> None:
    """A bomb that the library itself would open: `zip` is refused before anything is decrypted."""
    registry = jose._Registry(algorithms=["ECDH-ES+A256KW", "A256GCM", "DEF"])
    key = ECKey.import_key(json.loads(json.dumps(_jwk(EC.private.public_key()))))
    body = jwe.encrypt_compact(_BASE | {"zip": "DEF"}, b"0" * 5_000_000, key, registry=registry).encode()
    assert len(body) < 20_000
    assert refused(body) == ("body.encryption-profile", refused(body)[1]) and "≠ zip" in refused(body)[1]


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_the_library_itself_allows_three_algorithms_and_no_more() -> None:
    rsa = RSAKey.generate_key(2048)
    for algorithm, key in (
        ("RSA1_5", rsa),
        ("RSA-OAEP", rsa),
        ("dir", OctKey.generate_key(256)),
        ("PBES2-HS256+A128KW", OctKey.generate_key(128)),
    ):
        body = jwe.encrypt_compact(
            {"alg": algorithm, "enc": "A256GCM"}, PAYLOAD, key, algorithms=[algorithm, "A256GCM"]
        )
        with pytest.raises(Exception, match="not allowed"):
            jwe.decrypt_compact(body, key, registry=jose._REGISTRY)


# --- what is inside ---------------------------------------------------------------------------------------------------


def around(jws: bytes) -> bytes:
    """Encrypted as it should be, whatever it is."""
    key, _ = jose._public(EC.encrypt_key())
    return jwe.encrypt_compact(dict(_BASE), jws, key, registry=jose._REGISTRY).encode()


def resigned(header: dict[str, Any] | str, payload: bytes = PAYLOAD, by: Any = ME) -> bytes:
    signed = b64(header) + b"." + b64(payload)
    return signed + b"." + b64(by.sign_jose(signed))


_JWS = {"alg": "ES256", "kid": ME.key_id, "cty": JSON}


@pytest.mark.parametrize(
    ("jws", "code"),
    [
        (b64(_JWS | {"alg": "none"}) + b"." + b64(PAYLOAD) + b".AAAA", "signature.algorithm"),
        (b64(_JWS | {"alg": "none"}) + b"." + b64(PAYLOAD) + b".", "body.encryption-profile"),
        (resigned(_JWS | {"alg": "ES384"}), "signature.algorithm"),
        (resigned(_JWS | {"alg": "RS256"}), "signature.algorithm"),
        (resigned(_JWS | {"alg": None}), "signature.algorithm"),
        (resigned(_JWS | {"kid": "nobody.sign-1"}), "signature.unknown-key"),
        (resigned(_JWS | {"kid": "../sign"}), "signature.unknown-key"),
        (resigned(_JWS | {"kid": 7}), "body.encryption-profile"),
        (resigned({"alg": "ES256", "kid": ME.key_id}), "body.encryption-profile"),
        (resigned(_JWS | {"jwk": {"kty": "EC"}}), "body.encryption-profile"),
        (resigned(_JWS | {"jku": "https://evil.example"}), "body.encryption-profile"),
        (resigned(_JWS | {"x5c": ["MIIB"]}), "body.encryption-profile"),
        (resigned(_JWS | {"x5u": "https://evil.example"}), "body.encryption-profile"),
        (resigned(_JWS | {"crit": ["b64"], "b64": False}), "body.encryption-profile"),
        (resigned(_JWS | {"zip": "DEF"}), "body.encryption-profile"),
        (resigned(_JWS | {"typ": "JWT"}), "body.encryption-profile"),
        (
            resigned('{"alg":"none","alg":"ES256","kid":"mot-cua.sign-1","cty":"application/json"}'),
            "body.encryption-profile",
        ),
        (resigned(_JWS)[:-4] + b"AAAA", "signature.wrong"),
        (resigned(_JWS, by=signer("mot-cua")), "signature.wrong"),
        (b64(_JWS) + b".." + b64(ME.sign_jose(b64(_JWS) + b".")), "body.encryption-profile"),  # detached
        (json.dumps({"payload": "AAAA", "protected": "AAAA", "signature": "AAAA"}).encode(), "body.encryption-profile"),
        (PAYLOAD, "body.encryption-profile"),  # encrypted only
    ],
)
def test_a_signature_that_does_not_hold(jws: bytes, code: str) -> None:
    assert refused(around(jws))[0] == code


def test_hmac_with_the_public_key_is_no_signature() -> None:
    signed = b64(_JWS | {"alg": "HS256"}) + b"." + b64(PAYLOAD)
    mac = hmac.HMAC(ME.certificate_der, hashes.SHA256())
    mac.update(signed)
    assert refused(around(signed + b"." + b64(mac.finalize())))[0] == "signature.algorithm"


def test_a_der_signature_and_a_malleated_one() -> None:
    signed = b64(_JWS) + b"." + b64(PAYLOAD)
    der = ME.private.sign(signed, ec.ECDSA(hashes.SHA256()))  # type: ignore[call-arg,arg-type]  # the key is of P-256
    assert refused(around(signed + b"." + b64(der)))[0] == "signature.wrong"
    assert refused(around(signed + b"." + b64(bytes(64))))[0] == "signature.wrong"


def test_a_body_in_a_body_is_handed_out_as_what_it_is() -> None:
    """Nesting deeper: the payload is then no JSON, and its media type says so; nothing opens it a second time."""
    opened = Opener([EC]).open(sealed(sealed(), media_type="application/jose"), known(ME), NOW)
    assert opened.media_type == "application/jose" and opened.payload.count(b".") == 4


def test_a_signature_of_a_certificate_that_is_over() -> None:
    with pytest.raises(Theirs) as caught:
        Opener([EC]).open(sealed(), known(ME), NOW + 400 * 86400)
    assert caught.value.code == "signature.key-expired"


def _jwk(public: Any) -> dict[str, str]:
    numbers = public.public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": b64(numbers.x.to_bytes(32, "big")).decode(),
        "y": b64(numbers.y.to_bytes(32, "big")).decode(),
    }
