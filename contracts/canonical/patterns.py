"""Regular expressions of the profile, equal in XSD and ECMA 262; patterns of dates and times."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs

# The meaning of `format`: no leap second, no hour 24, four-digit years, always a zone.
ZONE_PATTERN: Final = r"(Z|[+\-](0[0-9]|1[0-3]):[0-5][0-9]|[+\-]14:00)"
DATE_PATTERN: Final = r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}$"
DATE_TIME_PATTERN: Final = (
    r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?" + ZONE_PATTERN + "$"
)
# Unused bits are zero, so that bytes have only one text.
BASE64_PATTERN: Final = r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)?$"

# The engine without backtracking: its time is linear in the text. Patterns with look-around, backreferences or more
# than this compiled size are rejected.
ENGINE: Final = jsonschema_rs.RegexOptions(size_limit=10_000_000)

MAX_PATTERN: Final = 4_000  # characters
_SPECIAL: Final = set(".^*+?{}[]\\|()-")
_ESCAPES: Final = _SPECIAL | {"n", "r", "t"}


def pattern_fault(pattern: str) -> str | None:
    """Why a pattern may differ between XSD and ECMA 262; None where it is the same."""
    if len(pattern) > MAX_PATTERN:
        return f"a pattern of at most {MAX_PATTERN} characters"
    if len(pattern) < 2 or pattern[0] != "^" or pattern[-1] != "$":
        return "^ at the beginning and $ at the end: XSD patterns are anchored"
    inner, at, depth, in_class = pattern[1:-1], 0, 0, False
    while at < len(inner):
        char = inner[at]
        if char == "\\":
            at += 1
            if at == len(inner) or inner[at] not in _ESCAPES:
                return r"no \d, \w, \s, \b and the like: they differ between XSD and ECMA 262; write the class out"
        elif in_class:
            if char == "[" or char == "-" and inner[at + 1 : at + 2] == "[" or inner[at : at + 2] == "&&":
                return "no subtraction or nesting in a class"
            if char == "]":
                in_class = False
        elif char == "[":
            in_class = True
            if inner[at + 1 : at + 2] == "^":
                at += 1
            if inner[at + 1 : at + 2] in ("]", "-"):
                return "] and - escaped in a class"
        elif char in "^$":
            return "no anchor inside"
        elif char == ".":
            return "no dot: XSD and ECMA 262 exclude different characters; write the class out"
        elif char == "(":
            if inner[at + 1 : at + 2] == "?":
                return "plain groups only: no look-around, no names"
            depth += 1
        elif char == ")":
            depth -= 1
        elif char == "|" and depth == 0:
            return "alternatives in parentheses"
        elif char in "*+?}" and inner[at + 1 : at + 2] in ("?", "+"):
            return "no lazy or possessive repetition"
        at += 1
    try:
        re.compile(pattern)
        validator({"pattern": pattern})
    except re.error as error:
        return f"a regular expression ({error.msg})"
    except (jsonschema_rs.ValidationError, RecursionError, OverflowError):
        return (
            "a smaller pattern: counts within counts, or many groups within each other, grow beyond what can be checked"
        )
    return None


def validator(schema: dict[str, Any], *, formats: bool = False) -> jsonschema_rs.Draft202012Validator:
    """A compiled schema with linear-time patterns. jsonschema_rs.ValidationError for an unsupported pattern."""
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=formats, pattern_options=ENGINE)


def draft4(schema: dict[str, Any], *, formats: bool | None = None) -> jsonschema_rs.Draft4Validator:
    """As `validator`, for schemas of OpenAPI 3.0 documents."""
    return jsonschema_rs.Draft4Validator(schema, validate_formats=formats, pattern_options=ENGINE)


@lru_cache(256)
def matcher(pattern: str) -> Callable[[str], bool]:
    """A test whether a text matches a pattern of the profile, by the engine that validates messages."""
    return validator({"pattern": pattern}).is_valid
