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


_WHOLE: Final = "-?(0|[1-9][0-9]*)"


def _number_pattern(scalar: Scalar, as_json: bool) -> Scalar:
    fraction = "" if scalar.kind == "integer" else "([.][0-9]+)?"
    return Scalar("string", pattern=f"^{_WHOLE}{fraction}$")


def _grouped(points: str, comma: str) -> Shape:
    whole = f"-?(0|[1-9][0-9]*|[1-9][0-9]{{0,2}}([{points}][0-9]{{3}})+)"
    return Shape(
        ("number", "integer"),
        lambda scalar, media: value_formats.grouped(scalar, points, comma),
        lambda scalar, as_json: Scalar(
            "string", pattern=f"^{whole}$" if scalar.kind == "integer" else f"^{whole}([{comma}][0-9]+)?$"
        ),
    )


def _percent(comma: str) -> Shape:
    return Shape(
        ("number",),
        lambda scalar, media: value_formats.percent(comma),
        lambda scalar, as_json: Scalar("string", pattern=f"^{_WHOLE}([{comma}][0-9]+)?[ ]?%$"),
    )


SHAPES: Final[Mapping[str, Shape]] = {
    "decimal-comma": Shape(
        ("number",),
        lambda scalar, media: value_formats.decimal_comma(media),
        lambda scalar, as_json: Scalar("string", pattern="^-?(0|[1-9][0-9]*)(,[0-9]+)?$"),
    ),
    "percent": _percent("."),
    "percent-comma": _percent(","),
    "text": Shape(("number", "integer"), lambda scalar, media: value_formats.number_as_text(scalar), _number_pattern),
    "point-thousands": _grouped(".", ","),
    "comma-thousands": _grouped(",", "."),
    "double": Shape(
        ("number",),
        lambda scalar, media: value_formats.double(media),
        lambda scalar, as_json: scalar if as_json else Scalar("string", pattern=f"^{value_formats.XS_DOUBLE}$"),
    ),
    "integer": Shape(
        ("string",),
        lambda scalar, media: value_formats.text_as_integer(media),
        lambda scalar, as_json: Scalar("integer") if as_json else Scalar("string", pattern=f"^{_WHOLE}$"),
    ),
    "boolean-01": Shape(
        ("boolean",),
        lambda scalar, media: value_formats.boolean_01(media),
        lambda scalar, as_json: Scalar("integer" if as_json else "string", values=("0", "1")),
    ),
}


def named_shape(name: str, scalar: Scalar) -> Shape | None:
    """The named shape of a scalar; for a boolean also two words, as `Y/N` or `Có/Không`. None for other shapes."""
    yes, slash, no = name.partition("/")
    if scalar.kind == "boolean" and slash and _is_word(yes) and _is_word(no) and yes != no:
        return Shape(
            ("boolean",),
            lambda scalar, media: value_formats.boolean_words(yes, no),
            lambda scalar, as_json: Scalar("string", values=(yes, no)),
        )
    shape = SHAPES.get(name)
    fits = shape is not None and scalar.kind in shape.kinds and scalar.format is None and not scalar.binary
    return shape if fits else None


def _is_word(text: str) -> bool:
    return bool(text) and "/" not in text and text == " ".join(text.split())
