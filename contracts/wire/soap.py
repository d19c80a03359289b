"""SOAP 1.1 and 1.2 envelopes: names, the hardened XML parser, and a small builder.

The parser accepts no DTD, entity or processing instruction, and fetches nothing. It limits size, number of tags, depth,
and the namespace declarations in scope.
Invariant: an element that `parse_xml` returns comes from a document without a DOCTYPE, in any encoding; comments are
removed before anything is read, so a comment cannot split a text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from lxml import etree

from contracts.errors import (
    SOAP_MALFORMED,
    SOAP_VERSION,
    XML_DOCTYPE,
    XML_INSTRUCTION,
    XML_MALFORMED,
    XML_TOO_DEEP,
    XML_TOO_LARGE,
    XML_TOO_MANY_NAMESPACES,
    XML_TOO_MANY_TAGS,
)

SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP12: Final = "http://www.w3.org/2003/05/soap-envelope"
WSA: Final = "http://www.w3.org/2005/08/addressing"
WSSE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
DS: Final = "http://www.w3.org/2000/09/xmldsig#"
LGSP: Final = "urn:lgsp:wire:1"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"

ENVELOPE: Final = f"{{{SOAP}}}Envelope"
BODY: Final = f"{{{SOAP}}}Body"
FAULT: Final = f"{{{SOAP}}}Fault"
ACTION: Final = f"{{{WSA}}}Action"
MESSAGE_ID: Final = f"{{{WSA}}}MessageID"
TO: Final = f"{{{WSA}}}To"
SECURITY: Final = f"{{{WSSE}}}Security"
RECEIPT: Final = f"{{{LGSP}}}Receipt"
CALLER: Final = f"{{{LGSP}}}Caller"
MEDIA_TYPE: Final = "text/xml; charset=utf-8"
MAX_BYTES: Final = 10_000_000
MAX_DEPTH: Final = 64
MAX_TAGS: Final = 600_000
MAX_DECLARED: Final = 256  # in scope at one element: C14N visits all of them at each descendant and attribute
_ASCII_COMPATIBLE: Final = frozenset({None, "UTF-8", "US-ASCII", "ASCII", "ISO-8859-1", "WINDOWS-1252", "WINDOWS-1258"})


@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """The names that differ between SOAP 1.1 and SOAP 1.2.

    `role` is the attribute that addresses a header block; `ours` are the roles of the ultimate receiver.
    """

    number: str
    namespace: str
    media_type: str
    envelope: str
    header: str
    body: str
    fault: str
    must_understand: str
    role: str
    ours: frozenset[str]


def _version(number: str, namespace: str, media_type: str, role: str, ours: set[str]) -> Version:
    names = ("Envelope", "Header", "Body", "Fault", "mustUnderstand", role)
    envelope, header, body, fault, must, role = (f"{{{namespace}}}{name}" for name in names)
    return Version(
        number=number,
        namespace=namespace,
        media_type=media_type,
        envelope=envelope,
        header=header,
        body=body,
        fault=fault,
        must_understand=must,
        role=role,
        ours=frozenset({"", *ours}),
    )


V11: Final = _version("1.1", SOAP, "text/xml", "actor", {"http://schemas.xmlsoap.org/soap/actor/next"})
V12: Final = _version(
    "1.2", SOAP12, "application/soap+xml", "role", {f"{SOAP12}/role/next", f"{SOAP12}/role/ultimateReceiver"}
)
VERSIONS: Final[Mapping[str, Version]] = {each.envelope: each for each in (V11, V12)}


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=False,
        strip_cdata=True,
        recover=False,
        collect_ids=False,
    )


_PARSER: Final = _parser()  # shared under its lock; making a parser costs a fifth of reading a message


def parse_xml(
    raw: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH, published: bool = False
) -> etree._Element:
    """The root element of a document that is safe to read. An `XML_…` error otherwise.

    A `published` file, such as an alert on the web, may have stylesheet instructions before its root. They are ignored.
    """
    if len(raw) > max_bytes:
        raise XML_TOO_LARGE(size=len(raw), limit=max_bytes)
    if len(raw) > MAX_TAGS and raw.count(b"<") > MAX_TAGS:  # before parsing: each costs far more than its bytes
        raise XML_TOO_MANY_TAGS(limit=MAX_TAGS)
    # Finds most doctypes before the parser runs; the tree is checked too, for UTF-16 and others.
    if b"<!DOCTYPE" in raw:
        _refuse_doctype(raw)
    try:
        root = etree.fromstring(raw, _PARSER)
    except etree.XMLSyntaxError as error:
        if "Excessive depth" in str(error.msg):
            raise XML_TOO_DEEP(limit=max_depth) from None
        raise XML_MALFORMED(why=_why(error), line=error.lineno or 0) from None
    except ValueError as error:
        raise XML_MALFORMED(why=str(error)[:120], line=0) from None
    info = root.getroottree().docinfo
    if info.internalDTD is not None or info.externalDTD is not None or info.doctype:
        raise XML_DOCTYPE()
    plain = info.encoding is None or info.encoding.upper() in _ASCII_COMPATIBLE
    if (not plain or raw.count(b"xmlns") > MAX_DECLARED) and _declared_at_once(root) > MAX_DECLARED:
        raise XML_TOO_MANY_NAMESPACES(limit=MAX_DECLARED)
    if _instructed_or_deep(max_depth)(root):
        instruction = _instruction(root, published)
        if instruction is not None:
            raise XML_INSTRUCTION(target=str(instruction.target)[:40], line=instruction.sourceline)
        if _deeper_than(root, max_depth):
            raise XML_TOO_DEEP(limit=max_depth)
    return root


def _refuse_doctype(raw: bytes) -> None:
    """Rejects a real DOCTYPE only: the word may also occur in a CDATA section or a comment."""
    parser = _parser()
    try:
        info = etree.fromstring(raw, parser).getroottree().docinfo
    except (etree.XMLSyntaxError, ValueError):
        raise XML_DOCTYPE() from None
    if info.internalDTD is not None or info.externalDTD is not None or info.doctype:
        raise XML_DOCTYPE()


# The first only: libxml2 gathers a set of instructions in quadratic time.
_INSTRUCTION: Final = etree.XPath("/descendant::processing-instruction()[1]")
_INSTRUCTION_INSIDE: Final = etree.XPath("/*/descendant::processing-instruction()[1]")
_STYLESHEET: Final = "xml-stylesheet"


def _instruction(root: etree._Element, published: bool) -> etree._ProcessingInstruction | None:
    """The first processing instruction that is not allowed."""
    query = _INSTRUCTION_INSIDE if published else _INSTRUCTION
    instructions: list[etree._ProcessingInstruction] = query(root)  # type: ignore[assignment]
    if instructions or not published:
        return instructions[0] if instructions else None
    before: list[etree._ProcessingInstruction] = [*root.itersiblings(etree.PI, preceding=True)]  # type: ignore[list-item]
    after: etree._ProcessingInstruction | None = next(root.itersiblings(etree.PI), None)  # type: ignore[assignment]
    return next((each for each in reversed(before) if each.target != _STYLESHEET), after)


def _declared_at_once(root: etree._Element) -> int:
    """The largest number of namespace declarations in scope, counted no further than the limit."""
    current = most = 0
    for event, _ in etree.iterwalk(root, events=("start-ns", "end-ns")):
        current += 1 if event == "start-ns" else -1
        if current > most:
            most = current
            if most > MAX_DECLARED:
                break
    return most


def _deeper(limit: int) -> str:
    return "/".join(["*"] * limit)


@lru_cache(maxsize=16)
def _instructed_or_deep(limit: int) -> etree.XPath:
    """One query for what valid messages never have. libxml2 walks the tree, not Python."""
    return etree.XPath(f"boolean(/descendant::processing-instruction()[1]) or boolean({_deeper(limit)})")


def _deeper_than(root: etree._Element, limit: int) -> bool:
    """True where an element is deeper than `limit`."""
    return bool(root.xpath(f"boolean({_deeper(limit)})"))


def _why(error: etree.XMLSyntaxError) -> str:
    """The parser's message without its quotation of the document."""
    return str(error.msg or "not well-formed").split(", line")[0].split(":")[0][:120]


def parse_envelope(raw: bytes, version: Version = V11) -> etree._Element:
    """The root of a well-formed envelope of that version: at most one Header, then one Body."""
    root = parse_xml(raw)
    if root.tag != version.envelope:
        name = etree.QName(root)
        if name.localname == "Envelope":
            raise SOAP_VERSION(got=(name.namespace or "—")[:200], expected=version.namespace, number=version.number)
        raise SOAP_MALFORMED(why="the root is not soap:Envelope")
    _shape(root, version)
    return root


def canonical(element: etree._Element) -> bytes:
    """Exclusive C14N of the element without comments, independent of its context."""
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False)


def body_child(root: etree._Element) -> etree._Element:
    """The only element in the Body of either version. SOAP_MALFORMED for any other shape."""
    version = VERSIONS.get(str(root.tag))
    if version is None:
        raise SOAP_MALFORMED(why="the root is not soap:Envelope")
    _shape(root, version)
    if len(root[-1]) != 1:
        raise SOAP_MALFORMED(why="the Body must have one child")
    return root[-1][0]


def _shape(root: etree._Element, version: Version) -> None:
    parts = [part.tag for part in root]
    if parts not in ([version.header, version.body], [version.body]):
        raise SOAP_MALFORMED(why="an Envelope holds at most one Header, then one Body, and nothing else")


def plain_envelope(body: bytes, version: Version = V11, headers: Sequence[bytes] = ()) -> bytes:
    """An unsigned envelope around header blocks and the Body's child, all in canonical form."""
    head = b"<soap:Header>" + b"".join(headers) + b"</soap:Header>" if headers else b""
    opened = b'<soap:Envelope xmlns:soap="' + version.namespace.encode() + b'">'
    return opened + head + b"<soap:Body>" + body + b"</soap:Body></soap:Envelope>"
