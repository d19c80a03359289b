"""WS-Security of SOAP 1.1 and 1.2, strictly the profile of `docs/wire.md`: signs an envelope, verifies one.

X.509 token profile 1.1 over XML-DSig with exclusive c14n and SHA-256. lxml canonicalises, `cryptography` signs.
Invariant: `verify` returns only what it read from the signed canonical bytes. Each part is where the profile puts it
(/Envelope/Body, headers directly under the Header), so nothing unsigned or moved is used.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from lxml import etree

from gateway.sample_client.errors import ClientError
from gateway.sample_client.signing import Signer, Verifier

SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP12: Final = "http://www.w3.org/2003/05/soap-envelope"
WSA: Final = "http://www.w3.org/2005/08/addressing"
_OASIS: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
WSSE: Final = _OASIS + "wssecurity-secext-1.0.xsd"
WSU: Final = _OASIS + "wssecurity-utility-1.0.xsd"
DS: Final = "http://www.w3.org/2000/09/xmldsig#"
LGSP: Final = "urn:lgsp:wire:1"
X509V3: Final = _OASIS + "x509-token-profile-1.0#X509v3"
BASE64: Final = _OASIS + "soap-message-security-1.0#Base64Binary"
EXC_C14N: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED: Final = DS + "enveloped-signature"
SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"
MAX_LIFETIME: Final = 300
MAX_FUTURE: Final = 5
ID: Final = f"{{{WSU}}}Id"
NSMAP: Final = {"wsa": WSA, "wsse": WSSE, "wsu": WSU, "lgsp": LGSP}

_OTHER_ENCODING: Final = re.compile(rb"[^<]{0,8}<\?xml[^>]{0,200}encoding=[\"'](?!(?i:utf-8)[\"'])")

Element = etree._Element
FindByThumbprint = Callable[[bytes], Verifier | None]


class BadEnvelope(ClientError):
    """The message violates the profile, or its signature is invalid."""


def parse(raw: bytes, *, published: bool = False, large: bool = False) -> Element:
    """Parse foreign XML. Nothing is fetched or expanded; a DOCTYPE and processing instructions are refused.

    `published`: a document of our own for a Body. A style sheet beside its root is dropped, so it is allowed.
    `large`: a text may have more than 10 MB, in UTF-8 without the word DOCTYPE.
    """
    large = large and b"<!DOCTYPE" not in raw and b"\0" not in raw[:200] and _OTHER_ENCODING.match(raw) is None
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=large)
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError) as wrong:
        raise BadEnvelope(f"not well-formed XML: {wrong}") from wrong
    if root.getroottree().docinfo.internalDTD is not None:
        raise BadEnvelope("a DOCTYPE is not allowed")
    around = [
        *root.itersiblings(etree.ProcessingInstruction, preceding=True),
        *root.itersiblings(etree.ProcessingInstruction),
    ]
    if (around and not published) or next(root.iter(etree.ProcessingInstruction, etree.Entity), None) is not None:
        raise BadEnvelope("processing instructions and entities are not allowed")
    return root


def canonical(element: Element) -> bytes:
    try:
        return etree.tostring(element, method="c14n", exclusive=True, with_comments=False)
    except etree.C14NError as wrong:
        raise BadEnvelope("a part has no canonical form (a relative namespace, say)") from wrong


def _add(parent: Element, namespace: str, name: str, text: str | None = None, **attributes: str) -> Element:
    child = etree.SubElement(parent, f"{{{namespace}}}{name}", attributes)
    child.text = text
    return child


def _digest(element: Element) -> str:
    return base64.b64encode(hashlib.sha256(canonical(element)).digest()).decode()


def instant(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(moment * 1000) % 1000:03d}Z"


def soap_of(root: Element) -> str:
    """The namespace of an envelope's SOAP version."""
    name = etree.QName(root)
    if name.localname != "Envelope" or name.namespace not in (SOAP, SOAP12):
        raise BadEnvelope("not a SOAP envelope")
    return str(name.namespace)


def new_envelope(body: Element | None, soap: str = SOAP) -> Element:
    """An empty envelope around one element."""
    root = etree.Element(f"{{{soap}}}Envelope", nsmap={"soap": soap, **NSMAP})
    _add(root, soap, "Header")
    holder = _add(root, soap, "Body")
    if body is not None:
        holder.append(body)
    return root


class Scope(NamedTuple):
    """How long a signature holds, in seconds, and the ids that it omits on purpose."""

    lifetime: float = 60.0
    leave_out: Collection[str] = ()


WHOLE: Final = Scope()


def sign(
    root: Element,
    signer: Signer,
    *,
    headers: Sequence[tuple[str, str, str]],
    now: float,
    blocks: Sequence[Element] = (),
    scope: Scope = WHOLE,
) -> Element:
    """Put addressing headers, timestamp and signature into an envelope, and return it.

    `headers`: (wsa name, id, text), set if missing. `blocks`: further headers, each with its wsu:Id.
    """
    soap = soap_of(root)
    body = root.find(f"{{{soap}}}Body")
    if body is None:
        raise BadEnvelope("an envelope without Body")
    header = root.find(f"{{{soap}}}Header")
    if header is None:
        header = etree.Element(f"{{{soap}}}Header")
        root.insert(0, header)
    for name, identity, text in headers:
        block = header.find(f"{{{WSA}}}{name}")
        block = _add(header, WSA, name) if block is None else block
        block.text = text
        block.set(ID, block.get(ID) or identity)
    for extra in blocks:
        header.append(extra)
    for number, block in enumerate(header):
        if block.get(ID) is None:
            block.set(ID, f"header-{number}")
    body.set(ID, body.get(ID) or "body")
    signed = [body, *header]

    security = etree.SubElement(header, f"{{{WSSE}}}Security", nsmap={"wsse": WSSE, "wsu": WSU})
    security.set(f"{{{soap}}}mustUnderstand", "1")
    timestamp = _add(security, WSU, "Timestamp")
    timestamp.set(ID, "timestamp")
    _add(timestamp, WSU, "Created", instant(now))
    _add(timestamp, WSU, "Expires", instant(now + scope.lifetime))
    token = _add(security, WSSE, "BinarySecurityToken", base64.b64encode(signer.certificate_der).decode())
    token.set(ID, "token")
    token.set("EncodingType", BASE64)
    token.set("ValueType", X509V3)

    signature = etree.SubElement(security, f"{{{DS}}}Signature", nsmap={"ds": DS})
    info = _add(signature, DS, "SignedInfo")
    _add(info, DS, "CanonicalizationMethod", Algorithm=EXC_C14N)
    _add(info, DS, "SignatureMethod", Algorithm=signer.xml_algorithm)
    for part in [*signed, timestamp, token]:
        identity = part.get(ID, "")
        if identity in scope.leave_out:
            continue
        reference = _add(info, DS, "Reference", URI=f"#{identity}")
        _add(_add(reference, DS, "Transforms"), DS, "Transform", Algorithm=EXC_C14N)
        _add(reference, DS, "DigestMethod", Algorithm=SHA256)
        _add(reference, DS, "DigestValue", _digest(part))
    _add(signature, DS, "SignatureValue", base64.b64encode(signer.sign(canonical(info))).decode())
    key_reference = _add(_add(signature, DS, "KeyInfo"), WSSE, "SecurityTokenReference")
    _add(key_reference, WSSE, "Reference", URI="#token", ValueType=X509V3)
    return root


def serialise(root: Element) -> bytes:
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)


@dataclass(frozen=True, slots=True)
class Verified:
    """The parts of an envelope that its signature covers, read from the signed bytes."""

    key: Verifier
    body: Element | None
    headers: dict[str, Element]
    created: float
    expires: float
    replay_key: bytes

    def text(self, namespace: str, name: str) -> str | None:
        element = self.headers.get(f"{{{namespace}}}{name}")
        return None if element is None else (element.text or "").strip()


def is_signed(root: Element) -> bool:
    return next(root.iter(f"{{{DS}}}Signature", f"{{{WSSE}}}Security"), None) is not None


def _one(parent: Element, namespace: str, name: str) -> Element:
    elements = parent.findall(f"{{{namespace}}}{name}")
    if len(elements) != 1:
        raise BadEnvelope(f"exactly one {name} expected, {len(elements)} found")
    return elements[0]


def _bytes(element: Element) -> bytes:
    try:
        return base64.b64decode("".join((element.text or "").split()), validate=True)
    except ValueError as wrong:
        raise BadEnvelope(f"{etree.QName(element).localname} is not base64") from wrong


def _time(timestamp: Element, name: str) -> float:
    text = (_one(timestamp, WSU, name).text or "").strip()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as wrong:
        raise BadEnvelope(f"{name} is not a time") from wrong
    if moment.utcoffset() != timedelta(0):
        raise BadEnvelope(f"{name} is not in UTC")
    return moment.timestamp()


def _ids(root: Element) -> dict[str, Element]:
    elements: dict[str, Element] = {}
    for element in root.iter(etree.Element):
        for name, value in element.attrib.items():
            if name == ID or etree.QName(name).localname.lower() == "id" and name != "id":
                if value in elements:
                    raise BadEnvelope(f"the Id {value} stands twice")
                elements[str(value)] = element
    return elements


def _check_reference(reference: Element, ids: dict[str, Element], allowed: list[Element]) -> Element:
    uri = reference.get("URI", "")
    target = ids.get(uri[1:]) if uri.startswith("#") and len(uri) > 1 else None
    if target is None or target.get(ID) != uri[1:]:
        raise BadEnvelope(f"a Reference to {uri!r}, which is not the wsu:Id of anything here")
    if not any(target is place for place in allowed):
        raise BadEnvelope(f"what {uri} names does not stand where the profile puts it")
    transforms = [step.get("Algorithm") for step in _one(reference, DS, "Transforms")]
    if transforms not in ([EXC_C14N], [ENVELOPED, EXC_C14N]) or any(
        len(step) for step in _one(reference, DS, "Transforms")
    ):
        raise BadEnvelope("a Reference has other transforms than exclusive c14n")
    if _one(reference, DS, "DigestMethod").get("Algorithm") != SHA256:
        raise BadEnvelope("a Reference is not digested with SHA-256")
    if _bytes(_one(reference, DS, "DigestValue")) != hashlib.sha256(canonical(target)).digest():
        raise BadEnvelope(f"{etree.QName(target).localname} was altered: its digest does not fit")
    return target


def verify(root: Element, find: FindByThumbprint, now: float, *, large: bool = False) -> Verified:
    """Verify a whole envelope. Everything returned was signed. `large` as of `parse`."""
    soap = soap_of(root)
    children = list(root.iterchildren(etree.Element))
    if [child.tag for child in children] != [f"{{{soap}}}Header", f"{{{soap}}}Body"]:
        raise BadEnvelope("not an Envelope of one Header and one Body")
    header, body = children
    ids = _ids(root)
    for name in (f"{{{WSSE}}}Security", f"{{{DS}}}Signature", f"{{{WSSE}}}BinarySecurityToken"):
        if sum(1 for _ in root.iter(name)) != 1:
            raise BadEnvelope(f"exactly one {etree.QName(name).localname} expected")
    security = _one(header, WSSE, "Security")
    timestamp, token, signature = (
        _one(security, WSU, "Timestamp"),
        _one(security, WSSE, "BinarySecurityToken"),
        _one(security, DS, "Signature"),
    )

    key = find(hashlib.sha256(_bytes(token)).digest())
    if key is None:
        raise BadEnvelope("the certificate in the token is not one that is known here")
    info = _one(signature, DS, "SignedInfo")
    method, algorithm = _one(info, DS, "CanonicalizationMethod"), _one(info, DS, "SignatureMethod").get("Algorithm")
    if method.get("Algorithm") != EXC_C14N or len(method) or algorithm != key.xml_algorithm:
        raise BadEnvelope("canonicalisation or signature algorithm is not the profile's")
    named = _one(_one(_one(signature, DS, "KeyInfo"), WSSE, "SecurityTokenReference"), WSSE, "Reference")
    if ids.get(named.get("URI", "")[1:]) is not token:
        raise BadEnvelope("KeyInfo does not name the token")
    text = canonical(info)
    if not key.in_force(now) or not key.verify(text, _bytes(_one(signature, DS, "SignatureValue")), "xml"):
        raise BadEnvelope("the signature does not fit")

    blocks = [block for block in header.iterchildren(etree.Element) if block is not security]
    allowed = [body, timestamp, token, *blocks]
    covered = [_check_reference(reference, ids, allowed) for reference in info.findall(f"{{{DS}}}Reference")]
    must = [body, timestamp, token, *(block for block in blocks if etree.QName(block).namespace in (WSA, LGSP))]
    for part in must:
        if not any(part is done for done in covered):
            raise BadEnvelope(f"the signature does not cover {etree.QName(part).localname}")

    created, expires = _time(timestamp, "Created"), _time(timestamp, "Expires")
    if not 0 < expires - created <= MAX_LIFETIME or created > now + MAX_FUTURE or expires < now:
        raise BadEnvelope(f"out of time: created {now - created:.0f} s ago, expires in {expires - now:.0f} s")
    headers: dict[str, Element] = {}
    for block in blocks:
        if not any(block is done for done in covered):
            continue
        if str(block.tag) in headers:
            raise BadEnvelope(f"{etree.QName(block).localname} stands twice")
        headers[str(block.tag)] = parse(canonical(block))
    inner = parse(canonical(body), large=large)
    content = [parse(canonical(child), large=large) for child in inner]
    if len(content) > 1:
        raise BadEnvelope("more than one element in the Body")
    replay = key.thumbprint + hashlib.sha256(text).digest()
    return Verified(key, content[0] if content else None, headers, created, expires, replay)
