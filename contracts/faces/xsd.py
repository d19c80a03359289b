"""The XML Schema 1.0 of a contract's canonical messages.

Element order is property order, arrays are repeated elements, an absentable field is nillable with an `absent` attribute. What the
schema takes and the decoder does not is listed in `contracts.faces.foreign.differences`; the decoder enforces the stricter.
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
    """The schema as a document of its own."""
    return ('<?xml version="1.0" encoding="UTF-8"?>\n' + schema_element(compiled, "") + "\n").encode("utf-8")


def schema_element(compiled: CompiledContract, indent: str) -> str:
    lines = [
        f'<xs:schema xmlns:xs="{XS}" xmlns:tns={quoteattr(compiled.namespace)} targetNamespace={quoteattr(compiled.namespace)}'
        f' elementFormDefault="qualified" attributeFormDefault="unqualified" version={quoteattr(compiled.contract.version)}>'
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

    def struct(self, made: Struct | Choice | RecursiveRef, *, absentable: bool) -> str:
        """Name of the complex type; written once."""
        if isinstance(made, RecursiveRef):
            made = made.target
        name = made.name + ("OrAbsent" if absentable else "")
        if name in self._written:
            return name
        self._written.add(name)
        body = [f'  <xs:complexType name="{name}">', *documentation(made.title, made.description, "    ")]
        if absentable:
            base = self.struct(made, absentable=False)
            self.reasons = True
            body += [
                "    <xs:complexContent>",
                f'      <xs:extension base="tns:{base}">',
                '        <xs:attribute name="absent" type="tns:AbsenceReason"/>',
                "      </xs:extension>",
                "    </xs:complexContent>",
                "  </xs:complexType>",
            ]
        elif isinstance(made, Choice):
            body.append("    <xs:choice>")
            for branch in made.branches:
                body.append(
                    f'      <xs:element name="{branch.type.name}" type="tns:{self.struct(branch.type, absentable=False)}"/>'
                )
            body += ["    </xs:choice>", "  </xs:complexType>"]
        else:
            body.append("    <xs:sequence>")
            for field in made.fields:
                lines = self._element(field)
                if (
                    isinstance(field.type, Array)
                    and field.type.least > 1
                    and not field.required
                    and not field.absentable
                ):
                    # Not there at all, or as many as there must be.
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
        made: Type = field.type
        least, most = (1 if field.required else 0), "1"
        if isinstance(made, Array):
            # One nil element may stand for the whole array; how many items there must be, the decoder says then.
            least = int(field.required) if field.absentable else made.least if field.required or made.least > 1 else 0
            most = "unbounded" if made.most is None else str(made.most)
            made = made.items
        occurs = ("" if least == 1 else f' minOccurs="{least}"') + ("" if most == "1" else f' maxOccurs="{most}"')
        nil = ' nillable="true"' if field.absentable else ""
        start = f'      <xs:element name="{field.name}"'
        words = documentation(field.title, field.description, "        ")
        if not isinstance(made, Scalar):
            name = self.struct(made, absentable=field.absentable)
            if not words:
                return [f'{start} type="tns:{name}"{occurs}{nil}/>']
            return [f'{start} type="tns:{name}"{occurs}{nil}>', *words, "      </xs:element>"]
        facets = _facets(made)
        if not field.absentable:
            inner = [f"        {line}" for line in _simple(made, facets)]
            return [f"{start}{occurs}>", *words, *inner, "      </xs:element>"]
        self.reasons = True
        simple_name = self._named_simple(made, facets, field)
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

    def _named_simple(self, made: Scalar, facets: list[str], field: Field) -> str:
        if not facets:
            return _base(made)
        name, number = f"{field.name}Value", 1
        while name in self._written:
            number += 1
            name = f"{field.name}Value{number}"
        self._written.add(name)
        lines = _simple(made, facets)
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


def _base(made: Scalar) -> str:
    return "xs:base64Binary" if made.binary else _BASES[made.format or made.kind]


def simple_type(made: Scalar) -> list[str]:
    """A type for the text of one value, with all its facets."""
    return _simple(made, _facets(made))


def _simple(made: Scalar, facets: list[str]) -> list[str]:
    base = _base(made)
    lines = [
        "<xs:simpleType>",
        f'  <xs:restriction base="{base}">',
        *(f"    {each}" for each in facets),
        "  </xs:restriction>",
        "</xs:simpleType>",
    ]
    if made.format is not None and made.pattern is not None:
        # Patterns of one step are alternatives in XSD: the format's own goes into a step of its own.
        own = DATE_TIME_PATTERN if made.format == "date-time" else DATE_PATTERN
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


def _facets(made: Scalar) -> list[str]:
    found: list[str] = []
    if made.format is not None and made.pattern is None:
        found.append(
            f"<xs:pattern value={_quoted((DATE_TIME_PATTERN if made.format == 'date-time' else DATE_PATTERN)[1:-1])}/>"
        )
    if made.pattern is not None:
        found.append(f"<xs:pattern value={_quoted(made.pattern[1:-1])}/>")
    found += [f"<xs:enumeration value={_quoted(value)}/>" for value in made.values]
    for word, length in (("minLength", made.min_length), ("maxLength", made.max_length)):
        if length is not None:
            if made.binary:  # four characters for three octets; the last four may hold one
                length = length // 4 * 3 - (2 if word == "minLength" and length else 0)
            found.append(f'<xs:{word} value="{length}"/>')
    for word, bound in (
        ("minInclusive", made.minimum),
        ("maxInclusive", made.maximum),
        ("minExclusive", made.exclusive_minimum),
        ("maxExclusive", made.exclusive_maximum),
    ):
        if bound is not None:
            found.append(f'<xs:{word} value="{plain(bound)}"/>')
    return found


def _quoted(value: str) -> str:
    return quoteattr(value, {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def documentation(title: str, description: str, indent: str) -> list[str]:
    said = ". ".join(each.rstrip(".") for each in (title, description) if each)
    if not said:
        return []
    return [f"{indent}<xs:annotation><xs:documentation>{escape_text(said)}</xs:documentation></xs:annotation>"]
