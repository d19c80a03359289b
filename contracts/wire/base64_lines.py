"""Describes the white space in base64 of XML, so that the text can be written again octet by octet (RFC 2045 §6.8).

    runs ((76, b"\\r\\n", 1000), (12, b"", 1))    1000 lines of 76 characters, then one of 12

Invariant: each octet is looked at once. White space whose description is long, or lines that are short on average, are
not described.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

Lines = tuple[tuple[int, bytes, int], ...]  # (characters of a line, the white space behind it, how many such lines)
MOST: Final = 1_000  # runs
SHORTEST: Final = 16  # characters of a line, on average
_FEW: Final = 1_000  # lines that may be shorter
_LONGEST_SPACE: Final = 1_000
_SPACE: Final = re.compile(rb"[ \t\r\n]+")


def lines_of(pieces: Iterable[bytes]) -> Lines | None:
    """The lines of a text; None if it has none that can be described. What is no white space is not looked at."""
    runs: list[tuple[int, bytes, int]] = []
    length, space, total, count = 0, b"", 0, 0
    for piece in pieces:
        at = 0
        for match in _SPACE.finditer(piece):
            begin = match.start()
            if begin > at:
                if space:
                    _add(runs, length, space)
                    length, space, count = 0, b"", count + 1
                length += begin - at
                total += begin - at
            space += match.group()
            at = match.end()
            if len(runs) > MOST or len(space) > _LONGEST_SPACE or count > _FEW and total < count * SHORTEST:
                return None
        if len(piece) > at:
            if space:
                _add(runs, length, space)
                length, space, count = 0, b"", count + 1
            length += len(piece) - at
            total += len(piece) - at
    _add(runs, length, space)
    return None if len(runs) > MOST else tuple(runs)


def _add(runs: list[tuple[int, bytes, int]], length: int, space: bytes) -> None:
    if runs and runs[-1][:2] == (length, space):
        runs[-1] = (length, space, runs[-1][2] + 1)
    else:
        runs.append((length, space, 1))


def extra(lines: Lines) -> int:
    """How many octets of white space there are."""
    return sum(len(space) * count for _, space, count in lines)


def as_parsed(lines: Lines) -> Lines:
    """The lines as an XML parser gives them (XML 1.0 §2.11)."""
    return tuple((length, space.replace(b"\r\n", b"\n").replace(b"\r", b"\n"), count) for length, space, count in lines)


def laid_out(pieces: Iterable[bytes], lines: Lines) -> Iterator[bytes]:
    """The text with its white space, of the text without it."""
    left, source = b"", iter(pieces)
    for length, space, count in lines:
        while count:
            whole = min(count, len(left) // length) if length else 0
            if whole:
                yield b"".join([left[at : at + length] + space for at in range(0, whole * length, length)])
                left, count = left[whole * length :], count - whole
                continue
            need = length
            while need:  # a line that is longer than what is here
                part, left = left[:need], left[need:]
                need -= len(part)
                if part:
                    yield part
                elif not (left := next(source, b"")):
                    raise EOFError("the text is shorter than its lines")
            yield space
            count -= 1
    yield left
    yield from source
