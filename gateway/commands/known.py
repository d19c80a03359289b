"""Names that a person gives, held against what is known: a misspelt one is told, instead of finding nothing or holding nothing.

Known is what the registry has, and what stands in the log or the rows though the registry forgot it: whoever looks for a removed agency finds it.
Invariant: only reads, and looks beyond the registry only for names that it does not have.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final, NoReturn

from sqlalchemy import Connection, select

from gateway import errors
from gateway.commands.output import Exit, fail
from gateway.journal.schema import tables

_COLUMNS: Final = {
    "agency": tables.agency.c.code,
    "system": tables.system.c.id,
    "provider": tables.system.c.id,
    "contract": tables.contract_in_force.c.contract,
    "grant": tables.access_grant.c.id,
}
CHECKED: Final = (*_COLUMNS, "failure")
_MOST: Final = 8


def names(connection: Connection, what: str) -> set[str]:
    """What the registry, or for `failure` the product itself, knows of that kind."""
    if what != "failure":
        return set(connection.scalars(select(_COLUMNS[what])))
    return set(errors.every())


def refuse(what: str, value: str, known: Iterable[str], as_json: bool, *, all: bool = False) -> NoReturn:
    """Wrong usage: which name nobody knows, and the nearest or some that are known. `all`: the name is a part of each of them."""
    listed = sorted(known)
    folded = {each.lower(): each for each in listed}
    near = (
        listed if all else [folded[each] for each in difflib.get_close_matches(value.lower(), folded, n=3, cutoff=0.7)]
    )
    shown = ", ".join(near or listed[:_MOST]) + (", …" if not near and len(listed) > _MOST else "")
    said = f"{what} {value} is known neither to the registry nor to the log / không có trong sổ đăng ký và nhật ký"
    if all:
        said = f"{what} {value} may be any of several / có thể là một trong nhiều tên"
    then = f"{'Nearest / Gần nhất' if near else 'Known / Đang có'}: {shown or '–'}"
    fail(Exit.USAGE, f"unknown-{what}", said, then, as_json)
