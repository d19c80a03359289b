"""Verifies a WS-Security 1.1 envelope with the X.509 token profile, in the profile of `docs/wire.md`.

Against wrapping, nothing is looked up by Id in the document. The parts that may be signed are found by position
(Envelope/Body, Header/*, Security/*), and a Reference must name one of them.
Standards: SOAP 1.1 and 1.2, XML-DSig 1.1, Exclusive C14N 1.0, WSS SOAP Message Security 1.1.
Invariant: the content of a `VerifiedEnvelope` was covered by the signature, and a signed header's text is all its text.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple, cast

from lxml import etree

from contracts.base.errors import Theirs
from contracts.wire.soap import VERSIONS, Version
from security.errors import (
    SIGNATURE_DIGEST_MISMATCH,
    SIGNATURE_DUPLICATE_ID,
    SIGNATURE_HEADER_MISSING,
    SIGNATURE_MISSING,
    SIGNATURE_NOT_COVERING,
    SIGNATURE_SEVERAL,
    SIGNATURE_UNKNOWN_KEY,
    SIGNATURE_WRAPPED,
)
from security.freshness import check_times
from security.keys import VerifyKey, thumbprint
from security.wssec.names import BASE64_BINARY, DS, LGSP, WSA, WSSE, WSU, X509V3, short
from security.wssec.sign import MAX_LIFE, caller_block, receipt_block, sign_envelope
from security.wssec.signed_info import (
    Element,
    Reference,
    base64_of,
    c14n,
    children_of,
    malformed,
    read_signed_info,
    text_of,
)

__all__ = ["FindKey", "VerifiedEnvelope", "caller_block", "receipt_block", "sign_envelope", "verify_envelope"]

MAX_ATTRIBUTES: Final = 256
_SECURITY, _TOKEN, _TIMESTAMP = f"{{{WSSE}}}Security", f"{{{WSSE}}}BinarySecurityToken", f"{{{WSU}}}Timestamp"
_SIGNATURE, _WSU_ID, _XML_ID = f"{{{DS}}}Signature", f"{{{WSU}}}Id", "{http://www.w3.org/XML/1998/namespace}id"
_WSA_ACTION, _WSA_MESSAGEID = f"{{{WSA}}}Action", f"{{{WSA}}}MessageID"
_WSA_TO, _WSA_RELATESTO = f"{{{WSA}}}To", f"{{{WSA}}}RelatesTo"
_CALLER, _RECEIPT = f"{{{LGSP}}}Caller", f"{{{LGSP}}}Receipt"
_SIGNATURE_PARTS: Final = [f"{{{DS}}}SignedInfo", f"{{{DS}}}SignatureValue", f"{{{DS}}}KeyInfo"]
_STAMP_PARTS: Final = [f"{{{WSU}}}Created", f"{{{WSU}}}Expires"]
_STR, _STR_REFERENCE = f"{{{WSSE}}}SecurityTokenReference", f"{{{WSSE}}}Reference"
_MUST_SIGN: Final = (f"{{{WSA}}}", f"{{{LGSP}}}")
_WSA_KNOWN: Final = frozenset({"Action", "MessageID", "To", "RelatesTo", "From", "ReplyTo", "FaultTo"})
# Separate steps: libxml2 merges unions in quadratic time, and this runs before anything is proved.
_WSU_IDS: Final = etree.XPath("descendant-or-self::*/@u:Id", namespaces={"u": WSU}, smart_strings=False)
_OTHER_IDS: Final = tuple(
    etree.XPath(f"descendant-or-self::*/@{name}", smart_strings=False) for name in ("Id", "ID", "xml:id")
)
_TOO_WIDE: Final = etree.XPath(f"boolean(descendant-or-self::*/@*[{MAX_ATTRIBUTES + 1}])")
_UNCOMMON: Final = etree.XPath(
    "descendant-or-self::*/@Id or descendant-or-self::*/@ID or descendant-or-self::*/@xml:id"
    f" or descendant-or-self::*/@*[{MAX_ATTRIBUTES + 1}]"
)
_BY_ID: Final = etree.XPath(
    "descendant-or-self::*[@u:Id=$id or @Id=$id or @ID=$id or @xml:id=$id]", namespaces={"u": WSU}
)
_TAG: Final = re.compile(rb"<[^<>]*>")  # as lxml writes them: attributes and texts contain neither sign
_DECLARED: Final = re.compile(rb'\sxmlns(?::[^=\s]+)?="([^"]+)"')
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")
_ID_ATTRIBUTE: Final = re.compile(rb' (?:[^\s=:]+:)?(?:Id|ID|id)="[^"]*"')
_WHITE: Final = re.compile(rb"[ \t\n]*")
_START_TAG: Final = re.compile(rb'<[^\s>]+(?: [^=]+="[^"]*")*>')

FindKey = Callable[[str], VerifyKey | None]
Whole = Callable[[bytes], Iterable[bytes]]


class VerifiedEnvelope(NamedTuple):
    """A verified message.

    `payload_digest` is SHA-256 of the canonical Body without its wsu:Id and without white space around its content. So
    a repeated message is recognised even if the sender's stack generates new Ids or new digest salts.
    """

    key: VerifyKey
    version: Version
    body: Element
    action: str
    message_id: str
    to: str | None
    relates_to: str | None
    caller: str | None
    receipt: Element | None
    created: float
    expires: float
    replay_key: bytes
    payload_digest: bytes
    headers: Mapping[str, Element]


class _Parts(NamedTuple):
    """The parts of the envelope by position. `signable`: Id of a part -> (name of the part, element)."""

    version: Version
    body: Element
    headers: dict[str, Element]
    timestamp: Element
    token: Element
    signature: Element
    signable: dict[str, tuple[str, Element]]
    needed: list[str]


def verify_envelope(
    root: Element, find_key_by_thumbprint: FindKey, now: float, whole: Whole | None = None
) -> VerifiedEnvelope:
    """The verified envelope. A `SIGNATURE_…` error otherwise. `root` comes from the hardened parser.

    `whole` gives the canonical bytes in pieces, with large contents in the place of what stands for them in the tree.
    """
    parts = _take_apart(root)
    _check_document(root)
    info, value, key_info = _signature_parts(parts.signature)
    key = _find_key(parts, key_info, find_key_by_thumbprint)
    key.check_time(now)
    prefixes, canonical, references = read_signed_info(info, key)
    covered, body = _check_digests(root, parts, references, whole)
    missing = [name for name in parts.needed if name not in covered]
    if missing:
        raise SIGNATURE_NOT_COVERING(missing=", ".join(missing))
    _check_namespaces(parts, value, key_info)
    created, expires = _check_timestamp(parts.timestamp, now)
    if canonical is None:
        canonical = c14n(info, prefixes)
    key.verify_xml(canonical, base64_of(value, "ds:SignatureValue"))

    headers = parts.headers
    action, message_id = _header_text(headers, _WSA_ACTION), _header_text(headers, _WSA_MESSAGEID)
    if not action or not message_id:
        raise SIGNATURE_HEADER_MISSING(missing="wsa:MessageID" if action else "wsa:Action")
    return VerifiedEnvelope(
        key=key,
        version=parts.version,
        body=parts.body,
        action=action,
        message_id=message_id,
        to=_header_text(headers, _WSA_TO),
        relates_to=_header_text(headers, _WSA_RELATESTO),
        caller=_header_text(headers, _CALLER),
        receipt=headers.get(_RECEIPT),
        created=created,
        expires=expires,
        replay_key=hashlib.sha256(key.key_id.encode() + b"\n" + canonical).digest(),
        payload_digest=_payload_digest(body, whole),
        headers=headers,
    )


def _check_document(root: Element) -> None:
    """Ids are unique over all four attributes; no element is too wide for C14N, which sorts in quadratic time."""
    ids = cast("list[str]", _WSU_IDS(root))
    if _UNCOMMON(root):
        if _TOO_WIDE(root):
            raise malformed("soap:Envelope", f"<= {MAX_ATTRIBUTES} attributes")
        for query in _OTHER_IDS:
            ids += cast("list[str]", query(root))
    if len(ids) != len(set(ids)):
        raise SIGNATURE_DUPLICATE_ID(id=Counter(ids).most_common(1)[0][0][:80])


def _take_apart(root: Element) -> _Parts:
    version = VERSIONS.get(str(root.tag))
    if version is None:
        raise malformed(short(str(root.tag)), "soap:Envelope")
    top = children_of(root)
    if not top or top[0].tag != version.header:
        raise SIGNATURE_MISSING(where="soap:Header")
    if len(top) != 2 or top[1].tag != version.body:
        raise malformed("soap:Envelope", "soap:Header, soap:Body")
    header, body = top
    security: Element | None = None
    headers: dict[str, Element] = {}
    signable: dict[str, tuple[str, Element]] = {}
    needed = ["soap:Body", "wsu:Timestamp", "wsse:BinarySecurityToken"]
    _name(signable, "soap:Body", body)
    for child in children_of(header):
        tag = str(child.tag)
        if tag == _SECURITY:
            if security is not None:
                raise SIGNATURE_SEVERAL(found=2, where="wsse:Security")
            security = child
            continue
        name = short(tag)
        if tag.startswith(_MUST_SIGN):
            if tag in headers:
                raise malformed(name, f"{name} × 1")
            if tag.startswith(_MUST_SIGN[0]) and tag[len(_MUST_SIGN[0]) :] not in _WSA_KNOWN:
                raise malformed(name, "WS-Addressing 1.0")
            headers[tag] = child
            needed.append(name)
        _name(signable, name, child)
    if security is None:
        raise SIGNATURE_MISSING(where="soap:Header/wsse:Security")
    by_tag: dict[str, Element] = {}
    for child in children_of(security):
        tag = str(child.tag)
        if tag not in (_TIMESTAMP, _TOKEN, _SIGNATURE):
            raise malformed(f"wsse:Security/{short(tag)}", "wsu:Timestamp, wsse:BinarySecurityToken, ds:Signature")
        if tag in by_tag:
            raise SIGNATURE_SEVERAL(found=2, where=f"wsse:Security/{short(tag)}")
        by_tag[tag] = child
        if tag != _SIGNATURE:
            _name(signable, short(tag), child)
    for tag in (_SIGNATURE, _TOKEN, _TIMESTAMP):
        if tag not in by_tag:
            raise SIGNATURE_MISSING(where=f"wsse:Security/{short(tag)}")
    return _Parts(
        version=version,
        body=body,
        headers=headers,
        timestamp=by_tag[_TIMESTAMP],
        token=by_tag[_TOKEN],
        signature=by_tag[_SIGNATURE],
        signable=signable,
        needed=needed,
    )


def _name(signable: dict[str, tuple[str, Element]], name: str, element: Element) -> None:
    ident = element.get(_WSU_ID) or element.get("Id") or element.get("ID") or element.get(_XML_ID)
    if ident:
        signable[ident] = (name, element)


def _signature_parts(signature: Element) -> tuple[Element, Element, Element]:
    children = children_of(signature)
    if [c.tag for c in children] != _SIGNATURE_PARTS:
        raise malformed("ds:Signature", "ds:SignedInfo, ds:SignatureValue, ds:KeyInfo")
    return children[0], children[1], children[2]


def _find_key(parts: _Parts, key_info: Element, find: FindKey) -> VerifyKey:
    inner = children_of(key_info)
    reference = children_of(inner[0]) if len(inner) == 1 and inner[0].tag == _STR else []
    if len(reference) != 1 or reference[0].tag != _STR_REFERENCE:
        raise malformed("ds:KeyInfo", "wsse:SecurityTokenReference/wsse:Reference")
    uri = reference[0].get("URI", "")
    if reference[0].get("ValueType", X509V3) != X509V3 or not uri.startswith("#"):
        raise malformed("ds:KeyInfo//wsse:Reference", 'URI="#…" ValueType="…#X509v3"')
    named = parts.signable.get(uri[1:])
    token = parts.token
    if named is None or named[1] is not token:
        raise malformed("ds:KeyInfo//wsse:Reference", "→ wsse:Security/wsse:BinarySecurityToken")
    if token.get("EncodingType", BASE64_BINARY) != BASE64_BINARY or token.get("ValueType") != X509V3:
        raise malformed("wsse:BinarySecurityToken", 'EncodingType="…#Base64Binary" ValueType="…#X509v3"')
    print_ = thumbprint(base64_of(token, "wsse:BinarySecurityToken"))
    key = find(print_)
    if key is None:
        raise SIGNATURE_UNKNOWN_KEY(key=print_)
    return key


def _check_digests(
    root: Element, parts: _Parts, references: list[Reference], whole: Whole | None
) -> tuple[set[str], bytes]:
    """The names of the covered parts, and the canonical Body."""
    covered: set[str] = set()
    used: set[str] = set()
    body = b""
    for reference in references:
        named = parts.signable.get(reference.id)
        if named is None:
            raise _misplaced(root, reference.id)
        name, element = named
        if reference.id in used:
            raise malformed("ds:SignedInfo", f"{name} × 1")
        used.add(reference.id)
        # The Signature is never inside a part that may be signed, so `enveloped-signature` removes nothing.
        canonical = c14n(element, reference.prefixes)
        if binascii.b2a_base64(_digest(canonical, whole), newline=False) != reference.digest:
            raise SIGNATURE_DIGEST_MISMATCH(part=name)
        covered.add(name)
        if element is parts.body:
            body = canonical
    return covered, body


def _misplaced(root: Element, wanted: str) -> Theirs:
    """The error for a Reference to nothing, or to an element where no signed part may be."""
    elements = cast("list[Element]", _BY_ID(root, id=wanted))
    if not elements:
        return malformed("ds:Reference", f"#{wanted[:80]}")
    path = [short(str(e.tag)) for e in reversed([elements[0], *elements[0].iterancestors()])]
    return SIGNATURE_WRAPPED(id=wanted[:80], found="/".join(path[:12]))


def _check_namespaces(parts: _Parts, value: Element, key_info: Element) -> None:
    """Rejects relative namespace URIs in unsigned parts; canonicalisation rejects them in signed ones.

    A document with one has no canonical form (Canonical XML 1.0 §1.3): other implementations find no part of it signed.
    """
    for above in key_info.iterancestors():
        if not all(_ABSOLUTE.match(address) for address in above.nsmap.values() if address):
            raise malformed(short(str(above.tag)), "Exclusive C14N 1.0")
    header = parts.body.getprevious()
    assert header is not None  # _take_apart
    blocks = [each for each in children_of(header) if each.tag != _SECURITY and each.tag not in parts.headers]
    for element in (value, key_info, *blocks):
        for tag in _TAG.findall(etree.tostring(element, with_tail=False)):
            if not all(_ABSOLUTE.match(address.decode()) for address in _DECLARED.findall(tag)):
                raise malformed(short(str(element.tag)), "Exclusive C14N 1.0")


def _digest(canonical: bytes, whole: Whole | None) -> bytes:
    if whole is None:
        return hashlib.sha256(canonical).digest()
    digest = hashlib.sha256()
    for piece in whole(canonical):
        digest.update(piece)
    return digest.digest()


def _payload_digest(canonical_body: bytes, whole: Whole | None = None) -> bytes:
    start = _START_TAG.match(canonical_body)
    assert start is not None  # canonical XML begins with a start tag
    end = canonical_body.rindex(b"<")
    white = _WHITE.match(canonical_body, start.end(), end)
    assert white is not None
    begins = white.end()
    ends = end if canonical_body[end - 1 : end] == b">" else max(begins, len(canonical_body[:end].rstrip(b" \t\n")))
    digest = hashlib.sha256(_ID_ATTRIBUTE.sub(b"", start.group()))
    for piece in (memoryview(canonical_body)[begins:ends],) if whole is None else whole(canonical_body[begins:ends]):
        digest.update(piece)
    digest.update(memoryview(canonical_body)[end:])
    return digest.digest()


def _header_text(headers: dict[str, Element], tag: str) -> str | None:
    element = headers.get(tag)
    return None if element is None else text_of(element, short(tag))


def _check_timestamp(timestamp: Element, now: float) -> tuple[float, float]:
    children = children_of(timestamp)
    if [c.tag for c in children] != _STAMP_PARTS:
        raise malformed("wsu:Timestamp", "wsu:Created, wsu:Expires")
    created, expires = _instant(children[0], "wsu:Created"), _instant(children[1], "wsu:Expires")
    check_times(created, expires, now, MAX_LIFE)
    return created, expires


def _instant(element: Element, where: str) -> float:
    text = text_of(element, where)
    if _INSTANT.fullmatch(text) is None:
        raise malformed(where, "yyyy-MM-ddTHH:mm:ss.SSSZ")
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise malformed(where, "yyyy-MM-ddTHH:mm:ss.SSSZ") from None
