"""How the cost of a reader grows with what it reads, and the inputs on which a regular expression costs most.

Only processor time of this thread counts, the least of several runs, and only ratios are judged: a busy machine changes
neither.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from re import _constants as op
from re import _parser as parser
from statistics import median
from typing import Any, Final

from tests.cost import seconds
from tests.size import FULL

TOO_MUCH: Final = 9.0  # times the cost of a quarter: four is linear, sixteen is quadratic
_CLEAR: Final = 6.0  # below it the ratio is no sign of a quadratic cost, and no larger input has to decide
_FIRST: Final = 0.0005  # seconds from which on a ratio says something
_ENOUGH: Final = 0.008  # seconds of one run, at which no larger input is needed
_LARGEST: Final = 1_000_000 if FULL else 100_000  # units
_LONGEST: Final = 4_000_000 if FULL else 1_000_000  # bytes or characters


class Superlinear(AssertionError):
    """The cost of an input grew by more than its length."""


def check_growth(
    read: Callable[[Any], object], make: Callable[[int], Any], *, first: int = 64, largest: int = _LARGEST
) -> float:
    """The largest ratio found; Superlinear where four times the input cost `TOO_MUCH` times the time, and the same
    again from twice and from four times the input on: a limit that a size reaches, or a buffer that a processor's cache
    no longer holds, is one step and no slope."""
    largest = min(largest, _LARGEST)
    sizes: list[int] = []
    costs: list[float] = []
    worst, ratio, size = 0.0, 0.0, first
    while size <= largest:
        given = make(size)
        sizes.append(size)
        costs.append(seconds(lambda given=given: read(given), 2))  # type: ignore[misc]
        if len(costs) > 2 and costs[-3] >= _FIRST:
            ratio = costs[-1] / costs[-3]
            if ratio >= TOO_MUCH:
                ratio = min(_again(read, make, few, 4 * few) for few in (sizes[-3], sizes[-2], size))
                if ratio >= TOO_MUCH:
                    raise Superlinear(f"{size} units cost {ratio:.1f} times what {sizes[-3]} cost ({costs[-1]:.3f} s)")
            worst = max(worst, ratio)
        if costs[-1] >= _ENOUGH and costs[-1] >= 3 * costs[0] and 0 < ratio < _CLEAR or costs[-1] >= 16 * _ENOUGH:
            break  # what every input costs there is small beside what its length costs
        if hasattr(given, "__len__") and len(given) > _LONGEST:
            break
        size *= 2
    return worst


def _again(read: Callable[[Any], object], make: Callable[[int], Any], small: int, large: int) -> float:
    """How often the cost of the small input goes into that of the large one. As much of the small one is read just
    before as the large one has: a machine that is slow for a while is slow for both. The median of three."""
    few, many, times = make(small), make(large), large // small

    def as_much() -> None:
        for _ in range(times):
            with suppress(Exception):
                read(few)

    return median(times * seconds(lambda: read(many), 1) / max(seconds(as_much, 1), 1e-9) for _ in range(3))


# --- the worst inputs of a regular expression -------------------------------------------------------------------------


@dataclass(frozen=True)
class Attempt:
    """`head`, then `pump` again and again, then `tail`."""

    head: str
    pump: str
    tail: str

    def text(self, number: int) -> str:
        return self.head + self.pump * number + self.tail


_SAMPLES: Final = "a0A Zf_\n\t\r\x00.,:;=+-*/\\\"'<>&()[]{}%§ắ²"
_STAGES: Final = (8, 14, 20, 28, 40, 64, 128, 400)  # repetitions of a pump, before its text is as long as `_SCREENED`
_SCREENED: Final = 4_000  # characters: a quadratic one costs some 16 ms there, a linear one less than 1 ms
_SUSPECT: Final = 0.001  # seconds, beyond which the growth is measured
_EXPLOSIVE: Final = 6.0  # times the cost of a half: four is quadratic already
_WORDS: Final = 3  # variants that are made of each part


def check_pattern(pattern: re.Pattern[Any], methods: Iterator[str] | set[str]) -> int:
    """Tries the worst inputs of a pattern by each of the methods that it is used by; Superlinear, with the input, where
    one grows. How many."""
    tree = parser.parse(pattern.pattern, pattern.flags)
    tried = 0
    for attempt in attempts(tree):
        for method in sorted(methods):
            run = _run(pattern, method)
            tried += 1
            try:
                _screen(run, _maker(pattern, attempt), len(attempt.pump))
            except Superlinear as error:
                raise Superlinear(f"{pattern.pattern!r}.{method} on {attempt}: {error}") from None
    return tried


def _screen(run: Callable[[Any], object], make: Callable[[int], Any], width: int) -> None:
    for number in (*_STAGES, _SCREENED // width):
        given = make(number)
        if seconds(lambda given=given: run(given), 1) <= _SUSPECT:  # type: ignore[misc]
            continue
        if (
            number <= _STAGES[-1]
        ):  # so few should cost nothing: no larger ones are tried before it is known that they end
            ratio = min(
                _again(run, make, number // 2, number) for _ in range(3)
            )  # one slow moment of the machine is no growth
            if ratio > _EXPLOSIVE:
                raise Superlinear(f"{number} units cost {ratio:.1f} times what half of them cost")
            continue
        check_growth(run, make, first=max(8, number // 8), largest=400_000)


def _maker(pattern: re.Pattern[Any], attempt: Attempt) -> Callable[[int], Any]:
    if isinstance(pattern.pattern, bytes):
        return lambda number: attempt.text(number).encode("latin-1", "replace")
    return attempt.text


def _run(pattern: re.Pattern[Any], method: str) -> Callable[[Any], object]:
    empty = b"" if isinstance(pattern.pattern, bytes) else ""
    if method in ("sub", "subn"):
        return lambda text: pattern.sub(empty, text)
    if method == "finditer":
        return lambda text: sum(1 for _ in pattern.finditer(text))
    found: Callable[[Any], object] = getattr(pattern, method)
    return found


def attempts(tree: Any) -> list[Attempt]:
    """Each repeated part after the shortest beginning that leads to it; each beginning itself again and again; what
    fails behind."""
    sets: list[Any] = []
    _sets(tree, sets)
    classes = _classes(sets)
    heads, bodies = [""], list[str]()
    _walk(tree, [""], heads, bodies)
    whole = _words(tree)
    pumps = [*classes, *bodies, *heads, *whole]
    if len(classes) <= 10:
        pumps += [one + other for one in classes for other in classes]
    pumps = [pump for pump in dict.fromkeys(pumps) if pump and len(pump) <= 300]
    if len(pumps) > 140:  # of patterns with many different letters: what leads somewhere, and single characters
        pumps = [pump for pump in dict.fromkeys([*bodies, *heads, *whole, *classes]) if pump and len(pump) <= 300][:140]
    heads = list(dict.fromkeys(heads))
    if len(heads) > 8:
        heads = heads[:: len(heads) // 8 + 1]
    fails = ["", *[char for char in "\x00!\n" if char in classes or char == "\x00"][:2]]
    return [Attempt(head, pump, fail) for head in heads for pump in pumps for fail in fails]


def _sets(tree: Any, found: list[Any]) -> None:
    for code, value in tree:
        if code in (op.LITERAL, op.NOT_LITERAL, op.IN, op.ANY):
            found.append((code, value))
        for inner in _inner(code, value):
            _sets(inner, found)


def _inner(code: Any, value: Any) -> list[Any]:
    if code in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
        return [value[2]]
    if code is op.SUBPATTERN:
        return [value[3]]
    if code is op.BRANCH:
        return list(value[1])
    if code in (op.ASSERT, op.ASSERT_NOT):
        return [value[1]]
    if code is op.ATOMIC_GROUP:
        return [value]
    return []


def _holds(code: Any, value: Any, char: str) -> bool:
    """Whether one part of a pattern takes a character; case is left out of account, since letters of both stand among
    the samples."""
    if code is op.ANY:
        return char != "\n"
    if code is op.LITERAL:
        return bool(ord(char) == value)
    if code is op.NOT_LITERAL:
        return bool(ord(char) != value)
    negated, taken = False, False
    for kind, given in value:
        if kind is op.NEGATE:
            negated = True
        elif kind is op.LITERAL:
            taken |= ord(char) == given
        elif kind is op.RANGE:
            taken |= given[0] <= ord(char) <= given[1]
        elif kind is op.CATEGORY:
            taken |= _category(given, char)
    return taken is not negated


def _category(kind: Any, char: str) -> bool:
    name = str(kind)
    taken = char.isdigit() if "DIGIT" in name else char.isspace() if "SPACE" in name else char.isalnum() or char == "_"
    return taken is not ("NOT" in name)


def _classes(sets: list[Any]) -> list[str]:
    """One character for each way in which the parts of the pattern tell characters apart."""
    chars = list(_SAMPLES)
    for code, value in sets:
        if code in (op.LITERAL, op.NOT_LITERAL):
            chars.append(chr(value))
        elif code is op.IN:
            for kind, given in value:
                chars += (
                    [chr(given)] if kind is op.LITERAL else [chr(given[0]), chr(given[1])] if kind is op.RANGE else []
                )
    kept: dict[tuple[bool, ...], str] = {}
    for char in chars:
        kept.setdefault(tuple(_holds(code, value, char) for code, value in sets), char)
    return list(kept.values())


def _pick(code: Any, value: Any) -> list[str]:
    found = [char for char in _SAMPLES if _holds(code, value, char)]
    if not found and code is op.IN:
        found = [
            chr(given if kind is op.LITERAL else given[0]) for kind, given in value if kind in (op.LITERAL, op.RANGE)
        ]
    return found[:_WORDS]


def _words(tree: Any) -> list[str]:
    """A few of the shortest texts that a part takes."""
    made = [""]
    for code, value in tree:
        made = [before + word for before in made for word in _words_of(code, value)][:_WORDS] or made
    return made


def _words_of(code: Any, value: Any) -> list[str]:
    if code is op.LITERAL:
        return [chr(value)]
    if code in (op.NOT_LITERAL, op.IN, op.ANY):
        return _pick(code, value)
    if code in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
        least, _, inner = value
        return [word * min(least, 300) for word in _words(inner)][:_WORDS] if least else [""]
    if code is op.SUBPATTERN:
        return _words(value[3])
    if code is op.BRANCH:
        return [word for branch in value[1] for word in _words(branch)[:1]][: 2 * _WORDS]
    if code is op.ATOMIC_GROUP:
        return _words(value)
    return [""]  # anchors, assertions and references back


def _walk(tree: Any, before: list[str], heads: list[str], bodies: list[str]) -> list[str]:
    """Gathers the texts that lead to each repeated part, and what that part repeats."""
    for code, value in tree:
        if code in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT) and value[1] > 1:
            words = [word for word in _words(value[2]) if word]
            heads += before[:1]
            bodies += words
            bodies += [one + other for one in words for other in words if one != other]
        for inner in _inner(code, value):
            _walk(inner, before, heads, bodies)
        made = _words_of(code, value)
        before = [start + word for start in before for word in made][:_WORDS] or before
    return before
