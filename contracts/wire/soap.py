"""SOAP 1.1 envelopes: names, the hardened parser, and small builders used by door, adapter and agent alike.

The parser takes no DTD, no entity, no processing instruction, fetches nothing, and holds limits on size and depth.
Invariant: an element that `parse_xml` returns comes from a document without a DOCTYPE, whatever its encoding; comments are
gone before anything is read, so a comment cannot split a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lxml import etree

from contracts import failures as _failures  # noqa: F401  registers the codes raised here
from contracts.base.errors import Branch, Failure, Language, Theirs
from contracts.wire.xmltext import ILLEGAL
from contracts.wire.xmltext import escape_attribute as escape_attribute
from contracts.wire.xmltext import escape_text as escape_text

SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
WSA: Final = "http://www.w3.org/2005/08/addressing"
WSSE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
DS: Final = "http://www.w3.org/2000/09/xmldsig#"
LGSP: Final = "urn:lgsp:wire:1"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"

ENVELOPE: Final = f"{{{SOAP}}}Envelope"
HEADER: Final = f"{{{SOAP}}}Header"
BODY: Final = f"{{{SOAP}}}Body"
FAULT: Final = f"{{{SOAP}}}Fault"
ACTION: Final = f"{{{WSA}}}Action"
MESSAGE_ID: Final = f"{{{WSA}}}MessageID"
TO: Final = f"{{{WSA}}}To"
RELATES_TO: Final = f"{{{WSA}}}RelatesTo"
SECURITY: Final = f"{{{WSSE}}}Security"
RECEIPT: Final = f"{{{LGSP}}}Receipt"
CALLER: Final = f"{{{LGSP}}}Caller"
PROBLEM: Final = f"{{{LGSP}}}Problem"

MEDIA_TYPE: Final = "text/xml; charset=utf-8"
MAX_BYTES: Final = 10_000_000
MAX_DEPTH: Final = 64

_LANGUAGES: Final[tuple[Language, Language]] = ("vi", "en")


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


def parse_xml(raw: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH, published: bool = False) -> etree._Element:
    """The root element of a document that is safe to read; Theirs("xml.…") otherwise. A `published` file, which no envelope and no
    signature holds, may name a stylesheet before its root, as alerts on the web do: it is read over."""
    if len(raw) > max_bytes:
        raise Theirs("xml.too-large", size=len(raw), limit=max_bytes)
    # Sees most doctypes before the parser has to; the tree is looked at too, for UTF-16 and the like.
    if b"<!DOCTYPE" in raw:
        _refuse_doctype(raw)
    try:
        root = etree.fromstring(raw, _parser())
    except etree.XMLSyntaxError as error:
        if "Excessive depth" in str(error.msg):
            raise Theirs("xml.too-deep", limit=max_depth) from None
        raise Theirs("xml.malformed", why=_why(error), line=error.lineno or 0) from None
    except ValueError as error:
        raise Theirs("xml.malformed", why=str(error)[:120], line=0) from None
    info = root.getroottree().docinfo
    if info.internalDTD is not None or info.externalDTD is not None or info.doctype:
        raise Theirs("xml.doctype")
    found: list[etree._ProcessingInstruction] = (_BESIDES_STYLESHEETS if published else _INSTRUCTIONS)(root)  # type: ignore[assignment]
    if found:
        raise Theirs("xml.instruction", target=str(found[0].target)[:40], line=found[0].sourceline)
    if _deeper_than(root, max_depth):
        raise Theirs("xml.too-deep", limit=max_depth)
    return root


def _refuse_doctype(raw: bytes) -> None:
    """The word may also stand in a CDATA section or a comment: only a real one is refused."""
    parser = _parser()
    try:
        info = etree.fromstring(raw, parser).getroottree().docinfo
    except (etree.XMLSyntaxError, ValueError):
        raise Theirs("xml.doctype") from None
    if info.internalDTD is not None or info.externalDTD is not None or info.doctype:
        raise Theirs("xml.doctype")


_INSTRUCTIONS: Final = etree.XPath("//processing-instruction()")
_BESIDES_STYLESHEETS: Final = etree.XPath(
    "//processing-instruction()[parent::* or preceding-sibling::* or not(self::processing-instruction('xml-stylesheet'))]"
)
_DEEP: dict[int, etree.XPath] = {}


def _deeper_than(root: etree._Element, limit: int) -> bool:
    """True where an element lies deeper than `limit`. One compiled path a limit; libxml2 walks, not Python."""
    path = _DEEP.get(limit)
    if path is None:
        path = _DEEP[limit] = etree.XPath("boolean(" + "/".join(["*"] * limit) + ")")
    return bool(path(root))


def _why(error: etree.XMLSyntaxError) -> str:
    """What the parser says, without what it quotes of the document."""
    return str(error.msg or "not well-formed").split(", line")[0].split(":")[0][:120]


def parse_envelope(raw: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> etree._Element:
    """The root of a well-shaped SOAP 1.1 envelope: at most one Header, then one Body, and nothing else."""
    root = parse_xml(raw, max_bytes=max_bytes, max_depth=max_depth)
    _shape(root)
    return root


def body_child(root: etree._Element) -> etree._Element:
    """The one element in /Envelope/Body; Theirs("soap.malformed") for any other shape."""
    _shape(root)
    body = root[-1]
    if len(body) != 1:
        raise Theirs("soap.malformed", why="the Body must have one child")
    return body[0]


def _shape(root: etree._Element) -> None:
    if root.tag != ENVELOPE:
        raise Theirs("soap.malformed", why="the root is not soap:Envelope of SOAP 1.1")
    parts = [part.tag for part in root]
    if parts not in ([HEADER, BODY], [BODY]):
        raise Theirs("soap.malformed", why="an Envelope holds at most one Header, then one Body, and nothing else")


def header(root: etree._Element) -> etree._Element | None:
    found = root.find(HEADER)
    return found


def header_text(root: etree._Element, tag: str) -> str | None:
    """Text of the one header block `tag`; None where there is none, a failure where there are two."""
    found = root.findall(f"{HEADER}/{tag}")
    if len(found) > 1:
        raise Theirs("soap.malformed", why=f"the header {etree.QName(tag).localname} stands twice")
    return (found[0].text or "").strip() if found else None


def plain_envelope(body: bytes, headers: Sequence[bytes] = ()) -> bytes:
    """A plain envelope around canonical bytes of header blocks and of the Body's child, itself in canonical form."""
    head = b"<soap:Header>" + b"".join(headers) + b"</soap:Header>" if headers else b""
    return b'<soap:Envelope xmlns:soap="' + SOAP.encode() + b'">' + head + b"<soap:Body>" + body + b"</soap:Body></soap:Envelope>"


def fault_body(failure: Failure, *, transfer: str | None = None, language: Language = "vi") -> bytes:
    """`soap:Fault` in canonical form, to stand in a Body that is signed."""
    side = "Server" if failure.branch is Branch.OURS else "Client"
    said = _clean(f"{failure.title(language)}. {failure.what(language)}")
    parts = [
        f'<soap:Fault xmlns:soap="{SOAP}"><faultcode>soap:{side}</faultcode><faultstring xml:lang="{language}">{said}</faultstring>',
        f'<detail><lgsp:Problem xmlns:lgsp="{LGSP}"><lgsp:Code>{_clean(failure.code)}</lgsp:Code>',
    ]
    for name, say in (("Title", failure.title), ("Detail", failure.what), ("Next", failure.next)):
        parts.extend(f'<lgsp:{name} xml:lang="{tongue}">{_clean(say(tongue))}</lgsp:{name}>' for tongue in _LANGUAGES)
    if transfer is not None:
        parts.append(f"<lgsp:Transfer>{_clean(transfer)}</lgsp:Transfer>")
    for found in failure.findings:
        facts = (
            ("canonical", found.canonical),
            ("expected", found.expected),
            ("got", found.got),
            ("here", found.here),
            ("rule", found.rule),
        )
        parts.append(
            "<lgsp:Finding" + "".join(f' {name}="{escape_attribute(_legal(value))}"' for name, value in facts) + "></lgsp:Finding>"
        )
    parts.append("</lgsp:Problem></detail></soap:Fault>")
    return "".join(parts).encode("utf-8")


def fault_envelope(failure: Failure, *, transfer: str | None = None, language: Language = "vi", headers: Sequence[bytes] = ()) -> bytes:
    """An unsigned envelope with the fault, for a caller who proved nothing."""
    return plain_envelope(fault_body(failure, transfer=transfer, language=language), headers)


def _clean(value: str) -> str:
    return escape_text(_legal(value))


def _legal(value: str) -> str:
    return ILLEGAL.sub("\ufffd", value)
