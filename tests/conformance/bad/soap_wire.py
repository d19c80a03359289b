"""SOAP envelopes of docs/wire.md (WS-Security 1.0, XML-DSig), written from that page alone.

`seal` makes a signed envelope, `unseal` verifies one. Exclusive C14N without comments, SHA-256, `#id` references.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree

from tests.conformance.bad.wire import Keys, Unproven, raw_check, raw_sign

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
WSA = "http://www.w3.org/2005/08/addressing"
_OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
WSSE, WSU = f"{_OASIS}wssecurity-secext-1.0.xsd", f"{_OASIS}wssecurity-utility-1.0.xsd"
DS = "http://www.w3.org/2000/09/xmldsig#"
LGSP = "urn:lgsp:wire:1"
C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
RSA, EC = (f"http://www.w3.org/2001/04/xmldsig-more#{name}-sha256" for name in ("rsa", "ecdsa"))
X509 = f"{_OASIS}x509-token-profile-1.0#X509v3"
BASE64 = f"{_OASIS}soap-message-security-1.0#Base64Binary"
ID = f"{{{WSU}}}Id"


def canonical(element: etree._Element, prefixes: list[str] | None = None) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=prefixes)


def _add(parent: etree._Element, space: str, name: str, text: str | None = None, **attributes: str) -> etree._Element:
    element = etree.SubElement(parent, f"{{{space}}}{name}", attributes)
    element.text = text
    return element


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def seal(
    keys: Keys, content: etree._Element, headers: Mapping[str, str], *, now: datetime, body_signed: bool = True
) -> bytes:
    """A signed envelope. `headers`: names of WS-Addressing and their texts."""
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soap": SOAP, "wsa": WSA, "wsu": WSU, "wsse": WSSE})
    head = _add(envelope, SOAP, "Header")
    signed = []
    for number, (name, text) in enumerate(headers.items()):
        element = _add(head, WSA, name, text)
        element.set(ID, f"wsa-{number}")
        signed.append(element)
    security = _add(head, WSSE, "Security")
    security.set(f"{{{SOAP}}}mustUnderstand", "1")
    stamp = _add(security, WSU, "Timestamp")
    stamp.set(ID, "timestamp")
    _add(stamp, WSU, "Created", _stamp(now))
    _add(stamp, WSU, "Expires", _stamp(now + timedelta(minutes=5)))
    certificate = base64.b64encode(keys.certificate).decode()
    token = _add(security, WSSE, "BinarySecurityToken", certificate, EncodingType=BASE64, ValueType=X509)
    token.set(ID, "token")
    body = _add(envelope, SOAP, "Body")
    body.set(ID, "body")
    body.append(content)
    signature = etree.SubElement(security, f"{{{DS}}}Signature", nsmap={"ds": DS})
    info = _add(signature, DS, "SignedInfo")
    _add(info, DS, "CanonicalizationMethod", Algorithm=C14N)
    _add(info, DS, "SignatureMethod", Algorithm=RSA if isinstance(keys.private, rsa.RSAPrivateKey) else EC)
    for element in [*signed, stamp, token, *([body] if body_signed else [])]:
        reference = _add(info, DS, "Reference", URI="#" + str(element.get(ID)))
        _add(_add(reference, DS, "Transforms"), DS, "Transform", Algorithm=C14N)
        _add(reference, DS, "DigestMethod", Algorithm=SHA256)
        value = base64.b64encode(hashlib.sha256(canonical(element)).digest()).decode()
        _add(reference, DS, "DigestValue", value)
    _add(signature, DS, "SignatureValue", base64.b64encode(raw_sign(keys.private, canonical(info))).decode())
    pointer = _add(_add(signature, DS, "KeyInfo"), WSSE, "SecurityTokenReference")
    _add(pointer, WSSE, "Reference", URI="#token", ValueType=X509)
    return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")


def parse(data: bytes) -> etree._Element:
    root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))
    if root.tag != f"{{{SOAP}}}Envelope" or b"<!DOCTYPE" in data:
        raise Unproven("no envelope of SOAP 1.1")
    return root


def header(envelope: etree._Element, space: str, name: str) -> str | None:
    return envelope.findtext(f"{{{SOAP}}}Header/{{{space}}}{name}")


def body_of(envelope: etree._Element) -> etree._Element:
    body = envelope.find(f"{{{SOAP}}}Body")
    if body is None or len(body) != 1:
        raise Unproven("a Body with other than one child")
    return body[0]


def unseal(keys: Keys, envelope: etree._Element, *, now: datetime, digests: bool = True, old: bool = False) -> bytes:
    """Verify an envelope and give its signature value. `digests=False` and `old=True` leave out a check on purpose."""
    security = envelope.find(f"{{{SOAP}}}Header/{{{WSSE}}}Security")
    info = None if security is None else security.find(f"{{{DS}}}Signature/{{{DS}}}SignedInfo")
    if security is None or info is None:
        raise Unproven("no signature")
    by_id = {str(element.get(ID)): element for element in envelope.iter() if element.get(ID) is not None}
    covered = set()
    for reference in info.findall(f"{{{DS}}}Reference"):
        element = by_id.get(str(reference.get("URI")).removeprefix("#"))
        if element is None:
            raise Unproven("a reference to nothing")
        listed = reference.find(f".//{{{C14N}}}InclusiveNamespaces")
        prefixes = None if listed is None else str(listed.get("PrefixList")).split()
        fits = (
            reference.findtext(f"{{{DS}}}DigestValue")
            == base64.b64encode(hashlib.sha256(canonical(element, prefixes)).digest()).decode()
        )
        if digests and not fits:
            raise Unproven("a wrong digest of " + str(etree.QName(element).localname))
        covered.add(element)
    must = [envelope.find(f"{{{SOAP}}}Body"), security.find(f"{{{WSU}}}Timestamp")]
    must += envelope.findall(f"{{{SOAP}}}Header/{{{WSA}}}*") + envelope.findall(f"{{{SOAP}}}Header/{{{LGSP}}}Caller")
    if any(element not in covered for element in must):
        raise Unproven("the signature does not cover Body, Timestamp and all headers of WS-Addressing")
    listed = info.find(f"{{{DS}}}CanonicalizationMethod/{{{C14N}}}InclusiveNamespaces")
    text = canonical(info, None if listed is None else str(listed.get("PrefixList")).split())
    value = base64.b64decode(security.findtext(f"{{{DS}}}Signature/{{{DS}}}SignatureValue", ""))
    if not any(raw_check(public, value, text) for public in keys.others.values()):
        raise Unproven("wrong signature")
    created, expires = (
        datetime.fromisoformat(security.findtext(f"{{{WSU}}}Timestamp/{{{WSU}}}{name}", "").replace("Z", "+00:00"))
        for name in ("Created", "Expires")
    )
    if expires - created > timedelta(minutes=5):
        raise Unproven("a Timestamp of more than five minutes")
    if not old and not created - timedelta(seconds=5) <= now <= expires:
        raise Unproven("old, or from the future")
    return value


def fault(code: str, text: str) -> etree._Element:
    element = etree.Element(f"{{{SOAP}}}Fault")
    etree.SubElement(element, "faultcode").text = f"soap:{code}"
    etree.SubElement(element, "faultstring").text = text
    return element


def new_id() -> str:
    return f"urn:uuid:{uuid.uuid4()}"


def utc_now() -> datetime:
    return datetime.now(UTC)
