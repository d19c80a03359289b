"""What a contract is, as typed values: contract, operations, canonical types.

The canonical types are the declared profile of JSON Schema (docs/contracts.md); `contracts.canonical.profile` makes them from
schema.json. Invariant: everything here is frozen; every face and codec is made from these values and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from contracts.base.words import Words

REASONS: Final = ("unknown", "partial", "none", "not-permitted")


Protection = Literal["signed", "encrypted"]  # what a body must be, both ways, at every door and adapter


Evidence = Literal["full", "metadata", "none"]  # what is kept of bodies once a transfer has ended


class Pattern(StrEnum):
    """What an operation does: ask a provider, hand in to the centre, have an agency act."""

    QUERY = "query"
    SUBMIT = "submit"
    DISPATCH = "dispatch"


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    pattern: Pattern
    method: Literal["GET", "POST"]
    path: str
    request: str
    answer: str
    idempotent: bool
    key: str | None
    title: Words
    partial: bool = False  # of a file, the good lines are taken and the others reported; else all or nothing


@dataclass(frozen=True, slots=True)
class Contract:
    id: str
    version: str
    title: Words
    description: Words
    owner_role: str
    legal_basis: tuple[str, ...]
    operations: Mapping[str, Operation]
    protection: Protection
    retention_months: int
    digest: str
    codes_at: str | None = None
    evidence: Evidence = "full"

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    @property
    def name(self) -> str:
        return f"{self.id}/v{self.major}"

    @property
    def namespace(self) -> str:
        return f"urn:lgsp:contract:{self.id}:v{self.major}"


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. `values` is the closed list of an enum or of the code table `table`."""

    kind: Literal["string", "integer", "number", "boolean"]
    format: Literal["date-time", "date"] | None = None
    values: tuple[str, ...] = ()
    table: str | None = None
    pattern: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    exclusive_minimum: Decimal | None = None
    exclusive_maximum: Decimal | None = None
    binary: bool = False  # base64 of bytes, of the media type `media`
    media: str | None = None


@dataclass(frozen=True, slots=True)
class Array:
    items: Scalar | Struct | Choice | RecursiveRef
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Struct:
    name: str
    fields: tuple[Field, ...]
    title: str = ""
    description: str = ""

    def field(self, name: str) -> Field | None:
        return next((field for field in self.fields if field.name == name), None)


@dataclass(frozen=True, slots=True)
class Branch:
    """What a choice can be; the discriminator is one of `values` then."""

    values: tuple[str, ...]
    type: Struct | RecursiveRef

    @property
    def struct(self) -> Struct:
        made = self.type if isinstance(self.type, Struct) else self.type.made
        assert isinstance(made, Struct)
        return made


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several objects, told apart by the text `told_by`, which each of them has."""

    name: str
    told_by: str
    branches: tuple[Branch, ...]
    title: str = ""
    description: str = ""

    @property
    def union(self) -> Struct:
        """All fields of all branches: one name means one thing. Required is what every branch requires."""
        fields: dict[str, Field] = {}
        for branch in self.branches:
            for each in branch.struct.fields:
                sure = all(
                    (found := other.struct.field(each.name)) is not None and found.required for other in self.branches
                )
                fields.setdefault(each.name, replace(each, required=sure))
        values = tuple(value for branch in self.branches for value in branch.values)
        told = fields[self.told_by]
        assert isinstance(told.type, Scalar)
        fields[self.told_by] = replace(told, type=replace(told.type, values=values))
        return Struct(self.name, tuple(fields.values()), self.title, self.description)


@dataclass(frozen=True, slots=True)
class RecursiveRef:
    """A type that leads back to one that it is part of: by its name, so that types stay finite values."""

    name: str
    known: Mapping[str, Type | None] = field(repr=False, compare=False, hash=False)

    @property
    def made(self) -> Struct | Choice:
        found = self.known[self.name]
        assert isinstance(found, (Struct, Choice))
        return found


Type: TypeAlias = Scalar | Array | Struct | Choice | RecursiveRef


def group(made: Type) -> Struct | None:
    """The fields of an object, of a list's items, or of all branches of a choice; None for single values."""
    if isinstance(made, Array):
        made = made.items
    if isinstance(made, RecursiveRef):
        made = made.made
    return made.union if isinstance(made, Choice) else made if isinstance(made, Struct) else None


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: Type
    required: bool
    absentable: bool
    title: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class CodeTable:
    """A code table: `codes` in the order of the file; `canonical` where the table translates a foreign code."""

    name: str
    rows: tuple[CodeRow, ...]

    @property
    def dated(self) -> bool:
        """Whether any code is in force for a time only."""
        return any(row.valid_from or row.valid_until for row in self.rows)

    @property
    def by_preference(self) -> tuple[CodeRow, ...]:
        """Codes without an end before those with one: of several that mean the same, the first of these is written."""
        return tuple(sorted(self.rows, key=lambda row: row.valid_until != ""))

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(row.code for row in self.rows)


@dataclass(frozen=True, slots=True)
class CodeRow:
    code: str
    canonical: str | None
    vi: str
    en: str
    valid_from: str
    valid_until: str
    replaced_by: str
    line: int
    also: Mapping[str, str] = field(default_factory=dict)  # the same thing's codes in other orders, by column


@dataclass(frozen=True, slots=True)
class Sample:
    """`kind` is the ending of its file; the twin of a file with several messages is a list of them."""

    format: str
    message: str
    name: str
    kind: str
    raw: bytes
    canonical: bytes

    @property
    def file(self) -> str:
        return f"samples/{self.format}/{self.message}.{self.name}.{self.kind}"

    @property
    def text(self) -> str | None:
        """What can be shown of it on a page."""
        try:
            return None if self.kind == "xlsx" else self.raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            return None


@dataclass(frozen=True, slots=True)
class RestCall:
    method: Literal["GET", "POST"]
    path: str
