"""One message taken through a contract, stage by stage: parsed, canonical, into each other format, and back again.

For people who write a mapping table: what `check` proves for samples, this shows for one message. Nothing is kept or sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from lxml import etree

from contracts.base.errors import Failure, Finding
from contracts.codecs.codec import Codec, Value
from contracts.compiled.contract import CompiledContract
from contracts.errors import MESSAGE_WRONG_ROOT
from contracts.wire import soap
from contracts.wire.jsontext import read_json

Outcome = Literal["same", "with-losses", "differs", "refused", "not-expressible"]


@dataclass(frozen=True, slots=True)
class Written:
    """The message in one format, and what came back of it."""

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
    """As far as it came: without `canonical` the message was refused, for the reasons in `failure`."""

    format: str
    media: str = ""
    message: str = ""
    parsed: str = ""
    canonical: Value | None = None
    failure: Failure | None = None
    written: list[Written] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.canonical is not None and all(each.ok or each.outcome == "not-expressible" for each in self.written)


def try_out(
    compiled: CompiledContract, format_name: str, raw: bytes, message: str | None = None, at: float | None = None
) -> Tryout:
    """`message` names the message where the bytes alone do not, as in JSON; `at` is when it came in, for codes that end."""
    codec = compiled.codec(format_name)
    made = Tryout(format_name)
    try:
        _parse(made, codec, raw, message)
        made.canonical = _read(codec, made.message, made.media, raw, at)
    except Failure as failure:
        made.failure = failure
        return made
    for each in compiled.formats.values():
        for media in sorted(each.speaks):
            if each.name == "canonical" or made.message in each.mapped:
                made.written.append(_through(each, media, made.message, made.canonical, at))
    return made


def messages(compiled: CompiledContract, codec: Codec) -> list[str]:
    """The messages that the format has a table for; of the canonical one, all."""
    return [name for name in compiled.exchanged if codec.name == "canonical" or name in codec.mapped]


def _parse(made: Tryout, codec: Codec, raw: bytes, message: str | None) -> None:
    is_xml = raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    made.media = "xml" if is_xml and "xml" in codec.speaks else "json" if "json" in codec.speaks else codec.media
    if made.media == "xml":
        root = _element(raw)
        made.parsed = str(root.tag)
        known = {
            **{tag: name for tag, (_, name) in codec.soap_roots.items()},
            **{tag: name for tag, (_, name) in codec.soap_answer_roots.items()},
        }
        made.message = message or known.get(made.parsed, "")
        if not made.message:
            raise MESSAGE_WRONG_ROOT(got=made.parsed[:200], expected=" / ".join(known))
        return
    if made.media == "json":
        value = read_json(raw)
        made.parsed = "object: " + ", ".join(value) if isinstance(value, dict) else type(value).__name__
    made.message = message or ""


def _element(raw: bytes) -> etree._Element:
    """The message's element, also out of an envelope."""
    root = soap.parse_xml(raw, published=True)
    return soap.body_child(root) if root.tag == soap.ENVELOPE else root


def _read(codec: Codec, message: str, media: str, raw: bytes, at: float | None) -> Value:
    return codec.read_xml(message, _element(raw), at) if media == "xml" else codec.read(message, raw, media, at)


def _through(codec: Codec, media: str, message: str, value: Value, at: float | None) -> Written:
    losses = codec.losses(message)
    try:
        text = codec.write(message, value, media)
    except Failure as failure:
        return Written(codec.name, media, b"", "not-expressible", losses, failure.findings)
    try:
        back = _read(codec, message, media, text, at)
    except Failure as failure:
        return Written(codec.name, media, text, "refused", losses, failure.findings)
    outcome: Outcome = "same" if back == value else "with-losses" if back == codec.normal(message, value) else "differs"
    return Written(codec.name, media, text, outcome, losses)
