"""Encrypted SOAP bodies as the clients know them from the wire page, against the product's own reading, both ways: two
witnesses."""

from __future__ import annotations

import time
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree

from contracts.wire.soap import VERSIONS, parse_envelope
from gateway.sample_client.signing import Verifier
from gateway.sample_client.wscrypt import XENC, decrypt, encrypt, is_encrypted
from gateway.sample_client.wssec import SOAP, SOAP12, BadEnvelope, new_envelope, parse, serialise, sign, verify
from security.encryption_keys import DecryptKey
from security.keys import SigningKey
from security.pki.authority import issue_encryption, make_issuer, make_root, private_pem
from security.wssec.decrypt import BodyKeys, decrypt_envelope
from security.wssec.encrypt import encrypt_envelope
from security.wssec.sign import EnvelopeHeaders
from security.wssec.verify import sign_envelope, verify_envelope

BODY = (
    '<q:TraCuu xmlns:q="urn:q" loai="1"><q:Ma>H14.22 &amp; 0001</q:Ma><q:Ten>Nguyễn Thị Ượng</q:Ten></q:TraCuu>'
).encode()
both = pytest.mark.parametrize("soap", [SOAP, SOAP12], ids=["1.1", "1.2"])


@pytest.fixture(scope="module")
def receiver() -> DecryptKey:
    now = time.time()
    issuer = make_issuer(make_root("Root", now), "Issuer", now)
    private = rsa.generate_private_key(65537, 3072)
    return DecryptKey.from_pem(
        "gateway.encrypt-1", private_pem(private), issue_encryption(issuer, "gateway", private.public_key(), now)
    )


def certificate(key: DecryptKey) -> x509.Certificate:
    return x509.load_der_x509_certificate(key.certificate_der)


def signed(identity: Any, soap: str) -> Any:
    headers = [("Action", "action", "urn:x:do"), ("MessageID", "message-id", "urn:uuid:1")]
    return parse(serialise(sign(new_envelope(parse(BODY), soap), identity.signer, headers=headers, now=time.time())))


@both
@pytest.mark.parametrize("system", ["canh-bao", "may-cu"])
def test_the_product_reads_what_the_client_encrypts(
    system: str, soap: str, identities: Any, receiver: DecryptKey
) -> None:
    identity = identities(system)
    raw = serialise(encrypt(signed(identity, soap), certificate(receiver)))
    assert "Ượng".encode() not in raw
    version = VERSIONS[f"{{{soap}}}Envelope"]
    opened = decrypt_envelope(parse_envelope(raw, version), BodyKeys([receiver]))
    key = SigningKey.make(identity.signer.key_id, identity.signer.key, identity.signer.certificate_der).verify_key()
    assert verify_envelope(opened.root, {key.thumbprint: key}.get, time.time()).body[0].tag == "{urn:q}TraCuu"


@both
def test_the_client_reads_what_the_product_encrypts(soap: str, identities: Any, receiver: DecryptKey) -> None:
    signer = identities("canh-bao").signer
    key = SigningKey.make(signer.key_id, signer.key, signer.certificate_der)
    version = VERSIONS[f"{{{soap}}}Envelope"]
    raw = sign_envelope(
        BODY, key, time.time(), EnvelopeHeaders(action="urn:x", message_id="urn:uuid:1"), version=version
    )
    hidden = parse(encrypt_envelope(raw, receiver.encrypt_key(), version))
    assert is_encrypted(hidden) and isinstance(receiver.private, rsa.RSAPrivateKey)
    root = decrypt(hidden, receiver.private, certificate(receiver))
    assert etree.tostring(root) == etree.tostring(parse(raw))
    mine = Verifier(signer.key_id, signer.certificate)
    found = verify(root, {mine.thumbprint: mine}.get, time.time())
    assert found.body is not None and found.body.tag == "{urn:q}TraCuu"


def spoilt(root: Any, kind: str) -> None:
    data, key = next(root.iter(f"{{{XENC}}}EncryptedData")), next(root.iter(f"{{{XENC}}}EncryptedKey"))
    if kind == "cbc":
        data[0].set("Algorithm", XENC + "aes256-cbc")
    elif kind == "rsa-1_5":
        key[0].set("Algorithm", XENC + "rsa-1_5")
    elif kind == "twice":
        key.addnext(parse(etree.tostring(key)))
    elif kind == "elsewhere":
        data.set("Id", "other")
    elif kind == "changed":
        value = next(data.iter(f"{{{XENC}}}CipherValue"))
        value.text = ("B" if (value.text or "")[0] != "B" else "C") + (value.text or "")[1:]
    elif kind == "for another":
        next(key.iter("{*}KeyIdentifier")).text = "AAAA"
    elif kind == "no base64":
        next(key.iter(f"{{{XENC}}}CipherValue")).text = "*"
    else:
        data.getparent().append(etree.Element("beside"))


@pytest.mark.parametrize(
    "kind", ["cbc", "rsa-1_5", "twice", "elsewhere", "changed", "for another", "no base64", "beside"]
)
def test_the_client_refuses_what_the_page_does_not_allow(kind: str, identities: Any, receiver: DecryptKey) -> None:
    root = encrypt(signed(identities("canh-bao"), SOAP), certificate(receiver))
    spoilt(root, kind)
    assert isinstance(receiver.private, rsa.RSAPrivateKey)
    with pytest.raises(BadEnvelope):
        decrypt(parse(etree.tostring(root)), receiver.private, certificate(receiver))


def test_only_a_signed_envelope_and_only_for_rsa(identities: Any, receiver: DecryptKey) -> None:
    with pytest.raises(BadEnvelope, match="sign first"):
        encrypt(new_envelope(parse(BODY)), certificate(receiver))
    signer = identities("canh-bao").signer
    assert isinstance(signer.key, ec.EllipticCurvePrivateKey)
    with pytest.raises(BadEnvelope, match="RSA"):
        encrypt(signed(identities("canh-bao"), SOAP), signer.certificate)
