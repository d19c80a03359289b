"""A contract as typed values: contract, operations, canonical types.

The canonical types are the declared profile of JSON Schema (docs/contracts.md). `contracts.canonical.profile` builds
them from schema.json. Invariant: all values are frozen; every interface and codec is built from them alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from contracts.base.words import Words

REASONS: Final = ("unknown", "partial", "none", "not-permitted")
SENSITIVITIES: Final = ("none", "basic", "sensitive")  # the marks of personal data, the weakest first

Protection = Literal["signed", "encrypted"]  # what every body of the contract must be
Priority = Literal["high", "normal", "low"]  # in which order waiting messages go
Evidence = Literal["full", "metadata", "none"]  # what is kept of bodies after a transfer has ended


class Pattern(StrEnum):
    """An operation queries a provider, submits to the centre, or dispatches to an agency."""

    QUERY = "query"
    SUBMIT = "submit"
    DISPATCH = "dispatch"


class Kind(StrEnum):
    """What a submitted message does: it states something, corrects or recalls it, or answers an earlier message."""

    SUBMITTED = "submitted"
    CORRECTED = "corrected"
    RECALLED = "recalled"
    RESPONDED = "responded"


@dataclass(frozen=True, slots=True)
class Relation:
    """Messages of one kind: their fields have these values.

    `refers` is the field that names earlier messages. None: the message concerns the earlier one of its own key.
    """

    when: Mapping[str, tuple[str, ...]]
    refers: str | None


@dataclass(frozen=True, slots=True)
class Identity:
    """The business key of a submission. A path that ends in `?` in contract.yaml is in `optional`.

    `items` is the list whose items have keys of their own, as `values[]`; empty if the whole message has one key.
    `reference` are the fields that a reference lists, separated by commas. `corrects`: other content under the same key
    corrects the earlier one; otherwise it is refused.
    """

    key: tuple[str, ...]
    optional: frozenset[str]
    items: str
    subject: tuple[str, ...]
    scope: Literal["all", "agency", "system"]
    corrects: bool
    relations: Mapping[Kind, Relation]
    reference: tuple[str, ...]

    @property
    def decisive(self) -> tuple[str, ...]:
        """The fields that the kind of a message follows from."""
        when = (path for relation in self.relations.values() for path in relation.when)
        return tuple(dict.fromkeys((*when, *(self.key if self.corrects else ()))))


@dataclass(frozen=True, slots=True)
class FeedAnswer:
    """A query that the gateway can answer from the feed: `key` are the fields of the request, in the order of the key
    of the submission `operation`. The answer is the message with that key, or the item of its list.
    """

    operation: str
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EventFacts:
    """Fields of the request that its events in the feed tell of; empty: the contract names none.

    `made` is the time of the content. `expires` is the time after which it no longer holds: of a list the latest, and
    only if each item has one. `area` are codes of administrative units.
    """

    made: str = ""
    expires: str = ""
    area: str = ""


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
    partial: bool = False  # whether valid lines of a file are accepted when others are not
    identity: Identity | None = None
    feed: FeedAnswer | None = None
    in_feed: bool = False  # of a dispatch: whether its end, with both messages, is an event of the feed
    order: tuple[str, ...] = ()  # of a dispatch: the fields in whose order its messages are delivered
    priority: Priority = "normal"  # of its messages in the queue
    event: EventFacts = EventFacts()

    @property
    def fed(self) -> tuple[str, ...]:
        """The messages that its events in the feed show; empty for an operation without events."""
        if self.pattern is Pattern.SUBMIT:
            return (self.request,)
        return (self.request, self.answer) if self.in_feed else ()

    @property
    def subject(self) -> tuple[str, ...]:
        """The fields whose values are the `subject` of its events; of a dispatch they are in its answer."""
        if self.identity is not None:
            return self.identity.subject
        return () if self.key is None else (f"answer.{self.key}" if self.in_feed else self.key,)


@dataclass(frozen=True, slots=True)
class CatalogueFacts:
    """What a catalogue says of a data set besides (DCAT-AP 3). `frequency` and `themes` are codes of EU tables.

    `expected`: messages that a system owes in each period of the frequency.
    """

    frequency: str = ""
    expected: int = 1
    themes: tuple[str, ...] = ()
    spatial: Words | None = None
    licence: Words | None = None
    modified: str = ""  # a date


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
    catalogue: CatalogueFacts = CatalogueFacts()

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    @property
    def name(self) -> str:
        return f"{self.id}/v{self.major}"

    @property
    def fed(self) -> tuple[Operation, ...]:
        """The operations that its feed has events of; empty for a contract without a feed."""
        return tuple(each for each in self.operations.values() if each.fed)

    @property
    def namespace(self) -> str:
        return f"urn:lgsp:contract:{self.id}:v{self.major}"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value. `values` is the closed list of an enum or of the code table `table`; a table without values is
    an open list, of codes of the form `pattern`."""

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

    @property
    def open_list(self) -> bool:
        return self.table is not None and not self.values


@dataclass(frozen=True, slots=True)
class Array:
    """A list of `least` to `most` items; None: no upper bound."""

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
    """An alternative of a choice, selected by the `values` of the discriminator."""

    values: tuple[str, ...]
    type: Struct | RecursiveRef

    @property
    def struct(self) -> Struct:
        type_ = self.type if isinstance(self.type, Struct) else self.type.target
        assert isinstance(type_, Struct)
        return type_


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several objects, selected by the text field `discriminator` that each of them has."""

    name: str
    discriminator: str
    branches: tuple[Branch, ...]
    title: str = ""
    description: str = ""

    @property
    def union(self) -> Struct:
        """All fields of all branches. A field is required if every branch requires it; its strongest mark counts."""
        fields: dict[str, Field] = {}
        for branch in self.branches:
            for member in branch.struct.fields:
                shared = [other.struct.field(member.name) for other in self.branches]
                required = all(each is not None and each.required for each in shared)
                marks = [each.personal for each in shared if each is not None]
                fields.setdefault(member.name, replace(member, required=required, personal=strongest(*marks)))
        values = tuple(value for branch in self.branches for value in branch.values)
        discriminator = fields[self.discriminator]
        assert isinstance(discriminator.type, Scalar)
        fields[self.discriminator] = replace(discriminator, type=replace(discriminator.type, values=values))
        return Struct(self.name, tuple(fields.values()), self.title, self.description)


@dataclass(frozen=True, slots=True)
class RecursiveRef:
    """A reference by name to an enclosing type, so that types stay finite values."""

    name: str
    known: Mapping[str, Type | None] = field(repr=False, compare=False, hash=False)

    @property
    def target(self) -> Struct | Choice:
        target = self.known[self.name]
        assert isinstance(target, (Struct, Choice))
        return target


Type: TypeAlias = Scalar | Array | Struct | Choice | RecursiveRef


def group(type_: Type) -> Struct | None:
    """The fields of an object, of a list's items, or of all branches of a choice; None for single values."""
    if isinstance(type_, Array):
        type_ = type_.items
    if isinstance(type_, RecursiveRef):
        type_ = type_.target
    return type_.union if isinstance(type_, Choice) else type_ if isinstance(type_, Struct) else None


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: Type
    required: bool
    absentable: bool
    title: str = ""
    description: str = ""
    personal: str | None = None  # one of SENSITIVITIES; None: the schema does not say

    def below(self, above: str | None) -> str | None:
        """The mark of this field inside a group that is marked `above`."""
        return strongest(above, self.personal)


def strongest(*marks: str | None) -> str | None:
    """The most sensitive of these marks; None if there is none."""
    return max((each for each in marks if each is not None), key=SENSITIVITIES.index, default=None)


@dataclass(frozen=True, slots=True)
class CodeTable:
    """A code table: rows in the order of the file; `canonical` is set where it translates foreign codes."""

    name: str
    rows: tuple[CodeRow, ...]

    @property
    def dated(self) -> bool:
        """Whether any code has a limited validity."""
        return any(row.valid_from or row.valid_until for row in self.rows)

    @property
    def by_preference(self) -> tuple[CodeRow, ...]:
        """Codes without an end before those with one; of several with one meaning, the first is written."""
        return tuple(sorted(self.rows, key=lambda row: row.valid_until != ""))

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(row.code for row in self.rows)

    @property
    def heads(self) -> frozenset[str]:
        """Codes without a dot, here or there. A text with such a part is of this list: with H14, `000.00.99.H14` is."""
        codes = (each for row in self.rows for each in (row.code, row.canonical or ""))
        return frozenset(each for each in codes if each and "." not in each)

    def inside(self, code: str) -> frozenset[str]:
        """The code, and all codes of units that it contains. A row may stand before that of its container."""
        below: dict[str, list[str]] = {}
        for row in self.rows:
            below.setdefault(row.within, []).append(row.code)
        found, waiting = {code}, [code]
        while waiting:
            inner = [each for each in below.get(waiting.pop(), ()) if each not in found]
            found.update(inner)
            waiting += inner
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class CodeRow:
    """One code. `valid_from` and `valid_until` are days (ISO 8601, inclusive) or empty. `within`: the code of the unit
    that contains it, or empty.
    """

    code: str
    canonical: str | None
    vi: str
    en: str
    valid_from: str
    valid_until: str
    replaced_by: str
    line: int
    also: Mapping[str, str] = field(default_factory=dict)  # codes of the same entity in other code systems, by column
    within: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """`kind` is the file's extension. The canonical twin of a file with several messages is a list."""

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
        """The sample as text for a page; None for a binary file."""
        try:
            return None if self.kind == "xlsx" else self.raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            return None


@dataclass(frozen=True, slots=True)
class RestCall:
    method: Literal["GET", "POST"]
    path: str
