"""The XML Schema 1.0 of a foreign XML format, made from its mapping table: one schema per namespace.

The XSD requires the order of the table's rows, in which the gateway writes; the gateway reads any order. Elements
distinguished by a key (`dt:Muc[@khoa='…']`) are one element with the list of keys. Ignored content, and elements whose
names are values, are open content.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final
from xml.sax.saxutils import quoteattr

from contracts.canonical.model import Scalar
from contracts.compiled.contract import CompiledContract
from contracts.faces.foreign.comparison import Shape, Text, alternatives, shape_of
from contracts.faces.xsd import XS, documentation, simple_type


@dataclass(slots=True)
class Schema:
    """One namespace of a format ("" for none): its declarations, and the namespaces that it refers to."""

    namespace: str
    body: list[str] = field(default_factory=list)
    uses: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)

    def unused(self, name: str) -> str:
        """A unique name for a type, with a number where the name is taken."""
        unused, number = name, 1
        while unused in self.names:
            number += 1
            unused = f"{name}{number}"
        self.names.add(unused)
        return unused

    def refer(self, namespace: str) -> str:
        """The prefix of a namespace in this schema."""
        if namespace == self.namespace:
            return "tns"
        return self.uses.setdefault(namespace, f"n{len(self.uses) + 1}")

    def lines(self, locations: dict[str, str] | None = None) -> list[str]:
        """The whole schema. `locations` maps namespaces to files, for a schema in a file of its own."""
        own = (
            f" xmlns:tns={quoteattr(self.namespace)} targetNamespace={quoteattr(self.namespace)}"
            if self.namespace
            else ""
        )
        others = "".join(f" xmlns:{prefix}={quoteattr(uri)}" for uri, prefix in self.uses.items() if uri)
        imports = []
        for uri in self.uses:
            at = f" schemaLocation={quoteattr(locations[uri])}" if locations else ""
            imports.append(f"  <xs:import{f' namespace={quoteattr(uri)}' if uri else ''}{at}/>")
        return [
            f'<xs:schema xmlns:xs="{XS}"{own}{others} elementFormDefault="qualified">',
            *imports,
            *self.body,
            "</xs:schema>",
        ]


def schemas(compiled: CompiledContract, format_name: str) -> list[Schema]:
    """The schemas of a format's messages. The first is that of the first message's root."""
    codec = compiled.codec(format_name)
    roots = [shape_of(compiled, format_name, message) for message in compiled.exchanged if message in codec.mapped]
    writer = _Writer()
    # Elements inside the content of another namespace must be declared globally, as roots are.
    declared: dict[str, list[Shape]] = {}
    for root in roots:
        declared.setdefault(root.name, []).append(root)
    for root in roots:
        _foreign_children(root, declared)
    for name, shapes in declared.items():
        schema = writer.schema(_space(name))
        schema.body += writer.element(schema, alternatives(shapes), "  ", top=True)
    return list(writer.schemas.values())


def xsd_files(compiled: CompiledContract, format_name: str) -> dict[str, bytes]:
    """The schemas as files that import each other: `schema.xsd`, then `schema-1.xsd` and so on."""
    documents = schemas(compiled, format_name)
    for other in documents[1:]:  # the first document imports all others
        documents[0].refer(other.namespace)
    names = {
        schema.namespace: f"schema-{number}.xsd" if number else "schema.xsd" for number, schema in enumerate(documents)
    }
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return {names[schema.namespace]: ("\n".join([head, *schema.lines(names)]) + "\n").encode() for schema in documents}


def _foreign_children(shape: Shape, declared: dict[str, list[Shape]]) -> None:
    for child in shape.children:
        if child.named:
            return  # open content
        if _refers(shape.name, child.name):
            declared.setdefault(child.name, []).append(child)
        _foreign_children(child, declared)


def _space(clark: str) -> str:
    return clark[1:].rpartition("}")[0] if clark.startswith("{") else ""


def _refers(parent: str, child: str) -> bool:
    """Whether the child is referred to. An element without a namespace can be local anywhere."""
    return _space(child) not in ("", _space(parent))


class _Writer:
    def __init__(self) -> None:
        self.schemas: dict[str, Schema] = {}
        self._types: dict[str, tuple[str, str]] = {}  # canonical path of a recursive element -> namespace and type name

    def schema(self, namespace: str) -> Schema:
        return self.schemas.setdefault(namespace, Schema(namespace))

    def element(
        self, schema: Schema, shape: Shape, indent: str, *, top: bool = False, unordered: bool = False
    ) -> list[str]:
        local = shape.name.rpartition("}")[2]
        occurs = "" if top or unordered else _occurs(shape.least, shape.most)
        form = ' form="unqualified"' if not top and schema.namespace and not _space(shape.name) else ""
        may_be_nil = shape.nil_items or any(each is not None and each.nil for each in (shape.text, shape.absent))
        nil = ' nillable="true"' if may_be_nil else ""
        shape = _with_words(shape)
        start = f"{indent}<xs:element name={quoteattr(local)}{form}{occurs}{nil}"
        words = documentation(shape.title, "", indent + "  ")
        if shape.free:
            return [f'{start} type="xs:anyType"/>']
        if shape.again:
            return [f'{start} type="{self._type(schema, shape.again)}"/>']
        if shape.led_to:
            self._types[shape.led_to] = (schema.namespace, schema.unused(f"{local}Type"))
        if not shape.children and not shape.attributes:
            inner = _simple(shape.text) if shape.text is not None else ["<xs:complexType/>"]
        elif not shape.children and shape.text is not None:
            base = self._named(schema, local, shape.text)
            inner = [
                "<xs:complexType>",
                "  <xs:simpleContent>",
                f'    <xs:extension base="{base}">',
                *(f"      {line}" for line in _attributes(shape)),
                "    </xs:extension>",
                "  </xs:simpleContent>",
                "</xs:complexType>",
            ]
        else:
            mixed = ' mixed="true"' if shape.text is not None or shape.absent is not None else ""
            inner = [f"<xs:complexType{mixed}>", *self._content(schema, shape)]
            inner += [f"  {line}" for line in _attributes(shape)] + ["</xs:complexType>"]
        if shape.led_to:
            inner[0] = inner[0].replace(
                "<xs:complexType", f"<xs:complexType name={quoteattr(self._types[shape.led_to][1])}"
            )
            schema.body += [f"  {line}" for line in inner]
            return [f'{start} type="{self._type(schema, shape.led_to)}"/>']
        return [f"{start}>", *words, *(f"{indent}  {line}" for line in inner), f"{indent}</xs:element>"]

    def _type(self, schema: Schema, path: str) -> str:
        """The reference to the type of a recursive element."""
        namespace, name = self._types[path]
        prefix = "tns" if namespace == schema.namespace else schema.refer(namespace)
        return f"{prefix}:{name}" if namespace else name

    def _content(self, schema: Schema, shape: Shape) -> list[str]:
        if not shape.children:
            return []
        if any(child.named for child in shape.children):
            return [
                "  <xs:sequence>",
                '    <xs:any minOccurs="0" maxOccurs="unbounded" processContents="skip"/>',
                "  </xs:sequence>",
            ]
        unordered = not shape.ordered
        start, end = (
            ('<xs:choice minOccurs="0" maxOccurs="unbounded">', "</xs:choice>")
            if unordered
            else ("<xs:sequence>", "</xs:sequence>")
        )
        lines = []
        for child in shape.children:
            if _refers(shape.name, child.name):
                uri, _, local = child.name[1:].rpartition("}")
                occurs = "" if unordered else _occurs(child.least, child.most)
                lines.append(f'    <xs:element ref="{schema.refer(uri)}:{local}"{occurs}/>')

            else:
                lines += self.element(schema, child, "    ", unordered=unordered)
        return [f"  {start}", *lines, f"  {end}"]

    def _named(self, schema: Schema, local: str, text: Text) -> str:
        if text == Text(Scalar("string")):
            return "xs:string"
        name = schema.unused(f"{local}Value")
        lines = _simple(text)
        schema.body += [f"  <xs:simpleType name={quoteattr(name)}>", *(f"  {line}" for line in lines[1:])]
        return f"tns:{name}" if schema.namespace else name


def _with_words(shape: Shape) -> Shape:
    """Adds the words for the absence of a group: as its text, or as mixed content beside elements and attributes."""
    if shape.absent is None:
        return shape
    if shape.text is None and not shape.children and not shape.attributes:
        words = Scalar("string", values=shape.absent.words) if shape.absent.words else Scalar("string", max_length=0)
        return replace(shape, text=Text(words))
    text = None if shape.text is None else replace(shape.text, words=shape.text.words + shape.absent.words)
    attributes = {name: (each, False) for name, (each, _) in shape.attributes.items()}
    return replace(shape, text=text, attributes=attributes)


def _occurs(least: int, most: int | None) -> str:
    shown = "unbounded" if most is None else str(most)
    return ("" if least == 1 else f' minOccurs="{least}"') + ("" if shown == "1" else f' maxOccurs="{shown}"')


def _attributes(shape: Shape) -> list[str]:
    lines = []
    for name, (text, required) in shape.attributes.items():
        if name.startswith("{"):
            continue
        use = ' use="required"' if required else ""
        lines += [
            f"<xs:attribute name={quoteattr(name)}{use}>",
            *(f"  {line}" for line in _simple(text)),
            "</xs:attribute>",
        ]
    spaces = dict.fromkeys(_space(name) for name in shape.attributes if name.startswith("{"))
    if spaces:
        lines.append(f'<xs:anyAttribute namespace={quoteattr(" ".join(spaces))} processContents="lax"/>')
    return lines


_STRING: Final = simple_type(Scalar("string"))


def _simple(text: Text) -> list[str]:
    lines = simple_type(text.scalar) if text.scalar != Scalar("string") else _STRING
    if not text.words:
        return lines
    words = simple_type(Scalar("string", values=text.words))
    return [
        "<xs:simpleType>",
        "  <xs:union>",
        *(f"    {line}" for line in [*lines, *words]),
        "  </xs:union>",
        "</xs:simpleType>",
    ]
