"""The named shapes of `as`: how a format writes a value, and how its XSD or OpenAPI describes it.

Time and date shapes such as `yyyyMMddHHmmss` are in `contracts.mapping.times`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from contracts.canonical.model import Scalar
from contracts.mapping import value_formats
from contracts.mapping.value_formats import Form, Media


@dataclass(frozen=True, slots=True)
class Shape:
    """`form` reads and writes a value; `lexical` is its text for XSD and OpenAPI, or its JSON value where `as_json`
    holds.
    """

    kinds: tuple[str, ...]  # of the scalars that may have it
    form: Callable[[Scalar, Media], Form]
    lexical: Callable[[Scalar, bool], Scalar]


def _number_pattern(scalar: Scalar, as_json: bool) -> Scalar:
    fraction = "" if scalar.kind == "integer" else "([.][0-9]+)?"
    return Scalar("string", pattern=f"^-?(0|[1-9][0-9]*){fraction}$")


SHAPES: Final[Mapping[str, Shape]] = {
    "decimal-comma": Shape(
        ("number",),
        lambda scalar, media: value_formats.decimal_comma(media),
        lambda scalar, as_json: Scalar("string", pattern="^-?(0|[1-9][0-9]*)(,[0-9]+)?$"),
    ),
    "text": Shape(("number", "integer"), lambda scalar, media: value_formats.number_as_text(scalar), _number_pattern),
    "boolean-01": Shape(
        ("boolean",),
        lambda scalar, media: value_formats.boolean_01(media),
        lambda scalar, as_json: Scalar("integer" if as_json else "string", values=("0", "1")),
    ),
}
