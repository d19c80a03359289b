"""What a certificate or a request says of whose it is: one system, or none; whatever else is refused, and never a fault
of ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID

from contracts.base.errors import Theirs
from security.pki.authority import read_request, system_of

URN = "urn:lgsp:system:"
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sở Y tế")])
X400 = x509.UnrecognizedExtension(
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME, bytes.fromhex("3002a300")
)  # a kind of name that nobody reads


def uris(*names: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(each) for each in names])


def certificate(names: x509.ExtensionType) -> x509.Certificate:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(NAME).issuer_name(NAME).public_key(key.public_key())
    builder = (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
    )
    return builder.add_extension(names, critical=False).sign(key, hashes.SHA256())


def request(names: x509.ExtensionType) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(NAME).add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    "names",
    [
        uris(URN + "y-te", URN + "do-thi"),
        uris(URN + "y-te", "URN:LGSP:System:do-thi"),
        uris(URN + "y-te", URN + "y-te"),
        X400,
    ],
    ids=["two", "two spellings", "twice", "unreadable"],
)
def test_whoever_names_several_is_nobody(names: x509.ExtensionType) -> None:
    for read in (lambda: system_of(certificate(names)), lambda: read_request(request(names))):
        with pytest.raises(Theirs) as refused:
            read()
        assert refused.value.code == "key.unacceptable"


def test_a_name_is_one_in_any_spelling_of_its_scheme() -> None:
    assert system_of(certificate(uris("URN:LGSP:SYSTEM:do-thi"))) == "do-thi"
    assert system_of(certificate(uris("https://y-te.example/", URN))) is None
    for odd in ("y-te/../do-thi", "y-te%00", "*"):
        assert system_of(certificate(uris(URN + odd))) == odd  # and so of nobody that is registered
        assert read_request(request(uris(URN + odd))).system == odd
