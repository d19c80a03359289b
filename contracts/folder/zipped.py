"""Reads a contract folder from a zip archive that somebody uploads.

The archive has one `contract.yaml`, at its top or in folders; what is beside and below it is the contract. Code tables
may be in `_codes`, two folders above the contract's folder, as in the catalogue.
Refused: a path that leaves the archive, links, and more than the bounds, before anything of it is kept. Hidden files
and files of other kinds are passed over, as in a folder.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from contracts.base import zips
from contracts.folder.bundle import KINDS, MAX_BYTES, MAX_FILES, MOST, SHARED, Bundle, refused, within

MAX_ZIP: Final = 5_000_000  # bytes of the archive
_VERSION: Final = re.compile(r"v[0-9]{1,4}")
_CONTRACT: Final = "contract.yaml"
_ARCHIVE: Final = f"a zip archive of one contract folder; {MOST}"


@dataclass(frozen=True, slots=True)
class Unpacked:
    """`folder` is the name of the contract's folder, if that is one of a version, such as `v1`; else empty."""

    bundle: Bundle
    folder: str


def unpacked(raw: bytes) -> Unpacked:
    """Raises `contract.invalid`."""
    if len(raw) > MAX_ZIP:
        raise refused("", f"at most {MAX_ZIP} bytes")
    try:
        with zips.open_zip(raw, MAX_FILES) as book:
            return _contract(book, _parts(book))
    except zips.Refused as fault:
        raise refused("", _ARCHIVE, str(fault)) from None


def _parts(book: zipfile.ZipFile) -> dict[PurePosixPath, zipfile.ZipInfo]:
    parts: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for part in book.infolist():
        if part.is_dir():
            continue
        path = within(part.filename)
        if not zips.is_plain(part):
            raise refused(part.filename, "a file, not a link")
        if path.suffix in KINDS and not any(each.startswith((".", "__MACOSX")) for each in path.parts):
            parts[path] = part
    return parts


def _contract(book: zipfile.ZipFile, parts: dict[PurePosixPath, zipfile.ZipInfo]) -> Unpacked:
    places = [path.parent for path in parts if path.name == _CONTRACT]
    if len(places) != 1:
        raise refused(_CONTRACT, "one contract.yaml in the archive", f"{len(places)} of them")
    (folder,) = places
    shared = folder.parent.parent / SHARED
    left, files = MAX_BYTES, dict[str, bytes]()
    tables: dict[str, bytes] = {}
    for path, part in sorted(parts.items()):
        if not path.is_relative_to(folder) and path.parent != shared:
            continue
        content = zips.unpack(book, part, left)
        left -= len(content)
        if path.parent == shared:
            tables[path.stem] = content
        if path.is_relative_to(folder):
            files[path.relative_to(folder).as_posix()] = content
    return Unpacked(Bundle.with_tables(files, tables.get), folder.name if _VERSION.fullmatch(folder.name) else "")
