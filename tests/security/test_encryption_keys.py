"""Encryption certificates: what is issued never signs, and no other certificate is taken to encrypt for."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from contracts.base.errors import Theirs
from security.algorithms import KeyType, new_private
from security.encryption_keys import DecryptKey, EncryptKey, newest
from security.pki.authority import (
    Authority,
    certificate_pem,
    issue_encryption,
    issue_signing,
    issue_tls,
    make_issuer,
    make_root,
    private_pem,
)

NOW = float(int(time.time()))
DAY = 86400


@pytest.fixture(scope="module")
def issuer() -> Authority:
    return make_issuer(make_root("Root", NOW), "Signing", NOW)


@pytest.mark.parametrize(("kind", "usage"), [("RSA-3072", "key_encipherment"), ("P-256", "key_agreement")])
def test_an_encryption_certificate_does_nothing_else(issuer: Authority, kind: KeyType, usage: str) -> None:
    private = new_private(kind)
    pem = issue_encryption(issuer, "mot-cua", private.public_key(), NOW)
    found = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(x509.KeyUsage).value
    allowed = {
        name
        for name in ("digital_signature", "content_commitment", "key_encipherment", "key_agreement", "key_cert_sign")
        if getattr(found, name)
    }
    assert allowed == {usage}
    key = EncryptKey.from_certificate("mot-cua.encrypt-1", "mot-cua", pem)
    own = DecryptKey.from_pem("mot-cua.encrypt-1", private_pem(private), pem)
    assert own.encrypt_key("mot-cua") == key
    assert own.thumbprint == key.thumbprint
    assert private_pem(private).decode() not in repr(own)


def test_certificates_for_something_else_are_refused(issuer: Authority) -> None:
    small, big, curve = (
        rsa.generate_private_key(65537, 1024),
        new_private("RSA-3072"),
        ec.generate_private_key(ec.SECP384R1()),
    )
    signing = issue_signing(issuer, "x", big.public_key(), NOW)
    channel = issue_tls(issuer, "x", new_private().public_key(), NOW)
    for certificate in (
        signing,
        channel,
        issuer.pem,
        b"no certificate",
        _self_signed(small),
        _self_signed(curve),
        _self_signed(new_private("Ed25519")),
    ):
        with pytest.raises(Theirs) as caught:
            EncryptKey.from_certificate("x.encrypt-1", "x", certificate)
        assert caught.value.code == "key.unacceptable"
    with pytest.raises(Theirs):
        issue_encryption(issuer, "x", new_private("Ed25519").public_key(), NOW)
    with pytest.raises(Theirs):  # of another key
        DecryptKey.from_pem(
            "x", private_pem(new_private("RSA-3072")), issue_encryption(issuer, "x", big.public_key(), NOW)
        )


def test_an_outside_certificate_without_key_usage_is_taken() -> None:
    assert (
        EncryptKey.from_certificate("x.encrypt-1", "x", _self_signed(new_private("RSA-2048"))).key_id == "x.encrypt-1"
    )


def test_the_newest_in_time_is_used(issuer: Authority) -> None:
    def key(number: int, since: float, kind: KeyType = "P-256") -> EncryptKey:
        return EncryptKey.from_certificate(
            f"x.encrypt-{number}", "x", issue_encryption(issuer, "x", new_private(kind).public_key(), since)
        )

    old, new, later = key(1, NOW - 20 * DAY, "RSA-2048"), key(2, NOW - 10 * DAY), key(3, NOW + DAY)
    assert newest((old, new, later), NOW) is new
    assert newest((old, new, later), NOW, rsa.RSAPublicKey) is old
    assert newest((old,), NOW + 400 * DAY) is None
    assert newest((), NOW) is None


def _self_signed(private: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    start = datetime.fromtimestamp(NOW, UTC)
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key()).serial_number(1)
    )
    builder = builder.not_valid_before(start).not_valid_after(start + timedelta(days=1))
    digest = None if isinstance(private, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return certificate_pem(builder.sign(private, digest))
