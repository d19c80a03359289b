"""The declaration of a kind of row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from contracts.mapping.rows.builder import Builder
from contracts.mapping.rows.row import Row


@dataclass(frozen=True, slots=True)
class RowKind:
    """A kind of row: `fits` tests whether a row is of this kind, `read` adds it to the plan.

    Invariant: a row that `read` does not understand is a finding with its line, and adds nothing.
    """

    words: frozenset[str]  # beside canonical, here and when
    fits: Callable[[Builder, Row], bool]
    read: Callable[[Builder, Row], None]
    optional: frozenset[str] = frozenset()  # words with which a place may be empty though its field is required
    is_part: bool = False  # a place holds a part of a text, or several values
    not_in_cells: str = ""  # its name in the finding where a table of columns refuses it
