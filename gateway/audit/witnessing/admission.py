"""Rejects new transfers while cosignatures or time-stamps are overdue, if the policy is `closed`.

The leading keeper writes a deadline up to which transfers are admitted; doors compare it with the clock. So the doors
close when witnesses or stamps fail for too long, and also when no keeper runs.

Invariant: a deadline that is missing, unreadable or over admits nothing. Neither does one that is further ahead than
any cosignature or stamp allows: it was written while the clock was ahead.
"""

from __future__ import annotations

import math
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway import durable
from gateway.audit.errors import AUDIT_UNWITNESSED
from gateway.settings import Settings
from security.freshness import SKEW

_LOOK_SECONDS: Final = 0.25
_RETRY_SECONDS: Final = 5
_OVERDUE_ROUNDS: Final = 2  # of stamps: one may fail
WITNESSES: Final = "witnesses"
STAMPS: Final = "stamps"


def closing(settings: Settings) -> frozenset[str]:
    """The kinds of witness (cosignatures, stamps) without which no transfer is admitted."""
    policies = {WITNESSES: settings.witness_policy, STAMPS: settings.stamp_policy}
    return frozenset(kind for kind, policy in policies.items() if policy == "closed")


def patience(settings: Settings, kind: str) -> float:
    """Seconds for which entries may lack that kind of witness."""
    return settings.witness_seconds if kind == WITNESSES else settings.stamp_seconds * _OVERDUE_ROUNDS


class AdmissionDeadline:
    """The keeper's side: writes the earliest deadline of all kinds."""

    def __init__(self, path: Path, kinds: frozenset[str]) -> None:
        self._path: Final = path
        self._ends: Final = dict.fromkeys(kinds, -math.inf)
        self._written: float | None = None

    def extend(self, kind: str, until: float) -> str | None:
        """Sets the deadline of one kind (Unix seconds); does nothing for a kind that is not required. Returns what was
        written.
        """
        if kind not in self._ends:
            return None
        self._ends[kind] = until
        end = min(self._ends.values())
        if end == self._written or not math.isfinite(end):
            return None
        text = f"{end:.3f}"
        write_deadline(self._path, text)
        self._written = end
        return text


def write_deadline(path: Path, until: str) -> None:
    """Replaces the file that doors read; they run as the same user."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        durable.write_new(draft, f"{until}\n".encode("ascii"))
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


class AdmissionCheck:
    """The doors' side: one clock reading per call, and at most four looks at the file per second."""

    __slots__ = ("_clock", "_invalid", "_longest", "_looked", "_path", "_until")

    def __init__(self, path: Path, clock: Callable[[], float], longest: float) -> None:
        """`longest`: seconds that a deadline may be ahead at most."""
        self._path: Final = path
        self._clock: Final = clock
        self._longest: Final = longest
        self._invalid = -math.inf
        self._looked = -math.inf
        self._until = -math.inf

    def __call__(self) -> None:
        """Raises `audit.unwitnessed` while new transfers must wait."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            self._until = self._read()
        moment = self._clock()
        # The keeper's clock may differ as much as a sender's. A deadline that is too far ahead stays invalid.
        if self._until > moment + self._longest + SKEW:
            self._invalid = self._until
        if moment > self._until or self._until == self._invalid:
            raise AUDIT_UNWITNESSED(retry_after=_RETRY_SECONDS)

    def _read(self) -> float:
        try:
            until = float(self._path.read_text("ascii"))
        except (OSError, ValueError):
            return -math.inf
        return until if math.isfinite(until) else -math.inf


def admission_check(settings: Settings, clock: Callable[[], float]) -> Callable[[], None]:
    """A function for doors to call before they commit a transfer; it does nothing unless a policy is `closed`."""
    kinds = closing(settings)
    return (
        AdmissionCheck(settings.deadline_file, clock, min(patience(settings, kind) for kind in kinds))
        if kinds
        else _open
    )


def _open() -> None:
    pass
