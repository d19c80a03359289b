"""Reads WSDL 1.1 (SOAP 1.1 and 1.2 bindings) as an interface: document style, and rpc style if literal.

https://www.w3.org/TR/2001/NOTE-wsdl-20010315.
Invariant: every operation that is left out has a note.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from contracts.importers.errors import IMPORT_NOTHING, IMPORT_UNREADABLE
from contracts.importers.formats.xsd import Reader
from contracts.importers.schemas import XS, Component, Schemas
from contracts.importers.shape import MAX_CALLS, MAX_PARTS, Call, Group, Interface, Message, Note, Part, nothing
from contracts.importers.source import Files

WSDL: Final = "http://schemas.xmlsoap.org/wsdl/"
SOAP11: Final = "http://schemas.xmlsoap.org/wsdl/soap/"
SOAP12: Final = "http://schemas.xmlsoap.org/wsdl/soap12/"


def import_wsdl(files: Files, operations: Sequence[str] = ()) -> Interface:
    """Reads the named operations (all, where none is named) with their messages.

    Raises IMPORT_NOTHING, IMPORT_TOO_LARGE or IMPORT_UNREADABLE.
    """
    return _Wsdl(files).interface(operations)


@dataclass(frozen=True, slots=True)
class _Bound:
    """An operation of a SOAP binding."""

    at: Component
    port_type: Component
    rpc: bool
    soap: str


@dataclass(slots=True)
class _Wsdl:
    files: Files
    notes: list[Note] = field(default_factory=list)
    schemas: Schemas = field(init=False)
    reader: Reader = field(init=False)
    parts: dict[tuple[str, str], Component] = field(default_factory=dict)  # messages, portTypes, bindings by Clark name
    service: str = ""
    _loaded: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.schemas = Schemas(self.files, self.notes)
        self.reader = Reader(self.schemas, self.notes)

    def interface(self, operations: Sequence[str]) -> Interface:
        main = self.files.main
        root = self.files.xml(main, self.files.first())
        if root.tag != f"{{{WSDL}}}definitions":
            raise IMPORT_UNREADABLE(file=main, why=f"the root is {root.tag}, not wsdl:definitions of WSDL 1.1")
        self._load(root, main)
        bound = {str(each.at.node.get("name")): each for each in self._bound()}
        unknown = [each for each in operations if each not in bound]
        if unknown:
            raise IMPORT_NOTHING(file=main, why=f"{', '.join(unknown)} ∉ {', '.join(bound)}"[:400])
        calls: list[Call] = []
        for name, each in bound.items():
            if operations and name not in operations:
                continue
            self.files.reading(name)
            if len(calls) >= MAX_CALLS or self.reader.parts > MAX_PARTS:
                self.notes.append(Note("too-many", each.at.place(), name))
            elif (call := self._call(name, each)) is not None:
                calls.append(call)
        if not calls:
            raise nothing(main, self.notes if bound else [*self.notes, Note(self._lacks(), main)])
        self._shared_roots(calls)
        name = self.service or root.get("name") or calls[0].name
        return Interface(
            name=name,
            media="xml",
            namespaces=self.reader.namespaces,
            calls=calls,
            notes=list(dict.fromkeys(self.notes)),
            documents=list(self.files.seen),
        )

    def _lacks(self) -> str:
        """What a document without operations lacks."""
        if not any(kind == "portType" for kind, _ in self.parts):
            return "no-port-type"
        return "no-operation"

    def _shared_roots(self, calls: Sequence[Call]) -> None:
        """Notes operations whose requests have one element and that no SOAPAction tells apart."""
        first: dict[tuple[str | None, str | None], Call] = {}
        for call in calls:
            before = first.setdefault((call.request.root, call.action), call)
            if before is not call and call.request.root is not None:
                self.notes.append(Note("shared-root", call.request.root, f"{before.name}, {call.name}"))

    # --- loading ------------------------------------------------------------------------------------------------------

    def _load(self, root: etree._Element, file: str) -> None:
        self._loaded.add(file)
        space = root.get("targetNamespace", "")
        top = Component(root, file, space, elements_qualified=True, attributes_qualified=False, visit=self.files.visit)
        for schema in root.iterfind(f"{{{WSDL}}}types/{{{XS}}}schema"):
            self.schemas.load(schema, file)
        for child in root:
            kind = (
                etree.QName(child).localname
                if isinstance(child.tag, str) and child.tag.startswith(f"{{{WSDL}}}")
                else ""
            )
            name = f"{{{space}}}{child.get('name')}"
            if kind in ("message", "portType", "binding"):
                self.parts.setdefault((kind, name), top.at(child))
            elif kind == "service" and not self.service:
                self.service = child.get("name", "")
            elif kind == "import":
                self._follow(top.at(child))

    def _follow(self, link: Component) -> None:
        location = link.node.get("location", "")
        beside = self.files.beside(link.file, location, link.node.get("namespace", ""))
        if beside is None:
            self.notes.append(Note("not-loaded", link.place(), location))
            return
        path, raw = beside
        if path in self._loaded:
            return
        root = self.files.xml(path, raw)
        if root.tag == f"{{{XS}}}schema":
            self._loaded.add(path)
            self.schemas.load(root, path)
        elif root.tag == f"{{{WSDL}}}definitions":
            self._load(root, path)
        else:
            self.notes.append(Note("not-loaded", link.place(), location))

    def _bound(self) -> Iterator[_Bound]:
        """Operations of SOAP bindings; SOAP 1.1 goes before 1.2 where both bind an operation."""
        soap: dict[str, list[_Bound]] = {SOAP11: [], SOAP12: []}
        for (kind, name), binding in self.parts.items():
            if kind != "binding":
                continue
            space = next((s for s in soap if binding.node.find(f"{{{s}}}binding") is not None), None)
            if space is None:
                self.notes.append(Note("binding", binding.place(), name.rpartition("}")[2]))
                continue
            style = binding.node.find(f"{{{space}}}binding").get("style", "document")  # type: ignore[union-attr]
            port = self._referred("portType", binding, binding.node.get("type", ""))
            if port is None:
                self.notes.append(Note("missing", binding.place(), binding.node.get("type", "")))
                continue
            for op in binding.node.iterfind(f"{{{WSDL}}}operation"):
                extension = op.find(f"{{{space}}}operation")
                rpc = (extension.get("style") if extension is not None and extension.get("style") else style) == "rpc"
                soap[space].append(_Bound(binding.at(op), port, rpc, space))
        first: dict[str, _Bound] = {}
        for each in (*soap[SOAP11], *soap[SOAP12]):
            first.setdefault(str(each.at.node.get("name")), each)
        if not first and not any(kind == "binding" for kind, _ in self.parts):
            for (kind, _), port in self.parts.items():
                if kind == "portType":
                    for op in port.node.iterfind(f"{{{WSDL}}}operation"):
                        by_type = self._by_type(port.at(op))
                        self.notes.append(Note("no-binding-rpc" if by_type else "no-binding", port.place()))
                        first.setdefault(str(op.get("name")), _Bound(port.at(op), port, by_type, SOAP11))
        yield from first.values()

    def _referred(self, kind: str, at: Component, written: str) -> Component | None:
        """What an attribute names. Without a prefix it is in the default namespace, which is often that of WSDL itself:
        then it is what has this name in the document's own."""
        part = self.parts.get((kind, at.name_of(written)))
        if part is None and written and ":" not in written:
            part = self.parts.get((kind, f"{{{at.space}}}{written}"))
            if part is not None:
                self.notes.append(Note("unprefixed", at.place(), written))
        return part

    def _by_type(self, op: Component) -> bool:
        """Whether the request's parts have types: only rpc has a place for these."""
        way = op.node.find(f"{{{WSDL}}}input")
        message = None if way is None else self._referred("message", op, way.get("message", ""))
        parts = () if message is None else message.node.iterfind(f"{{{WSDL}}}part")
        return any(part.get("type") is not None for part in parts)

    # --- one operation ------------------------------------------------------------------------------------------------

    def _call(self, name: str, bound: _Bound) -> Call | None:
        port = next(
            (op for op in bound.port_type.node.iterfind(f"{{{WSDL}}}operation") if op.get("name") == name), None
        )
        if port is None:
            self.notes.append(Note("missing", bound.at.place(), name))
            return None
        at = bound.port_type.at(port)
        if port.find(f"{{{WSDL}}}input") is None:
            self.notes.append(Note("notification", at.place(), name))
            return None
        if bound.soap == SOAP12:
            self.notes.append(Note("soap12", bound.at.place(), name))
        for fault in port.iterfind(f"{{{WSDL}}}fault"):
            self.notes.append(Note("fault", at.place(), str(fault.get("name"))))
        request = self._message(name, "input", at, bound)
        if request is None:
            return None
        if port.find(f"{{{WSDL}}}output") is None:
            self.notes.append(Note("one-way", at.place(), name))
            answer: Message | None = None
        elif (answer := self._message(name, "output", at, bound)) is None:
            return None
        extension = bound.at.node.find(f"{{{bound.soap}}}operation")
        action = None if extension is None else extension.get("soapAction")
        if action == "":
            self.notes.append(Note("empty-action", bound.at.place(), name))
        words = port.find(f"{{{WSDL}}}documentation")
        title = "" if words is None else " ".join(" ".join(str(each) for each in words.itertext()).split())[:200]
        return Call(name, request, answer, title, action or None)

    def _message(self, name: str, way: str, at: Component, bound: _Bound) -> Message | None:
        port = at.node.find(f"{{{WSDL}}}{way}")
        assert port is not None
        message = self._referred("message", at, port.get("message", ""))
        if message is None:
            self.notes.append(Note("missing", at.place(), port.get("message", "")))
            return None
        body = self._body(name, bound, way)
        parts = [message.at(each) for each in message.node.iterfind(f"{{{WSDL}}}part")]
        chosen = body.get("parts") if body is not None else None
        if chosen is not None:
            named = set(chosen.split())
            parts = [each for each in parts if each.node.get("name") in named]
        else:
            elsewhere = {
                each.get("part")
                for each in self._headers(bound, way)
                if bound.at.name_of(each.get("message", "")) == f"{{{message.space}}}{message.node.get('name')}"
            }
            parts = [each for each in parts if each.node.get("name") not in elsewhere]
        if body is not None and body.get("use") == "encoded":
            self.notes.append(Note("encoded", message.place(), name))
        self.reader.start_message()
        if bound.rpc:
            return self._rpc(name if way == "input" else f"{name}Response", body, parts, bound)
        return self._document(name if way == "input" else f"{name}Response", parts, message)

    def _headers(self, bound: _Bound, way: str) -> list[etree._Element]:
        place = bound.at.node.find(f"{{{WSDL}}}{way}")
        return [] if place is None else list(place.iter(f"{{{bound.soap}}}header"))

    def _body(self, name: str, bound: _Bound, way: str) -> etree._Element | None:
        """The soap:body of one direction, also inside a MIME multipart. Headers and attachments become notes."""
        place = bound.at.node.find(f"{{{WSDL}}}{way}")
        if place is None:
            return None
        for header in self._headers(bound, way):
            self.notes.append(Note("header", bound.at.place(), f"{header.get('message')} {header.get('part')}"))
        bodies = list(place.iter(f"{{{bound.soap}}}body"))
        if any(isinstance(each.tag, str) and each.tag.endswith("}multipartRelated") for each in place):
            self.notes.append(Note("attachment", bound.at.place(), name))
        return bodies[0] if bodies else None

    def _rpc(self, name: str, body: etree._Element | None, parts: list[Component], bound: _Bound) -> Message:
        space = bound.at.space if body is None else body.get("namespace", "")
        if body is not None and not space:
            self.notes.append(Note("rpc-namespace", bound.at.place(), name))
        group = Group(name)
        for part in parts:
            local, typed = str(part.node.get("name")), part.node.get("type")
            if typed is not None and self.reader.can_be_named(part, local):
                content = self.reader.named_type(part.name_of(typed), part, local)
                typed_part = Part(local, local, content)
                if content is None:
                    self.notes.append(Note("any-type", part.place(), local))
                group.parts.append(typed_part)
            elif typed is None and (element := self._element(part)) is not None:
                element_part = self.reader.element(element)
                if element_part is not None:
                    group.parts.append(element_part)
        return Message(name, self.reader.qualified(f"{{{space}}}{name}" if space else name), group)

    def _element(self, part: Component) -> Component | None:
        written = part.node.get("element", "")
        name = part.name_of(written)
        component = self.schemas.get("element", name)
        if component is None and ":" not in written:  # no prefix: an element without a namespace
            component = self.schemas.get("element", written)
        if component is None:
            self.notes.append(Note("missing", part.place(), written))
        return component

    def _document(self, name: str, parts: list[Component], message: Component) -> Message | None:
        if not parts:
            return Message(name, None, Group(name))
        if len(parts) > 1:
            self.notes.append(Note("parts", message.place(), name))
        if parts[0].node.get("element") is None:
            self.notes.append(Note("body-type", parts[0].place(), name))
            return None
        element = self._element(parts[0])
        if element is None:
            return None
        root = self.reader.element(element, least=0)
        if root is None or root.content is None:
            self.notes.append(Note("open-root", element.place(), str(element.node.get("name"))))
            return None
        body = (
            root.content
            if isinstance(root.content, Group)
            else Group(root.name, [Part("value", "text()", root.content)])
        )
        return Message(root.name, root.step, body)
