"""What reading large bodies may cost: each agency has a budget of processor time in each door process.

A body is costly when it is large, or holds very many values for its size. A costly one is read off the event loop, one at a time an agency,
and its measured processor time is taken from the budget. Whoever has used up the budget waits for a while, unread, and then gets `limit.cost`.
Invariants
- One agency's costly bodies take no more than `share` of a processor for long, whatever they hold; the calls of others do not wait for them.
- What is refused for its cost was not parsed.
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
from gateway.doors.http.refusals import count

LARGE: Final = 65_536  # bytes, from which on a body is always costly
SMALL: Final = 8_192  # bytes, up to which it never is
_SIGNS: Final = 3_000  # values that a body between the two may hold: reading each costs about a microsecond
BURST_SECONDS: Final = 8.0  # an agency that was quiet may use the budget of so many seconds at once
PATIENCE: Final = 2.0  # seconds that a call waits for its agency's budget, or for its turn
_RECEIVING: Final = 10e-9  # processor seconds a byte, for the line, the parts of HTTP and the digest


_SECONDS_A_SIGN: Final = 1e-6


def is_costly(body: bytes) -> bool:
    """Whether reading it could take the event loop more than a few milliseconds: a count in C, not a look at what it means."""
    size = len(body)
    if size <= SMALL:
        return False
    if size > LARGE:
        return True
    return _signs(body) > _SIGNS


def _signs(body: bytes) -> int:
    return sum(body.count(sign) for sign in (b",", b"[", b"{", b"<", b"=", b"&", b"\\"))


def estimate(body: bytes) -> float:
    """Processor seconds that reading it may take, where that cannot be measured."""
    return len(body) * 2 * _RECEIVING + _signs(body) * _SECONDS_A_SIGN


@dataclass(slots=True)
class _Account:
    """`left` processor seconds at the time `at`; `lock` is held by the call that is being read."""

    left: float
    at: float
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class Budgets:
    """`share`: processor seconds a second of each agency. Times are those of a monotonic clock."""

    share: float
    clock: Callable[[], float] = time.monotonic
    patience: float = PATIENCE
    _accounts: dict[str, _Account] = field(default_factory=dict)

    async def admit(self, agency: str, size: int) -> None:
        """Before a large body of `size` bytes is received. `limit.cost` after a wait, if the budget stays used up."""
        account = self._account(agency)
        await self._afforded(agency, account, self.clock() + self.patience)
        account.left -= size * _RECEIVING

    async def begin(self, agency: str) -> Turn:
        """The turn to read a costly body: one at a time an agency, the first that came first. To be ended, whatever becomes of it."""
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
        count("cost")
        seconds = max(1, math.ceil(-account.left / self.share))
        return LIMIT_COST(agency=agency, share=f"{self.share:g}", retry_after=seconds)

    def _account(self, agency: str) -> _Account:
        found = self._accounts.get(agency)
        if found is None:
            found = self._accounts[agency] = _Account(self.share * BURST_SECONDS, self.clock())
        return found

    def _fill(self, account: _Account, now: float) -> None:
        account.left = min(self.share * BURST_SECONDS, account.left + (now - account.at) * self.share)
        account.at = now


class Turn:
    """One agency's turn. `spend` takes processor seconds from the budget; `end` hands the turn on, once however often it is called."""

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
