"""Generated WSDLs: each is imported without a crash, its draft passes `check` once the marks are filled in, and what
zeep encodes from the same WSDL goes through the draft and back to what zeep reads as the same. zeep is the foreign
witness: it shares no code with the importer.
"""

from __future__ import annotations

import copy
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import zeep
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from lxml import etree
from zeep.helpers import serialize_object
from zeep.transports import Transport

from contracts.base.errors import Theirs
from contracts.compiled.contract import compile_bundle
from contracts.folder.bundle import Bundle
from contracts.folder.todo_markers import MARK
from contracts.importers.draft import write
from contracts.importers.formats.wsdl import import_wsdl
from contracts.importers.source import Files
from contracts.proof.check import check
from tests.size import examples

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
XS = "http://www.w3.org/2001/XMLSchema"
TEXT = st.text(st.sampled_from("aăâbcdđeêghôơuưy 0123<&>'\"Ổẫ"), max_size=8)
NAMES = ["ma", "ten", "HoTen", "SoLuong", "ngay-gio", "Địa.chỉ", "x1", "absent", "value", "item"]


@dataclass
class Shape:
    """What stands in a group, as XSD and as values that zeep takes."""

    xsd: str
    values: st.SearchStrategy[Any]
    solid: bool = True  # never empty, so that it is written wherever it stands
    types: list[str] = field(default_factory=list)


def simple(draw: Any, number: int) -> Shape:
    """A simple type: a builtin, or one of its own with facets."""
    zoned = st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2100, 1, 1)).map(
        lambda t: t.replace(microsecond=0, tzinfo=timezone(timedelta(hours=7)))
    )
    made: list[tuple[str, st.SearchStrategy[Any], str]] = [
        ("xs:string", TEXT, ""),
        ("xs:int", st.integers(-(2**31), 2**31 - 1), ""),
        ("xs:unsignedShort", st.integers(0, 65535), ""),
        ("xs:integer", st.integers(-(10**30), 10**30), ""),
        ("xs:decimal", st.decimals(-1000, 1000, places=3), ""),
        ("xs:boolean", st.booleans(), ""),
        ("xs:base64Binary", st.binary(max_size=7), ""),
        ("xs:date", st.dates(date(1900, 1, 1), date(2100, 1, 1)), ""),
        ("xs:dateTime", zoned, ""),
        (
            f"t:S{number}",
            st.sampled_from(["1", "b", "Ổn định"]),
            '<xs:enumeration value="1"/><xs:enumeration value="b"/><xs:enumeration value="Ổn định"/>',
        ),
        (
            f"t:S{number}",
            st.from_regex(r"[0-9]{3}-[A-Z]{1,2}", fullmatch=True),
            r'<xs:pattern value="\d{3}-[A-Z]{1,2}"/>',
        ),
        (f"t:S{number}", st.text("abc", min_size=1, max_size=5), '<xs:minLength value="1"/><xs:maxLength value="5"/>'),
    ]
    name, values, facets = draw(st.sampled_from(made))
    types = (
        [f'<xs:simpleType name="S{number}"><xs:restriction base="xs:string">{facets}</xs:restriction></xs:simpleType>']
        if facets
        else []
    )
    return Shape(name, values, True, types)


@st.composite
def groups(draw: Any, depth: int = 0, prefix: str = "") -> Shape:
    """A complex type: attributes and elements, nested, repeated, optional, of simple content."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    parts, types, solid = [], [], False
    values: dict[str, Any] = {}
    optional: dict[str, Any] = {}
    attributes = []
    for number, name in enumerate(names):
        kind = draw(
            st.sampled_from(
                ["value", "value", "attribute", "list", "group", "simple content"]
                if depth < 2
                else ["value", "attribute", "list"]
            )
        )
        at = f"{prefix}{depth}{number}"
        if kind == "group":
            inner = draw(groups(depth=depth + 1, prefix=at))
            content = f"><xs:complexType>{inner.xsd}</xs:complexType></xs:element>"
        else:
            inner = simple(draw, int(at))
            content = f' type="{inner.xsd}"/>'
        types += inner.types
        if kind == "attribute":
            required = draw(st.booleans())
            attributes.append(
                f'<xs:attribute name="{name}" type="{inner.xsd}" use="{"required" if required else "optional"}"/>'
            )
            (values if required else optional)[name] = inner.values
            solid = solid or required
            continue
        if kind == "simple content":
            types.append(
                f'<xs:complexType name="C{at}"><xs:simpleContent><xs:extension '
                f'base="{inner.xsd}"><xs:attribute name="don-vi" type="xs:string"/>'
                "</xs:extension></xs:simpleContent></xs:complexType>"
            )
            content = f' type="t:C{at}"/>'
            inner = Shape("", st.fixed_dictionaries({"_value_1": inner.values}, optional={"don-vi": TEXT}), True)
        least = draw(st.sampled_from([0, 1]))
        many = kind == "list" or draw(st.sampled_from([False, False, True]))
        occurs = f' minOccurs="{least}"' + (' maxOccurs="unbounded"' if many else "")
        if kind in ("value", "group") and not many and draw(st.booleans()):
            occurs += ' nillable="true"'
            inner = Shape("", st.none() | inner.values, False)
        parts.append(f'<xs:element name="{name}"{occurs}{content}')
        made = st.lists(inner.values, min_size=1, max_size=3) if many else inner.values
        (values if least else optional)[name] = made
        solid = solid or least == 1 and (many or inner.solid)
        # What must stand even when empty, and is, is not written: the importer names it as hollow.
    body = f"<xs:sequence>{''.join(parts)}</xs:sequence>{''.join(attributes)}"
    return Shape(body, st.fixed_dictionaries(values, optional=optional), solid, types)


def wsdl_of(root: Shape, qualified: bool) -> str:
    form = ' elementFormDefault="qualified"' if qualified else ""
    return (
        '<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" '
        f'xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xs="{XS}" '
        f'xmlns:t="urn:t" targetNamespace="urn:t"><wsdl:types><xs:schema targetNamespace="urn:t"{form}>'
        f'<xs:element name="Gui"><xs:complexType>{root.xsd}</xs:complexType></xs:element>'
        '<xs:element name="GuiXong"><xs:complexType><xs:sequence><xs:element name="ok" '
        'type="xs:boolean"/></xs:sequence></xs:complexType></xs:element>'
        f"{''.join(root.types)}</xs:schema></wsdl:types>"
        '<wsdl:message name="In"><wsdl:part name="p" element="t:Gui"/></wsdl:message>'
        '<wsdl:message name="Out"><wsdl:part name="p" element="t:GuiXong"/></wsdl:message>'
        '<wsdl:portType name="P"><wsdl:operation name="Gui"><wsdl:input message="t:In"/><wsdl:output '
        'message="t:Out"/></wsdl:operation></wsdl:portType>'
        '<wsdl:binding name="B" type="t:P"><soap:binding style="document" '
        'transport="http://schemas.xmlsoap.org/soap/http"/>'
        '<wsdl:operation name="Gui"><soap:operation soapAction="urn:gui"/><wsdl:input><soap:body '
        'use="literal"/></wsdl:input>'
        '<wsdl:output><soap:body use="literal"/></wsdl:output></wsdl:operation></wsdl:binding>'
        '<wsdl:service name="DichVu"><wsdl:port name="Q" binding="t:B"><soap:address '
        'location="http://dich-vu.example/"/></wsdl:port></wsdl:service>'
        "</wsdl:definitions>"
    )


def filled(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The draft with something written at every mark: hints behind a value go, titles get words, samples get a text as
    long."""
    made = {}
    for path, raw in files.items():
        text = raw.decode()
        if path.startswith("samples/"):
            text = text.replace(MARK, "Mẫu.")
        text = re.sub(rf"  # {MARK}:.*", "", text)
        made[path] = re.sub(rf"{MARK}: [^\"]*", "Đã điền", text).encode()
    return made


def imported(text: str) -> Any:
    return import_wsdl(Files("main.wsdl", lambda path: text.encode() if path == "main.wsdl" else None))


@FEW
@given(data=st.data(), root=groups(), qualified=st.booleans())
def test_a_draft_holds_and_carries_what_zeep_writes(data: st.DataObject, root: Shape, qualified: bool) -> None:
    text = wsdl_of(root, qualified)
    interface = imported(text)
    assert {note.code for note in interface.notes} <= {"hollow", "nillable"}
    files = filled(write(interface).files)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "v1"
        for path, raw in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(raw)
        report = check(folder)
        assert report.ok, report.findings
        assert sum(item.startswith("sample") for item in report.proved) >= 1
        (Path(place) / "x.wsdl").write_text(text, "utf-8")
        client = zeep.Client(str(Path(place) / "x.wsdl"), transport=Transport(cache=None))
    (codec,) = [each for name, each in compile_bundle(Bundle.of(files)).formats.items() if name != "canonical"]
    value = data.draw(root.values)
    envelope = client.create_message(client.service, "Gui", **value)
    sent = etree.fromstring(etree.tostring(envelope[-1][0], encoding="utf-8"))
    canonical = codec.read_xml("Gui", sent)
    written = etree.fromstring(codec.write_xml("Gui", canonical))
    assert codec.read_xml("Gui", written) == codec.normal("Gui", canonical)
    if "hollow" not in {note.code for note in interface.notes}:
        element = client.get_element("{urn:t}Gui")
        assert serialize_object(element.parse(written, client.wsdl.types)) == serialize_object(
            element.parse(sent, client.wsdl.types)
        )


# --- anything at all that is a schema ---------------------------------------------------------------------------------

_WORDS = [
    "element",
    "complexType",
    "simpleType",
    "sequence",
    "choice",
    "all",
    "group",
    "attribute",
    "attributeGroup",
    "any",
    "anyAttribute",
    "simpleContent",
    "complexContent",
    "extension",
    "restriction",
    "list",
    "union",
    "enumeration",
    "pattern",
    "annotation",
    "include",
]
_ATTRIBUTES = {
    "name": ["a", "b", "Gui", ""],
    "type": ["t:a", "t:b", "xs:string", "xs:int", "xs:anyType", "q:no", "Gui"],
    "base": ["t:a", "t:b", "xs:string", "t:Gui"],
    "ref": ["t:a", "t:b", "xml:lang", "t:Gui"],
    "minOccurs": ["0", "1", "7", "x"],
    "maxOccurs": ["0", "1", "unbounded", "9999999999999999", "-1"],
    "substitutionGroup": ["t:a", "t:Gui"],
    "value": ["1", "[a-", "\\p{L}+", "\\", ""],
    "abstract": ["true"],
    "mixed": ["true"],
    "nillable": ["true"],
    "use": ["required", "prohibited"],
    "fixed": ["x"],
    "schemaLocation": ["main.wsdl", "x.xsd", "http://e.example/x"],
    "form": ["qualified", "unqualified"],
}


@st.composite
def nodes(draw: Any, depth: int = 0) -> str:
    word = draw(st.sampled_from(_WORDS))
    chosen = draw(st.lists(st.sampled_from(sorted(_ATTRIBUTES)), max_size=4, unique=True))
    given_attributes = "".join(f' {name}="{draw(st.sampled_from(_ATTRIBUTES[name]))}"' for name in chosen)
    inner = "".join(draw(st.lists(nodes(depth=depth + 1), max_size=3))) if depth < 4 else ""
    return f"<xs:{word}{given_attributes}>{inner}</xs:{word}>"


@settings(FEW, max_examples=examples(60))
@given(tops=st.lists(nodes(), max_size=6), body=nodes())
def test_whatever_stands_in_a_schema_a_draft_holds_or_a_failure_says_why(tops: list[str], body: str) -> None:
    root = Shape(f"<xs:sequence>{body}<xs:element name='ok' type='xs:boolean'/></xs:sequence>", st.none(), types=tops)
    try:
        interface = imported(wsdl_of(root, True))
    except Theirs as failure:
        assert failure.code == "import.nothing"
        return
    compile_bundle(Bundle.of(write(interface).files))


@settings(FEW, max_examples=150)
@given(data=st.data())
def test_a_damaged_wsdl_ends_in_a_draft_or_a_failure(data: st.DataObject) -> None:
    """Elements taken away, doubled or moved, attributes taken away or swapped, in a file that was sound."""
    root = etree.fromstring((Path(__file__).parents[3] / "examples" / "onboarding" / "muc-nuoc.wsdl").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        elements = [each for each in root.iterdescendants() if isinstance(each.tag, str)]
        one, other = data.draw(st.sampled_from(elements)), data.draw(st.sampled_from(elements))
        parent = one.getparent()
        what = data.draw(st.sampled_from(["remove", "double", "move", "drop", "swap"]))
        if what == "remove" and parent is not None and len(elements) > 5:
            parent.remove(one)
        elif what == "double" and parent is not None:
            parent.append(copy.deepcopy(one))
        elif what == "move" and one not in other.iterancestors() and one is not other:
            other.append(one)
        elif one.attrib:
            name = data.draw(st.sampled_from(sorted(map(str, one.attrib))))
            value = one.attrib.pop(name)
            if what == "swap" and other.attrib:
                other.set(data.draw(st.sampled_from(sorted(map(str, other.attrib)))), value)
    damaged = etree.tostring(root, encoding="unicode")
    note(damaged)  # the draws alone name elements by their addresses in memory
    try:
        interface = imported(damaged)
        compile_bundle(Bundle.of(write(interface).files))
    except Theirs as failure:
        assert failure.code in ("import.nothing", "import.unreadable")
