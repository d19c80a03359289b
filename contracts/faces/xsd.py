"""The XML Schema 1.0 of a contract's canonical messages.

Element order is property order, arrays are repeated elements, an absentable field is nillable with an `absent`
attribute. `contracts.faces.foreign.differences` lists what the schema accepts and the decoder refuses.
"""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import quoteattr

from contracts.canonical.model import REASONS, Array, Choice, Field, RecursiveRef, Scalar, Struct, Type
from contracts.canonical.patterns import DATE_PATTERN, DATE_TIME_PATTERN
from contracts.compiled.contract import CompiledContract
from contracts.mapping.value_formats import plain
from contracts.wire.xmltext import escape_text

XS: Final = "http://www.w3.org/2001/XMLSchema"


def xsd(compiled: CompiledContract) -> bytes:
    """The schema as a document."""
    return ('<?xml version="1.0" encoding="UTF-8"?>\n' + schema_element(compiled, "") + "\n").encode("utf-8")


def schema_element(compiled: CompiledContract, indent: str) -> str:
    lines = [
        f'<xs:schema xmlns:xs="{XS}" xmlns:tns={quoteattr(compiled.namespace)} '
        f"targetNamespace={quoteattr(compiled.namespace)}"
        ' elementFormDefault="qualified" attributeFormDefault="unqualified" '
        f"version={quoteattr(compiled.contract.version)}>"
    ]
    for op in compiled.contract.operations.values():
        lines.append(f'  <xs:element name="{op.name}" type="tns:{op.request}"/>')
        lines.append(f'  <xs:element name="{op.name}Response" type="tns:{op.answer}"/>')
    written: set[str] = set()
    types = _Types(lines, written)
    for name in compiled.exchanged:
        lines.append(f'  <xs:element name="{name}" type="tns:{name}"/>')
    for name in compiled.exchanged:
        types.struct(compiled.messages[name], absentable=False)
    if types.reasons:
        lines.append('  <xs:simpleType name="AbsenceReason">')
        lines.append('    <xs:restriction base="xs:string">')
        lines += [f'      <xs:enumeration value="{reason}"/>' for reason in REASONS]
        lines += ["    </xs:restriction>", "  </xs:simpleType>"]
    lines.append("</xs:schema>")
    return "\n".join(indent + line for line in lines)


class _Types:
    def __init__(self, lines: list[str], written: set[str]) -> None:
        self._lines, self._written = lines, written
        self.reasons = False

    def struct(self, type_: Struct | Choice | RecursiveRef, *, absentable: bool) -> str:
        """Writes the complex type once and returns its name."""
        if isinstance(type_, RecursiveRef):
            type_ = type_.target
        name = type_.name + ("OrAbsent" if absentable else "")
        if name in self._written:
            return name
        self._written.add(name)
        body = [f'  <xs:complexType name="{name}">', *documentation(type_.title, type_.description, "    ")]
        if absentable:
            base = self.struct(type_, absentable=False)
            self.reasons = True
            body += [
                "    <xs:complexContent>",
                f'      <xs:extension base="tns:{base}">',
                '        <xs:attribute name="absent" type="tns:AbsenceReason"/>',
                "      </xs:extension>",
                "    </xs:complexContent>",
                "  </xs:complexType>",
            ]
        elif isinstance(type_, Choice):
            body.append("    <xs:choice>")
            for branch in type_.branches:
                body.append(
                    f'      <xs:element name="{branch.type.name}" '
                    f'type="tns:{self.struct(branch.type, absentable=False)}"/>'
                )
            body += ["    </xs:choice>", "  </xs:complexType>"]
        else:
            body.append("    <xs:sequence>")
            for field in type_.fields:
                lines = self._element(field)
                if (
                    isinstance(field.type, Array)
                    and field.type.least > 1
                    and not field.required
                    and not field.absentable
                ):
                    # None, or at least the minimum.
                    lines = [
                        '      <xs:sequence minOccurs="0">',
                        *(f"  {line}" for line in lines),
                        "      </xs:sequence>",
                    ]
                body += lines
            body += ["    </xs:sequence>", "  </xs:complexType>"]
        self._lines += body
        return name

    def _element(self, field: Field) -> list[str]:
        type_: Type = field.type
        least, most = (1 if field.required else 0), "1"
        if isinstance(type_, Array):
            # One nil element may stand for the whole array; the decoder checks the minimum.
            least = int(field.required) if field.absentable else type_.least if field.required or type_.least > 1 else 0
            most = "unbounded" if type_.most is None else str(type_.most)
            type_ = type_.items
        occurs = ("" if least == 1 else f' minOccurs="{least}"') + ("" if most == "1" else f' maxOccurs="{most}"')
        nil = ' nillable="true"' if field.absentable else ""
        start = f'      <xs:element name="{field.name}"'
        words = documentation(field.title, field.description, "        ")
        if not isinstance(type_, Scalar):
            name = self.struct(type_, absentable=field.absentable)
            if not words:
                return [f'{start} type="tns:{name}"{occurs}{nil}/>']
            return [f'{start} type="tns:{name}"{occurs}{nil}>', *words, "      </xs:element>"]
        facets = _facets(type_)
        if not field.absentable:
            inner = [f"        {line}" for line in _simple(type_, facets)]
            return [f"{start}{occurs}>", *words, *inner, "      </xs:element>"]
        self.reasons = True
        simple_name = self._named_simple(type_, facets, field)
        return [
            f"{start}{occurs}{nil}>",
            *words,
            "        <xs:complexType>",
            "          <xs:simpleContent>",
            f'            <xs:extension base="{simple_name}">',
            '              <xs:attribute name="absent" type="tns:AbsenceReason"/>',
            "            </xs:extension>",
            "          </xs:simpleContent>",
            "        </xs:complexType>",
            "      </xs:element>",
        ]

    def _named_simple(self, scalar: Scalar, facets: list[str], field: Field) -> str:
        if not facets:
            return _base(scalar)
        name, number = f"{field.name}Value", 1
        while name in self._written:
            number += 1
            name = f"{field.name}Value{number}"
        self._written.add(name)
        lines = _simple(scalar, facets)
        lines[0] = f'<xs:simpleType name="{name}">'
        self._lines += [f"  {line}" for line in lines]
        return f"tns:{name}"


_BASES: Final = {
    "string": "xs:string",
    "integer": "xs:integer",
    "number": "xs:decimal",
    "boolean": "xs:boolean",
    "date-time": "xs:dateTime",
    "date": "xs:date",
}


def _base(scalar: Scalar) -> str:
    return "xs:base64Binary" if scalar.binary else _BASES[scalar.format or scalar.kind]


def simple_type(scalar: Scalar) -> list[str]:
    """The type of one value's text, with all its facets."""
    return _simple(scalar, _facets(scalar))


def _simple(scalar: Scalar, facets: list[str]) -> list[str]:
    base = _base(scalar)
    lines = [
        "<xs:simpleType>",
        f'  <xs:restriction base="{base}">',
        *(f"    {each}" for each in facets),
        "  </xs:restriction>",
        "</xs:simpleType>",
    ]
    if scalar.format is not None and scalar.pattern is not None:
        # Patterns of one restriction step are alternatives in XSD, so the format's pattern has its own step.

        own = DATE_TIME_PATTERN if scalar.format == "date-time" else DATE_PATTERN
        return [
            "<xs:simpleType>",
            "  <xs:restriction>",
            "    <xs:simpleType>",
            f'      <xs:restriction base="{base}">',
            f"        <xs:pattern value={_quoted(own[1:-1])}/>",
            "      </xs:restriction>",
            "    </xs:simpleType>",
            *(f"    {each}" for each in facets),
            "  </xs:restriction>",
            "</xs:simpleType>",
        ]
    return lines


def _facets(scalar: Scalar) -> list[str]:
    facets: list[str] = []
    if scalar.format is not None and scalar.pattern is None:
        own = DATE_TIME_PATTERN if scalar.format == "date-time" else DATE_PATTERN
        facets.append(f"<xs:pattern value={_quoted(own[1:-1])}/>")
    if scalar.pattern is not None:
        facets.append(f"<xs:pattern value={_quoted(scalar.pattern[1:-1])}/>")
    facets += [f"<xs:enumeration value={_quoted(value)}/>" for value in scalar.values]
    for word, length in (("minLength", scalar.min_length), ("maxLength", scalar.max_length)):
        if length is not None:
            if scalar.binary:  # four characters for three octets; the last four may hold one
                length = length // 4 * 3 - (2 if word == "minLength" and length else 0)
            facets.append(f'<xs:{word} value="{length}"/>')
    for word, bound in (
        ("minInclusive", scalar.minimum),
        ("maxInclusive", scalar.maximum),
        ("minExclusive", scalar.exclusive_minimum),
        ("maxExclusive", scalar.exclusive_maximum),
    ):
        if bound is not None:
            facets.append(f'<xs:{word} value="{plain(bound)}"/>')
    return facets


def _quoted(value: str) -> str:
    return quoteattr(value, {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def documentation(title: str, description: str, indent: str) -> list[str]:
    text = ". ".join(each.rstrip(".") for each in (title, description) if each)
    if not text:
        return []
    return [f"{indent}<xs:annotation><xs:documentation>{escape_text(text)}</xs:documentation></xs:annotation>"]
