"""The laws on tables that nobody wrote: fields, rows, places and conditions drawn at random, in JSON and in XML, then
messages for them."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from contracts.base.errors import Theirs
from contracts.wire.soap import parse_xml
from tests.contracts.rowsmaking import closed, contract, laws, write
from tests.size import examples

Draw = Any
CODES = {
    "so": "code,canonical,vi,en,valid_from,valid_until,replaced_by\n1,a,A,A,,,\n2,b,B,B,,,\n7,c,C,C,,,\n8,c,C,C,,2020-01-01,7\n"  # noqa: E501
}
WORDS = "{unknown: '?', partial: '??', none: '-', not-permitted: '!'}"
SCALARS: dict[str, dict[str, Any]] = {
    "text": {"type": "string", "maxLength": 12},
    "name": {"type": "string", "pattern": "^[a-zA-Z0-9ăâđêôơư ]{1,9}$"},
    "integer": {"type": "integer"},
    "digits": {"type": "string", "pattern": "^-?(0|[1-9][0-9]{0,5})$"},
    "number": {"type": "number", "minimum": -1000},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "format": "date-time"},
    "code": {"type": "string", "enum": ["a", "b", "c"]},
    "bytes": {"type": "string", "contentEncoding": "base64"},
}
ZONE = 'zone: "+07:00"'
FORMS: dict[str, list[str]] = {
    "integer": [
        "",
        "as: point-thousands",
        "as: comma-thousands",
        "unit: {factor: 1000}",
        'unit: {factor: "0.5", offset: "-3"}',
    ],
    "number": [
        "",
        "as: decimal-comma",
        "as: double",
        "as: point-thousands",
        "as: comma-thousands",
        "as: percent",
        "as: percent-comma",
        'unit: {factor: "0.01"}',
        'as: decimal-comma, unit: {factor: "1.6", offset: "32"}',
    ],
    "boolean": ["", "as: boolean-01", "as: Y/N", "as: Có/Không"],
    "date": ["", "as: dd/MM/yyyy", "as: yyyyMMdd", "as: date", "as: d/M/yyyy", "as: dd-MM-yy"],
    "time": [
        "",
        f"as: yyyyMMddHHmmss, {ZONE}",
        f"as: dd-MM-yyyy HH:mm, {ZONE}",
        f"as: datetime, {ZONE}",
        f"'as': 'H:mm d/M/yy', {ZONE}",
    ],
    "digits": ["", "as: integer"],
    "code": ["", "codes: so", "as: integer, codes: so"],
}


@dataclass
class Group:
    """Fields of one object, and the rows for them in both media; `at` and `here` are the paths of the group."""

    at: str = ""
    xml: str = ""
    json: str = ""
    properties: dict[str, Any] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    rows: dict[str, list[str]] = field(default_factory=lambda: {"xml": [], "json": []})

    def row(self, media: str, canonical: str, here: str, *more: str) -> None:
        words = ", ".join(each for each in (canonical, here, *more) if each)
        self.rows[media].append(f"- {{{words}}}")

    def path(self, name: str) -> str:
        return f'canonical: "{self.at}{name}"'

    def places(self, draw: Draw, name: str) -> tuple[str, str]:
        xml = draw(
            st.sampled_from(
                [f"d:{name}", f"@{name}", f"d:w1/d:{name}", f"d:w2/@{name}", f"d:m[@k='{name}']", f"d:w1/d:w3/d:{name}"]
            )
        )
        return self.xml + xml, self.json + draw(st.sampled_from([name, f"w1.{name}", f"w1.w3.{name}"]))

    def one(self, draw: Draw, name: str, kind: str, when: str = "") -> None:
        required, schema = draw(st.booleans()) and not when, dict(SCALARS[kind])
        more = [draw(st.sampled_from(FORMS.get(kind, [""]))), when]
        absentable = kind in ("integer", "number", "date", "name") and draw(st.booleans())
        if absentable:
            schema["absentable"] = True
            if required or draw(st.booleans()):
                more.append(f"absent: {WORDS}")
        elif not required and kind in ("integer", "date", "name", "code") and draw(st.booleans()):
            more.append(draw(st.sampled_from(["missing: ['?', '']", "missing: ['']"])))
        elif not required and kind == "code" and draw(st.booleans()):
            more.append("default: b")
        self.properties[name] = schema
        self.required += [name] * required
        xml, plain = self.places(draw, name)
        self.row("xml", self.path(name), f'here: "{xml}"', *more)
        self.row("json", self.path(name), f'here: "{plain}"', *more)

    def split(self, draw: Draw, name: str) -> None:
        kinds = [
            draw(st.sampled_from(["name", "text", "integer", "date", "boolean"]))
            for _ in range(draw(st.integers(2, 3)))
        ]
        names = [f"{name}p{number}" for number in range(len(kinds))]
        for each, kind in zip(names, kinds, strict=True):
            self.properties[each] = SCALARS[kind]
            self.required += [each] * draw(st.booleans())
        xml, plain = self.places(draw, name)
        paths = ", ".join(f'"{self.at}{each}"' for each in names)
        more = f'split: "{draw(st.sampled_from([", ", "|", "aa", "-"]))}"'
        self.row("xml", f"canonical: [{paths}]", f'here: "{xml}"', more)
        self.row("json", f"canonical: [{paths}]", f'here: "{plain}"', more)

    def join(self, draw: Draw, name: str) -> None:
        kind, separator = draw(st.sampled_from([("time", " "), ("name", "a"), ("number", ".")]))
        self.properties[name] = SCALARS[kind]
        self.required += [name] * draw(st.booleans())
        more = [f'join: "{separator}"'] + ([f'as: "dd/MM/yyyy HH:mm:ss", {ZONE}'] if kind == "time" else [])
        (xml, plain), (other, second) = self.places(draw, name), self.places(draw, f"{name}b")
        self.row("xml", self.path(name), f'here: ["{xml}", "{other}"]', *more)
        self.row("json", self.path(name), f'here: ["{plain}", "{second}"]', *more)

    def words(self, draw: Draw, name: str) -> None:
        """A list of single values."""
        kind = draw(st.sampled_from(["name", "integer", "code", "boolean", "time"]))
        least, text = draw(st.integers(0, 1)), kind in ("name", "integer", "code") and draw(st.booleans())
        self.properties[name] = {"type": "array", "items": SCALARS[kind], **({"minItems": 1} if least else {})}
        self.required += [name] * (not least or draw(st.booleans()))
        more = 'split: ";"' if text else draw(st.sampled_from(FORMS.get(kind, [""])))
        canonical = f'canonical: "{self.at}{name}[]"'
        self.row("xml", canonical, f'here: "{self.xml}d:w1/d:{name}{"" if text else "[]"}"', more)
        self.row("json", canonical, f'here: "{self.json}w1.{name}{"" if text else "[]"}"', more)

    def lines(self, draw: Draw, name: str, depth: int) -> None:
        """A list of objects."""
        least = draw(st.integers(0, 1))
        inner = Group(f"{self.at}{name}[].", f"{self.xml}d:{name}[]/", f"{self.json}{name}[].", rows=self.rows)
        inner.fill(draw, depth - 1, f"{name}x")
        self.properties[name] = {
            "type": "array",
            "items": closed(inner.properties, *inner.required),
            **({"minItems": 1} if least else {}),
        }
        self.required += [name] * (not least or draw(st.booleans()))

    def nested(self, draw: Draw, name: str, depth: int) -> None:
        """An object, perhaps with words for its absence."""
        inner = Group(f"{self.at}{name}.", f"{self.xml}d:{name}/", f"{self.json}{name}.", rows=self.rows)
        inner.fill(draw, depth - 1, f"{name}o")
        made, required = closed(inner.properties, *inner.required), draw(st.booleans())
        if draw(st.booleans()):
            made["absentable"] = True
            words = WORDS if required else draw(st.sampled_from([WORDS, "{unknown: null}"]))
            self.row("xml", self.path(name), f'here: "{self.xml}d:{name}"', f"absent: {words}")
            self.row("json", self.path(name), f'here: "{self.json}{name}"', f"absent: {words}")
        self.properties[name] = made
        self.required += [name] * required

    def keyed(self, draw: Draw, name: str) -> None:
        kind = draw(st.sampled_from(["text", "integer", "code"]))
        self.properties[name] = {"type": "array", "items": closed({"k": SCALARS["name"], "v": SCALARS[kind]}, "k", "v")}
        self.required.append(name)
        more = draw(st.sampled_from(FORMS.get(kind, [""])))
        for media, here in (("xml", f"{self.xml}d:{name}/d:{{}}"), ("json", f"{self.json}{name}.{{}}")):
            self.row(media, f'canonical: "{self.at}{name}[].k"', f'here: "{here}"')
            self.row(media, f'canonical: "{self.at}{name}[].v"', f'here: "{here}"', more)

    def chosen(self, draw: Draw, name: str) -> None:
        """Two fields in one place, told apart by a third."""
        self.properties[name] = SCALARS["code"]
        self.required.append(name)
        self.row("xml", self.path(name), f'here: "{self.xml}@{name}"')
        self.row("json", self.path(name), f'here: "{self.json}{name}"')
        asked = draw(st.sampled_from([name, None]))
        for number, values in enumerate(("[a]", "[b, c]")):
            when = f'when: {{canonical: "{self.at}{name}", is: {values}}}'
            kind, each = draw(st.sampled_from(["name", "integer", "date"])), f"{name}c{number}"
            if asked is None:
                self.one(draw, each, kind, when)
                continue
            self.properties[each] = SCALARS[kind]
            more = draw(st.sampled_from(FORMS.get(kind, [""])))
            self.row("xml", self.path(each), f'here: "{self.xml}d:{name}v"', more, when)
            self.row("json", self.path(each), f'here: "{self.json}{name}v"', more, when)

    def fill(self, draw: Draw, depth: int, prefix: str) -> None:
        self.one(draw, f"{prefix}0", "name")
        for number in range(1, draw(st.integers(2, 5))):
            name = f"{prefix}{number}"
            what = draw(
                st.sampled_from(
                    ["one", "one", "split", "join", "words", "chosen", *(["lines", "keyed", "nested"] if depth else [])]
                )
            )
            if what == "one":
                self.one(draw, name, draw(st.sampled_from(sorted(SCALARS))))
            elif what in ("lines", "nested"):
                getattr(self, what)(draw, name, depth)
            else:
                getattr(self, what)(draw, name)


@st.composite
def tables(draw: Draw) -> tuple[str, dict[str, str]]:
    group = Group()
    group.fill(draw, 2, "f")
    thing = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {"Thing": closed(group.properties, *group.required)},
    }
    orders = {media: draw(st.permutations(rows)) if draw(st.booleans()) else rows for media, rows in group.rows.items()}
    # A default has a place only once the rows before it have made its list, and the name of a member stands before its
    # value.
    keep = {
        media: rows if any("{}" in row or "default" in row for row in rows) else orders[media]
        for media, rows in group.rows.items()
    }
    return json.dumps(thing), {f"{media}-a": "\n".join(rows) for media, rows in keep.items()}


@settings(max_examples=examples(80), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_laws_hold_for_generated_tables(values_of: Any, data: st.DataObject) -> None:
    thing, rows = data.draw(tables())
    compiled = contract(thing, rows, CODES)
    strategy = values_of(compiled, "Thing")
    for _ in range(3):
        laws(compiled, data.draw(strategy))


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 1.5, "", "?", "a;b", [], [None], {}, {"absent": "none"}, {"w1": []}, [{}], 10**30]
)


def broken_json(draw: Draw, value: Any) -> Any:
    """The message with something else in one place."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        name = draw(st.sampled_from(sorted(value)))
        return {**value, name: broken_json(draw, value[name])}
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        return [broken_json(draw, value[0]), *value[1:]]
    return draw(ODD)


def broken_xml(draw: Draw, root: Any) -> None:
    """One element left out, doubled, renamed, with another text or attribute, or nil."""
    element = draw(st.sampled_from([*root.iter()]))
    match draw(st.integers(0, 5)):
        case 0 if element is not root:
            element.getparent().remove(element)
        case 1 if element is not root:
            element.addnext(copy.deepcopy(element))
        case 2 if element is not root:
            element.tag = draw(st.sampled_from(["x", "{urn:d}w1", "{urn:d}f1"]))
        case 3:
            element.text = draw(st.sampled_from(["", "?", "x", " 1 ", "a;b", "a|b"]))
        case 4:
            element.set(draw(st.sampled_from(["k", "f1", "absent"])), draw(st.sampled_from(["", "f1", "none"])))
        case _:
            element.set("{http://www.w3.org/2001/XMLSchema-instance}nil", "true")


@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_broken_message_is_read_or_refused_and_nothing_else(values_of: Any, data: st.DataObject) -> None:
    thing, rows = data.draw(tables())
    compiled = contract(thing, rows, CODES)
    value = data.draw(values_of(compiled, "Thing"))
    for name in ("json-a", "xml-a"):
        codec = compiled.codec(name)
        try:
            written = write(compiled, name, value)
            if name == "json-a":
                odd = broken_json(data.draw, json.loads(written, parse_float=str))
                read = codec.read_json("Thing", json.dumps(odd).encode())
            else:
                root = etree.fromstring(written)
                broken_xml(data.draw, root)
                read = codec.read_xml("Thing", parse_xml(etree.tostring(root, encoding="utf-8")))
        except Theirs as failure:
            assert failure.findings and failure.code in ("message.invalid", "message.not-expressible")
            continue
        assert compiled.validate("Thing", read) == [] and "\\x00" not in repr(read)
