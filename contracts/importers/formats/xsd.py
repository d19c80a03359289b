"""Elements and complex types of XML Schema as trees of parts.

A recursive type is expanded to a fixed depth. Depth and number of parts are bounded.
Invariant: `element` ends for every schema, and what the tree leaves out of the schema is a note.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import Final

from contracts.base.integers import whole_number
from contracts.importers.formats.simple import TEXT, SimpleTypes
from contracts.importers.schemas import SOAPENC, XS, Component, Schemas
from contracts.importers.shape import MAX_DEPTH, MAX_PLACES, RECURSION, Group, Items, Note, Part, Value
from contracts.mapping.steps import XML

_WSDL_ARRAY: Final = "{http://schemas.xmlsoap.org/wsdl/}arrayType"
_NAME: Final = re.compile(r"[^\W\d][\w.\-]*")  # names that a path of a table can hold
_TITLE: Final = 200  # characters of documentation
_ANY: Final = {f"{{{XS}}}anyType", f"{{{SOAPENC}}}Array", f"{{{SOAPENC}}}Struct"}


@dataclass(slots=True)
class Reader:
    """Reads the trees of one interface. `namespaces` collects prefix -> namespace of the names used."""

    schemas: Schemas
    notes: list[Note]
    namespaces: MutableMapping[str, str] = field(default_factory=dict)
    _simple: SimpleTypes = field(init=False)
    _open: list[str] = field(default_factory=list)
    parts: int = 0  # of the messages before this one
    _left: int = MAX_PLACES
    _lists: dict[str, Items] = field(default_factory=dict)  # lists being read, by the type of their items
    _prefixes: dict[str, str] = field(default_factory=dict)  # namespace -> prefix
    _numbers: Iterator[int] = field(default_factory=partial(count, 1))

    def __post_init__(self) -> None:
        self._simple = SimpleTypes(self.schemas, self.notes)

    def start_message(self) -> None:
        self.parts += MAX_PLACES - self._left
        self._left, self._open, self._lists = MAX_PLACES, [], {}

    def note(self, code: str, at: Component, detail: str = "") -> None:
        self.notes.append(Note(code, at.place(), detail))

    def qualified(self, name: str) -> str:
        """A Clark name with the prefix of its namespace in the table."""
        if not name.startswith("{"):
            return name
        space, _, local = name[1:].partition("}")
        if space == XML:
            return f"xml:{local}"
        if space in self._prefixes:
            return f"{self._prefixes[space]}:{local}"
        wanted = self.schemas.prefixes.get(space, "")
        if (
            not wanted
            or wanted in self.namespaces
            or wanted.lower().startswith("xml")
            or wanted == "xsi"
            or not wanted.isascii()
        ):
            wanted = next(each for number in self._numbers if (each := f"n{number}") not in self.namespaces)
        self.namespaces[wanted], self._prefixes[space] = space, wanted
        return f"{wanted}:{local}"

    def element(self, component: Component, least: int = 1, most: int | None = 1) -> Part | None:
        """A declared element, or the one it refers to."""
        local = component.node.get("name", "")
        step = (
            f"{{{component.space}}}{local}"
            if component.space and _qualified(component, component.elements_qualified)
            else local
        )
        return self._declared(component, local, step, least, most)

    def _declared(self, component: Component, local: str, step: str, least: int, most: int | None) -> Part | None:
        if not self.can_be_named(component, local) or not self._spend(component, 1 if most == 1 else 2):
            return None
        nil = component.node.get("nillable") in ("true", "1")
        part = Part(
            local,
            self.qualified(step),
            self.type_of(component, local, most is None or most > 1),
            least=least,
            most=most,
            title=_words(component),
            nil=nil,
        )
        if nil and part.many:  # the items may be nil, not the list
            part.nil, part.nil_items, part.least = False, True, 0
            self.note("nil-items", component, local)
        elif nil and least:
            self.note("nillable", component, local)
        if part.content is None:
            self.note("any-type", component, local)
        elif isinstance(part.content, Group) and least and not part.carries:
            self.note("hollow", component, local)
        return part

    def _spend(self, at: Component, count: int = 1) -> bool:
        """Whether the limit on parts and visited groups of the message allows more."""
        if 0 < self._left <= count:
            self.note("too-large", at, str(MAX_PLACES))
        self._left -= count
        return self._left > 0

    def can_be_named(self, component: Component, local: str) -> bool:
        if _NAME.fullmatch(local) is None:
            self.note("name", component, repr(local))
            return False
        return True

    def type_of(self, component: Component, name: str, many: bool = False) -> Value | Group | Items | None:
        """The content of an element; None where it is open."""
        written = component.node.get("type")
        if written is not None:
            return self.named_type(component.name_of(written), component, name, many)
        for inner in component.children("simpleType", "complexType"):
            if inner.kind == "simpleType":
                return self._simple.of(inner)
            above = inner.node.getparent()
            component.visit(0 if above is None else len(above) // 100)  # getpath visits the preceding siblings
            return self._guarded(f"{component.file} {inner.node.getroottree().getpath(inner.node)}", inner, name)
        if (head := component.node.get("substitutionGroup")) and (
            head_component := self.schemas.get("element", component.name_of(head))
        ) is not None:
            return self.type_of(head_component, name, many) if f"head {head}" not in self._open else None
        return None

    def named_type(
        self, type_name: str, referrer: Component, name: str, many: bool = False
    ) -> Value | Group | Items | None:
        if type_name in _ANY:
            return None
        definition = self.schemas.get("type", type_name)
        if definition is None or definition.kind == "simpleType":
            return self._simple.named(type_name, referrer)
        local = str(definition.node.get("name") or name)
        if not many:
            return self._guarded(type_name, definition, local)
        if type_name in self._lists:  # unbounded depth
            self._lists[type_name].again = True
            return self._lists[type_name]
        self._lists[type_name] = items = Items()
        group = self._guarded(type_name, definition, local)
        del self._lists[type_name]
        if isinstance(group, Group):
            group.items = items
        return group

    def _guarded(self, key: str, component: Component, name: str) -> Value | Group | None:
        """A complex type, or a group without parts where the limits on depth and recursion are reached."""
        if self._open.count(key) >= RECURSION or len(self._open) >= MAX_DEPTH:
            self.note("recursion" if self._open.count(key) >= RECURSION else "too-deep", component, name)
            return Group(name)
        self._open.append(key)
        try:
            return self._complex(component, name)
        finally:
            self._open.pop()

    def _complex(self, component: Component, name: str) -> Value | Group | None:
        if component.node.get("abstract") in ("true", "1"):
            self.note("abstract", component, name)
        parts, text = self._content(component)
        if text is not None and not parts:
            return text
        if text is not None:
            parts = [Part("value", "text()", text), *parts]
        return Group(name, _once_each(parts, self.notes, component), _words(component))

    def _content(self, component: Component) -> tuple[list[Part], Value | None]:
        """Attributes and elements, and the value of the text where the content is simple."""
        if component.node.get("mixed") in ("true", "1"):
            self.note("mixed", component)
        for content in component.children("simpleContent", "complexContent"):
            for derived in content.children("extension", "restriction"):
                return self._derived(derived, simple=content.kind == "simpleContent")
        return [*self._attributes(component), *self._particles(component, True, False)], None

    def _derived(self, derived: Component, *, simple: bool) -> tuple[list[Part], Value | None]:
        base_name = derived.name_of(str(derived.node.get("base", "")))
        base = self.schemas.get("type", base_name)
        own = self._attributes(derived)
        if base_name == f"{{{SOAPENC}}}Array":
            return self._array(derived), None
        inherited: list[Part] = []
        text: Value | None = None
        if base is not None and base.kind == "complexType":
            if self._open.count(base_name) >= RECURSION:
                self.note("recursion", derived, base_name)
            else:
                self._open.append(base_name)
                inherited, text = self._content(base)
                self._open.pop()
        elif simple:
            text = self._simple.named(base_name, derived)
        elif base_name not in _ANY:
            self.note("missing", derived, base_name)
        if simple and derived.kind == "restriction":
            text = self._simple.restricted(text or TEXT, derived)
        if derived.kind == "restriction":
            named = {each.step for each in own} | {
                f"@{each.node.get('name')}" for each in derived.children("attribute")
            }
            inherited = [each for each in inherited if each.step.startswith("@") and each.step not in named]
        return [*inherited, *own, *self._particles(derived, True, False)], text

    def _array(self, derived: Component) -> list[Part]:
        """An array of SOAP encoding. Its item elements may have any name; `item` is customary."""
        for attribute in derived.children("attribute"):
            written = attribute.node.get(_WSDL_ARRAY)
            if written is not None:
                name = attribute.name_of(written.partition("[")[0])
                return [Part("item", "item", self.named_type(name, derived, "item", True), 0, None)]
        return self._particles(derived, True, False)

    def _attributes(self, component: Component) -> list[Part]:
        parts: list[Part] = []
        for child in component.children("attribute", "attributeGroup", "anyAttribute"):
            if not self._spend(child):
                break
            if child.kind == "anyAttribute":
                self.note("any-attribute", child)
            elif child.kind == "attributeGroup":
                name = child.name_of(str(child.node.get("ref", "")))
                definition = self.schemas.get("attributeGroup", name)
                if definition is None or name in self._open:
                    self.note("missing", child, name)
                    continue
                self._open.append(name)
                parts += self._attributes(definition)
                self._open.pop()
            elif (part := self._attribute(child)) is not None:
                parts.append(part)
        return parts

    def _attribute(self, child: Component) -> Part | None:
        if child.node.get("use") == "prohibited" or child.node.get(_WSDL_ARRAY) is not None:
            return None
        declaration, ref = child, child.node.get("ref")
        local = child.node.get("name", "")
        step = f"{{{child.space}}}{local}" if child.space and _qualified(child, child.attributes_qualified) else local
        if ref is not None:
            step = child.name_of(ref)
            global_declaration = self.schemas.get("attribute", step)
            if global_declaration is None and not step.startswith(f"{{{XML}}}"):
                self.note("missing", child, ref)
                return None
            declaration, local = (
                global_declaration or child,
                step.rpartition("}")[2],
            )  # xml:lang and others need no declaration
        if not self.can_be_named(child, local):
            return None
        required = child.node.get("use") == "required"
        fixed = child.node.get("fixed") if child.node.get("fixed") is not None else declaration.node.get("fixed")
        value = self._attribute_value(declaration)
        if fixed is not None and value.schema["type"] == "string" and not required:
            value = replace(value, schema={"type": "string", "enum": [fixed]})
        return Part(
            local,
            "@" + self.qualified(step),
            value,
            least=int(required),
            title=_words(declaration),
            constant=fixed if required else None,
        )

    def _attribute_value(self, component: Component) -> Value:
        written = component.node.get("type")
        if written is not None:
            return self._simple.named(component.name_of(written), component)
        for inner in component.children("simpleType"):
            return self._simple.of(inner)
        return TEXT

    def _particles(self, above: Component, required: bool, many: bool) -> list[Part]:
        """The elements of the model groups in `above`. `required` and `many` derive from the groups around it."""
        parts: list[Part] = []
        for child in above.children("sequence", "choice", "all", "group", "element", "any"):
            least, most = _occurs(child)
            if most == 0:
                continue
            if child.kind != "element" and not self._spend(child):
                break
            if child.kind == "any":
                self.note("any", child)
            elif child.kind == "element":
                for each in self._element_or_members(child, least if required else 0, None if many else most):
                    parts.append(each)
            else:
                parts += self._group(child, required and least > 0, many or most is None or most > 1, most)
        return parts

    def _group(self, child: Component, required: bool, many: bool, most: int | None) -> list[Part]:
        inner = child
        if child.kind == "group":
            name = child.name_of(str(child.node.get("ref", "")))
            definition = self.schemas.get("group", name)
            if definition is None or self._open.count(name) >= RECURSION:
                self.note("missing" if definition is None else "recursion", child, name)
                return []
            self._open.append(name)
            parts = self._particles(definition, required, many)
            self._open.pop()
            return parts
        is_choice = (
            child.kind == "choice"
            and sum(1 for _ in child.children("element", "sequence", "choice", "group", "any")) > 1
        )
        parts = self._particles(inner, required and not is_choice, many)
        names = ", ".join(each.name for each in parts)[:120]
        if is_choice and parts:
            self.note("choice", child, names)
        if (most is None or most > 1) and len(parts) > 1:
            self.note("repeated-group", child, names)
        return parts

    def _element_or_members(self, child: Component, least: int, most: int | None) -> Iterator[Part]:
        ref = child.node.get("ref")
        if ref is None:
            part = self.element(child, least, most)
            if part is not None:
                yield part
            return
        name = child.name_of(ref)
        declaration = self.schemas.get("element", name)
        if declaration is None:
            self.note("missing", child, ref)
            return
        members = [each for each in self.schemas.members.get(name, []) if each.node is not declaration.node]
        key = f"head {name}"
        if key in self._open:
            members = []
        if members:
            self.note("choice", child, ", ".join(str(each.node.get("name")) for each in (declaration, *members))[:120])
            least = 0
        self._open.append(key)
        for each in (declaration, *members):
            if each is declaration and declaration.node.get("abstract") in ("true", "1"):
                continue
            local = str(each.node.get("name"))
            part = self._declared(each, local, f"{{{each.space}}}{local}" if each.space else local, least, most)
            if part is not None:
                yield part
        self._open.pop()


def _qualified(component: Component, by_default: bool) -> bool:
    if component.node.getparent() is not None and component.node.getparent().tag == f"{{{XS}}}schema":  # type: ignore[union-attr]
        return True
    form = component.node.get("form")
    return form == "qualified" if form is not None else by_default


def _occurs(child: Component) -> tuple[int, int | None]:
    least, most = child.node.get("minOccurs", "1").strip(), child.node.get("maxOccurs", "1").strip()
    low, high = whole_number(least, 999_999_999), whole_number(most, 999_999_999)
    return (1 if low is None else low), (None if most == "unbounded" else 1 if high is None else high)


def _once_each(parts: list[Part], notes: list[Note], at: Component) -> list[Part]:
    """One part for each step: a repeated element becomes a list."""
    kept: dict[str, Part] = {}
    for part in parts:
        before = kept.setdefault(part.step, part)
        if before is not part and not part.step.startswith("@"):  # of a repeated attribute the first is kept
            notes.append(Note("repeated-name", at.place(), part.name))
            kept[part.step] = replace(before, least=min(before.least, part.least), most=None)
    return list(kept.values())


def _words(component: Component) -> str:
    """The documentation of a component, on one line."""
    for annotation in component.children("annotation"):
        for words in annotation.children("documentation"):
            text = ""
            for each in words.node.itertext():
                component.visit(1 + len(each) // 100)
                text = " ".join([*text.split(), *str(each).split()])
                if len(text) >= _TITLE:
                    break
            if text:
                return text[:_TITLE]
    return ""
