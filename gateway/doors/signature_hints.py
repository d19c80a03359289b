"""Adds to a refused signature what a sandbox may tell: the base that it had to cover, and what was signed instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.base.errors import Theirs
from gateway.doors.own_clock import advised
from gateway.registry.snapshot import Snapshot
from security.keys import VerifyKey
from security.signature_hints import Hints

Try = Callable[[Theirs, list[VerifyKey]], Hints | None]


def explained(failure: Theirs, snapshot: Snapshot, system: str, find: Try) -> Theirs:
    """The failure with hints from the keys of `system`, which the channel has proved; itself where there are none."""
    ahead = snapshot.systems[system].ahead
    keys = [key.verify for key in snapshot.keys.values() if key.system == system and key.verify is not None]
    hints = find(failure, keys)
    if hints is None:
        return advised(failure, ahead)
    facts: dict[str, Any] = dict(failure.facts)
    told = Theirs(failure.type, findings=hints.findings, **facts)
    told.signature_base = hints.base
    return advised(told, ahead)
