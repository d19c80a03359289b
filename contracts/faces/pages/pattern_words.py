"""Generates texts that match a pattern of the profile, deterministic, the shortest first.

The profile's patterns are small (docs/contracts.md): literals, escapes, classes written out, plain groups, counted
repetition.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t"}
_PREFERRED: Final = "aA2026bB1ắệcdC- ,.:_+*/"
_MOST: Final = 100_000  # repetitions of one part, at most
_FEW: Final = 60


@dataclass(frozen=True, slots=True)
class _Part:
    """One character out of `chars`, or one of `choices`; `least` to `most` times."""

    chars: str
    choices: tuple[tuple[_Part, ...], ...]
    least: int = 1
    most: int = 1


def words(pattern: str, least: int, most: int) -> Iterator[str]:
    """Different texts of `least` to `most` characters that match `^…$`.

    The list is not complete. Where only nested repetition reaches a length, it may be empty.
    """
    parts, _ = _sequence(pattern[1:-1], 0)
    seen: set[str] = set()
    for more in (*range(_FEW), *range(max(_FEW, least - _FEW), least + 1)):
        for turn in range(3):
            text = _say(parts, more, turn)
            if least <= len(text) <= most and text not in seen:
                seen.add(text)
                yield text
        if len(text) > most:
            return


def _say(parts: tuple[_Part, ...], more: int, turn: int) -> str:
    pieces = []
    for part in parts:
        count = min(part.least + more, part.most)
        if part.choices:
            pieces += [_say(part.choices[(turn + number) % len(part.choices)], more, turn) for number in range(count)]
        else:
            pieces += [part.chars[(turn + number) % len(part.chars)] for number in range(count)]
    return "".join(pieces)


def _sequence(text: str, at: int) -> tuple[tuple[_Part, ...], int]:
    """The parts up to the end, or to the `|` or `)` that ends them."""
    parts: list[_Part] = []
    while at < len(text) and text[at] not in "|)":
        if text[at] == "(":
            choices = []
            while text[at] in "(|":
                choice, at = _sequence(text, at + 1)
                choices.append(choice)
            part, at = _Part("", tuple(choices)), at + 1
        elif text[at] == "[":
            chars, at = _class(text, at + 1)
            part = _Part(chars, ())
        else:
            char, at = _char(text, at)
            part = _Part(char, ())
        least, most, at = _count(text, at)
        parts.append(_Part(part.chars, part.choices, least, most))
    return tuple(parts), at


def _char(text: str, at: int) -> tuple[str, int]:
    if text[at] != "\\":
        return text[at], at + 1
    return _ESCAPED.get(text[at + 1], text[at + 1]), at + 2


def _class(text: str, at: int) -> tuple[str, int]:
    """Some characters of a class, common ones first."""
    negated = text[at] == "^"
    ranges: list[tuple[str, str]] = []
    at += negated
    while text[at] != "]":
        low, at = _char(text, at)
        high = low
        if text[at] == "-":
            high, at = _char(text, at + 1)
        ranges.append((low, high))

    def inside(char: str) -> bool:
        return any(low <= char <= high for low, high in ranges) is not negated

    known = "".join(char for char in _PREFERRED if inside(char))
    if not known:
        known = next(filter(inside, map(chr, range(0x20, 0xD800)))) if negated else "".join(low for low, _ in ranges)
    return known, at + 1


def _count(text: str, at: int) -> tuple[int, int, int]:
    sign = text[at : at + 1]
    if sign == "{":
        end = text.index("}", at)
        low, comma, high = text[at + 1 : end].partition(",")
        return int(low), int(high) if high else (_MOST if comma else int(low)), end + 1
    if sign and sign in "*+?":
        return int(sign == "+"), 1 if sign == "?" else _MOST, at + 1
    return 1, 1, at
