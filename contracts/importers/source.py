"""The files an importer may read: the one named, those beside it, and those of a folder given for what is not beside it.

Reading is a function handed in, so that this room stays pure; nothing is ever fetched. Invariant: a path never leaves the folder,
no document with a DOCTYPE is read (`parse_xml`); number and size of what is read are bounded, and so is how often it is looked at (`look`).
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from lxml import etree

from contracts.base.errors import Failure
from contracts.importers.errors import IMPORT_TOO_LARGE, IMPORT_UNREADABLE
from contracts.importers.shape import Note
from contracts.wire.soap import parse_xml

MAX_FILES: Final = 200
MAX_BYTES: Final = 20_000_000
WRITTEN: Final = (
    50  # looks that a value of a list of codes counts, since a draft writes it out wherever its type is named
)
MAX_LOOKS: Final = 10_000_000  # a type may be named from everywhere: each time, its elements are looked at again

Read = Callable[[str], bytes | None]


@dataclass(slots=True)
class Files:
    """`read` takes a path with slashes inside the folder of `main`; `extra` are the files of --with by name."""

    main: str
    read: Read
    extra: Mapping[str, bytes] = field(default_factory=dict)
    seen: dict[str, bytes] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    looks: int = 0

    def look(self, count: int) -> None:
        """Counts elements, members and references as they are looked at, a thousand characters as one; IMPORT_TOO_LARGE."""
        self.looks += count
        if self.looks > MAX_LOOKS:
            raise IMPORT_TOO_LARGE(limit=f"{MAX_LOOKS} elements and references")

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
        """The file that `location`, written in the file `base`, means; else one of `extra`, by its name, then by its namespace."""
        try:
            address = urlsplit(location)
        except ValueError:  # no address at all
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
            self.look(1 + len(raw) // 100)
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
        """The root of a document that is safe to read; a failure names the file."""
        try:
            return parse_xml(raw, published=True)
        except Failure as failure:
            raise IMPORT_UNREADABLE(file=path, why=f"{failure.code}: {failure.what('en')}") from None
