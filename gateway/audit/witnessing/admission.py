"""The gate of the doors, where the policy is that nothing new is taken unless somebody outside vouches for the log.

The leading keeper writes until when transfers may be taken; doors compare that with the clock. So the doors close by themselves when witnesses or stamps fail for
too long, and also when no keeper is there to say that they do not. Invariant: a licence that is missing, unreadable or over opens nothing, and
neither does one for longer than anybody vouches: it was written while the clock was ahead.
"""

from __future__ import annotations

import math
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.audit.errors import AUDIT_UNWITNESSED
from gateway.audit.log import durable
from gateway.settings import Settings
from security.freshness import SKEW

_LOOK_SECONDS: Final = 0.25
_RETRY_SECONDS: Final = 5
_OVERDUE_ROUNDS: Final = 2  # of stamps: one may fail, and be tried again
WITNESSES: Final = "witnesses"
STAMPS: Final = "stamps"


def closing(settings: Settings) -> frozenset[str]:
    """The kinds of voucher without which nothing new is taken."""
    policies = {WITNESSES: settings.witness_policy, STAMPS: settings.stamp_policy}
    return frozenset(kind for kind, policy in policies.items() if policy == "closed")


def patience(settings: Settings, kind: str) -> float:
    """For how many seconds entries may lack that kind of voucher."""
    return settings.witness_seconds if kind == WITNESSES else settings.stamp_seconds * _OVERDUE_ROUNDS


class AdmissionDeadline:
    """The keeper's side: the earliest end that any voucher in force sets."""

    def __init__(self, path: Path, kinds: frozenset[str]) -> None:
        self._path: Final = path
        self._ends: Final = dict.fromkeys(kinds, -math.inf)
        self._written: float | None = None

    def extend(self, kind: str, until: float) -> None:
        """What one kind of voucher allows; nothing for a kind that closes nothing."""
        if kind not in self._ends:
            return
        self._ends[kind] = until
        end = min(self._ends.values())
        if end == self._written or not math.isfinite(end):
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        try:
            durable.write_new(draft, f"{end:.3f}\n".encode("ascii"), 0o600)  # the doors run as the same user
            os.replace(draft, self._path)
        finally:
            draft.unlink(missing_ok=True)
        self._written = end


class Gate:
    """The doors' side: costs a clock reading a call, and a look at the file at most four times a second."""

    __slots__ = ("_clock", "_false", "_longest", "_looked", "_path", "_until")

    def __init__(self, path: Path, clock: Callable[[], float], longest: float) -> None:
        """`longest`: the seconds for which a keeper may write a licence at most."""
        self._path: Final = path
        self._clock: Final = clock
        self._longest: Final = longest
        self._false = -math.inf
        self._looked = -math.inf
        self._until = -math.inf

    def __call__(self) -> None:
        """`audit.unwitnessed` while new transfers must wait."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            self._until = self._read()
        moment = self._clock()
        if (
            self._until > moment + self._longest + SKEW
        ):  # the keeper's clock may be as far from the door's as a sender's
            self._false = self._until  # when that time comes, it is no truer
        if moment > self._until or self._until == self._false:
            raise AUDIT_UNWITNESSED(retry_after=_RETRY_SECONDS)

    def _read(self) -> float:
        try:
            until = float(self._path.read_text("ascii"))
        except (OSError, ValueError):
            return -math.inf
        return until if math.isfinite(until) else -math.inf


def gate_of(settings: Settings, clock: Callable[[], float]) -> Callable[[], None]:
    """What a door asks before it commits a transfer: nothing, unless a policy is `closed`."""
    kinds = closing(settings)
    return Gate(settings.deadline_file, clock, min(patience(settings, kind) for kind in kinds)) if kinds else _open


def _open() -> None:
    pass
