"""WS-Security: xmlsec and signxml accept what we sign, we accept what xmlsec signs, and every known twist is
refused."""

from __future__ import annotations

import base64
import time
from copy import deepcopy
from typing import Any

import pytest
import xmlsec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.verifier import SignatureConfiguration, XMLVerifier

from gateway.sample_client import wssec
from gateway.sample_client.identity import Identity
from gateway.sample_client.signing import Verifier
from gateway.sample_client.wssec import (
    DS,
    EXC_C14N,
    ID,
    LGSP,
    SOAP,
    WSA,
    WSSE,
    WSU,
    BadEnvelope,
    Scope,
    new_envelope,
    parse,
    serialise,
    sign,
    verify,
)

BODY = """<cap:alert xmlns:cap="urn:oasis:names:tc:emergency:cap:1.2">
  <cap:identifier>H14.2-CB-2026-000417</cap:identifier><!-- a comment -->
  <cap:headline>Lũ quét &amp; sạt lở đất tại xã Trà Lĩnh – ưỡn ẹo, ỷ lại, đường ngoằn ngoèo</cap:headline>
</cap:alert>"""
SYSTEMS = ["canh-bao", "may-cu"]  # ECDSA and RSA
XMLSEC_ALGORITHM = {"canh-bao": xmlsec.constants.TransformEcdsaSha256, "may-cu": xmlsec.constants.TransformRsaSha256}


def signed(identity: Identity, now: float | None = None, **how: Any) -> bytes:
    headers = [
        ("Action", "action", "urn:x:do"),
        ("MessageID", "message-id", "urn:uuid:1"),
        ("To", "to", "https://localhost/soap"),
    ]
    return serialise(
        sign(
            new_envelope(parse(BODY.encode())),
            identity.signer,
            headers=headers,
            now=time.time() if now is None else now,
            scope=Scope(**how),
        )
    )


def finder(identity: Identity) -> Any:
    key = Verifier(identity.signer.key_id, identity.signer.certificate)
    return {key.thumbprint: key}.get


def xmlsec_verify(raw: bytes, identity: Identity) -> None:
    root: Any = etree.fromstring(raw)
    context = xmlsec.SignatureContext()
    der = identity.signer.certificate_der
    context.key = xmlsec.Key.from_memory(der, xmlsec.constants.KeyDataFormatCertDer)
    for element in root.iter(etree.Element):
        if element.get(ID):
            context.register_id(element, "Id", WSU)
    context.verify(root.find(f".//{{{DS}}}Signature"))


@pytest.mark.parametrize("system", SYSTEMS)
def test_xmlsec_accepts_what_we_sign(identities: Any, system: str) -> None:
    identity = identities(system)
    raw = signed(identity)
    xmlsec_verify(raw, identity)
    with pytest.raises(xmlsec.Error):
        xmlsec_verify(raw.replace("Trà Lĩnh".encode(), b"Tra Linh"), identity)


@pytest.mark.parametrize("system", SYSTEMS)
def test_signxml_accepts_what_we_sign(identities: Any, system: str) -> None:
    identity = identities(system)
    methods = frozenset({SignatureMethod.ECDSA_SHA256, SignatureMethod.RSA_SHA256})
    config = SignatureConfiguration(
        require_x509=False,
        location=".//",
        expect_references=6,
        signature_methods=methods,
        digest_algorithms=frozenset({DigestAlgorithm.SHA256}),
    )
    root = etree.fromstring(signed(identity))
    results = XMLVerifier().verify(root, x509_cert=identity.signer.certificate, id_attribute="Id", expect_config=config)
    assert isinstance(results, list)
    names = {etree.QName(result.signed_xml).localname for result in results}
    assert names == {"Body", "Action", "MessageID", "To", "Timestamp", "BinarySecurityToken"}


def by_xmlsec(identity: Identity, system: str, *, enveloped: bool = False) -> bytes:
    """The same profile, made with libxmlsec's templates."""
    root = new_envelope(parse(BODY.encode()))
    header, body = root[0], root[1]
    body.set(ID, "the-body")
    parts = [body]
    for name, text in (("Action", "urn:x:do"), ("MessageID", "urn:uuid:1")):
        block = etree.SubElement(header, f"{{{WSA}}}{name}")
        block.text = text
        block.set(ID, f"id-{name}")
        parts.append(block)
    security = etree.SubElement(header, f"{{{WSSE}}}Security")
    timestamp = etree.SubElement(security, f"{{{WSU}}}Timestamp")
    timestamp.set(ID, "ts")
    etree.SubElement(timestamp, f"{{{WSU}}}Created").text = wssec.instant(time.time())
    etree.SubElement(timestamp, f"{{{WSU}}}Expires").text = wssec.instant(time.time() + 120)
    token = etree.SubElement(security, f"{{{WSSE}}}BinarySecurityToken")
    token.text = base64.encodebytes(identity.signer.certificate_der).decode()
    token.set(ID, "x509")
    signature = xmlsec.template.create(security, xmlsec.constants.TransformExclC14N, XMLSEC_ALGORITHM[system])
    security.append(signature)
    for part in [*parts, timestamp, token]:
        reference = xmlsec.template.add_reference(signature, xmlsec.constants.TransformSha256, uri=f"#{part.get(ID)}")
        if enveloped:
            xmlsec.template.add_transform(reference, xmlsec.constants.TransformEnveloped)
        xmlsec.template.add_transform(reference, xmlsec.constants.TransformExclC14N)
    info = xmlsec.template.ensure_key_info(signature)
    holder = etree.SubElement(info, f"{{{WSSE}}}SecurityTokenReference")
    etree.SubElement(holder, f"{{{WSSE}}}Reference").set("URI", "#x509")
    context = xmlsec.SignatureContext()
    for part in [*parts, timestamp, token]:
        context.register_id(part, "Id", WSU)
    pem = identity.signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    context.key = xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatPem)
    context.sign(signature)
    return etree.tostring(root)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("enveloped", [False, True])
def test_we_accept_what_xmlsec_signs(identities: Any, system: str, enveloped: bool) -> None:
    identity = identities(system)
    found = verify(parse(by_xmlsec(identity, system, enveloped=enveloped)), finder(identity), time.time())
    assert found.text(WSA, "MessageID") == "urn:uuid:1"
    assert found.body is not None and found.body.tag.endswith("alert")


@pytest.mark.parametrize("system", SYSTEMS)
def test_our_own_way_round(identities: Any, system: str) -> None:
    identity = identities(system)
    found = verify(parse(signed(identity)), finder(identity), time.time())
    assert found.text(WSA, "To") == "https://localhost/soap"
    assert found.body is not None
    headline = found.body.findtext("{*}headline")
    assert headline == "Lũ quét & sạt lở đất tại xã Trà Lĩnh – ưỡn ẹo, ỷ lại, đường ngoằn ngoèo"
    assert found.key.thumbprint in found.replay_key


def test_free_whitespace_and_comments_change_nothing_unsigned(identities: Any) -> None:
    identity = identities("canh-bao")
    raw = (
        signed(identity)
        .replace(b"<soap:Body", b"\n  <!-- note --><soap:Body")
        .replace(b"<ds:Signature ", b"\n<ds:Signature ")
    )
    assert verify(parse(raw), finder(identity), time.time()).body is not None


@pytest.mark.parametrize("part", ["body", "timestamp", "token", "action", "message-id", "to"])
def test_what_is_not_covered_is_refused(identities: Any, part: str) -> None:
    identity = identities("canh-bao")
    with pytest.raises(BadEnvelope, match="does not cover"):
        verify(parse(signed(identity, leave_out=(part,))), finder(identity), time.time())


@pytest.mark.parametrize(("offset", "lifetime"), [(-3600, 60), (30, 60), (0, 301), (0, 0), (0, -5)])
def test_time(identities: Any, offset: float, lifetime: float) -> None:
    identity = identities("canh-bao")
    with pytest.raises(BadEnvelope, match="out of time"):
        verify(parse(signed(identity, now=time.time() + offset, lifetime=lifetime)), finder(identity), time.time())


def _edit(raw: bytes, what: str) -> bytes:
    root: Any = etree.fromstring(raw)
    header, body = root[0], root[1]
    security = header.find(f"{{{WSSE}}}Security")
    signature = security.find(f"{{{DS}}}Signature")
    if what == "text":
        body[0][2].text = "Hết cảnh báo"
    elif what == "wrapped":
        evil = etree.Element(f"{{{SOAP}}}Body")
        evil.append(etree.fromstring("<alert/>"))
        holder = etree.SubElement(header, "{urn:evil}Wrapper")
        root.replace(body, evil)
        holder.append(body)
    elif what == "wrapped-same-id":
        evil = deepcopy(body)
        evil[0][2].text = "Hết cảnh báo"
        etree.SubElement(header, "{urn:evil}Wrapper").append(body)
        root.append(evil)
    elif what == "two-bodies":
        root.append(deepcopy(body))
    elif what == "sibling":
        etree.SubElement(body, "{urn:evil}more")
    elif what == "id-elsewhere":
        header[0].set("Id", "body")
    elif what == "two-signatures":
        security.append(deepcopy(signature))
    elif what == "two-security":
        header.append(deepcopy(security))
    elif what == "new-header":
        etree.SubElement(header, f"{{{WSA}}}RelatesTo").text = "urn:uuid:2"
    elif what == "caller":
        etree.SubElement(header, f"{{{LGSP}}}Caller").text = "H14.0/dieu-hanh"
    elif what == "xpath":
        transforms = signature.find(f".//{{{DS}}}Transforms")
        etree.SubElement(transforms, f"{{{DS}}}Transform").set(
            "Algorithm", "http://www.w3.org/TR/1999/REC-xpath-19991116"
        )
    elif what == "inclusive":
        for method in signature.iter(f"{{{DS}}}Transform"):
            method.set("Algorithm", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315")
    elif what == "sha1":
        signature.find(f".//{{{DS}}}DigestMethod").set("Algorithm", DS + "sha1")
    elif what == "hmac":
        signature.find(f".//{{{DS}}}SignatureMethod").set("Algorithm", DS + "hmac-sha1")
    elif what == "whole-document":
        signature.find(f".//{{{DS}}}Reference").set("URI", "")
    elif what == "key-info":
        signature.find(f".//{{{WSSE}}}Reference").set("URI", "#body")
    elif what == "value":
        value = signature.find(f"{{{DS}}}SignatureValue")
        value.text = base64.b64encode(bytes(64)).decode()
    elif what == "no-signature":
        security.remove(signature)
    elif what == "timestamp":
        security[0][1].text = wssec.instant(time.time() + 250)
    return etree.tostring(root)


@pytest.mark.parametrize(
    "what",
    [
        "text",
        "wrapped",
        "wrapped-same-id",
        "two-bodies",
        "sibling",
        "id-elsewhere",
        "two-signatures",
        "two-security",
        "new-header",
        "caller",
        "xpath",
        "inclusive",
        "sha1",
        "hmac",
        "whole-document",
        "key-info",
        "value",
        "no-signature",
        "timestamp",
    ],
)
def test_twisted_envelopes_are_refused(identities: Any, what: str) -> None:
    identity = identities("canh-bao")
    raw = signed(identity)
    assert verify(parse(raw), finder(identity), time.time())
    with pytest.raises(BadEnvelope):
        verify(parse(_edit(raw, what)), finder(identity), time.time())


def test_another_key_is_refused(identities: Any) -> None:
    with pytest.raises(BadEnvelope, match="not one that is known"):
        verify(parse(signed(identities("stranger"))), finder(identities("canh-bao")), time.time())


@pytest.mark.parametrize(
    "raw",
    [
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        b"<!DOCTYPE a><a/>",
        b"<?xml-stylesheet href='x'?><a/>",
        b"<a><?php x?></a>",
        b"<a>",
        b"",
        b"<a>" * 400 + b"</a>" * 400,
    ],
    ids=["entity", "doctype", "instruction", "inner instruction", "open", "empty", "deep"],
)
def test_dangerous_xml_is_refused(raw: bytes) -> None:
    with pytest.raises(BadEnvelope):
        parse(raw)


def test_the_transform_is_the_profile(identities: Any) -> None:
    root = etree.fromstring(signed(identities("canh-bao")))
    assert {item.get("Algorithm") for item in root.iter(f"{{{DS}}}Transform")} == {EXC_C14N}


def test_a_published_document_leaves_its_style_sheet_behind(identities: Any) -> None:
    identity = identities("canh-bao")
    published = b"<?xml version='1.0'?><?xml-stylesheet href='cap.xsl'?><!-- c --><a xmlns='urn:x'>1</a>"
    headers = [("Action", "action", "urn:a"), ("MessageID", "message-id", "urn:uuid:1")]
    raw = serialise(
        sign(new_envelope(parse(published, published=True)), identity.signer, headers=headers, now=time.time())
    )
    assert b"xml-stylesheet" not in raw and verify(parse(raw), finder(identity), time.time()).body is not None
    for wrong in (b"<a><?php x?></a>", b"<!DOCTYPE a><a/>"):
        with pytest.raises(BadEnvelope):
            parse(wrong, published=True)
