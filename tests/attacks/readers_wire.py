"""Readers of messages: JSON, XML, envelopes, attachments, query strings, lines of cells."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from typing import Any, Literal

from lxml import etree

from contracts.base.composing import form_c
from contracts.codecs.codec import Codec
from contracts.codecs.form import read_form
from contracts.codecs.query import parse_query
from contracts.compiled import contract as compiled
from contracts.compiled.contract import CompiledContract
from contracts.compiled.streaming import LargeForm, read_large
from contracts.proof import tryout
from contracts.proof.unwritten import unwritten
from contracts.wire import attachments, headers, jsontext, lifting, mtom, problems, soap, traces
from tests.attacks.reading import Try, reader

Bytes = Callable[[int], bytes]


def again(unit: bytes, before: bytes = b"", after: bytes = b"") -> Bytes:
    return lambda number: before + unit * number + after


def numbered(unit: bytes, before: bytes = b"", after: bytes = b"") -> Bytes:
    """The unit again and again, with another number in place of each N."""
    return lambda number: before + b"".join(unit.replace(b"N", b"%d" % at) for at in range(number)) + after


@cache
def contracts_by_name() -> dict[str, CompiledContract]:
    return {each.contract.name: each for each in compiled.catalogue()}


JSON: dict[str, Bytes] = {
    "quotes behind slashes, not ended": again(b'\\"', b'"'),
    "quotes behind slashes, not ended, many commas": again(b'\\"', b"," * 500_001 + b'"'),
    "quotes behind slashes": again(b'\\"', b'"', b'"'),
    "slashes": again(b"\\\\", b'["', b'"]'),
    "many strings": again(b'"a,b",', b"[", b'""]'),
    "many strings, the last not ended": again(b'"a,b",', b"[", b'"'),
    "many quotes": again(b'"'),
    "escapes that are looked at": again(b"\\u00e9\\b", b'"', b'"'),
    "brackets": again(b"["),
    "brackets and braces": again(b'{"":[', b""),
    "commas": again(b","),
    "colons": again(b":"),
    "spaces": again(b" "),
    "digits": again(b"1"),
    "digits with a point": again(b"1", b"1."),
    "exponents": again(b"1e999,", b"[", b"1]"),
    "long exponent": again(b"9", b"1e"),
    "zeros": again(b"0.0000000001,", b"[", b"1]"),
    "another number each": numbered(b"N,", b"[", b"1]"),
    "numbers of one hash": lambda number: (
        b"[" + b",".join(b"%d" % (at * ((1 << 61) - 1)) for at in range(number)) + b"]"
    ),
    "fields": numbered(b'"aN":1,', b"{", b'"":1}'),
    "one field again and again": again(b'"a":1,', b"{", b'"a":1}'),
    "bytes that are no UTF-8, after many lines": again(b"\n", b"", b"\xff"),
    "a fault after many lines": again(b"\n", b"[1,", b"}"),
    "characters that XML lacks, deep": again(b'{"a":' * 60 + b"1" + b"}" * 60 + b",", b"[", b'"\\b"]'),
    "marks": again("é́̃".encode(), b'"', b'"'),
    "zeros of UTF-16": again(b"\x00["),
}
XML: dict[str, Bytes] = {
    "elements": again(b"<a/>", b"<r>", b"</r>"),
    "elements, not ended": again(b"<a>", b"<r>"),
    "names": numbered(b"<aN/>", b"<r>", b"</r>"),
    "attributes": numbered(b' aN="1"', b"<r", b"/>"),
    "one attribute": again(b"a", b'<r a="', b'"/>'),
    "declarations": numbered(b' xmlns:pN="u:N"', b"<r", b"/>"),
    "declarations at each element": numbered(b'<p:a xmlns:p="u:N"/>', b"<r>", b"</r>"),
    "a name of a space": again(b"a", b'<r xmlns="', b'"/>'),
    "text": again(b"a", b"<r>", b"</r>"),
    "references": again(b"&amp;", b"<r>", b"</r>"),
    "numbers": again(b"&#65;", b"<r>", b"</r>"),
    "entities that there are not": again(b"&a;", b"<r>", b"</r>"),
    "sections": again(b"<![CDATA[a]]>", b"<r>", b"</r>"),
    "a section that does not end": again(b"]]", b"<r><![CDATA["),
    "brackets": again(b"]", b"<r>", b"</r>"),
    "comments": again(b"<!---->", b"<r>", b"</r>"),
    "a comment that does not end": again(b"-a", b"<r><!--"),
    "instructions": again(b"<?a b?>", b"<r>", b"</r>"),
    "instructions before the root": again(b"<?a b?>", b"", b"<r/>"),
    "stylesheets before the root": again(b"<?xml-stylesheet b?>", b"", b"<r/>"),
    "the word DOCTYPE": again(b"<![CDATA[<!DOCTYPE]]>", b"<r>", b"</r>"),
    "a DOCTYPE of entities": numbered(b"<!ENTITY eN '1'>", b"<!DOCTYPE r [", b"]><r/>"),
    "a DOCTYPE that does not end": again(b"[<!--", b"<!DOCTYPE r "),
    "angle brackets": again(b"<"),
    "ends": again(b"</a>", b"<r>"),
    "spaces": again(b" ", b"", b"<r/>"),
    "spaces in a tag": again(b" ", b"<r", b"/>"),
    "lines": again(b"\r\n", b"<r>", b"</r>"),
    "deep": again(b"<a>"),
    "UTF-16": lambda number: ("<?xml version='1.0' encoding='UTF-16'?><r>" + "<a/>" * number + "</r>").encode("utf-16"),
    "marks in windows-1258": again(b"\xec\xf2", b'<?xml version="1.0" encoding="windows-1258"?><r>a', b"</r>"),
}


@reader("contracts.wire.jsontext:read_json")
def json_texts() -> Iterable[Try]:
    return [Try(name, jsontext.read_json, make) for name, make in JSON.items()]


@reader("contracts.wire.soap:parse_xml", "contracts.wire.soap:parse_envelope")
def xml_texts() -> Iterable[Try]:
    for name, make in XML.items():
        yield Try(
            name,
            lambda raw: soap.parse_xml(raw, published=True) if b"xml-style" in raw[:40] else soap.parse_xml(raw),
            make,
        )
    open_, close = b'<s:Envelope xmlns:s="%b"><s:Body>' % soap.SOAP.encode(), b"</s:Body></s:Envelope>"
    yield Try("bodies", soap.parse_envelope, again(close[:9] + b"<s:Body>", open_, close))
    yield Try("what is in a body", soap.parse_envelope, again(b"<a/>", open_, close))


def _lifted(lift: Callable[..., Any], raw: bytes) -> object:
    spool = attachments.Spool(io.BytesIO())
    return list(spool.restore(lift(io.BytesIO(raw), spool, len(raw) + 100)))


@reader("contracts.wire.lifting:lift_json", "contracts.wire.attachments:Spool.restore")
def lifted_json() -> Iterable[Try]:
    lift = partial(_lifted, lifting.lift_json)
    yield from [Try(name, lift, make) for name, make in JSON.items()]
    large = b'"' + b"QUJD" * 20_000 + b'",'
    yield Try("many attachments", lift, again(large, b"[", b"1]"))
    yield Try("one attachment", lift, again(b"QUJD", b'["', b'"]'))
    yield Try("one that is none at its end", lift, again(b"QUJD", b'["', b'!"]'))
    yield Try("many that are none", lift, again(large.replace(b'",', b'!",'), b"[", b"1]"))


@reader(
    "contracts.wire.lifting:lift_xml",
    "contracts.wire.base64_lines:laid_out",
    "contracts.wire.base64_lines:lines_of",
)
def lifted_xml() -> Iterable[Try]:
    lift = partial(_lifted, lifting.lift_xml)
    yield from [Try(name, lift, make) for name, make in XML.items()]
    large = b"<a>" + b"QUJD" * 20_000 + b"</a>"
    yield Try("many attachments", lift, again(large, b"<r>", b"</r>"))
    yield Try("one attachment", lift, again(b"QUJD", b"<r>", b"</r>"))
    yield Try("in lines", lift, again(b"QUJD\r\n", b"<r>", b"</r>"))
    exact = partial(_lifted, partial(lifting.lift_xml, exact=True))
    yield Try("in short lines, exactly", exact, again(b"QUJD\r\n", b"<r>", b"</r>"))
    yield Try("in lines, exactly", exact, again(b"QUJD" * 19 + b"\r\n", b"<r>", b"</r>"))
    yield Try("in lines that differ, exactly", exact, again(b"QUJD" * 19 + b"\n" + b"QUJD" * 5 + b" ", b"<r>", b"</r>"))
    yield Try("behind a long tag", lift, lambda n: b'<r a="' + b"a" * n + b'">' + b"QUJD" * 20_000 + b"</r>")
    yield Try("behind spaces in a tag", lift, lambda n: b"<r" + b" " * n + b">" + b"QUJD" * 20_000 + b"</r>")


_BOUNDARY = 'multipart/related; type="application/xop+xml"; boundary=b'
_ROOT = b"--b\r\nContent-Type: application/xop+xml\r\nContent-ID: <r>\r\n\r\n"


def _package(raw: bytes) -> object:
    spool = attachments.Spool(io.BytesIO())
    package = mtom.lift_package(io.BytesIO(raw), spool, len(raw) + 100, _BOUNDARY)
    mtom.put_in(soap.parse_xml(package.envelope), package, spool)
    return list(spool.restore(package.rest))


@reader("contracts.wire.mtom:lift_package")
def packages() -> Iterable[Try]:
    part = b"\r\n--b\r\nContent-ID: <pN>\r\n\r\nx"
    link = b'<a><i:Include xmlns:i="%b" href="cid:pN"/></a>' % mtom.XOP.encode()

    def many(number: int) -> bytes:
        root = numbered(link, _ROOT + b"<r>", b"</r>")(number)
        return root + numbered(part, after=b"\r\n--b--")(number)

    yield Try("many parts", _package, many, 900)
    yield Try("one part", _package, again(b"x\r\n-", _ROOT + b"<a/>\r\n--b\r\nContent-ID: <p>\r\n\r\n", b"\r\n--b--"))
    yield Try("a boundary that does not come", _package, again(b"\r\n--", _ROOT))
    yield Try("a root of near boundaries", _package, again(b"\r\n--c", _ROOT + b"<a>", b"</a>\r\n--b--"))
    yield Try("a head that does not end", _package, again(b"A: b\r\n", b"--b\r\n"))
    yield Try("text before", _package, again(b"x", b"", _ROOT))


@reader("contracts.wire.mtom:parameters")
def package_types() -> Iterable[Try]:
    yield Try("parameters", mtom.parameters, lambda n: "a/b" + "".join(f"; p{at}=x" for at in range(n)))
    yield Try("spaces", mtom.parameters, lambda n: "a/b;" + " " * n)


@reader("contracts.compiled.streaming:read_large")
def large_messages() -> Iterable[Try]:
    made = contracts_by_name()["official-document/v1"]
    message = next(iter(made.messages))
    forms: tuple[tuple[Literal["json", "xml"], dict[str, Bytes]], ...] = (("json", JSON), ("xml", XML))
    for form, text in forms:

        def read(raw: bytes, form: Literal["json", "xml"] = form) -> object:
            return read_large(
                LargeForm(made, "canonical", form),
                message,
                io.BytesIO(raw),
                attachments.Spool(io.BytesIO()),
                limit=len(raw) + 100,
            )

        yield from [Try(f"{form}: {name}", read, make) for name, make in list(text.items())[::4]]


def _samples() -> Iterator[tuple[CompiledContract, str, Codec, str, str, bytes]]:
    """Each format of the catalogue with one of its samples, by which of its messages it is."""
    for contract in contracts_by_name().values():
        for name, codec in contract.formats.items():
            for message in contract.messages:
                for media in ("json", "xml"):
                    try:
                        sample = next(each for each in contract.samples if each.message == message)
                        value = contract.codec("canonical").read_json(message, sample.canonical)
                        raw = codec.write_xml(message, value) if media == "xml" else codec.write_json(message, value)
                    except Exception:
                        continue
                    yield contract, name, codec, message, media, raw


@reader(
    "contracts.codecs.codec:Codec.read",
    "contracts.codecs.codec:Codec.read_json",
    "contracts.codecs.codec:Codec.read_xml",
    "contracts.codecs.codec:Codec.read_canonical_xml",
    "contracts.proof.tryout:try_out",
)
def messages() -> Iterable[Try]:
    """Each sample with one of its parts a great many times: the longest list, field or element of each depth."""
    kept: dict[str, Try] = {}
    for contract, name, codec, message, media, raw in _samples():
        for part, make in _grown(raw, media).items():

            def read(raw: bytes, codec: Codec = codec, message: str = message, media: str = media) -> object:
                return codec.read(message, raw, media, at=1_800_000_000.0)

            kept.setdefault(f"{contract.contract.name} {name} {message} {media}: {part}", Try("", read, make, 200_000))
    chosen = list(kept.items())
    yield from [Try(label, each.read, each.make, each.largest) for label, each in chosen[:: len(chosen) // 60 + 1]]
    contract, name, codec, message, media, raw = next(_samples())
    yield Try("tried out", lambda raw: tryout.try_out(contract, name, raw, message), lambda n: raw + b" " * n)


def _grown(raw: bytes, media: str) -> dict[str, Bytes]:
    if media == "xml":
        root = soap.parse_xml(raw)
        made: dict[str, Bytes] = {}
        for element in [*root.iter()][-1:] + [*root.iter()][1:2]:
            text = etree.tostring(element, with_tail=False)
            plain = etree.tostring(root)
            at = plain.find(b"<" + text[1:].split(b">")[0].split(b" ")[0])
            end = plain.find(b">", at) + 1
            made["an element again"] = partial(
                lambda p, t, n: p[: p.rfind(b"</")] + t * n + p[p.rfind(b"</") :], plain, text
            )
            made["a long text"] = partial(lambda p, e, n: p[:e] + b"a" * n + p[e:], plain, end)
        return made
    value = jsontext.read_json(raw)
    return {
        "a long text": partial(lambda v, n: jsontext.write_json(_stretched(v, n, lists=False)), value),
        "long lists": partial(lambda v, n: jsontext.write_json(_stretched(v, n, lists=True)), value),
        "fields that it does not have": partial(
            lambda v, n: jsontext.write_json({**v, **{f"x{at}": 1 for at in range(n)}}), value
        ),
    }


def _stretched(value: Any, number: int, *, lists: bool) -> Any:
    """The first text, or each list that is not in a list, made long."""
    if isinstance(value, dict):
        return {name: _stretched(each, number, lists=lists) for name, each in value.items()}
    if isinstance(value, list):
        return (
            value * (number // max(len(value), 1) + 1)
            if lists
            else [_stretched(each, number, lists=lists) for each in value[:1]]
        )
    return value * (number // max(len(value), 1) + 1) if isinstance(value, str) and not lists else value


@reader("contracts.codecs.query:parse_query", "contracts.codecs.codec:Codec.read_query")
def queries() -> Iterable[Try]:
    codec = contracts_by_name()["indicator/v1"].codec("canonical")
    for name, unit in {
        "parts": "a=b&",
        "names": "a",
        "percents": "%",
        "escapes": "%41",
        "plus": "a+",
        "equals": "=",
        "and": "&",
    }.items():
        yield Try(name, parse_query, partial(lambda unit, n: unit * n, unit))
        yield Try(
            f"of a message: {name}",
            lambda text: codec.read_query("Query", text),
            partial(lambda unit, n: "a=1&" + unit * n, unit),
        )
    yield Try("another name each", parse_query, lambda n: "&".join(f"a{at}=1" for at in range(n)))


@reader("contracts.codecs.form:read_form")
def forms() -> Iterable[Try]:
    codec = contracts_by_name()["indicator/v1"].formats["kinh-te-json"]
    plan = next(iter(codec.plans.values()))
    for name, unit in {
        "parts": b"a=b&",
        "names": b"a",
        "percents": b"%",
        "escapes": b"%41",
        "brackets": b"[",
        "names within": b"[a]",
        "and": b"&",
    }.items():
        yield Try(name, lambda raw: read_form(raw, plan), partial(lambda unit, n: unit * n, unit))
    yield Try("a list", lambda raw: read_form(raw, plan), lambda n: b"&".join([b"a[]=1"] * n))
    for many in (b"a%d=1", b"a[b%d]=1", b"a%d[b]=1", b"a%d[]=1"):
        numbers = partial(lambda many, n: b"&".join(many % at for at in range(n)), many)
        yield Try(f"another name each: {many!r}", lambda raw: read_form(raw, plan), numbers)


@reader("contracts.proof.unwritten:unwritten")
def losses() -> Iterable[Try]:
    """What a message has and its rewriting lacks: all of what was put into it."""
    seen: set[str] = set()
    for _contract, _name, codec, message, media, raw in _samples():
        if media in seen or message not in codec.plans or codec.media != media:
            continue
        seen.add(media)
        for part, make in _grown(raw, media).items():

            def lost(longer: bytes, codec: Any = codec, message: str = message, raw: bytes = raw) -> object:
                return unwritten(codec, message, longer, raw)

            yield Try(f"{media}: {part}", lost, make, 200_000)
    assert seen == {"json", "xml"}


@reader("contracts.wire.headers:joined")
def header_fields() -> Iterable[Try]:
    # Those that repeat are joined; how many there are is bounded by whoever reads the head
    # (`gateway.doors.http.body.MAX_HEADERS`).
    yield Try("one field", headers.joined, lambda n: [(b"a", b"b" * n)])
    yield Try("another each", headers.joined, lambda n: [(b"a%d" % at, b"b") for at in range(n)])
    yield Try("media type", headers.media_type, lambda n: {"content-type": ";" * n})
    yield Try("languages", problems.language_of, lambda n: "fr;q=1," * n)
    yield Try("commas", problems.language_of, lambda n: "," * n)


@reader("contracts.wire.traces:read", "contracts.wire.traces:state_of")
def trace_headers() -> Iterable[Try]:
    parent = f"00-{'ab' * 16}-{'cd' * 8}-01"
    yield Try("a later version", traces.read, lambda n: {"traceparent": f"01{parent[2:]}-" + "a" * n})
    yield Try("one member", traces.state_of, lambda n: "a=" + "b" * n)
    yield Try("members", lambda text: traces.read({"traceparent": parent, "tracestate": text}), lambda n: "a=b," * n)
    yield Try("empty members", traces.state_of, lambda n: "," * n)


@reader("contracts.base.composing:form_c")
def marks() -> Iterable[Try]:
    units = ["a", "é", "ạ́", "\u0323", "\u0301\u0323", "\u0344", "\u0f73", "\u1100\u1161", "𑂺", "𝅘𝅥", "\u0cc6"]
    yield from [Try(ascii(unit), form_c, partial(lambda unit, n: "a" + unit * n, unit)) for unit in units]
    yield Try("two runs", form_c, lambda n: "a" + "\u0301" * n + "\u0323" * n)
    yield Try("just below", form_c, lambda n: ("a" + "\u0301" * 29 + "\u0323") * n)
