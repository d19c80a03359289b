"""A contract folder as an immutable value, identified by its digest.

The byte form is JSON by RFC 8785: files sorted by path, contents in base64. The same files give the same digest on
every machine. Invariant: a path never leaves the folder.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import yaml

from contracts.base import jcs, safeyaml
from contracts.base.errors import Finding, Theirs
from contracts.errors import CONTRACT_INVALID

FORMAT: Final = "lgsp-contract-bundle/1"
MAX_FILES: Final = 2_000
MAX_BYTES: Final = 20_000_000
MOST: Final = f"at most {MAX_FILES} files and {MAX_BYTES} bytes"
KINDS: Final = frozenset({".yaml", ".json", ".form", ".csv", ".xml", ".xlsx"})
_CATALOGUE: Final = Path(__file__).parents[1] / "catalogue"
SHARED: Final = "_codes"
_TABLE: Final = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Bundle:
    """Files by path, and the SHA-256 of their canonical form as `sha256:<hex>`."""

    files: Mapping[str, bytes]
    digest: str

    @classmethod
    def of(cls, files: Mapping[str, bytes]) -> Bundle:
        """CONTRACT_INVALID for a path outside the folder, or for more than the limits."""
        for path in files:
            within(path)
        if len(files) > MAX_FILES or sum(map(len, files.values())) > MAX_BYTES:
            raise refused("", MOST)
        ordered = {path: files[path] for path in sorted(files)}
        return cls(ordered, "sha256:" + hashlib.sha256(_bytes_of(ordered)).hexdigest())

    @classmethod
    def from_folder(cls, path: Path) -> Bundle:
        """All YAML, JSON, CSV, XML and XLSX files below `path`, without hidden files and links.

        The code tables under `shared_codes` in contract.yaml are copied into codes/, from `_codes` beside the contracts
        or from the catalogue. A table that is in codes/ already, as in an unpacked bundle, stays as it is.
        """
        if not path.is_dir():
            raise refused(path.name, "a folder")
        files: dict[str, bytes] = {}
        left = MAX_BYTES
        for file in sorted(path.rglob("*")):
            inside = file.relative_to(path)
            if file.is_symlink() or not file.is_file() or any(part.startswith(".") for part in inside.parts):
                continue
            if file.suffix in KINDS:
                files[inside.as_posix()] = raw = _read(file, inside.as_posix(), left)
                left -= len(raw)
        return cls.with_tables(files, lambda name: _table_of(path.absolute().parent.parent, name, left))

    @classmethod
    def with_tables(cls, files: dict[str, bytes], table: Callable[[str], bytes | None]) -> Bundle:
        """Adds the code tables under `shared_codes` that `table` has, or else the catalogue."""
        for name in _shared_codes(files.get("contract.yaml", b"")):
            if f"codes/{name}.csv" not in files:
                raw = table(name)
                if raw is None:
                    raw = _table_of(_CATALOGUE, name, MAX_BYTES)
                if raw is not None:
                    files[f"codes/{name}.csv"] = raw
        return cls.of(files)

    def to_bytes(self) -> bytes:
        return _bytes_of(self.files)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Bundle:
        """The inverse of `to_bytes`. CONTRACT_INVALID for anything else."""
        try:
            document = json.loads(raw)
            if document["format"] != FORMAT:
                raise ValueError
            files = {str(path): base64.b64decode(text, validate=True) for path, text in document["files"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise refused("", f"a bundle of the form {FORMAT}") from None
        return cls.of(files)


def within(path: str) -> PurePosixPath:
    """A path that stays inside a folder. Raises CONTRACT_INVALID for another one."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path or str(pure) != path or not path.isprintable():
        raise refused(path, "a path inside the folder, with slashes, in UTF-8")
    return pure


def _table_of(folder: Path, name: str, limit: int) -> bytes | None:
    """A shared code table of a folder of contracts."""
    file = folder / SHARED / f"{name}.csv"
    return _read(file, f"{SHARED}/{name}.csv", limit) if file.is_file() else None


def _read(file: Path, name: str, limit: int) -> bytes:
    """The file's bytes, if there are at most `limit`; reads no more than that."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(limit + 1)
    except OSError:
        raise refused(name, "a file that can be read") from None
    if len(raw) > limit:
        raise refused(name, MOST)
    return raw


def catalogue_folders() -> list[Path]:
    """The contract folders of the package: catalogue/<contract>/v<major>."""
    return sorted(path for path in _CATALOGUE.glob("*/v*") if path.is_dir())


def _shared_codes(raw: bytes) -> list[str]:
    """The names under `shared_codes`. The loader reports other faults of the file with their line."""
    try:
        document: Any = safeyaml.load(raw)
    except (yaml.YAMLError, ValueError, RecursionError):
        return []
    names = document.get("shared_codes", []) if isinstance(document, dict) else []
    return (
        [each for each in names if isinstance(each, str) and _TABLE.fullmatch(each)] if isinstance(names, list) else []
    )


def _bytes_of(files: Mapping[str, bytes]) -> bytes:
    return jcs.encode(
        {"format": FORMAT, "files": {path: base64.b64encode(raw).decode() for path, raw in files.items()}}
    )


def refused(where: str, expected: str, got: str = "something else") -> Theirs:
    return CONTRACT_INVALID(findings=[Finding(ascii(where)[1:-1], "", got, "bundle", expected)], count=1)
