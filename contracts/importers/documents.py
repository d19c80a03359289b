"""Reads JSON and YAML documents as plain data and follows `$ref` among them.

Invariant: files are read only through `Files`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from urllib.parse import unquote

import yaml

from contracts.base import safeyaml
from contracts.base.errors import Failure
from contracts.base.words import Words
from contracts.importers.errors import IMPORT_UNREADABLE
from contracts.importers.shape import Note
from contracts.importers.source import Files
from contracts.wire import jsontext
from contracts.wire.xmltext import ILLEGAL

_MAX_LINKS: Final = 20  # references in a chain
_INDEX: Final = re.compile(r"[0-9]{1,9}")


class _Plain(safeyaml.UniqueKeys):
    """YAML by its JSON schema: no dates, no `yes`, no merge keys; numbers are exact, an alias is the same object."""

    yaml_implicit_resolvers: dict[str, Any] = {}


_Plain.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Plain.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Plain.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?(?:0|[1-9][0-9]*)$"), list("-0123456789"))
_Plain.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?$"), list("-0123456789")
)
_Plain.add_constructor("tag:yaml.org,2002:float", lambda loader, node: Decimal(str(node.value)))


def _carried(value: Any) -> Any:
    """The value with U+FFFD in place of each character that XML 1.0 cannot carry."""
    if isinstance(value, str):
        return ILLEGAL.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_carried(name): _carried(each) for name, each in value.items()}
    return [_carried(each) for each in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Place:
    """An object in a document. `get` follows references."""

    documents: Documents
    file: str
    path: str
    node: dict[str, Any]

    def shown(self) -> str:
        return f"{self.file}#{self.path}"

    def get(self, name: str) -> Place | None:
        return self.documents.at(self.file, f"{self.path}/{name}", self.node.get(name))


@dataclass(slots=True)
class Documents:
    files: Files
    notes: list[Note]
    _read: dict[str, Any] = field(default_factory=dict)

    def main(self) -> Place:
        """The root object of the main file. Raises IMPORT_UNREADABLE."""
        self._read[self.files.main] = self._parse(self.files.main, self.files.first())
        place = self.at(self.files.main, "", self._read[self.files.main])
        if place is None:
            raise IMPORT_UNREADABLE(file=self.files.main, why="not an object")
        return place

    def _parse(self, file: str, raw: bytes) -> Any:
        try:
            if raw.lstrip()[:1] in (b"{", b"["):
                value = jsontext.read_json(raw, any_text=True)
                carried = _carried(value)
                if carried != value:
                    self.notes.append(Note("characters", file))
                return carried
            return yaml.load(raw, _Plain)
        except Failure as failure:
            raise IMPORT_UNREADABLE(file=file, why=Words(failure.what("vi"), failure.what("en"))) from None
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise IMPORT_UNREADABLE(file=file, why=safeyaml.why(error)) from None

    def at(self, file: str, path: str, value: Any) -> Place | None:
        """The object `value` at a path, or the object that it refers to; None where there is none."""
        for _ in range(_MAX_LINKS):
            if not isinstance(value, dict):
                return None
            self.files.visit(10 + len(path) // 1_000)  # a reference counts as ten elements
            link = value.get("$ref")
            if not isinstance(link, str):
                return Place(self, file, path, value)
            place, target = f"{file}#{path}", link
            there, _, pointer = target.partition("#")
            if there:
                beside = self.files.beside(file, there)
                if beside is None:
                    self.notes.append(Note("not-loaded", place, link))
                    return None
                file, raw = beside
                if file not in self._read:
                    self._read[file] = self._parse(file, raw)
            path, value = pointer, self._pointed(file, pointer)
            if value is None:
                self.notes.append(Note("missing", place, link))
        return None

    def _pointed(self, file: str, pointer: str) -> Any:
        value = self._read.get(file)
        self.files.visit(len(pointer) // 100)
        for step in unquote(pointer).split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(value, list) and _INDEX.fullmatch(name) is not None and int(name) < len(value):
                value = value[int(name)]
            else:
                value = value.get(name) if isinstance(value, dict) else None
        return value

    def members(self, place: Place | None) -> Iterator[tuple[str, Place]]:
        """The members of an object that are objects themselves."""
        if place is not None:
            for name in place.node:
                member = place.get(name)
                if member is not None:
                    yield str(name), member

    def of_list(self, place: Place, name: str) -> list[Place]:
        """The objects in the list `name` of an object."""
        listed = place.node.get(name)
        places = (
            [self.at(place.file, f"{place.path}/{name}/{i}", each) for i, each in enumerate(listed)]
            if isinstance(listed, list)
            else []
        )
        return [each for each in places if each is not None]
