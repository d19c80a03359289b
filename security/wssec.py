"""WS-Security 1.1 with the X.509 token profile: verifying an envelope, strictly the profile of `docs/wire.md`.

Against wrapping, nothing is ever looked up by Id in the document: the parts that may be signed are first found by where they
stand (Envelope/Body, Header/*, Security/*), and a Reference must name one of these. Standards: SOAP 1.1, XML-DSig 1.1,
Exclusive C14N 1.0, WSS SOAP Message Security 1.1. Making envelopes is `security.wssign`, which this module hands on.
Invariant: what a `VerifiedEnvelope` holds was covered by the signature, and the text of a signed header is all of its text.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from lxml import etree

from contracts.base.errors import Theirs
from contracts.base.times import rfc3339
from security.keys import ECDSA_P256, RSA_PKCS1, RSA_PSS, VerifyKey, thumbprint
from security.wsnames import (
    BASE64_BINARY, DIGEST_SHA256, DS, ENVELOPED, EXC_C14N, LGSP, SIGN_ECDSA_SHA256, SIGN_RSA_SHA256, SOAP, WSA, WSSE, WSU, X509V3, short,
)
from security.wssign import MAX_LIFE, caller_block, receipt_block, sign_envelope

__all__ = ["SKEW", "FindKey", "VerifiedEnvelope", "caller_block", "receipt_block", "sign_envelope", "verify_envelope"]

SKEW: Final = 5
MAX_REFERENCES: Final = 24
_ENVELOPE, _HEADER, _BODY = f"{{{SOAP}}}Envelope", f"{{{SOAP}}}Header", f"{{{SOAP}}}Body"
_SECURITY, _TOKEN, _TIMESTAMP = f"{{{WSSE}}}Security", f"{{{WSSE}}}BinarySecurityToken", f"{{{WSU}}}Timestamp"
_SIGNATURE, _WSU_ID, _XML_ID = f"{{{DS}}}Signature", f"{{{WSU}}}Id", "{http://www.w3.org/XML/1998/namespace}id"
_MUST_SIGN: Final = (f"{{{WSA}}}", f"{{{LGSP}}}")
_WSA_KNOWN: Final = frozenset({"Action", "MessageID", "To", "RelatesTo", "From", "ReplyTo", "FaultTo"})
_ALL_IDS: Final = etree.XPath(
    "descendant-or-self::*/@u:Id | descendant-or-self::*/@Id | descendant-or-self::*/@ID | descendant-or-self::*/@xml:id",
    namespaces={"u": WSU}, smart_strings=False,
)
_BY_ID: Final = etree.XPath("descendant-or-self::*[@u:Id=$id or @Id=$id or @ID=$id or @xml:id=$id]", namespaces={"u": WSU})
_METHODS: Final = {ECDSA_P256: SIGN_ECDSA_SHA256, RSA_PKCS1: SIGN_RSA_SHA256, RSA_PSS: SIGN_RSA_SHA256}
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")
_START_TAG: Final = re.compile(rb'<[^\s>]+(?: [^=]+="[^"]*")*>')

Element = etree._Element
FindKey = Callable[[str], VerifyKey | None]


@dataclass(frozen=True, slots=True)
class VerifiedEnvelope:
    """A verified message. `payload_digest` is SHA-256 of the canonical Body without its wsu:Id, so that a repeat by a stack
    that draws Ids anew is still the same message."""

    key: VerifyKey
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


@dataclass(frozen=True, slots=True)
class _Parts:
    """The envelope taken apart by position. `signable` maps each Id of each part to (name of the part, element)."""

    body: Element
    headers: dict[str, Element]
    timestamp: Element
    token: Element
    signature: Element
    signable: dict[str, tuple[str, Element]]
    needed: list[str]


def verify_envelope(root: Element, find_key_by_thumbprint: FindKey, now: float) -> VerifiedEnvelope:
    """The verified envelope; Theirs("signature.…") says what is wrong with it. `root` comes from the hardened parser."""
    parts = _take_apart(root)
    ids = cast("list[str]", _ALL_IDS(root))
    if len(ids) != len(set(ids)):
        raise Theirs("signature.duplicate-id", id=next(i for i in ids if ids.count(i) > 1))
    info, value, key_info = _signature_parts(parts.signature)
    key = _find_key(parts, key_info, find_key_by_thumbprint)
    key.check_time(now)
    prefixes, references = _read_signed_info(info, key)
    covered, bodies = _check_digests(root, parts, references)
    missing = [name for name in parts.needed if name not in covered]
    if missing:
        raise Theirs("signature.not-covering", missing=", ".join(missing))
    created, expires = _check_timestamp(parts.timestamp, now)
    canonical = _c14n(info, prefixes)
    key.verify_xml(canonical, _base64(value, "ds:SignatureValue"))

    headers = parts.headers
    action, message_id = _header_text(headers, f"{{{WSA}}}Action"), _header_text(headers, f"{{{WSA}}}MessageID")
    if not action or not message_id:
        raise Theirs("signature.header-missing", missing="wsa:MessageID" if action else "wsa:Action")
    return VerifiedEnvelope(
        key=key,
        body=parts.body,
        action=action,
        message_id=message_id,
        to=_header_text(headers, f"{{{WSA}}}To"),
        relates_to=_header_text(headers, f"{{{WSA}}}RelatesTo"),
        caller=_header_text(headers, f"{{{LGSP}}}Caller"),
        receipt=headers.get(f"{{{LGSP}}}Receipt"),
        created=created,
        expires=expires,
        replay_key=hashlib.sha256(key.key_id.encode() + b"\n" + canonical).digest(),
        payload_digest=_without_id(bodies),
        headers=headers,
    )


def _malformed(where: str, rule: str) -> Theirs:
    return Theirs("signature.malformed", where=where, rule=rule)


def _children(element: Element) -> list[Element]:
    """Child elements; comments are passed over, as exclusive C14N without comments does."""
    return [child for child in element if type(child.tag) is str]


def _take_apart(root: Element) -> _Parts:
    if root.tag != _ENVELOPE:
        raise _malformed(short(str(root.tag)), "soap:Envelope")
    top = _children(root)
    if not top or top[0].tag != _HEADER:
        raise Theirs("signature.missing", where="soap:Header")
    if len(top) != 2 or top[1].tag != _BODY:
        raise _malformed("soap:Envelope", "soap:Header, soap:Body")
    header, body = top
    security: Element | None = None
    headers: dict[str, Element] = {}
    signable: dict[str, tuple[str, Element]] = {}
    needed = ["soap:Body", "wsu:Timestamp", "wsse:BinarySecurityToken"]
    _name(signable, "soap:Body", body)
    for child in _children(header):
        tag = str(child.tag)
        if tag == _SECURITY:
            if security is not None:
                raise Theirs("signature.several", found=2, where="wsse:Security")
            security = child
            continue
        name = short(tag)
        if tag.startswith(_MUST_SIGN):
            if tag in headers:
                raise _malformed(name, f"{name} × 1")
            if tag.startswith(_MUST_SIGN[0]) and tag[len(_MUST_SIGN[0]):] not in _WSA_KNOWN:
                raise _malformed(name, "WS-Addressing 1.0")
            headers[tag] = child
            needed.append(name)
        _name(signable, name, child)
    if security is None:
        raise Theirs("signature.missing", where="soap:Header/wsse:Security")
    found: dict[str, Element] = {}
    for child in _children(security):
        tag = str(child.tag)
        if tag not in (_TIMESTAMP, _TOKEN, _SIGNATURE):
            raise _malformed(f"wsse:Security/{short(tag)}", "wsu:Timestamp, wsse:BinarySecurityToken, ds:Signature")
        if tag in found:
            raise Theirs("signature.several", found=2, where=f"wsse:Security/{short(tag)}")
        found[tag] = child
        if tag != _SIGNATURE:
            _name(signable, short(tag), child)
    for tag in (_SIGNATURE, _TOKEN, _TIMESTAMP):
        if tag not in found:
            raise Theirs("signature.missing", where=f"wsse:Security/{short(tag)}")
    return _Parts(body, headers, found[_TIMESTAMP], found[_TOKEN], found[_SIGNATURE], signable, needed)


def _name(signable: dict[str, tuple[str, Element]], name: str, element: Element) -> None:
    for attribute in (_WSU_ID, "Id", "ID", _XML_ID):
        given = element.get(attribute)
        if given is not None:
            signable[given] = (name, element)


def _signature_parts(signature: Element) -> tuple[Element, Element, Element]:
    children = _children(signature)
    if [c.tag for c in children] != [f"{{{DS}}}SignedInfo", f"{{{DS}}}SignatureValue", f"{{{DS}}}KeyInfo"]:
        raise _malformed("ds:Signature", "ds:SignedInfo, ds:SignatureValue, ds:KeyInfo")
    return children[0], children[1], children[2]


def _find_key(parts: _Parts, key_info: Element, find: FindKey) -> VerifyKey:
    inner = _children(key_info)
    reference = _children(inner[0]) if len(inner) == 1 and inner[0].tag == f"{{{WSSE}}}SecurityTokenReference" else []
    if len(reference) != 1 or reference[0].tag != f"{{{WSSE}}}Reference":
        raise _malformed("ds:KeyInfo", "wsse:SecurityTokenReference/wsse:Reference")
    uri = reference[0].get("URI", "")
    if reference[0].get("ValueType", X509V3) != X509V3 or not uri.startswith("#"):
        raise _malformed("ds:KeyInfo//wsse:Reference", 'URI="#…" ValueType="…#X509v3"')
    named = parts.signable.get(uri[1:])
    token = parts.token
    if named is None or named[1] is not token:
        raise _malformed("ds:KeyInfo//wsse:Reference", "→ wsse:Security/wsse:BinarySecurityToken")
    if token.get("EncodingType", BASE64_BINARY) != BASE64_BINARY or token.get("ValueType") != X509V3:
        raise _malformed("wsse:BinarySecurityToken", 'EncodingType="…#Base64Binary" ValueType="…#X509v3"')
    print_ = thumbprint(_base64(token, "wsse:BinarySecurityToken"))
    key = find(print_)
    if key is None:
        raise Theirs("signature.unknown-key", key=print_)
    return key


def _only(element: Element, tag: str, where: str) -> Element:
    children = _children(element)
    if len(children) != 1 or children[0].tag != tag:
        raise _malformed(where, short(tag))
    return children[0]


def _exclusive(method: Element, where: str) -> list[str] | None:
    """The InclusiveNamespaces PrefixList of an exclusive C14N (None without one), or the refusal of another algorithm."""
    if method.get("Algorithm") != EXC_C14N:
        raise Theirs("signature.algorithm", where=where, algorithm=(method.get("Algorithm") or "")[:120], expected=EXC_C14N)
    children = _children(method)
    if not children:
        return None
    return _only(method, f"{{{EXC_C14N}}}InclusiveNamespaces", where).get("PrefixList", "").split() or None


@dataclass(frozen=True, slots=True)
class _Reference:
    id: str
    prefixes: list[str] | None
    digest: bytes


def _read_signed_info(info: Element, key: VerifyKey) -> tuple[list[str] | None, list[_Reference]]:
    children = _children(info)
    tags = [c.tag for c in children[:2]]
    if tags != [f"{{{DS}}}CanonicalizationMethod", f"{{{DS}}}SignatureMethod"] or not 3 <= len(children) <= 2 + MAX_REFERENCES:
        raise _malformed("ds:SignedInfo", f"ds:CanonicalizationMethod, ds:SignatureMethod, ds:Reference 1…{MAX_REFERENCES}")
    prefixes = _exclusive(children[0], "ds:CanonicalizationMethod")
    expected = _METHODS.get(key.algorithm, f"{SIGN_ECDSA_SHA256} / {SIGN_RSA_SHA256}")
    used = children[1].get("Algorithm") or ""
    if used != expected or len(children[1]):
        raise Theirs("signature.algorithm", where="ds:SignatureMethod", algorithm=used[:120], expected=expected)
    return prefixes, [_read_reference(child, number) for number, child in enumerate(children[2:], 1)]


def _read_reference(reference: Element, number: int) -> _Reference:
    where = f"ds:Reference[{number}]"
    uri = reference.get("URI", "")
    children = _children(reference)
    if reference.tag != f"{{{DS}}}Reference" or not uri.startswith("#") or len(uri) < 2:
        raise _malformed(where, 'ds:Reference URI="#…"')
    if [c.tag for c in children] != [f"{{{DS}}}Transforms", f"{{{DS}}}DigestMethod", f"{{{DS}}}DigestValue"]:
        raise _malformed(where, "ds:Transforms, ds:DigestMethod, ds:DigestValue")
    transforms = _children(children[0])
    if not 1 <= len(transforms) <= 2 or any(t.tag != f"{{{DS}}}Transform" for t in transforms):
        raise _malformed(f"{where}/ds:Transforms", "ds:Transform 1…2")
    if len(transforms) == 2 and (transforms[0].get("Algorithm") != ENVELOPED or len(transforms[0])):
        raise Theirs(
            "signature.algorithm", where=f"{where}/ds:Transform[1]", algorithm=(transforms[0].get("Algorithm") or "")[:120], expected=ENVELOPED
        )
    prefixes = _exclusive(transforms[-1], f"{where}/ds:Transform[{len(transforms)}]")
    method = children[1].get("Algorithm")
    if method != DIGEST_SHA256 or len(children[1]):
        raise Theirs("signature.algorithm", where=f"{where}/ds:DigestMethod", algorithm=(method or "")[:120], expected=DIGEST_SHA256)
    return _Reference(uri[1:], prefixes, _base64(children[2], f"{where}/ds:DigestValue"))


def _check_digests(root: Element, parts: _Parts, references: list[_Reference]) -> tuple[set[str], bytes]:
    """The names of the parts covered, and the canonical Body."""
    covered: set[str] = set()
    body = b""
    for reference in references:
        named = parts.signable.get(reference.id)
        if named is None:
            raise _astray(root, reference.id)
        name, element = named
        if name in covered:
            raise _malformed("ds:SignedInfo", f"{name} × 1")
        # The Signature never lies inside a part that may be signed, so `enveloped-signature` has nothing to remove.
        canonical = _c14n(element, reference.prefixes)
        if hashlib.sha256(canonical).digest() != reference.digest:
            raise Theirs("signature.digest-mismatch", part=name)
        covered.add(name)
        if element is parts.body:
            body = canonical
    return covered, body


def _astray(root: Element, wanted: str) -> Theirs:
    """A Reference to nothing, or to an element that stands where no signed part may stand."""
    found = cast("list[Element]", _BY_ID(root, id=wanted))
    if not found:
        return _malformed("ds:Reference", f"#{wanted[:80]}")
    path = [short(str(e.tag)) for e in reversed([found[0], *found[0].iterancestors()])]
    return Theirs("signature.wrapped", id=wanted[:80], found="/".join(path[:12]))


def _c14n(element: Element, prefixes: list[str] | None) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False, with_tail=False, inclusive_ns_prefixes=prefixes)


def _without_id(canonical_body: bytes) -> bytes:
    start = _START_TAG.match(canonical_body)
    assert start is not None  # canonical XML begins with a start tag
    tag = re.sub(rb' (?:[^\s=:]+:)?(?:Id|ID|id)="[^"]*"', b"", start.group())
    return hashlib.sha256(tag + canonical_body[start.end():]).digest()


def _text(element: Element, where: str) -> str:
    """All of the element's text; a comment in between would hide what follows it, so nothing may stand inside."""
    if len(element):
        raise _malformed(where, "text()")
    return (element.text or "").strip()


def _header_text(headers: dict[str, Element], tag: str) -> str | None:
    element = headers.get(tag)
    return None if element is None else _text(element, short(tag))


def _base64(element: Element, where: str) -> bytes:
    text = _text(element, where)
    try:
        return binascii.a2b_base64("".join(text.split()), strict_mode=True)
    except (binascii.Error, ValueError):
        raise _malformed(where, "base64") from None


def _check_timestamp(timestamp: Element, now: float) -> tuple[float, float]:
    children = _children(timestamp)
    if [c.tag for c in children] != [f"{{{WSU}}}Created", f"{{{WSU}}}Expires"]:
        raise _malformed("wsu:Timestamp", "wsu:Created, wsu:Expires")
    created, expires = _instant(children[0], "wsu:Created"), _instant(children[1], "wsu:Expires")
    if not 0 < expires - created <= MAX_LIFE:
        raise Theirs("signature.lifetime", lifetime=round(expires - created, 3), allowed=MAX_LIFE)
    if created > now + SKEW:
        raise Theirs("signature.from-future", created=rfc3339(created), now=rfc3339(now), skew=round(created - now, 1), allowed=SKEW)
    if expires < now:
        raise Theirs(
            "signature.expired", created=rfc3339(created), now=rfc3339(now), late=round(now - expires, 1), skew=round(now - created, 1)
        )
    return created, expires


def _instant(element: Element, where: str) -> float:
    text = _text(element, where)
    if _INSTANT.fullmatch(text) is None:
        raise _malformed(where, "yyyy-MM-ddTHH:mm:ss.SSSZ")
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise _malformed(where, "yyyy-MM-ddTHH:mm:ss.SSSZ") from None
