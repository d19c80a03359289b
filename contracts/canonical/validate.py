"""Validates canonical values by the compiled schema, and explains errors in the sender's own format.

jsonschema-rs validates the expanded schema, exact for decimals and big integers. A valid message costs one check; only
an invalid one pays for the explanation. Invariant: a finding names kinds and rules, never a value.
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
    """Validates one message. `is_valid` is the fast check, `findings` the explanation."""

    __slots__ = ("_compiled", "is_valid", "struct")

    def __init__(self, struct: Struct) -> None:
        self.struct = struct
        self._compiled = validator(whole_schema(struct), formats=True)
        self.is_valid: Callable[[Any], bool] = self._compiled.is_valid

    def findings(self, value: Any, here: Here, known: set[str]) -> list[Finding]:
        """At most 20 findings, without those at or below paths in `known`, which the decoder has reported."""
        above = tuple(path + sign for path in known if path for sign in (".", "["))
        findings: list[Finding] = []
        seen: set[tuple[str, str]] = set()
        for error in self._errors(value):
            if len(findings) >= MAX_FINDINGS:
                break
            for finding in self._explain(error, value, here):
                key = (finding.canonical, finding.rule)
                if (
                    finding.canonical not in known
                    and not finding.canonical.startswith(above)
                    and key not in seen
                    and len(findings) < MAX_FINDINGS
                ):
                    seen.add(key)
                    findings.append(finding)
        return findings

    def _errors(self, value: Any) -> Iterable[Any]:
        """All errors; for very long lists the errors of the first items, since the library makes all errors at once."""
        if _left(value, EXPLAINED) >= 0:
            return self._compiled.iter_errors(_narrowed(value))
        shortened = _narrowed(_cut(value))
        errors = self._compiled.iter_errors(shortened) if _left(shortened, EXPLAINED) >= 0 else None
        first = next(errors, None) if errors is not None else None
        if errors is not None and first is not None:
            return chain([first], errors)
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
                return []  # the field exists beyond the first ones kept by `_narrowed`
            return [self._one([*path, step], here, "nothing", "required", self._expected([*path, step]))]
        type_, field = self._type(path)
        rule = "absent" if type_ is None and field is not None else _RULES.get(kind, kind)
        return [self._one(path, here, kind_of(at), rule, self._expected(path))]

    def _one(self, path: Sequence[str | int], here: Here, got: str, rule: str, expected: str) -> Finding:
        template, index = templated(path)
        return Finding(here(template, index), filled(template, index, 0), got, rule, expected)

    def _fields(self, path: Sequence[str | int]) -> str:
        type_, _ = self._type(path)
        inner = None if type_ is None else group(type_)
        names = [each.name for each in inner.fields] if inner is not None else []
        return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")

    def _type(self, path: Sequence[str | int]) -> tuple[Type | None, Field | None]:
        type_: Type | None = self.struct
        field: Field | None = None
        for step in path:
            if isinstance(step, int):
                type_ = type_.items if isinstance(type_, Array) else None
            elif step == "absent" and field is not None and field.absentable:
                return None, field
            elif not isinstance(type_, (Scalar, Array)) and type_ is not None and (inner := group(type_)) is not None:
                field = inner.field(step)
                type_ = field.type if field is not None else None
            else:
                return None, None
        return type_, field

    def _expected(self, path: Sequence[str | int]) -> str:
        type_, field = self._type(path)
        if type_ is None:
            return "one of " + ", ".join(REASONS) if field is not None else ""
        words = describe(type_)
        return (
            f'{words}, or {{"absent": reason}}'
            if field is not None and field.absentable and isinstance(path[-1], str)
            else words
        )


def templated(path: Sequence[str | int]) -> tuple[str, Any]:
    """`["info", 0, "event"]` as the template `info[].event` and its index."""
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


def describe(type_: Type) -> str:
    """What would be valid, in a few words."""
    if isinstance(type_, RecursiveRef):
        type_ = type_.target
    if isinstance(type_, Choice):
        kinds = ", ".join(value for branch in type_.branches for value in branch.values)
        return f"an object ({type_.title or type_.name}) whose {type_.discriminator} is one of {kinds}"
    if isinstance(type_, Struct):
        return f"an object ({type_.title or type_.name})"
    if isinstance(type_, Array):
        most = "" if type_.most is None else f" to {type_.most}"
        return f"a list of {type_.least}{most or ' or more'} items"
    if type_.values:
        shown = ", ".join(type_.values[:8]) + (", …" if len(type_.values) > 8 else "")
        return f"a code of the table {type_.table}: {shown}" if type_.table else f"one of {shown}"
    if type_.kind == "boolean":
        return "true or false"
    if type_.kind in ("integer", "number"):
        bounds = [
            f"{word} {bound}"
            for word, bound in (
                ("≥", type_.minimum),
                (">", type_.exclusive_minimum),
                ("≤", type_.maximum),
                ("<", type_.exclusive_maximum),
            )
            if bound is not None
        ]
        return ("a whole number" if type_.kind == "integer" else "a number") + (
            " " + " and ".join(bounds) if bounds else ""
        )
    if type_.format == "date-time" and type_.pattern is None:
        return "a date and time with its zone, as 2026-11-24T14:15:30+07:00"
    if type_.format == "date":
        return "a date, as 2026-11-24"
    words = "bytes in base64" if type_.binary else "text"
    if type_.min_length or type_.max_length is not None:
        words += f" of {type_.min_length or 0}" + (
            f" to {type_.max_length} characters" if type_.max_length is not None else " characters or more"
        )
    return words + (f" matching {type_.pattern}" if type_.pattern else "")


def _left(value: Any, allowed: int) -> int:
    """The allowance of list items that remains; negative if there are more. Fields are few (`_narrowed`)."""
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
    """The first thousand fields of each object: unknown fields are one error whose text names them all."""
    if isinstance(value, list):
        return [_narrowed(each) for each in value]
    if isinstance(value, dict):
        return {name: _narrowed(each) for name, each in islice(value.items(), _FIELDS)}
    return value


def _cut(value: Any) -> Any:
    """The first few items of each list."""
    if isinstance(value, list):
        return [_cut(each) for each in value[:_CUT]]
    return {name: _cut(each) for name, each in value.items()} if isinstance(value, dict) else value
