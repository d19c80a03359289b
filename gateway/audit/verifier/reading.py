"""Reads the files of a package of evidence, a folder or a zip (APPNOTE.TXT).

Invariant: size, number and names are judged before anything is unpacked or read, by what the archive or the file system
states; no file gives more bytes than it states.
"""

from __future__ import annotations

import re
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

MOST_FILES: Final = 2_000
MOST_BYTES: Final = 67_108_864  # of all files, unless the archive itself is large
MOST_ARCHIVE: Final = 536_870_912
UNPACKED: Final = 20  # times the archive: more than messages with pictures, far less than what zip bombs reach
_ENTRY: Final = b"PK\x01\x02"  # an entry of the central directory
_PIECE: Final = 1_048_576
# Files that are read as a whole into values of many times their size: how many there may be, and bytes together.
_BOUNDS: Final = (
    (re.compile(r"manifest\.json|messages/salt"), 2, 1_048_576),
    (re.compile(r"entries/.*"), 1_500, 4_194_304),
    (re.compile(r"log/.*"), 4, 1_048_576),
    (re.compile(r"certificates/.*\.crt"), 500, 2_097_152),
    (re.compile(r"certificates/authorities\.pem"), 1, 131_072),
    (re.compile(r"certificates/.*\.crl"), 100, 16_777_216),
)


class Unreadable(ValueError):
    """Not a readable package; the text says why."""


def read_package(path: Path) -> dict[str, bytes]:
    """The files by name.

    A zip with ambiguous names, or one that does not unpack into one folder, is refused.
    """
    return _folder(path) if path.is_dir() else _archive(path)


def _folder(path: Path) -> dict[str, bytes]:
    found: dict[str, Path] = {}
    sizes: dict[str, int] = {}
    for count, each in enumerate(path.rglob("*")):
        if count >= MOST_FILES:
            raise Unreadable(f"more than {MOST_FILES} files")
        name, state = each.relative_to(path).as_posix(), each.lstat()
        if stat.S_ISLNK(state.st_mode):
            raise Unreadable(f"links in the package: {name}")
        if stat.S_ISREG(state.st_mode):
            found[name], sizes[name] = each, state.st_size
        elif not stat.S_ISDIR(state.st_mode):
            raise Unreadable(f"neither a file nor a folder: {name}")
    _bounded(sizes, MOST_ARCHIVE)
    files = {}
    for name in sorted(found):
        with found[name].open("rb") as file:
            files[name] = file.read(sizes[name])
    return files


def _archive(path: Path) -> dict[str, bytes]:
    size = path.stat().st_size
    if size > MOST_ARCHIVE:
        raise Unreadable(f"an archive of more than {MOST_ARCHIVE} bytes")
    if _entries(path) > MOST_FILES:  # each costs far more memory than its bytes
        raise Unreadable(f"more than {MOST_FILES} files")
    with zipfile.ZipFile(path) as file:
        members = [each for each in file.infolist() if not each.is_dir()]
        names = [each.filename for each in members]
        odd = [name for name in names if "\\" in name or any(part in ("", ".", "..") for part in name.split("/"))]
        if (
            odd
            or len({name.casefold() for name in names}) < len(names)
            or len({name.partition("/")[0] for name in names}) != 1
        ):
            raise Unreadable("names of the zip file could be taken for others, or it does not unpack into one folder")
        for each in members:
            if each.flag_bits & 1 or each.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise Unreadable(f"encrypted, or not packed by deflate: {each.filename}")
        stated = {each.filename.partition("/")[2]: each.file_size for each in members}
        _bounded(stated, max(MOST_BYTES, UNPACKED * size))
        try:
            return {each.filename.partition("/")[2]: file.read(each) for each in members}
        except Exception as damaged:  # of many kinds, by the part that is damaged
            raise Unreadable(f"a damaged archive: {type(damaged).__name__}: {damaged}") from damaged


def _entries(path: Path) -> int:
    count, before = 0, b""
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            count += (before + piece).count(_ENTRY)
            before = piece[-(len(_ENTRY) - 1) :]
    return count


def _bounded(sizes: Mapping[str, int], most: int) -> None:
    if sum(sizes.values()) > most:
        raise Unreadable(f"its files have {sum(sizes.values())} bytes together, more than {most}")
    for pattern, count, limit in _BOUNDS:
        of = [size for name, size in sizes.items() if pattern.fullmatch(name)]
        if len(of) > count or sum(of) > limit:
            raise Unreadable(f"too many or too large: {pattern.pattern}, at most {count} files of {limit} bytes")
