"""Encrypted bodies against other implementations, both ways: jwcrypto, npm `jose` where Node is there, and the client
of `examples/`, written by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from jwcrypto import jwe, jwk, jws

from gateway.sample_client import jose as byhand
from gateway.sample_client.errors import WrongAnswer
from gateway.sample_client.signing import Signer, Verifier
from security.jose import Opener, seal
from security.pki.authority import certificate_pem, private_pem
from tests.security.joseparts import NOW, PAYLOAD, known, receiver, signer

JSON = "application/json"
SENDERS = {"ES256": signer("mot-cua"), "EdDSA": signer("mot-cua", "Ed25519"), "PS256": signer("mot-cua", "RSA-2048")}
RECEIVERS = {"RSA-OAEP-256": receiver("gateway", "RSA-2048"), "ECDH-ES+A256KW": receiver("gateway", "P-256")}
every = pytest.mark.parametrize(("alg", "wrap"), [(alg, wrap) for alg in SENDERS for wrap in RECEIVERS])


def headers(alg: str, wrap: str) -> tuple[dict[str, str], dict[str, str]]:
    return (
        {"alg": alg, "kid": SENDERS[alg].key_id, "cty": JSON},
        {"alg": wrap, "enc": "A256GCM", "kid": RECEIVERS[wrap].key_id, "cty": "JWS"},
    )


def certificate(der: bytes) -> str:
    return certificate_pem(x509.load_der_x509_certificate(der)).decode()


def key(pem: bytes | str) -> jwk.JWK:
    made = jwk.JWK()
    made.import_from_pem(pem.encode() if isinstance(pem, str) else pem)
    return made


@every
def test_jwcrypto_opens_what_we_seal(alg: str, wrap: str) -> None:
    body, _ = seal(PAYLOAD, JSON, SENDERS[alg], RECEIVERS[wrap].encrypt_key())
    outer = jwe.JWE(algs=[wrap, "A256GCM"])
    outer.deserialize(body.decode(), key(private_pem(RECEIVERS[wrap].private)))
    inner = jws.JWS()
    inner.allowed_algs = [alg]
    inner.deserialize(outer.payload.decode(), key(certificate(SENDERS[alg].certificate_der)))
    signed, encrypted = headers(alg, wrap)
    assert inner.payload == PAYLOAD and inner.jose_header == signed
    assert {name: value for name, value in outer.jose_header.items() if name != "epk"} == encrypted


@every
def test_we_open_what_jwcrypto_seals(alg: str, wrap: str) -> None:
    signed, encrypted = headers(alg, wrap)
    inner = jws.JWS(PAYLOAD)
    inner.allowed_algs = [alg]
    inner.add_signature(key(private_pem(SENDERS[alg].private)), None, json.dumps(signed))
    outer = jwe.JWE(inner.serialize(compact=True).encode(), json.dumps(encrypted), algs=[wrap, "A256GCM"])
    outer.add_recipient(key(certificate(RECEIVERS[wrap].certificate_der)))
    opened = Opener([RECEIVERS[wrap]]).open(outer.serialize(compact=True).encode(), known(SENDERS[alg]), NOW)
    assert (opened.payload, opened.media_type) == (PAYLOAD, JSON)


@every
def test_npm_jose_opens_what_we_seal(alg: str, wrap: str, node: Any) -> None:
    body, _ = seal(PAYLOAD, JSON, SENDERS[alg], RECEIVERS[wrap].encrypt_key())
    pem, signing = private_pem(RECEIVERS[wrap].private).decode(), certificate(SENDERS[alg].certificate_der)
    found = node("open", body=body.decode(), alg=alg, key=pem, certificate=signing)
    signed, encrypted = headers(alg, wrap)
    assert found["payload"].encode() == PAYLOAD and found["inner"] == signed
    assert {name: value for name, value in found["outer"].items() if name != "epk"} == encrypted


@every
def test_we_open_what_npm_jose_seals(alg: str, wrap: str, node: Any) -> None:
    signed, encrypted = headers(alg, wrap)
    pem, certified = private_pem(SENDERS[alg].private).decode(), certificate(RECEIVERS[wrap].certificate_der)
    body = node("seal", payload=PAYLOAD.decode(), header=signed, signer=pem, jwe=encrypted, receiver=certified)
    assert Opener([RECEIVERS[wrap]]).open(body.encode(), known(SENDERS[alg]), NOW).payload == PAYLOAD


@pytest.mark.parametrize("wrap", RECEIVERS)
@pytest.mark.parametrize("alg", ["ES256", "EdDSA"])
def test_the_example_written_from_the_page_alone(alg: str, wrap: str) -> None:
    sender, own = SENDERS[alg], RECEIVERS[wrap]
    pem, signing = private_pem(sender.private), x509.load_der_x509_certificate(sender.certificate_der)
    theirs = Signer.from_pem(sender.key_id, pem, signing.public_bytes(serialization.Encoding.PEM))
    body = byhand.seal(PAYLOAD, JSON, theirs, own.key_id, x509.load_der_x509_certificate(own.certificate_der))
    assert Opener([own]).open(body, known(sender), NOW).payload == PAYLOAD
    back, _ = seal(PAYLOAD, JSON, sender, own.encrypt_key())

    def signed_by(key_id: str) -> list[Verifier]:
        return [Verifier(key_id, signing)]

    assert byhand.unseal(back, own.key_id, own.private, signed_by, NOW) == (PAYLOAD, JSON)
    for wrong in (back[:-4] + b"AAAA", back[1:], b"", back.rpartition(b".")[0]):
        with pytest.raises(WrongAnswer):
            byhand.unseal(wrong, own.key_id, own.private, signed_by, NOW)
    other = x509.load_der_x509_certificate(signer("mot-cua", "Ed25519" if alg == "EdDSA" else "P-256").certificate_der)
    with pytest.raises(WrongAnswer):
        byhand.unseal(back, own.key_id, own.private, lambda key_id: [Verifier(key_id, other)], NOW)
