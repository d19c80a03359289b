"""The files that an importer may read: the main file, files beside it, and extra files.

Reading is a function argument, so that this package has no I/O. Nothing is fetched.
Invariant: a path stays inside the folder, and no document with a DOCTYPE is read (`parse_xml`).
Invariant: number and size of files, and the number of visited elements (`visit`), are bounded.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from lxml import etree

from contracts.base.errors import Failure
from contracts.base.words import Words
from contracts.importers.errors import IMPORT_TOO_LARGE, IMPORT_UNREADABLE
from contracts.importers.shape import Note
from contracts.wire.soap import parse_xml

MAX_FILES: Final = 200
MAX_BYTES: Final = 20_000_000
WRITTEN: Final = 50  # the count of one code of a list, because a draft repeats the list wherever its type is used
MAX_VISITS: Final = 10_000_000  # each use of a type visits its elements again

Read = Callable[[str], bytes | None]


@dataclass(slots=True)
class Files:
    """`read` takes a path with slashes inside the folder of `main`. `extra` are the files of --with by name."""

    main: str
    read: Read
    extra: Mapping[str, bytes] = field(default_factory=dict)
    seen: dict[str, bytes] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    visits: int = 0
    spent: dict[str, int] = field(default_factory=dict)  # visits by the operation that was read
    _before: tuple[str, int] = ("", 0)

    def reading(self, operation: str) -> None:
        """What follows is counted for this operation."""
        name, visits = self._before
        self.spent[name] = self.spent.get(name, 0) + self.visits - visits
        self._before = (operation, self.visits)

    def visit(self, count: int) -> None:
        """Counts visited elements, members and references. Raises IMPORT_TOO_LARGE, which names what took most.

        A thousand characters count as one.
        """
        self.visits += count
        if self.visits > MAX_VISITS:
            self.reading("")
            most = sorted((item for item in self.spent.items() if item[0]), key=lambda each: -each[1])[:3]
            took = ", ".join(f"{name}: {visits}" for name, visits in most)
            raise IMPORT_TOO_LARGE(limit=f"{MAX_VISITS} elements and references" + (f" ({took})" if took else ""))

    def first(self) -> bytes:
        raw = self._take(self.main)
        if raw is None:
            raise IMPORT_UNREADABLE(file=self.main, why="there is no such file")
        return raw

    def _take(self, path: str) -> bytes | None:
        if path not in self.seen:
            raw = self.read(path)
            if raw is None:
                return None
            if len(self.seen) >= MAX_FILES or sum(map(len, self.seen.values())) + len(raw) > MAX_BYTES:
                raise IMPORT_TOO_LARGE(limit=f"{MAX_FILES} files, {MAX_BYTES} bytes")
            self.seen[path] = raw
        return self.seen[path]

    def beside(self, base: str, location: str, namespace: str = "") -> tuple[str, bytes] | None:
        """The file that `location` in the file `base` names, else one of `extra` by its name, then by its namespace."""
        try:
            address = urlsplit(location)
        except ValueError:  # not an address
            return None
        if not address.scheme and not address.netloc and address.path and not address.path.startswith("/"):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(base), unquote(address.path)))
            if not path.startswith("..") and (raw := self._take(path)) is not None:
                return path, raw
        named = posixpath.basename(unquote(address.path))
        for wanted in (named, address.query.rpartition("=")[2] + ".xsd"):
            if wanted in self.extra:
                return self._extra(wanted)
        for name, raw in self.extra.items():
            self.visit(1 + len(raw) // 100)
            if (
                namespace
                and b"targetNamespace" in raw
                and f'"{namespace}"'.encode() in raw
                and self._target(raw) == namespace
            ):
                return self._extra(name)
        return None

    def _extra(self, name: str) -> tuple[str, bytes]:
        self.seen.setdefault(name, self.extra[name])
        return name, self.extra[name]

    @staticmethod
    def _target(raw: bytes) -> str | None:
        try:
            return parse_xml(raw, published=True).get("targetNamespace")
        except Failure:
            return None

    def xml(self, path: str, raw: bytes) -> etree._Element:
        """The root of a document. Raises IMPORT_UNREADABLE with the file name."""
        try:
            return parse_xml(raw, published=True)
        except Failure as failure:
            raise IMPORT_UNREADABLE(file=path, why=Words(failure.what("vi"), failure.what("en"))) from None
