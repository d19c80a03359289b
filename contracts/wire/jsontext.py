"""Exact JSON (RFC 8259, I-JSON of RFC 7493): numbers stay int and Decimal, never float.

Rejected:
- duplicate fields, NaN and Infinity, bytes that are not UTF-8;
- characters that XML 1.0 cannot carry, since REST and SOAP must agree;
- numbers of more than 1,000 digits, nesting deeper than 64, more than 500,000 values.
Values are counted before parsing, since each costs far more than its bytes. Decimals are written digit by digit.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from json.encoder import encode_basestring
from typing import Any, Final

from contracts.base.errors import Failure
from contracts.base.words import Words
from contracts.errors import MESSAGE_CHARACTER, MESSAGE_NOT_JSON
from contracts.wire.json_places import place_of
from contracts.wire.xmltext import ILLEGAL

MAX_DIGITS: Final = 1_000
MAX_DEPTH: Final = 64  # as in XML (`soap.MAX_DEPTH`)
MAX_VALUES: Final = 500_000  # more than any contract's message within the body limit: `check` tries the largest
_BESIDES: Final = bytes(each for each in range(256) if each not in b'",[{')
_TOO_DEEP: Final = f"nested deeper than {MAX_DEPTH}"

# Only these can produce a character that XML 1.0 lacks.
_SUSPECT: Final = re.compile(rb"\\[bf]|\\u(?:00[01]|[dD][89a-fA-F]|[fF]{3}[eEfF])|\xef\xbf[\xbe\xbf]")


class _Refused(ValueError):
    pass


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names are unique (`object_pairs_hook`); ValueError for any other."""
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Refused(f"the field {key[:60]!r} stands twice in one object")
            seen.add(key)
    return value


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent beyond what even Decimal holds
        raise _Refused(f"a number of more than {MAX_DIGITS} digits") from None
    if (len(text) > 30 or "e" in text or "E" in text) and too_long(number):
        raise _Refused(f"a number of more than {MAX_DIGITS} digits")
    return number


def too_long(number: Decimal) -> bool:
    """The same limit for JSON and XML, independent of how the number is written."""
    exponent = number.as_tuple().exponent
    return not isinstance(exponent, int) or len(number.as_tuple().digits) + abs(exponent) > MAX_DIGITS


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS and len(text.removeprefix("-")) > MAX_DIGITS:
        raise _Refused(f"a number of more than {MAX_DIGITS} digits")
    return int(text)


def _constant(text: str) -> Any:
    raise _Refused(f"{text} is not a number of JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=once, parse_float=_decimal, parse_int=_integer, parse_constant=_constant
)


def read_json(raw: bytes, any_text: bool = False) -> Any:
    """The value. Raises MESSAGE_NOT_JSON with line and column, and MESSAGE_CHARACTER with the member that has a
    character which XML 1.0 cannot carry.

    `any_text`: with characters that XML 1.0 cannot carry, for a document that is no message.
    """
    try:
        if len(raw) > MAX_VALUES and _too_many(raw):
            raise _Refused(f"more than {MAX_VALUES} values")
        text = raw.decode("utf-8")
        if text.startswith("\ufeff"):
            text = text[1:]
        value = _DECODER.decode(text)
        if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _deeper(value):
            raise _Refused(_TOO_DEEP)
        if not any_text and (b"\\" in raw or b"\xef\xbf" in raw) and _SUSPECT.search(raw) is not None:
            _look(value, "")
    except _Refused as error:
        raise not_json(str(error), place_of(raw.decode("utf-8", "replace"), MAX_DEPTH, MAX_DIGITS)) from None
    except UnicodeDecodeError as error:
        begins = raw.rfind(b"\n", 0, error.start) + 1
        place = raw.count(b"\n", 0, error.start) + 1, len(raw[begins : error.start].decode("utf-8", "replace")) + 1
        raise not_json("bytes that are not UTF-8", place) from None
    except json.JSONDecodeError as error:
        raise not_json(error.msg, (error.lineno, error.colno)) from None
    except RecursionError:
        raise not_json(_TOO_DEEP, place_of(raw.decode("utf-8", "replace"), MAX_DEPTH, MAX_DIGITS)) from None
    return value


def not_json(why: str, place: tuple[int, int] | None) -> Failure:
    """The refusal of a text; `place` is line and column, where they are known."""
    if place is None:
        return MESSAGE_NOT_JSON(why=why, place="")
    line, column = place
    return MESSAGE_NOT_JSON(why=why, place=Words(f" (dòng {line}, cột {column})", f" (line {line}, column {column})"))


def _too_many(raw: bytes) -> bool:
    """Counts values by the commas and opening brackets outside strings.

    Each step is one pass over the bytes. Pairs of backslashes and escaped quotes are removed first, so that each quote
    left starts or ends a string. A backslash outside a string can only distort the count after it; the parser stops
    there.
    """
    if _signs(raw) <= MAX_VALUES:
        return False
    most = 2 * MAX_VALUES  # a value and its name
    signs = raw.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _BESIDES)
    return signs.count(b'"') > 2 * most or _signs(b"".join(signs.split(b'"')[::2])) > MAX_VALUES


def _signs(raw: bytes) -> int:
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")


def _deeper(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def _look(value: Any, path: str) -> None:
    if isinstance(value, str):
        if (found := ILLEGAL.search(value)) is not None:
            raise MESSAGE_CHARACTER(member=path or "/", character=f"U+{ord(found[0]):04X}", at=found.start() + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _look(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            _look(key, path)
            _look(item, f"{path}.{key[:60]}" if path else key[:60])


def write_json(value: object) -> bytes:
    """A canonical value as compact JSON in UTF-8, keys in their order."""
    return text_of(value).encode("utf-8")


def text_of(value: object) -> str:
    """The value as compact JSON. TypeError for a type without an exact form, such as float."""
    if isinstance(value, str):
        return encode_basestring(value)
    if value is True:
        return "true"
    if value is False:
        return "false"
    if value is None:
        return "null"
    if isinstance(value, (int, Decimal)):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{encode_basestring(key)}:{text_of(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(text_of, value)) + "]"
    raise TypeError(f"{type(value).__name__} has no exact form in JSON")


def pretty(value: object, indent: str = "") -> str:
    """The same value for people, byte-stable: several lines, except for short objects and lists."""
    if not isinstance(value, (dict, list)):
        return text_of(value)
    inner = indent + "  "
    if isinstance(value, dict):
        items, (opening, closing) = (
            [f"{encode_basestring(key)}: {pretty(item, inner)}" for key, item in value.items()],
            "{}",
        )
    else:
        items, (opening, closing) = [pretty(item, inner) for item in value], "[]"
    line = opening + ", ".join(items) + closing
    if "\n" not in line and len(indent) + len(line) <= 120:
        return line
    return f"{opening}\n{inner}" + f",\n{inner}".join(items) + f"\n{indent}{closing}"
