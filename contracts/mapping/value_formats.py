"""Value forms: how one value is read from a format and written to it.

A `Form` converts the raw value of the format (text in XML and cells; text, number or boolean in JSON) to the canonical
value and back. `normal` is the canonical value after a round trip; None means unchanged.
Invariant: read(write(v)) = normal(v) for every row.
Invariant: reading raises `Bad` and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact, InvalidOperation
from typing import Any, Final, Literal

from contracts.canonical.model import CodeTable, Scalar
from contracts.wire.jsontext import MAX_DIGITS, too_long

Media = Literal["json", "xml", "cells"]


class Bad(Exception):
    """A raw value that does not have the form. `rule` and `expected` go into the finding."""

    def __init__(self, rule: str, expected: str) -> None:
        super().__init__(rule)
        self.rule = rule
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Form:
    """`raw` is the kind of the raw value. Where `read` or `write` is None, the value is unchanged."""

    raw: Literal["text", "number", "boolean"]
    read: Callable[[Any], Any] | None
    write: Callable[[Any], Any] | None
    normal: Callable[[Any], Any] | None = None
    loss: str | None = None
    expected: str = "text"


_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_XS_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_XS_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_COMMA: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:,[0-9]+)?")
_PERCENT: Final = re.compile(r"(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?)[ \u00a0\u202f]?%")
_PERCENT_COMMA: Final = re.compile(r"(-?(?:0|[1-9][0-9]*)(?:,[0-9]+)?)[ \u00a0\u202f]?%")


def plain(number: int | Decimal) -> str:
    """All digits without an exponent, as XML Schema requires."""
    text = str(number)
    return format(number, "f") if "E" in text else text


def _digits(text: str) -> str:
    if len(text) > MAX_DIGITS // 2 and too_long(Decimal(text.replace(",", "."))):
        raise Bad("range", f"at most {MAX_DIGITS} digits")
    return text


TEXT: Final = Form("text", None, None)


def text_form(media: Media) -> Form:
    return Form("text", None if media == "xml" else _json_text, None)


def _json_text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise Bad("type", "text")
    return raw


def scalar_form(scalar: Scalar, media: Media, *, strict: bool) -> Form:
    """The form of a canonical scalar without words of a row. `strict`: canonical XML only; else everything that XSD
    allows. Base64 in XML may have white space in both.
    """
    if scalar.binary and media == "xml":
        return Form("text", lambda raw: "".join(raw.split()), None, expected="bytes in base64")
    if scalar.kind == "string":
        if media == "xml" and scalar.format is not None and not strict:
            return Form("text", lambda raw: raw.strip(" \t\r\n"), None, expected="a date and time with its zone")
        return text_form(media)
    if media == "json":
        return _JSON_FORMS[scalar.kind]
    return (_STRICT_FORMS if strict else _XSD_FORMS)[scalar.kind]


def _json_integer(raw: Any) -> int:
    if type(raw) is not int:
        raise Bad("type", "a whole number, without quotes and without a point")
    return raw


def _json_number(raw: Any) -> int | Decimal:
    if type(raw) is not int and type(raw) is not Decimal:
        raise Bad("type", "a number, without quotes")
    return raw


def _json_boolean(raw: Any) -> bool:
    if raw is not True and raw is not False:
        raise Bad("type", "true or false, without quotes")
    return bool(raw)


def _reader(pattern: re.Pattern[str], make: Callable[[str], Any], expected: str, strip: bool) -> Callable[[Any], Any]:
    match = pattern.fullmatch

    def read(raw: str) -> Any:
        text = raw.strip(" \t\r\n") if strip else raw
        if match(text) is None:
            raise Bad("type", expected)
        return make(text) if len(text) <= MAX_DIGITS // 2 else make(_digits(text))

    return read


def _boolean_reader(strip: bool) -> Callable[[Any], bool]:
    words = {"true": True, "false": False, "1": True, "0": False} if strip else {"true": True, "false": False}

    def read(raw: str) -> bool:
        value = words.get(raw.strip(" \t\r\n") if strip else raw)
        if value is None:
            raise Bad("type", "true or false")
        return value

    return read


def _write_boolean(value: bool) -> str:
    return "true" if value else "false"


_WHOLE: Final = "a whole number, such as 12"
_POINT: Final = "a decimal number with a point, such as 12.5"
_JSON_FORMS: Final[Mapping[str, Form]] = {
    "integer": Form("number", _json_integer, None, expected=_WHOLE),
    "number": Form("number", _json_number, None, expected=_POINT),
    "boolean": Form("boolean", _json_boolean, None, expected="true or false"),
}
_STRICT_FORMS: Final[Mapping[str, Form]] = {
    "integer": Form("text", _reader(_INTEGER, int, _WHOLE, False), str, expected=_WHOLE),
    "number": Form("text", _reader(_DECIMAL, Decimal, _POINT, False), plain, expected=_POINT),
    "boolean": Form("text", _boolean_reader(False), _write_boolean, expected="true or false"),
}
# Patterns for numbers of usual length: a match needs no further check.
LEXICAL: Final[Mapping[object, tuple[str, Callable[[str], Any]]]] = {
    _STRICT_FORMS["integer"].read: (r"-?(?:0|[1-9][0-9]{0,29})", int),
    _STRICT_FORMS["number"].read: (r"-?(?:0|[1-9][0-9]{0,29})(?:\.[0-9]{1,30})?", Decimal),
}
_XSD_FORMS: Final[Mapping[str, Form]] = {
    "integer": Form("text", _reader(_XS_INTEGER, int, _WHOLE, True), str, expected=_WHOLE),
    "number": Form("text", _reader(_XS_DECIMAL, Decimal, _POINT, True), plain, expected=_POINT),
    "boolean": Form("text", _boolean_reader(True), _write_boolean, expected="true or false"),
}


def decimal_comma(media: Media) -> Form:
    """`1234,50` as text. Grouping is refused, because 1.234 would be ambiguous."""
    expected = "a decimal number with a comma, such as 12,5"
    read_text = _reader(_COMMA, lambda text: Decimal(text.replace(",", ".")), expected, False)

    def read(raw: Any) -> Decimal:
        if not isinstance(raw, str):
            raise Bad("type", expected)
        number: Decimal = read_text(raw)
        return number

    return Form("text", read, lambda value: plain(value).replace(".", ","), expected=expected)


def percent(comma: str) -> Form:
    """`12,5%` as text is the number 12.5. A number without the sign is refused, since it may mean a fraction of 1."""
    match = _PERCENT_COMMA.fullmatch if comma == "," else _PERCENT.fullmatch
    expected = f"a number with a percent sign, such as 12{comma}5%"

    def read(raw: Any) -> Decimal:
        found = match(raw) if isinstance(raw, str) else None
        if found is None:
            raise Bad("type", expected)
        return Decimal(_digits(found[1]).replace(",", "."))

    return Form("text", read, lambda value: plain(value).replace(".", comma) + "%", expected=expected)


def _between_thousands(points: str, comma: str) -> re.Pattern[str]:
    """A whole number, and a fraction as its group. The longer alternative is the last: no digit is looked at twice."""
    return re.compile(
        rf"-?(?:0|[1-9][0-9]{{0,2}}(?:{re.escape(points)}[0-9]{{3}})*|[1-9][0-9]{{3,}})({re.escape(comma)}[0-9]+)?"
    )


_COUNTED: Final = {"integer": "such as 1{0}234{0}567", "number": "such as 1{0}234{0}567{1}5"}


def grouped(scalar: Scalar, points: str, comma: str) -> Form:
    """`1.234.567,5` as text, with or without the signs between thousands; they are written."""
    whole, match = scalar.kind == "integer", _between_thousands(points, comma).fullmatch
    expected = "a number with a sign between thousands, " + _COUNTED[scalar.kind].format(points, comma)

    def make(text: str) -> int | Decimal:
        digits = text.replace(points, "").replace(comma, ".")
        return int(digits) if whole else Decimal(digits)

    def read(raw: Any) -> int | Decimal:
        found = match(raw) if isinstance(raw, str) else None
        if found is None or whole and found[1]:
            raise Bad("type", expected)
        if len(raw) > MAX_DIGITS // 2:
            _digits(raw.replace(points, "").replace(comma, "."))
        return make(raw)

    def write(value: int | Decimal) -> str:
        before, point, after = plain(value).partition(".")
        return f"{int(before):,}".replace(",", points).replace("0", "-0", before == "-0") + comma * bool(point) + after

    return Form("text", read, write, expected=expected)


XS_DOUBLE: Final = r"[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?"
_DOUBLE: Final = re.compile(XS_DOUBLE)


def double(media: Media) -> Form:
    """A number with or without an exponent (xs:double, as Java writes it). Written without one, so nothing is lost."""
    if media == "json":
        return _JSON_FORMS["number"]
    match, expected = _DOUBLE.fullmatch, "a number, such as 12.5 or 1.25E1"

    def read(raw: Any) -> Decimal:
        text = raw.strip(" \t\r\n") if isinstance(raw, str) else ""
        if len(text) > 2 * MAX_DIGITS or match(text) is None:
            raise Bad("type", expected)
        number = Decimal(text)
        if too_long(number):
            raise Bad("range", f"at most {MAX_DIGITS} digits")
        return number

    return Form("text", read, plain, expected=expected)


def text_as_integer(media: Media) -> Form:
    """A text that is a whole number in the format: `1273` here, `"1273"` in canonical form."""
    expected = f"a whole number of at most {MAX_DIGITS} digits, without zeros before it"

    def digits(text: Any) -> str:
        if not isinstance(text, str) or len(text) > MAX_DIGITS or _INTEGER.fullmatch(text) is None or text == "-0":
            raise Bad("type", expected)
        return text

    if media != "json":
        return Form("text", digits, digits, expected=expected)
    return Form("number", lambda raw: str(_json_integer(raw)), lambda value: int(digits(value)), expected=expected)


_EXACT: Final = Context(prec=4 * MAX_DIGITS, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact, InvalidOperation])


def inverse(factor: Decimal) -> Decimal | None:
    """1 / factor, or None where it is not a finite decimal."""
    try:
        return _EXACT.divide(Decimal(1), factor) if factor else None
    except Inexact:
        return None


def unit_form(base: Form, factor: Decimal, offset: Decimal, *, whole: bool) -> Form:
    """A number in another unit: canonical = raw × factor + offset, exact both ways."""
    back = inverse(factor)
    assert back is not None
    times = back

    def exact(number: Decimal) -> Decimal:
        short = _EXACT.normalize(number) if number else Decimal(0)
        exponent = short.as_tuple().exponent
        assert isinstance(exponent, int)
        if len(short.as_tuple().digits) + abs(exponent) > MAX_DIGITS:
            raise Bad("range", f"at most {MAX_DIGITS} digits, here and in the other unit")
        return short if exponent <= 0 else _EXACT.quantize(short, Decimal(1))

    def read(raw: Any) -> Any:
        number = exact(
            _EXACT.add(_EXACT.multiply(Decimal(raw if base.read is None else base.read(raw)), factor), offset)
        )
        if not whole:
            return number
        if number != number.to_integral_value():
            raise Bad("type", f"a number that makes a whole one: × {factor} + {offset}")
        return int(number)

    def write(value: Any) -> Any:
        number = exact(_EXACT.multiply(_EXACT.subtract(Decimal(value), offset), times))
        return number if base.write is None else base.write(number)

    return Form(base.raw, read, write, expected=base.expected)


def number_as_text(scalar: Scalar) -> Form:
    """A number that a JSON format writes as a string."""
    strict = _STRICT_FORMS[scalar.kind]
    inner = strict.read
    assert inner is not None

    def read(raw: Any) -> Any:
        if not isinstance(raw, str):
            raise Bad("type", f"{strict.expected}, between quotes")
        return inner(raw)

    return Form("text", read, strict.write, expected=f"{strict.expected}, between quotes")


def boolean_01(media: Media) -> Form:
    if media != "json":
        words = {"0": False, "1": True}

        def read_text(raw: str) -> bool:
            if raw not in words:
                raise Bad("type", "0 or 1")
            return words[raw]

        return Form("text", read_text, lambda value: "1" if value else "0", expected="0 or 1")

    def read(raw: Any) -> bool:
        if type(raw) is not int or raw not in (0, 1):
            raise Bad("type", "0 or 1, without quotes")
        return raw == 1

    return Form("number", read, int, expected="0 or 1")


def boolean_words(yes: str, no: str) -> Form:
    """A truth value as one of two texts, such as Y and N."""
    words, expected = {yes: True, no: False}, f"one of {yes}, {no}"

    def read(raw: Any) -> bool:
        value = words.get(raw) if isinstance(raw, str) else None
        if value is None:
            raise Bad("type", expected)
        return value

    return Form("text", read, lambda value: yes if value else no, expected=expected)


def codes_form(table: CodeTable, *, as_integer: bool, media: Media, others: bool = False) -> Form:
    """A code of the table for a canonical value; of several codes, the first without an end is written.

    With `others` a text that the table does not have is the same here and there, unless it belongs to the table by its
    form.
    """
    canonical_of = {row.code: row.canonical if row.canonical is not None else row.code for row in table.rows}
    code_of: dict[str, str] = {}
    for row in table.by_preference:
        code_of.setdefault(canonical_of[row.code], row.code)
    shown = list(canonical_of)
    expected = f"a code of the table {table.name}: " + ", ".join(shown[:8]) + (", …" if len(shown) > 8 else "")
    number = as_integer and media == "json"
    heads = table.heads

    def other(text: str) -> bool:
        apart = others and text not in canonical_of and heads.isdisjoint(text.split("."))
        return apart and (not as_integer or text.isascii() and text.isdigit() and str(int(text)) == text)

    def read(raw: Any) -> str:
        if number:
            if type(raw) is not int:
                raise Bad("type", f"a number without quotes, {expected}")
            raw = str(raw)
        elif not isinstance(raw, str):
            raise Bad("type", f"text, {expected}")
        value = canonical_of.get(raw)
        if value is None and other(raw):
            return str(raw)
        if value is None:
            raise Bad("code", expected)
        return value

    def write(value: str) -> Any:
        code = code_of.get(value)
        if code is None and other(value):
            code = value
        if code is None:
            raise Bad("code", f"a value that the table {table.name} has a code for")
        return int(code) if number else code

    twice = sorted({canonical_of[code] for code in shown if code_of[canonical_of[code]] != code})
    loss = (
        f"several codes of {table.name} mean {', '.join(twice)}; the one in force is written, or the first"
        if twice
        else None
    )
    return Form("number" if number else "text", read, write, loss=loss, expected=expected)
