"""The canonical schema as a compiled validator, and its errors as findings in the words of the sender's own format.

The validator is jsonschema-rs over the profile's expanded schema: exact for decimals and big integers. The happy path asks one
question; only a wrong message pays for the explanation. Invariant: a finding names kinds and rules, never a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Final

import jsonschema_rs

from contracts.base.errors import Finding
from contracts.canonical.findings import MAX_FINDINGS, filled, kind_of
from contracts.canonical.jsonschema import whole_schema
from contracts.canonical.model import REASONS, Array, Choice, Field, RecursiveRef, Scalar, Struct, Type, group
from contracts.canonical.patterns import validator

_RULES: Final[Mapping[str, str]] = {
    "required": "required",
    "type": "type",
    "pattern": "pattern",
    "enum": "code",
    "format": "format",
    "minimum": "range",
    "maximum": "range",
    "exclusiveMinimum": "range",
    "exclusiveMaximum": "range",
    "minLength": "length",
    "maxLength": "length",
    "minItems": "length",
    "maxItems": "length",
}

EXPLAINED: Final = 5_000  # items in the lists of a message, up to which all its errors are looked at
_CUT: Final = 50
_FIELDS: Final = 1_000
Here = Callable[[str, Any], str]


class Validator:
    """One message's schema. `is_valid` is the fast question, `findings` the explanation."""

    __slots__ = ("_compiled", "is_valid", "struct")

    def __init__(self, struct: Struct) -> None:
        self.struct = struct
        self._compiled = validator(whole_schema(struct), formats=True)
        self.is_valid: Callable[[Any], bool] = self._compiled.is_valid

    def findings(self, value: Any, here: Here, known: set[str]) -> list[Finding]:
        """At most 20, without those at canonical paths in `known`, or below them, where the decoder has said it already."""
        above = tuple(path + sign for path in known if path for sign in (".", "["))
        found: list[Finding] = []
        said: set[tuple[str, str]] = set()
        for error in self._errors(value):
            if len(found) >= MAX_FINDINGS:
                break
            for finding in self._explain(error, value, here):
                mark = (finding.canonical, finding.rule)
                if (
                    finding.canonical not in known
                    and not finding.canonical.startswith(above)
                    and mark not in said
                    and len(found) < MAX_FINDINGS
                ):
                    said.add(mark)
                    found.append(finding)
        return found

    def _errors(self, value: Any) -> Iterable[Any]:
        """All errors; where there are very many items those among the first ones, since all are made before one is handed out."""
        if _left(value, EXPLAINED) >= 0:
            return self._compiled.iter_errors(_narrowed(value))
        short = _narrowed(_cut(value))
        found = self._compiled.iter_errors(short) if _left(short, EXPLAINED) >= 0 else None
        first = next(found, None) if found is not None else None
        if found is not None and first is not None:
            return chain([first], found)
        try:
            self._compiled.validate(_narrowed(value))
        except jsonschema_rs.ValidationError as error:
            return [error]
        return []

    def _explain(self, error: Any, value: Any, here: Here) -> list[Finding]:
        kind, path = error.kind.name, list(error.instance_path)
        at = value
        for step in path:
            at = at[step]
        if kind == "additionalProperties":
            return [
                self._one(
                    [*path, name],
                    here,
                    "a field that the contract does not have",
                    "unknown",
                    "one of " + self._fields(path),
                )
                for name in error.kind.unexpected[:MAX_FINDINGS]
            ]
        if kind == "required":
            step = error.kind.property
            if step in at:
                return []  # it stands behind very many others (`_narrowed`)
            return [self._one([*path, step], here, "nothing", "required", self._expected([*path, step]))]
        made, field = self._type(path)
        rule = "absent" if made is None and field is not None else _RULES.get(kind, kind)
        return [self._one(path, here, kind_of(at), rule, self._expected(path))]

    def _one(self, path: Sequence[str | int], here: Here, got: str, rule: str, expected: str) -> Finding:
        template, index = templated(path)
        return Finding(here(template, index), filled(template, index, 0), got, rule, expected)

    def _fields(self, path: Sequence[str | int]) -> str:
        made, _ = self._type(path)
        inner = None if made is None else group(made)
        names = [each.name for each in inner.fields] if inner is not None else []
        return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")

    def _type(self, path: Sequence[str | int]) -> tuple[Type | None, Field | None]:
        made: Type | None = self.struct
        field: Field | None = None
        for step in path:
            if isinstance(step, int):
                made = made.items if isinstance(made, Array) else None
            elif step == "absent" and field is not None and field.absentable:
                return None, field
            elif not isinstance(made, (Scalar, Array)) and made is not None and (inner := group(made)) is not None:
                field = inner.field(step)
                made = field.type if field is not None else None
            else:
                return None, None
        return made, field

    def _expected(self, path: Sequence[str | int]) -> str:
        made, field = self._type(path)
        if made is None:
            return "one of " + ", ".join(REASONS) if field is not None else ""
        words = describe(made)
        return (
            f'{words}, or {{"absent": reason}}'
            if field is not None and field.absentable and isinstance(path[-1], str)
            else words
        )


def templated(path: Sequence[str | int]) -> tuple[str, Any]:
    """`["info", 0, "event"]` as `info[].event` and its index."""
    text = ""
    index: Any = None
    for step in path:
        if isinstance(step, int):
            text += "[]"
            index = (index, step)
        else:
            name = step[:60].replace("[", "(").replace("]", ")")
            text += f".{name}" if text else name
    return text, index


def describe(made: Type) -> str:
    """What would be right, in a few words."""
    if isinstance(made, RecursiveRef):
        made = made.made
    if isinstance(made, Choice):
        kinds = ", ".join(value for branch in made.branches for value in branch.values)
        return f"an object ({made.title or made.name}) whose {made.told_by} is one of {kinds}"
    if isinstance(made, Struct):
        return f"an object ({made.title or made.name})"
    if isinstance(made, Array):
        most = "" if made.most is None else f" to {made.most}"
        return f"a list of {made.least}{most or ' or more'} items"
    if made.values:
        shown = ", ".join(made.values[:8]) + (", …" if len(made.values) > 8 else "")
        return f"a code of the table {made.table}: {shown}" if made.table else f"one of {shown}"
    if made.kind == "boolean":
        return "true or false"
    if made.kind in ("integer", "number"):
        bounds = [
            f"{word} {bound}"
            for word, bound in (
                ("≥", made.minimum),
                (">", made.exclusive_minimum),
                ("≤", made.maximum),
                ("<", made.exclusive_maximum),
            )
            if bound is not None
        ]
        return ("a whole number" if made.kind == "integer" else "a number") + (
            " " + " and ".join(bounds) if bounds else ""
        )
    if made.format == "date-time" and made.pattern is None:
        return "a date and time with its zone, as 2026-11-24T14:15:30+07:00"
    if made.format == "date":
        return "a date, as 2026-11-24"
    words = "bytes in base64" if made.binary else "text"
    if made.min_length or made.max_length is not None:
        words += f" of {made.min_length or 0}" + (
            f" to {made.max_length} characters" if made.max_length is not None else " characters or more"
        )
    return words + (f" matching {made.pattern}" if made.pattern else "")


def _left(value: Any, allowed: int) -> int:
    """What is left of an allowance of list items; negative as soon as there are more. Fields are not counted: they are few (`_narrowed`)."""
    if isinstance(value, list):
        allowed -= len(value)
    elif isinstance(value, dict):
        value = value.values()
    else:
        return allowed
    for each in value:
        if allowed < 0:
            break
        allowed = _left(each, allowed)
    return allowed


def _narrowed(value: Any) -> Any:
    """The message with the first thousand fields of each object: all that a contract does not know are one error, whose text names them all."""
    if isinstance(value, list):
        return [_narrowed(each) for each in value]
    if isinstance(value, dict):
        return {name: _narrowed(each) for name, each in islice(value.items(), _FIELDS)}
    return value


def _cut(value: Any) -> Any:
    """The message with the first few items of each list."""
    if isinstance(value, list):
        return [_cut(each) for each in value[:_CUT]]
    return {name: _cut(each) for name, each in value.items()} if isinstance(value, dict) else value
