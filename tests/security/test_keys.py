"""Keys: which are accepted, and that signatures have the forms the standards ask for."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.base.errors import Theirs
from security.algorithms import natural_algorithm, new_private
from security.keys import SigningKey, VerifyKey, thumbprint
from security.pki.authority import certificate_pem, private_pem
from tests.security.identities import Pair


def refused(call: Callable[..., object], *args: Any, **kw: Any) -> Theirs:
    with pytest.raises(Theirs) as caught:
        call(*args, **kw)
    return caught.value


@pytest.mark.parametrize(("name", "length"), [("p256", 64), ("ed25519_pair", 64), ("rsa_pair", 256), ("pss_pair", 256)])
def test_signatures(name: str, length: int, request: pytest.FixtureRequest) -> None:
    pair = request.getfixturevalue(name)
    signature = pair.sign.sign(b"data")
    assert len(signature) == length
    pair.verify.verify(b"data", signature)
    for data, value in (
        (b"Data", signature),
        (b"data", signature[:-1]),
        (b"data", b""),
        (b"data", bytes(length)),
        (b"data", signature + b"x"),
    ):
        assert refused(pair.verify.verify, data, value).code == "signature.wrong"


def test_ecdsa_der_is_not_taken(p256: Pair) -> None:
    private: Any = p256.sign.private
    der = private.sign(b"data", ec.ECDSA(hashes.SHA256()))
    assert refused(p256.verify.verify, b"data", der).code == "signature.wrong"


def test_r_and_s_must_lie_in_the_group(p256: Pair) -> None:
    raw = p256.sign.sign(b"data")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    for r, s in ((0, 1), (1, 0), (order, 1), (1, order), (2**256 - 1, 1)):
        assert (
            refused(p256.verify.verify, b"data", r.to_bytes(32, "big") + s.to_bytes(32, "big")).code
            == "signature.wrong"
        )
    p256.verify.verify(b"data", raw)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
def test_any_data(data: bytes, p256: Pair, ed25519_pair: Pair) -> None:
    for pair in (p256, ed25519_pair):
        pair.verify.verify(data, pair.sign.sign(data))


def test_xml_signatures_of_rsa_keys_are_pkcs1(pss_pair: Pair, rsa_pair: Pair) -> None:
    signature = pss_pair.sign.sign_xml(b"data")
    pss_pair.verify.verify_xml(b"data", signature)
    assert refused(pss_pair.verify.verify, b"data", signature).code == "signature.wrong"
    assert refused(rsa_pair.verify.verify_xml, b"data", signature).code == "signature.wrong"


def test_which_keys_are_accepted() -> None:
    assert natural_algorithm(new_private("P-256").public_key()).name == "ecdsa-p256-sha256"
    assert natural_algorithm(new_private("Ed25519").public_key()).name == "ed25519"
    assert natural_algorithm(new_private("RSA-2048").public_key()).name == "rsa-v1_5-sha256"
    for weak in (
        ec.generate_private_key(ec.BrainpoolP256R1()),
        ec.generate_private_key(ec.SECP256K1()),
        rsa.generate_private_key(65537, 1024),
        dsa.generate_private_key(2048),
    ):
        assert refused(natural_algorithm, weak.public_key()).code == "key.unacceptable"


def test_the_algorithm_must_fit_the_key(p256: Pair, rsa_pair: Pair) -> None:
    for pair, algorithm in (
        (p256, "ed25519"),
        (rsa_pair, "ecdsa-p256-sha256"),
        (p256, "rsa-pss-sha512"),
        (p256, "none"),
    ):
        assert (
            refused(VerifyKey.from_certificate, "k", "s", pair.sign.certificate_der, algorithm).code
            == "key.unacceptable"
        )
    assert (
        VerifyKey.from_certificate("k", "s", rsa_pair.sign.certificate_der, "rsa-pss-sha512").algorithm
        == "rsa-pss-sha512"
    )


def test_pem_der_and_rubbish(p256: Pair) -> None:
    der = p256.sign.certificate_der
    pem = certificate_pem(x509.load_der_x509_certificate(der))
    assert (
        VerifyKey.from_certificate("k", "s", der)
        == VerifyKey.from_certificate("k", "s", pem)
        == VerifyKey.from_certificate("k", "s", pem.decode())
    )
    for bad in (b"", "", b"-----BEGIN CERTIFICATE-----", "x", der[:-5], "é"):
        assert refused(VerifyKey.from_certificate, "k", "s", bad).code == "key.unacceptable"


def test_thumbprints(p256: Pair) -> None:
    digest = hashlib.sha256(p256.sign.certificate_der).digest()
    assert (
        p256.verify.thumbprint
        == p256.sign.thumbprint
        == thumbprint(p256.sign.certificate_der)
        == urlsafe_b64encode(digest).decode().rstrip("=")
    )


def test_a_private_key_and_its_certificate_belong_together(p256: Pair, other: Pair) -> None:
    pem = private_pem(p256.sign.private)
    assert SigningKey.from_pem("k", pem, p256.sign.certificate_der).verify_key().thumbprint == p256.verify.thumbprint
    assert refused(SigningKey.from_pem, "k", pem, other.sign.certificate_der).code == "key.unacceptable"
    locked = private_pem(p256.sign.private, b"secret")
    assert SigningKey.from_pem("k", locked, p256.sign.certificate_der, password=b"secret").key_id == "k"


def test_nothing_private_is_shown(p256: Pair) -> None:
    assert "private" not in repr(p256.sign) and "PrivateKey" not in repr(p256)


def test_validity(p256: Pair, now: float) -> None:
    p256.verify.check_time(now)
    for at in (p256.verify.valid_from - 1, p256.verify.valid_until + 1):
        assert refused(p256.verify.check_time, at).code == "signature.key-expired"
