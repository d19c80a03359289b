"""What a contract is, as typed values: contract, operations, canonical types.

The canonical types are the declared profile of JSON Schema (docs/contracts.md); `contracts.profile` makes them from
schema.json. Invariant: everything here is frozen; every face and codec is made from these values and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from contracts.base.errors import Words

REASONS: Final = ("unknown", "partial", "none", "not-permitted")


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


@dataclass(frozen=True, slots=True)
class Contract:
    id: str
    version: str
    title: Words
    description: Words
    owner_role: str
    legal_basis: tuple[str, ...]
    operations: Mapping[str, Operation]
    protection: str
    retention_months: int
    digest: str
    codes_at: str | None = None

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


@dataclass(frozen=True, slots=True)
class Many:
    items: Scalar | Struct
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


Type: TypeAlias = Scalar | Many | Struct


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
    format: str
    message: str
    name: str
    raw: bytes
    canonical: bytes


@dataclass(frozen=True, slots=True)
class RestCall:
    method: Literal["GET", "POST"]
    path: str
