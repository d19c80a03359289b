"""Loads XML Schema 1.0 documents into one set of components: includes, imports, cycles among files.

Names are Clark names.
Invariant: each document is loaded once per target namespace, and only through `Files`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from lxml import etree

from contracts.importers.shape import Note
from contracts.importers.source import Files
from contracts.mapping.steps import XML

XS: Final = "http://www.w3.org/2001/XMLSchema"
SOAPENC: Final = "http://schemas.xmlsoap.org/soap/encoding/"
_KNOWN_SPACES: Final = {XS, SOAPENC, XML}
_SHOWN: Final = 100  # characters of a name in the place of a note
_KINDS: Final = {
    f"{{{XS}}}element": "element",
    f"{{{XS}}}complexType": "type",
    f"{{{XS}}}simpleType": "type",
    f"{{{XS}}}group": "group",
    f"{{{XS}}}attributeGroup": "attributeGroup",
    f"{{{XS}}}attribute": "attribute",
}


@dataclass(frozen=True, slots=True)
class Component:
    """A schema element with its document context, on which the meaning of names depends."""

    node: etree._Element
    file: str
    space: str  # the target namespace, also where a document without one is included
    elements_qualified: bool
    attributes_qualified: bool
    visit: Callable[[int], None]  # `Files.visit`

    def at(self, node: etree._Element) -> Component:
        return replace(self, node=node)

    def place(self) -> str:
        names = [str(each.get("name"))[:_SHOWN] for each in (self.node, *self.node.iterancestors()) if each.get("name")]
        return f"{self.file}:{self.node.sourceline} {'/'.join(reversed(names))}".rstrip()

    def name_of(self, text: str) -> str:
        """The Clark name of a QName in this document."""
        prefix, _, local = text.strip().rpartition(":")
        known = self.node.nsmap
        self.visit(len(known))
        space = XML if prefix == "xml" else known.get(prefix or None)
        if space is None and not prefix:
            space = self.space  # chameleon include: the namespace of the including schema
        return f"{{{space}}}{local}" if space else local

    def children(self, *kinds: str) -> Iterator[Component]:
        for child in self.node:
            self.visit(1)
            if (
                isinstance(child.tag, str)
                and child.tag.startswith(f"{{{XS}}}")
                and (not kinds or child.tag[len(XS) + 2 :] in kinds)
            ):
                yield self.at(child)

    @property
    def kind(self) -> str:
        return str(etree.QName(self.node).localname)


@dataclass(slots=True)
class Schemas:
    files: Files
    notes: list[Note]
    components: dict[tuple[str, str], Component] = field(default_factory=dict)
    members: dict[str, list[Component]] = field(default_factory=dict)  # of a substitution group, by its head
    prefixes: dict[str, str] = field(default_factory=dict)  # namespace -> a prefix that some document uses
    _loaded: set[tuple[str, str]] = field(default_factory=set)

    def get(self, kind: str, name: str) -> Component | None:
        return self.components.get((kind, name))

    def load(self, root: etree._Element, file: str, include_into: str = "") -> None:
        """Loads a schema element of a file, or one inside a WSDL."""
        own = root.get("targetNamespace", "") or include_into
        top = Component(
            root,
            file,
            own,
            elements_qualified=root.get("elementFormDefault") == "qualified",
            attributes_qualified=root.get("attributeFormDefault") == "qualified",
            visit=self.files.visit,
        )
        for prefix, space in root.nsmap.items():
            if prefix:
                self.prefixes.setdefault(space, prefix)
        for child in top.children():
            if child.kind in ("include", "import", "redefine"):
                self._follow(child)
            elif (kind := _KINDS.get(str(child.node.tag))) is not None and child.node.get("name"):
                local = str(child.node.get("name"))
                self.components.setdefault((kind, f"{{{own}}}{local}" if own else local), child)
                if kind == "element" and (head := child.node.get("substitutionGroup")):
                    self.members.setdefault(child.name_of(head), []).append(child)

    def _follow(self, link: Component) -> None:
        location = link.node.get("schemaLocation")
        space = link.node.get("namespace", "") if link.kind == "import" else link.space
        if link.kind == "redefine":
            self.notes.append(Note("redefine", link.place(), str(location)))
        if location is None or space in _KNOWN_SPACES:
            return  # another schema of the same WSDL, or a built-in one
        beside = self.files.beside(link.file, location, space)
        if beside is None:
            self.notes.append(Note("not-loaded", link.place(), location))
            return
        path, raw = beside
        key = (path, "" if link.kind == "import" else link.space)
        if key in self._loaded:
            return
        self._loaded.add(key)
        root = self.files.xml(path, raw)
        if root.tag != f"{{{XS}}}schema":
            inner = list(root.iter(f"{{{XS}}}schema"))  # an import may name a WSDL
            for each in inner:
                self.load(each, path)
            if not inner:
                self.notes.append(Note("not-loaded", link.place(), location))
            return
        self.load(root, path, key[1])
