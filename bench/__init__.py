"""Measures the secured exchange against alternatives, on one machine, in one run; and the launcher of a checkout.

`run(quick)` measures all rows (`rows.py`); `lgsp bench` prints them. Each measure is a module of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def run(quick: bool, say: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """`{"ok": true, "rows": […]}`. A wrong answer in a measure raises."""
    from bench import (  # loaded only when something is measured
        audit,
        console,
        encryption,
        feeds,
        search,
        secured,
        translation,
    )

    measured = (
        secured.measure(quick, say),
        encryption.measure(quick, say),
        *translation.measure(quick, say),
        *audit.measure(quick, say),
        search.measure(quick, say),
        console.measure(quick, say),
        feeds.measure(quick, say),
    )
    return {"ok": True, "rows": [row.to_json() for row in measured]}
