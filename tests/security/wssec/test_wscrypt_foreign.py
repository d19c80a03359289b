"""XML Encryption against python-xmlsec (libxmlsec1), both ways, with its signatures too; and what WSS4J's manner looks
like."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
import xmlsec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from lxml import etree

from contracts.base.errors import Theirs
from contracts.wire.soap import V11, V12, Version, parse_envelope
from security.encryption_keys import DecryptKey
from security.pki.authority import private_pem
from security.wssec.decrypt import BodyKeys, decrypt_envelope
from security.wssec.encrypt import encrypt_envelope
from security.wssec.names import (
    AES256_GCM,
    DIGEST_SHA256,
    DS,
    ENCRYPTED_KEY,
    MGF1_SHA256,
    RSA_OAEP,
    THUMBPRINT_SHA1,
    WSSE,
    WSU,
    XENC,
    XENC11,
)
from security.wssec.sign import EnvelopeHeaders
from security.wssec.verify import sign_envelope, verify_envelope
from tests.security.identities import Pair
from tests.security.wssec.test_wssec_foreign import BODIES, CHILD, _foreign, signxml_verifies, trees, xmlsec_verifies

KEY, DATA = f"{{{XENC}}}EncryptedKey", f"{{{XENC}}}EncryptedData"


@pytest.fixture(params=["p256", "rsa_pair"])
def pair(request: pytest.FixtureRequest) -> Pair:
    made: Pair = request.getfixturevalue(request.param)
    return made


def xmlsec_decrypts(raw: bytes, crypt: DecryptKey) -> Any:
    """As a WS-Security stack over libxmlsec1 would: the EncryptedKey of the header first, then the data in its
    place."""
    root: Any = etree.fromstring(raw)
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory(private_pem(crypt.private), xmlsec.constants.KeyDataFormatPem))
    wrapped: Any = next(root.iter(KEY))
    content_key: Any = xmlsec.EncryptionContext(manager).decrypt(wrapped)
    context = xmlsec.EncryptionContext()
    context.key = xmlsec.Key.from_binary_data(xmlsec.constants.KeyDataAes, content_key)
    context.decrypt(next(root.iter(DATA)))
    wrapped.getparent().remove(wrapped)
    return root


@pytest.mark.parametrize("version", [V11, V12], ids=lambda version: version.number)
def test_xmlsec_decrypts_and_verifies_what_we_make(pair: Pair, version: Version, crypt: DecryptKey, now: float) -> None:
    raw = sign_envelope(
        CHILD, pair.sign, now, EnvelopeHeaders(action="urn:x", message_id="urn:uuid:1"), version=version
    )
    root = xmlsec_decrypts(encrypt_envelope(raw, crypt.encrypt_key(), version), crypt)
    assert etree.tostring(root) == etree.tostring(etree.fromstring(raw))
    xmlsec_verifies(root, pair)
    signxml_verifies(etree.fromstring(etree.tostring(root)), pair, 5)


def xmlsec_encrypts(
    raw: bytes,
    crypt: DecryptKey,
    *,
    indent: bool = False,
    digest: str = DIGEST_SHA256,
    mgf: str | None = MGF1_SHA256,
    named: bool = True,
) -> bytes:
    """An envelope encrypted by xmlsec: it wraps the key inside the data, and WS-Security takes it from there into the
    header."""
    root = etree.fromstring(raw)
    body = root[1]
    data = xmlsec.template.encrypted_data_create(
        root, xmlsec.constants.TransformAes256Gcm, type=xmlsec.constants.TypeEncContent, ns="xenc", id="ED-1"
    )
    xmlsec.template.encrypted_data_ensure_cipher_value(data)
    key_info = xmlsec.template.encrypted_data_ensure_key_info(data, ns="dsig")
    wrapped = xmlsec.template.add_encrypted_key(key_info, xmlsec.constants.TransformRsaOaep, id="EK-1")
    xmlsec.template.encrypted_data_ensure_cipher_value(wrapped)
    method = wrapped[0]
    method.set("Algorithm", RSA_OAEP)  # libxmlsec1 1.3 knows it; the binding has no name for it
    etree.SubElement(method, f"{{{DS}}}DigestMethod").set("Algorithm", digest)
    if mgf is not None:
        etree.SubElement(method, f"{{{XENC11}}}MGF").set("Algorithm", mgf)
    manager = xmlsec.KeysManager()
    pem = crypt.encrypt_key().public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    manager.add_key(xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatPem))
    context = xmlsec.EncryptionContext(manager)
    context.key = xmlsec.Key.generate(xmlsec.constants.KeyDataAes, 256, xmlsec.constants.KeyDataTypeSession)
    context.encrypt_xml(data, body)
    root = etree.fromstring(etree.tostring(root))  # the binding leaves the tree's objects behind
    data, wrapped = next(root.iter(DATA)), next(root.iter(KEY))
    info: Any = data.find(f"{{{DS}}}KeyInfo")
    info.remove(wrapped)
    holder = etree.SubElement(info, f"{{{WSSE}}}SecurityTokenReference")
    etree.SubElement(holder, f"{{{WSSE}}}Reference").set("URI", "#EK-1")
    holder[0].set("ValueType", ENCRYPTED_KEY)
    if not named:
        data.remove(info)
    own = etree.Element(f"{{{DS}}}KeyInfo")
    wrapped.insert(1, own)
    holder = etree.SubElement(own, f"{{{WSSE}}}SecurityTokenReference")
    name = etree.SubElement(holder, f"{{{WSSE}}}KeyIdentifier")
    name.set("ValueType", THUMBPRINT_SHA1)
    name.text = base64.b64encode(hashlib.sha1(crypt.certificate_der, usedforsecurity=False).digest()).decode()
    etree.SubElement(etree.SubElement(wrapped, f"{{{XENC}}}ReferenceList"), f"{{{XENC}}}DataReference").set(
        "URI", "#ED-1"
    )
    security = next(root.iter(f"{{{WSSE}}}Security"))
    security.insert(0, wrapped)
    if indent:
        etree.indent(wrapped)
        etree.indent(data)
    return etree.tostring(root)


def received(raw: bytes, crypt: DecryptKey, pair: Pair, now: float) -> Any:
    return verify_envelope(decrypt_envelope(parse_envelope(raw), BodyKeys([crypt])).root, lambda _: pair.verify, now)


# The binding dies on content that ends in text, as the fourth does.
@pytest.mark.parametrize("body", BODIES[:3])
@pytest.mark.parametrize(
    "manner", [{}, {"indent": True}, {"named": False}], ids=lambda manner: "-".join(manner) or "plain"
)
def test_we_decrypt_and_verify_what_xmlsec_makes(
    pair: Pair, crypt: DecryptKey, now: float, body: str, manner: dict[str, Any]
) -> None:
    """Its plaintext leans on the namespaces of the envelope around it."""
    raw = xmlsec_encrypts(_foreign(pair, now, body=body), crypt, **manner)
    envelope = received(raw, crypt, pair, now)
    assert (envelope.action, envelope.message_id) == ("urn:x", "urn:uuid:1")
    plain = verify_envelope(etree.fromstring(_foreign(pair, now, body=body)), lambda _: pair.verify, now)
    assert envelope.payload_digest == plain.payload_digest


@pytest.mark.parametrize(
    "weak",
    [{"digest": "http://www.w3.org/2000/09/xmldsig#sha1"}, {"mgf": XENC11 + "mgf1sha1"}, {"mgf": None}],
    ids=lambda weak: "-".join(weak),
)
def test_real_messages_of_a_weaker_profile_are_refused(
    weak: dict[str, Any], p256: Pair, crypt: DecryptKey, now: float
) -> None:
    """xmlsec makes them, and would read them; we do not."""
    with pytest.raises(Theirs) as caught:
        received(xmlsec_encrypts(_foreign(p256, now, body=BODIES[0]), crypt, **weak), crypt, p256, now)
    assert caught.value.code == "body.encryption-profile"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=trees())
def test_any_content_encrypted_by_xmlsec(body: str, p256: Pair, crypt: DecryptKey, now: float) -> None:
    raw = _foreign(p256, now, body=body, outer='xmlns:k="urn:k" xmlns="urn:outer"')
    assert received(xmlsec_encrypts(raw, crypt), crypt, p256, now).action == "urn:x"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=trees())
def test_any_content_encrypted_by_us(body: str, p256: Pair, crypt: DecryptKey, now: float) -> None:
    holder = etree.fromstring(f'<h xmlns:k="urn:k" xmlns:S="{V11.namespace}" xmlns:wsu="{WSU}">{body}</h>')
    canonical = etree.tostring(holder[0], method="c14n", exclusive=True, with_tail=False)
    raw = encrypt_envelope(
        sign_envelope(canonical, p256.sign, now, EnvelopeHeaders(action="urn:x", message_id="m")), crypt.encrypt_key()
    )
    xmlsec_verifies(xmlsec_decrypts(raw, crypt), p256)
    assert received(raw, crypt, p256, now).message_id == "m"
    assert next(etree.fromstring(raw).iter(DATA))[0].get("Algorithm") == AES256_GCM
