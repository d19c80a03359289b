"""Reads ds:SignedInfo: the referenced parts, their transforms and digests (XML-DSig 1.1, Exclusive C14N 1.0).

Only the profile is accepted: exclusive C14N (optionally with an InclusiveNamespaces PrefixList), `enveloped-signature`
before it, SHA-256, and the signature method of the registered key.
Invariant: a `Reference` was read from the signed bytes, or from the elements that they are made of.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple, cast

from lxml import etree

from contracts.base.errors import Theirs
from security.algorithms import XML_METHODS
from security.errors import SIGNATURE_ALGORITHM, SIGNATURE_MALFORMED
from security.keys import VerifyKey
from security.wssec.names import DIGEST_SHA256, DS, ENVELOPED, EXC_C14N, short

MAX_REFERENCES: Final = 24
_SPACE: Final = " \t\r\n"  # white space of XML 1.0 (§2.3); Python's has more
_NO_SPACE: Final = str.maketrans("", "", _SPACE)
MAX_WORK: Final = 20_000_000
_COUNT: Final = etree.XPath("count(descendant-or-self::*)")
_DIGEST_LENGTH: Final = 44  # base64 of 32 bytes

Element = etree._Element


class Reference(NamedTuple):
    """A Reference: the Id, the PrefixList of its canonicalisation, the digest in canonical base64."""

    id: str
    prefixes: list[str] | None
    digest: bytes


def malformed(where: str, rule: str) -> Theirs:
    return SIGNATURE_MALFORMED(where=where, rule=rule)


def children_of(element: Element) -> list[Element]:
    """Child elements without comments, as in exclusive C14N without comments."""
    return [child for child in element if type(child.tag) is str]


def text_of(element: Element, where: str, error_of: Callable[[str, str], Theirs] = malformed) -> str:
    """The element's text. A child is an error, since a comment would hide the text after it."""
    if len(element):
        raise error_of(where, "text()")
    return (element.text or "").strip(_SPACE)


def base64_of(element: Element, where: str, error_of: Callable[[str, str], Theirs] = malformed) -> bytes:
    """The octets of the element's base64 text; white space is allowed."""
    text = text_of(element, where, error_of)
    try:
        try:
            return binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error:
            return binascii.a2b_base64(text.translate(_NO_SPACE), strict_mode=True)
    except (binascii.Error, ValueError):
        raise error_of(where, "base64") from None


def c14n(element: Element, prefixes: list[str] | None) -> bytes:
    """Exclusive C14N without comments; rejects what has no canonical form, such as a relative namespace URI."""
    if prefixes is not None:
        _check_work(element, prefixes)
        if "#default" in prefixes:
            element = _knowing_default(element)
    try:
        return etree.tostring(
            element, method="c14n", exclusive=True, with_comments=False, with_tail=False, inclusive_ns_prefixes=prefixes
        )
    except etree.C14NError:
        raise malformed(short(str(element.tag)), "Exclusive C14N 1.0") from None


def _check_work(element: Element, prefixes: list[str]) -> None:
    """Limits a PrefixList: libxml2 searches all declarations for each prefix at each element."""
    declarations = etree.tostring(element, with_tail=False).count(b"xmlns")
    if cast("float", _COUNT(element)) * len(prefixes) * (declarations + 1) > MAX_WORK:
        raise malformed("ec:InclusiveNamespaces", "PrefixList")


def _knowing_default(element: Element) -> Element:
    """The element as an own document, with all namespaces in scope, that supports `#default` in a PrefixList.

    lxml ignores a prefix that no document of the thread has used; a namespace URI of that name makes it known.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    etree.fromstring(b'<x xmlns:y="#default"/>', parser)
    return etree.fromstring(etree.tostring(element, with_tail=False), parser)


def _only(element: Element, tag: str, where: str) -> Element:
    children = children_of(element)
    if len(children) != 1 or children[0].tag != tag:
        raise malformed(where, short(tag))
    return children[0]


def _exclusive(method: Element, where: str) -> list[str] | None:
    """The PrefixList of an exclusive C14N, None without one. SIGNATURE_ALGORITHM for other algorithms."""
    if method.get("Algorithm") != EXC_C14N:
        raise SIGNATURE_ALGORITHM(where=where, algorithm=(method.get("Algorithm") or "")[:120], expected=EXC_C14N)
    children = children_of(method)
    if not children:
        return None
    return _only(method, f"{{{EXC_C14N}}}InclusiveNamespaces", where).get("PrefixList", "").split() or None


class _Template(NamedTuple):
    """The common canonical SignedInfo (exclusive C14N alone, SHA-256, no white space), in pieces."""

    head: bytes
    before: bytes  # the Id
    between: bytes  # the Id and the digest
    after: bytes  # the digest
    tail: bytes


@lru_cache(maxsize=32)
def _template(prefix: str | None, method: str) -> _Template:
    p = f"{prefix}:" if prefix else ""
    declared = f"xmlns:{prefix}" if prefix else "xmlns"
    pieces = (
        f'<{p}SignedInfo {declared}="{DS}"><{p}CanonicalizationMethod '
        f'Algorithm="{EXC_C14N}"></{p}CanonicalizationMethod>'
        f'<{p}SignatureMethod Algorithm="{method}"></{p}SignatureMethod>',
        f'<{p}Reference URI="#',
        f'"><{p}Transforms><{p}Transform Algorithm="{EXC_C14N}"></{p}Transform></{p}Transforms>'
        f'<{p}DigestMethod Algorithm="{DIGEST_SHA256}"></{p}DigestMethod><{p}DigestValue>',
        f"</{p}DigestValue></{p}Reference>",
        f"</{p}SignedInfo>",
    )
    return _Template(*[piece.encode() for piece in pieces])


def _read_common(canonical: bytes, template: _Template) -> list[Reference] | None:
    """The References, if SignedInfo matches the template completely; else None."""
    head, *rest = canonical.split(template.before)
    if head != template.head or not 1 <= len(rest) <= MAX_REFERENCES or not rest[-1].endswith(template.tail):
        return None
    rest[-1] = rest[-1][: -len(template.tail)]
    between, after = template.between, template.after
    skip, length = len(between), len(between) + _DIGEST_LENGTH + len(after)
    read = []
    for piece in rest:
        at = piece.find(b'"')
        ident = piece[:at]
        if len(piece) != at + length or not piece.startswith(between, at) or not piece.endswith(after) or b"&" in ident:
            return None
        read.append(Reference(ident.decode(), None, piece[at + skip : at + skip + _DIGEST_LENGTH]))
    return read


def read_signed_info(info: Element, key: VerifyKey) -> tuple[list[str] | None, bytes | None, list[Reference]]:
    """PrefixList of SignedInfo, its canonical form if it was computed, and its References.

    The common form is read from the signed bytes, any other element by element.
    """
    expected = key.xml_method
    if expected is not None:
        canonical = c14n(info, None)
        read = _read_common(canonical, _template(info.prefix, expected))
        if read is not None:
            return None, canonical, read
    children = children_of(info)
    tags = [c.tag for c in children[:2]]
    if (
        tags != [f"{{{DS}}}CanonicalizationMethod", f"{{{DS}}}SignatureMethod"]
        or not 3 <= len(children) <= 2 + MAX_REFERENCES
    ):
        raise malformed(
            "ds:SignedInfo", f"ds:CanonicalizationMethod, ds:SignatureMethod, ds:Reference 1…{MAX_REFERENCES}"
        )
    prefixes = _exclusive(children[0], "ds:CanonicalizationMethod")
    used = children[1].get("Algorithm") or ""
    if used != expected or len(children[1]):
        wanted = expected or " / ".join(XML_METHODS)
        raise SIGNATURE_ALGORITHM(where="ds:SignatureMethod", algorithm=used[:120], expected=wanted)
    return prefixes, None, [_read_reference(child, number) for number, child in enumerate(children[2:], 1)]


def _read_reference(reference: Element, number: int) -> Reference:
    where = f"ds:Reference[{number}]"
    uri = reference.get("URI", "")
    children = children_of(reference)
    if reference.tag != f"{{{DS}}}Reference" or not uri.startswith("#") or len(uri) < 2:
        raise malformed(where, 'ds:Reference URI="#…"')
    if [c.tag for c in children] != [f"{{{DS}}}Transforms", f"{{{DS}}}DigestMethod", f"{{{DS}}}DigestValue"]:
        raise malformed(where, "ds:Transforms, ds:DigestMethod, ds:DigestValue")
    transforms = children_of(children[0])
    if not 1 <= len(transforms) <= 2 or any(t.tag != f"{{{DS}}}Transform" for t in transforms):
        raise malformed(f"{where}/ds:Transforms", "ds:Transform 1…2")
    if len(transforms) == 2 and (transforms[0].get("Algorithm") != ENVELOPED or len(transforms[0])):
        raise SIGNATURE_ALGORITHM(
            where=f"{where}/ds:Transform[1]", algorithm=(transforms[0].get("Algorithm") or "")[:120], expected=ENVELOPED
        )
    prefixes = _exclusive(transforms[-1], f"{where}/ds:Transform[{len(transforms)}]")
    method = children[1].get("Algorithm")
    if method != DIGEST_SHA256 or len(children[1]):
        raise SIGNATURE_ALGORITHM(
            where=f"{where}/ds:DigestMethod", algorithm=(method or "")[:120], expected=DIGEST_SHA256
        )
    return Reference(
        uri[1:], prefixes, binascii.b2a_base64(base64_of(children[2], f"{where}/ds:DigestValue"), newline=False)
    )
