"""Converts patterns of XML Schema and ECMA 262 to the form of the profile: anchored, classes written out.

The result is None where the profile cannot express the pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from contracts.canonical.patterns import pattern_fault

# \d is every decimal digit of Unicode in XML Schema, these ten in ECMA 262. In practice systems mean the ten.
_ESCAPES: Final = {"d": "0-9"}


def from_xsd(patterns: Sequence[str]) -> str | None:
    """The patterns of one restriction as alternatives. XSD patterns are anchored."""
    written = [_classes(each) for each in patterns]
    if any(each is None for each in written):
        return None
    joined = "|".join(str(each) for each in written)
    return _sound(f"^({joined})$" if "|" in joined else f"^{joined}$")


def from_ecma(pattern: str) -> str | None:
    """An anchored ECMA pattern. Others are refused, because the profile has no dot to extend them with."""
    if not pattern.startswith("^") or not pattern.endswith("$") or pattern.endswith("\\$"):
        return None
    inner = _classes(pattern[1:-1])
    return None if inner is None else _sound(f"^({inner})$" if "|" in inner else f"^{inner}$")


def _sound(pattern: str) -> str | None:
    return pattern if pattern_fault(pattern) is None else None


def _classes(pattern: str) -> str | None:
    """Writes `\\d` out and escapes `-` at the edge of a class."""
    out: list[str] = []
    at, in_class = 0, False
    while at < len(pattern):
        char = pattern[at]
        if char == "\\" and at + 1 < len(pattern):
            at += 1
            if pattern[at] in _ESCAPES:
                out.append(_ESCAPES[pattern[at]] if in_class else f"[{_ESCAPES[pattern[at]]}]")
            elif pattern[at] in "/:@_ '\"#&,;=<>~%!`":
                out.append(pattern[at])  # an escape that changes nothing
            else:
                out.append("\\" + pattern[at])
        elif char == "[" and not in_class:
            in_class = True
            out.append(char)
            if pattern[at + 1 : at + 2] == "^":
                at += 1
                out.append("^")
            if pattern[at + 1 : at + 2] == "-":
                at += 1
                out.append("\\-")
        elif char == "-" and in_class and pattern[at + 1 : at + 2] == "]":
            out.append("\\-")
        else:
            if char == "]":
                in_class = False
            out.append(char)
        at += 1
    return "".join(out)
