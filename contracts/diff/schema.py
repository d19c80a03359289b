"""Changes of the canonical messages, for each operation that exchanges them.

A *narrowed* type refuses values of the old one. It breaks the senders: callers for a request, providers for an answer.
A *widened* type accepts more. In a request this is compatible, in an answer it breaks callers. Only a new optional
field breaks no party: those with the old version receive the message without it (`contracts.compiled.pinned`).
Invariant: without a MAJOR change here (tests/contracts/diff/test_diff_laws.py):
- the new schema accepts every request and answer of the old schema;
- every answer of the new schema, reduced to the old one, is valid under the old.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final, Literal

from contracts.base.words import WordsFile
from contracts.canonical.model import SENSITIVITIES, Array, Branch, Choice, Field, RecursiveRef, Scalar, Struct, Type
from contracts.canonical.patterns import matcher
from contracts.diff.changes import Changes, Level
from contracts.diff.sides import Values, Version
from contracts.folder.source_locations import Path

Direction = Literal["request", "answer"]
_NOTHING: Final = "–"
_BOUNDS: Final = {True: "schema.bounds-widened", False: "schema.bounds-narrowed"}  # by whether it became wider
_SHOWN: Final = 8
_words = WordsFile(__file__)


class SchemaComparison:
    """Compares the messages of operations.

    `tables` collects the code tables that both versions use, with their directions.
    """

    def __init__(self, old: Version, new: Version, changes: Changes, tables: dict[str, set[Direction]]) -> None:
        self._old, self._new, self._changes, self._tables = old, new, changes, tables
        self._seen: set[tuple[Path, Path, Direction]] = set()

    def message(self, name: str, direction: Direction) -> None:
        at: Path = ("$defs", name)
        self._type(self._old.compiled.messages[name], self._new.compiled.messages[name], name, at, at, direction)

    def _type(self, old: Type, new: Type, where: str, at_old: Path, at_new: Path, direction: Direction) -> None:
        at_old, at_new = self._old.resolved(at_old), self._new.resolved(at_new)
        old, new = (each.target if isinstance(each, RecursiveRef) else each for each in (old, new))
        if isinstance(old, Struct) and isinstance(new, Struct):
            if (at_old, at_new, direction) not in self._seen:
                self._seen.add((at_old, at_new, direction))
                self._struct(old, new, where, at_old, at_new, direction)
        elif isinstance(old, Choice) and isinstance(new, Choice) and old.discriminator == new.discriminator:
            if (at_old, at_new, direction) not in self._seen:
                self._seen.add((at_old, at_new, direction))
                self._choice(old, new, where, at_old, at_new, direction)
        elif isinstance(old, Array) and isinstance(new, Array):
            self._bound("minItems", old.least, new.least, where, at_new, direction)
            self._bound("maxItems", old.most, new.most, where, at_new, direction)
            self._type(old.items, new.items, where + "[]", (*at_old, "items"), (*at_new, "items"), direction)
        elif isinstance(old, Scalar) and isinstance(new, Scalar):
            self._scalar(old, new, where, at_new, direction)
        else:
            self._say("schema.type-changed", True, where, at_new, direction, before=_kind(old), after=_kind(new))

    def _struct(self, old: Struct, new: Struct, where: str, at_old: Path, at_new: Path, direction: Direction) -> None:
        added = {each.name: each for each in new.fields if old.field(each.name) is None}
        for each in old.fields:
            other = new.field(each.name)
            path, inner_old = f"{where}.{each.name}", (*at_old, "properties", each.name)
            if other is not None:
                inner_new = (*at_new, "properties", each.name)
                self._presence(each, other, path, inner_new, direction)
                self._type(each.type, other.type, path, inner_old, inner_new, direction)
                continue
            twin = next((name for name, candidate in added.items() if _same(each, candidate)), None)
            if twin is None:
                self._changes.add("schema.field-removed", Level.MAJOR, path, self._old.schema(inner_old))
            else:
                del added[twin]
                self._changes.add(
                    "schema.field-renamed",
                    Level.MAJOR,
                    path,
                    self._new.schema((*at_new, "properties", twin)),
                    after=twin,
                )
        for name, field in added.items():
            place = (*at_new, "properties", name)
            if field.required:
                self._say("schema.required-added", True, f"{where}.{name}", place, direction)
            else:
                self._changes.add("schema.field-added", Level.MINOR, f"{where}.{name}", self._new.schema(place))
        both = [[each.name for each in one.fields if other.field(each.name)] for one, other in ((old, new), (new, old))]
        if both[0] != both[1]:
            self._changes.add("schema.order-changed", Level.MAJOR, where, self._new.schema((*at_new, "properties")))

    def _presence(self, old: Field, new: Field, where: str, at: Path, direction: Direction) -> None:
        if old.required != new.required:
            self._say(
                "schema.required-added" if new.required else "schema.required-lifted",
                new.required,
                where,
                at,
                direction,
            )
        if old.absentable != new.absentable:
            self._say(
                "schema.absence-refused" if old.absentable else "schema.absence-allowed",
                old.absentable,
                where,
                at,
                direction,
            )

        before, after = (each.personal or SENSITIVITIES[0] for each in (old, new))
        if before != after:
            lifted = SENSITIVITIES.index(after) < SENSITIVITIES.index(before)
            self._changes.add(
                "schema.personal-lifted" if lifted else "schema.personal-marked",
                Level.MINOR if lifted else Level.PATCH,  # what is no longer personal is shown by `!@personal`
                where,
                self._new.schema(at),
                before=before,
                after=after,
            )

    def _choice(self, old: Choice, new: Choice, where: str, at_old: Path, at_new: Path, direction: Direction) -> None:
        """Matches branches by the name of their type and a common discriminator value.

        The values are compared as those of the discriminator field.
        """
        matched: set[int] = set()
        for number, branch in enumerate(old.branches):
            at = (*at_old, "oneOf", number)
            same = (
                each
                for each, other in enumerate(new.branches)
                if other.struct.name == branch.struct.name and set(branch.values) & set(other.values)
            )
            twin = next(same, None)
            if twin is None:
                self._changes.add(
                    "schema.branch-removed", Level.MAJOR, where, self._old.schema(at), what=_values_of(branch)
                )
            else:
                matched.add(twin)
                self._type(
                    branch.struct,
                    new.branches[twin].struct,
                    f"{where}({_values_of(branch)})",
                    at,
                    (*at_new, "oneOf", twin),
                    direction,
                )
        for number, branch in enumerate(new.branches):
            if number not in matched:
                level = Level.MAJOR if direction == "answer" else Level.MINOR
                self._changes.add(
                    "schema.branch-added",
                    level,
                    where,
                    self._new.schema((*at_new, "oneOf", number)),
                    what=_values_of(branch),
                )

    def _scalar(self, old: Scalar, new: Scalar, where: str, at: Path, direction: Direction) -> None:
        if old.kind != new.kind:
            narrowed = (old.kind, new.kind) != ("integer", "number")
            self._say("schema.type-changed", narrowed, where, at, direction, before=old.kind, after=new.kind)
            if narrowed:
                return
        # A list that becomes a form which all its values have refuses nothing.
        opened = bool(old.values) and old.pattern is None and _fits_all(new, old.values)
        for code, before, after in (
            ("schema.format-changed", _format(old), _format(new)),
            ("schema.pattern-changed", old.pattern, new.pattern),
        ):
            if before != after and not opened:
                self._say(
                    code, after is not None, where, at, direction, before=before or _NOTHING, after=after or _NOTHING
                )
        if old.table is not None and old.table == new.table and not (old.open_list or new.open_list):
            self._tables.setdefault(old.table, set()).add(direction)
        else:
            self._values(self._old.values(old), self._new.values(new), where, at, direction)
        self._bound("minLength", old.min_length or 0, new.min_length or 0, where, at, direction)
        self._bound("maxLength", old.max_length, new.max_length, where, at, direction)
        for what, low in (("minimum", True), ("maximum", False)):
            before_bound, after_bound = _edge(old, low), _edge(new, low)
            if before_bound != after_bound:
                wider = after_bound is None or before_bound is not None and (after_bound < before_bound) == low
                code = _BOUNDS[wider]
                shown = {"before": _shown(old, low), "after": _shown(new, low)}
                self._say(code, not wider, where, at, direction, what=what, **shown)

    def _values(self, old: Values, new: Values, where: str, at: Path, direction: Direction) -> None:
        shown = {"before": _some(old), "after": _some(new)}
        if new and not (old and old <= new):
            self._say("schema.values-narrowed", True, where, at, direction, **shown)
        if old and not (new and new <= old):
            self._say("schema.values-widened", False, where, at, direction, **shown)

    def _bound(self, what: str, old: int | None, new: int | None, where: str, at: Path, direction: Direction) -> None:
        """Compares a minimum or maximum of characters or items; None is no maximum."""
        if old == new:
            return
        before, after = (math.inf if each is None else each for each in (old, new))
        wider = after < before if what.startswith("min") else after > before
        shown = {"before": _NOTHING if old is None else str(old), "after": _NOTHING if new is None else str(new)}
        self._say(_BOUNDS[wider], not wider, where, at, direction, what=what, **shown)

    def _say(self, code: str, narrowed: bool, where: str, at: Path, direction: Direction, **facts: str) -> None:
        level = Level.MAJOR if narrowed or direction == "answer" else Level.MINOR
        words = _words(f"direction.{direction}")
        self._changes.add(
            code, level, where, self._new.schema(at), direction_vi=words.vi, direction_en=words.en, **facts
        )


def _fits_all(scalar: Scalar, values: Sequence[str]) -> bool:
    """Whether the scalar has a form, and no list, and each value has the form."""
    if scalar.values or scalar.pattern is None:
        return False
    fits = matcher(scalar.pattern)
    return all(fits(each) for each in values)


def _values_of(branch: Branch) -> str:
    return ", ".join(branch.values)


def _format(scalar: Scalar) -> str | None:
    return f"base64 {scalar.media or ''}".rstrip() if scalar.binary else scalar.format


def _some(values: Values) -> str:
    codes = sorted({code for code, *_ in values})
    return ", ".join(codes[:_SHOWN]) + (", …" if len(codes) > _SHOWN else "") or _NOTHING


def _edge(scalar: Scalar, low: bool) -> tuple[Decimal, int] | None:
    """A comparable bound: its value, and 1 or -1 where the value itself is excluded. Integers use inclusive bounds."""
    closed, open_ = (scalar.minimum, scalar.exclusive_minimum) if low else (scalar.maximum, scalar.exclusive_maximum)
    if scalar.kind == "integer":
        if open_ is not None:
            closed = Decimal(math.floor(open_) + 1) if low else Decimal(math.ceil(open_) - 1)
        elif closed is not None:
            closed = Decimal(math.ceil(closed) if low else math.floor(closed))
        return None if closed is None else (closed, 0)
    if open_ is not None:
        return open_, 1 if low else -1
    return None if closed is None else (closed, 0)


def _shown(scalar: Scalar, low: bool) -> str:
    closed, open_ = (scalar.minimum, scalar.exclusive_minimum) if low else (scalar.maximum, scalar.exclusive_maximum)
    if open_ is not None:
        return f"{'>' if low else '<'} {open_}"
    return _NOTHING if closed is None else str(closed)


def _same(old: Field, new: Field) -> bool:
    """Whether a field could be the other one renamed: equal types, apart from titles."""
    return (old.required, old.absentable) == (new.required, new.absentable) and list(_essence(old.type)) == list(
        _essence(new.type)
    )


def _essence(type_: Type) -> Iterator[object]:
    if isinstance(type_, Scalar):
        yield type_
    elif isinstance(type_, Array):
        yield (type_.least, type_.most)
        yield from _essence(type_.items)
    elif isinstance(type_, Choice | RecursiveRef):
        yield type_.name
    else:
        for each in type_.fields:
            yield (each.name, each.required, each.absentable)
            yield from _essence(each.type)


def _kind(type_: Type) -> str:
    if isinstance(type_, Choice):
        return f"oneOf ({type_.discriminator})"
    return type_.kind if isinstance(type_, Scalar) else "array" if isinstance(type_, Array) else "object"
