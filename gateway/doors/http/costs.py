"""Limits what reading large bodies costs: a budget of processor time for each agency in each door process.

A body is costly if it is large, or holds very many values for its size. Costly bodies are read off the event loop, one
at a time for each agency, and their processor time is charged. When the budget is used up, a call waits unread for a
while, then gets `limit.cost`.
Invariant: one agency's costly bodies take at most `share` of a processor over time, and calls of others do not wait for
  them.
Invariant: a body refused for its cost was not parsed.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from contracts.base.errors import Policy
from gateway.doors.http.errors import LIMIT_COST
from gateway.signals import meters

LARGE: Final = 65_536  # bytes: larger bodies are always costly
SMALL: Final = 8_192  # bytes: smaller bodies never are
_SIGNS: Final = 3_000  # values of a body between the two; each costs about a microsecond
BURST_SECONDS: Final = 8.0  # seconds of budget that an idle agency may use at once
PATIENCE: Final = 2.0  # seconds that a call waits for its agency's budget, or for its turn
_RECEIVING: Final = 10e-9  # processor seconds a byte, for TLS, HTTP and the digest


_SECONDS_A_SIGN: Final = 1e-6


def is_costly(body: bytes) -> bool:
    """Whether reading could block the event loop for more than a few milliseconds. Counts bytes only."""
    size = len(body)
    if size <= SMALL:
        return False
    if size > LARGE:
        return True
    return _signs(body) > _SIGNS


def _signs(body: bytes) -> int:
    return sum(body.count(sign) for sign in (b",", b"[", b"{", b"<", b"=", b"&", b"\\"))


def estimate(body: bytes) -> float:
    """Processor seconds that reading may take, if they cannot be measured."""
    return len(body) * 2 * _RECEIVING + _signs(body) * _SECONDS_A_SIGN


@dataclass(slots=True)
class _Account:
    """`left`: processor seconds at the time `at`. The call that is being read holds `lock`."""

    left: float
    at: float
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class Budgets:
    """`share`: processor seconds for each second and agency. Times are of a monotonic clock."""

    share: float
    clock: Callable[[], float] = time.monotonic
    patience: float = PATIENCE
    _accounts: dict[str, _Account] = field(default_factory=dict)

    async def admit(self, agency: str, size: int) -> None:
        """Waits for budget before a large body of `size` bytes is received. Raises `limit.cost`."""
        account = self._account(agency)
        await self._afforded(agency, account, self.clock() + self.patience)
        account.left -= size * _RECEIVING

    async def begin(self, agency: str) -> Turn:
        """The agency's turn to read a costly body, in order of arrival. The caller must end it."""
        account = self._account(agency)
        until = self.clock() + self.patience
        try:
            async with asyncio.timeout(self.patience):
                await account.lock.acquire()
        except TimeoutError:
            raise self._used_up(agency, account) from None
        try:
            await self._afforded(agency, account, until)
        except BaseException:
            account.lock.release()
            raise
        return Turn(account)

    async def _afforded(self, agency: str, account: _Account, until: float) -> None:
        while True:
            now = self.clock()
            self._fill(account, now)
            if account.left >= 0:
                return
            if now >= until:
                raise self._used_up(agency, account)
            await asyncio.sleep(min(until - now, -account.left / self.share) + 0.001)

    def _used_up(self, agency: str, account: _Account) -> Policy:
        self._fill(account, self.clock())
        meters.limit("cost")
        seconds = max(1, math.ceil(-account.left / self.share))
        return LIMIT_COST(agency=agency, share=f"{self.share:g}", retry_after=seconds)

    def _account(self, agency: str) -> _Account:
        account = self._accounts.get(agency)
        if account is None:
            account = self._accounts[agency] = _Account(self.share * BURST_SECONDS, self.clock())
        return account

    def _fill(self, account: _Account, now: float) -> None:
        account.left = min(self.share * BURST_SECONDS, account.left + (now - account.at) * self.share)
        account.at = now


class Turn:
    """One agency's turn. `spend` charges processor seconds; `end` releases the turn and may be called again."""

    __slots__ = ("_account", "_ended")

    def __init__(self, account: _Account) -> None:
        self._account = account
        self._ended = False

    def spend(self, seconds: float) -> None:
        self._account.left -= seconds

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self._account.lock.release()
