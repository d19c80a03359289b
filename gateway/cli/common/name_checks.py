"""Compares names that a person gives with those that are known: a misspelt name is refused, instead of finding nothing.

Known is what the registry has, and what stands in the log or the rows though the registry forgot it.
Invariant: only reads, and looks beyond the registry only for names that it does not have.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NoReturn

from gateway.cli.common.output import Exit, fail

if TYPE_CHECKING:
    from sqlalchemy import Connection

_MOST: Final = 8


def names(connection: Connection, what: str) -> set[str]:
    """The names that the registry, or the program itself, has of a field of the audit search."""
    from gateway.audit.search import known

    return set(known.names(connection, what))


def refuse(what: str, value: str, known: Iterable[str], as_json: bool, *, all: bool = False) -> NoReturn:
    """Wrong usage: which name nobody knows, and the nearest or some that are known. `all`: the name is a part of each
    of them."""
    listed = sorted(known)
    folded = {each.lower(): each for each in listed}
    near = (
        listed if all else [folded[each] for each in difflib.get_close_matches(value.lower(), folded, n=3, cutoff=0.7)]
    )
    shown = ", ".join(near or listed[:_MOST]) + (", …" if not near and len(listed) > _MOST else "")
    problem = f"{what} {value} is known neither to the registry nor to the log / không có trong sổ đăng ký và nhật ký"
    if all:
        problem = f"{what} {value} may be any of several / có thể là một trong nhiều tên"
    then = f"{'Nearest / Gần nhất' if near else 'Known / Đang có'}: {shown or '–'}"
    fail(Exit.USAGE, f"unknown-{what}", problem, then, as_json)
