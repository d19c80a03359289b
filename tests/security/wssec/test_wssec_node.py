"""WS-Security against Node: npm `soap` and `xml-crypto` for signatures, `xml-encryption` for encrypted bodies, both
ways.

The packages are installed by `npm ci` from the lock beside `node/oracle.cjs`, once a machine, into the user's cache.
Without Node, or where no registry can be reached, these tests are skipped, and say so. npm `soap` signs with RSA only,
and its own Timestamp lives ten minutes, twice what is allowed: a caller gives its own (`docs/wire.md`).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree

from contracts.base.errors import Theirs
from contracts.wire.soap import V11, V12, Version, parse_envelope
from security.encryption_keys import DecryptKey
from security.pki.authority import certificate_pem, private_pem
from security.wssec.decrypt import BodyKeys, decrypt_envelope
from security.wssec.encrypt import encrypt_envelope
from security.wssec.names import DS, THUMBPRINT_SHA1, WSA, WSSE, WSU, XENC, XENC11
from security.wssec.sign import EnvelopeHeaders
from security.wssec.verify import caller_block, sign_envelope, verify_envelope
from tests.security.identities import Pair

CHILD = '<getStatus xmlns="urn:a"><code>H14.22 &amp; 0001</code><applicant>Hồ sơ của công dân</applicant></getStatus>'
both = pytest.mark.parametrize("version", [V11, V12], ids=lambda version: version.number)


def pem(der: bytes) -> str:
    return certificate_pem(x509.load_der_x509_certificate(der)).decode()


def unsigned(version: Version) -> str:
    return (
        f'<soap:Envelope xmlns:soap="{version.namespace}" xmlns:wsa="{WSA}" xmlns:wsu="{WSU}"><soap:Header>'
        "<wsa:Action>urn:x</wsa:Action><wsa:MessageID>urn:uuid:1</wsa:MessageID></soap:Header>"
        f"<soap:Body>{CHILD}</soap:Body></soap:Envelope>"
    )


def by_npm_soap(
    node: Callable[..., Any],
    pair: Pair,
    now: float,
    version: Version,
    *,
    with_token: bool = False,
    stamp: bool = True,
    parts: Any = ("wsa:Action", "wsa:MessageID", "wsse:BinarySecurityToken"),
) -> str:
    at = datetime.fromtimestamp(now, UTC)
    created, expires = f"{at:%Y-%m-%dT%H:%M:%S}Z", f"{at:%Y-%m-%dT%H}:05:00Z"
    own = f"<wsu:Timestamp><wsu:Created>{created}</wsu:Created><wsu:Expires>{expires}</wsu:Expires></wsu:Timestamp>"
    options = {
        "hasTimeStamp": not stamp,
        "additionalReferences": [*parts, *(["wsu:Timestamp"] if stamp else [])],
        "appendElement": own if stamp else "",
    }
    envelope: str = node(
        "sign",
        envelope=unsigned(version),
        prefix="soap",
        key=private_pem(pair.sign.private).decode(),
        certificate=pem(pair.sign.certificate_der),
        withToken=with_token,
        options=options,
    )
    return envelope


@both
def test_we_accept_what_npm_soap_signs(version: Version, node: Callable[..., Any], rsa_pair: Pair, now: float) -> None:
    """It always puts `enveloped-signature` before exclusive C14N, and names parts by a plain Id."""
    raw = by_npm_soap(node, rsa_pair, now, version)
    assert raw.count("#enveloped-signature") == 5
    envelope = verify_envelope(parse_envelope(raw.encode(), version), lambda _: rsa_pair.verify, now)
    assert (envelope.action, envelope.message_id, envelope.body[0].tag) == ("urn:x", "urn:uuid:1", "{urn:a}getStatus")


def test_its_signature_with_a_user_token_has_no_key_info(node: Callable[..., Any], rsa_pair: Pair, now: float) -> None:
    """`WSSecurityCertWithToken` of this version leaves ds:KeyInfo out around the reference to its token: no XML
    signature, so it is refused."""
    raw = by_npm_soap(node, rsa_pair, now, V11, with_token=True)
    assert "KeyInfo" not in raw
    with pytest.raises(Theirs) as caught:
        verify_envelope(parse_envelope(raw.encode()), lambda _: rsa_pair.verify, now)
    assert (caught.value.code, caught.value.facts["where"]) == ("signature.malformed", "ds:Signature")


def test_its_own_timestamp_lives_too_long(node: Callable[..., Any], rsa_pair: Pair, now: float) -> None:
    raw = by_npm_soap(node, rsa_pair, now, V11, stamp=False)
    with pytest.raises(Theirs) as caught:
        verify_envelope(parse_envelope(raw.encode()), lambda _: rsa_pair.verify, now)
    assert (caught.value.code, caught.value.facts["lifetime"]) == ("signature.lifetime", 600.0)


def test_what_it_signs_by_default_does_not_cover_enough(node: Callable[..., Any], rsa_pair: Pair, now: float) -> None:
    raw = by_npm_soap(node, rsa_pair, now, V11, parts=())
    with pytest.raises(Theirs) as caught:
        verify_envelope(parse_envelope(raw.encode()), lambda _: rsa_pair.verify, now)
    assert caught.value.code == "signature.not-covering"
    assert caught.value.facts["missing"] == "wsse:BinarySecurityToken, wsa:Action, wsa:MessageID"


def test_an_ec_key_that_it_labels_as_rsa_is_refused(node: Callable[..., Any], p256: Pair, now: float) -> None:
    raw = by_npm_soap(node, p256, now, V11)
    assert "#rsa-sha256" in raw
    with pytest.raises(Theirs) as caught:
        verify_envelope(parse_envelope(raw.encode()), lambda _: p256.verify, now)
    assert caught.value.code == "signature.algorithm"


@both
def test_xml_crypto_accepts_what_we_sign(
    version: Version, node: Callable[..., Any], rsa_pair: Pair, now: float
) -> None:
    raw = sign_envelope(
        CHILD.encode(),
        rsa_pair.sign,
        now,
        EnvelopeHeaders(action="urn:x", message_id="urn:uuid:1"),
        blocks=[caller_block("H14.2", "một-cửa")],
        version=version,
    )
    covered = node("verify", envelope=raw.decode(), certificate=pem(rsa_pair.sign.certificate_der))
    assert len(covered) == 6 and sum("getStatus" in each for each in covered) == 1


@both
def test_xml_encryption_decrypts_what_we_encrypt(
    version: Version, node: Callable[..., Any], p256: Pair, crypt: DecryptKey, now: float
) -> None:
    raw = sign_envelope(
        CHILD.encode(), p256.sign, now, EnvelopeHeaders(action="urn:x", message_id="urn:uuid:1"), version=version
    )
    root: Any = etree.fromstring(encrypt_envelope(raw, crypt.encrypt_key(), version))
    data, key = next(root.iter(f"{{{XENC}}}EncryptedData")), next(root.iter(f"{{{XENC}}}EncryptedKey"))
    info = data.find(f"{{{DS}}}KeyInfo")  # it looks for the key where WS-Security does not put it
    info.remove(info[0])
    info.append(key)
    assert node("decrypt", data=etree.tostring(data).decode(), key=private_pem(crypt.private).decode()) == CHILD


@both
def test_we_decrypt_what_xml_encryption_encrypts(
    version: Version, node: Callable[..., Any], p256: Pair, crypt: DecryptKey, now: float
) -> None:
    raw = sign_envelope(
        CHILD.encode(), p256.sign, now, EnvelopeHeaders(action="urn:x", message_id="urn:uuid:1"), version=version
    )
    public = crypt.encrypt_key().public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    made: Any = etree.fromstring(
        node("encrypt", content=CHILD, key=public, certificate=pem(crypt.certificate_der)).strip()
    )
    key: Any = next(made.iter(f"{{{XENC}}}EncryptedKey"))
    key.getparent().getparent().remove(key.getparent())
    # Its parts as WS-Security puts them; DigestMethod comes from it in the namespace of MGF's neighbour, which is that
    # of XML Signature.
    method = key.find(f"{{{XENC}}}EncryptionMethod")
    assert {each.tag for each in method} == {f"{{{DS}}}DigestMethod", f"{{{XENC11}}}MGF"}
    for old in key.findall(f"{{{DS}}}KeyInfo"):
        key.remove(old)
    name = base64.b64encode(hashlib.sha1(crypt.certificate_der, usedforsecurity=False).digest()).decode()
    key.insert(
        1,
        etree.fromstring(
            f'<d:KeyInfo xmlns:d="{DS}" xmlns:w="{WSSE}"><w:SecurityTokenReference><w:KeyIdentifier '
            f'ValueType="{THUMBPRINT_SHA1}">{name}'
            "</w:KeyIdentifier></w:SecurityTokenReference></d:KeyInfo>"
        ),
    )
    key.append(etree.fromstring(f'<x:ReferenceList xmlns:x="{XENC}"><x:DataReference URI="#ED"/></x:ReferenceList>'))
    made.set("Id", "ED")
    made.set("Type", f"{XENC}Content")
    root = etree.fromstring(raw)
    root[1].remove(root[1][0])
    root[1].append(made)
    made.tail = None
    next(root.iter(f"{{{WSSE}}}Security")).insert(0, key)
    opened = decrypt_envelope(parse_envelope(etree.tostring(root), version), BodyKeys([crypt]))
    assert verify_envelope(opened.root, lambda _: p256.verify, now).body[0].tag == "{urn:a}getStatus"
