"""Measures: the secured exchange against what a user could pick instead, on one machine, in one run.

`run(quick)` makes all rows; `lgsp bench` prints them. Rows stand in `rows.py`'s form, each measure in a module of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def run(quick: bool, say: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """`{"ok": true, "rows": […]}`; a wrong answer in a measure raises, since a measure of wrong answers is none."""
    from bench import (
        audit,
        encryption,
        search,
        secured,
        translation,
    )  # the measuring tools are loaded only when something is measured

    measured = (
        secured.measure(quick, say),
        encryption.measure(quick, say),
        *translation.measure(quick, say),
        *audit.measure(quick, say),
        search.measure(quick, say),
    )
    return {"ok": True, "rows": [row.to_json() for row in measured]}
