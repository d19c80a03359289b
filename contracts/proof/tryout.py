"""Takes one message through a contract: parsed, canonical, into each other format, and back.

It is for authors of mapping tables. Nothing is stored or sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from lxml import etree

from contracts.base.errors import Failure, Finding
from contracts.codecs.codec import Codec, Value
from contracts.compiled.contract import CompiledContract
from contracts.errors import MESSAGE_WRONG_ROOT
from contracts.mapping.plan import Node
from contracts.proof.unwritten import unwritten
from contracts.wire import soap

Outcome = Literal["same", "with-losses", "differs", "refused", "not-expressible"]


@dataclass(frozen=True, slots=True)
class Written:
    """The message in one format, and the outcome of reading it back."""

    format: str
    media: str
    text: bytes
    outcome: Outcome
    losses: Sequence[str] = ()
    findings: Sequence[Finding] = ()

    @property
    def ok(self) -> bool:
        return self.outcome in ("same", "with-losses")


@dataclass(slots=True)
class Tryout:
    """The stages that were reached. Without `canonical` the message was refused; `failure` has the reasons."""

    format: str
    media: str = ""
    message: str = ""
    parsed: str = ""
    passed: tuple[str, ...] = ()  # what the document has and the table reads over, such as a signature inside
    canonical: Value | None = None
    failure: Failure | None = None
    written: list[Written] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.canonical is not None and all(each.ok or each.outcome == "not-expressible" for each in self.written)


def try_out(
    compiled: CompiledContract, format_name: str, raw: bytes, message: str | None = None, at: float | None = None
) -> Tryout:
    """Takes `raw` through the contract. Refusals are part of the result.

    `message` names the message where the bytes alone do not, as in JSON. `at` is the time of receipt in Unix seconds,
    for codes that end.
    """
    codec = compiled.codec(format_name)
    tryout = Tryout(format_name)
    try:
        _parse(tryout, codec, raw, message)
        if message is None and tryout.media == "xml":
            _choose(tryout, compiled, codec, raw, at)
        tryout.canonical = _read(codec, tryout.message, tryout.media, raw, at)
        if tryout.media == "xml" and tryout.message in codec.plans:
            tryout.passed = tuple(dict.fromkeys(_passed(codec.plans[tryout.message].root, _element(raw))))
    except Failure as failure:
        tryout.failure = failure
        return tryout
    for each in compiled.formats.values():
        for media in sorted(each.speaks):
            if each.name == "canonical" or tryout.message in each.mapped:
                written = _through(each, media, tryout.message, tryout.canonical, at)
                same = each is codec and media == tryout.media
                tryout.written.append(_again(codec, tryout.message, raw, written) if same else written)
    return tryout


def messages(compiled: CompiledContract, codec: Codec) -> list[str]:
    """The messages that the format has a table for; all for the canonical format."""
    return [name for name in compiled.exchanged if codec.name == "canonical" or name in codec.mapped]


def _parse(tryout: Tryout, codec: Codec, raw: bytes, message: str | None) -> None:
    is_xml = raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    tryout.media = "xml" if is_xml and "xml" in codec.speaks else "json" if "json" in codec.speaks else codec.media
    if tryout.media == "xml":
        root = _element(raw)
        tryout.parsed = str(root.tag)
        body = codec.soap_body(root, answer=True) or codec.soap_body(root)
        tryout.message = message or ("" if body is None else body[1])
        if not tryout.message:
            known = dict.fromkeys([*codec.soap_roots, *codec.soap_answer_roots])
            raise MESSAGE_WRONG_ROOT(got=tryout.parsed[:200], expected=" / ".join(known))
        return
    if tryout.media == "json":
        value = codec.parsed(message or "", raw)
        tryout.parsed = "object: " + ", ".join(value) if isinstance(value, dict) else type(value).__name__
    tryout.message = message or ""


def _choose(tryout: Tryout, compiled: CompiledContract, codec: Codec, raw: bytes, at: float | None) -> None:
    """Of messages with one root element, the first that the document is, else the one with the fewest findings. (On the
    wire the operation says which it is.)
    """
    first = tryout.message
    others = [each for each in messages(compiled, codec) if each != first and codec.same_root(first, each)]
    wrong: dict[str, int] = {}
    for each in (first, *others) if others else ():
        try:
            _read(codec, each, "xml", raw, at)
        except Failure as failure:
            wrong[each] = len(failure.findings)
        else:
            tryout.message = each
            return
    tryout.message = min(wrong, key=wrong.__getitem__, default=first)


def _passed(node: Node, element: etree._Element) -> Iterator[str]:
    """The places of the format that are read over and that the element has."""
    yield from (f"{node.here}/@{etree.QName(name).localname}" for name in sorted(node.unread) if name in element.attrib)
    for child in node.below():
        for each in element.iterchildren(child.name):
            if child.kind == "ignore":
                yield child.here
            else:
                yield from _passed(child, each)


def _element(raw: bytes) -> etree._Element:
    """The message element, unwrapped from a SOAP envelope."""
    root = soap.parse_xml(raw, published=True)
    return soap.body_child(root) if root.tag == soap.ENVELOPE else root


def _read(codec: Codec, message: str, media: str, raw: bytes, at: float | None) -> Value:
    return codec.read_xml(message, _element(raw), at) if media == "xml" else codec.read(message, raw, media, at)


def _again(codec: Codec, message: str, raw: bytes, written: Written) -> Written:
    """With the places of the message that are not written again, as losses."""
    if not written.ok:
        return written
    lost = unwritten(codec, message, _element(raw) if written.media == "xml" else raw, written.text)
    if not lost:
        return written
    return replace(written, outcome="with-losses", losses=[*written.losses, *lost])


def _through(codec: Codec, media: str, message: str, value: Value, at: float | None) -> Written:
    losses = codec.losses(message)
    try:
        text = codec.write(message, value, media)
    except Failure as failure:
        return Written(codec.name, media, b"", "not-expressible", losses=losses, findings=failure.findings)
    try:
        back = _read(codec, message, media, text, at)
    except Failure as failure:
        return Written(codec.name, media, text, "refused", losses=losses, findings=failure.findings)
    outcome: Outcome = "same" if back == value else "with-losses" if back == codec.normal(message, value) else "differs"
    return Written(codec.name, media, text, outcome, losses)
