"""Sums up refusals of callers who proved nothing.

The first refusals of a source in each second are logged one by one. The rest become one entry with a count.
So a flood costs the log one row for each second and reason.
Invariant: each refusal is in exactly one entry. A summed refusal carries the transfer id of its sum, which is written a
  second later or when the process stops. If the process is killed, the sum of its last second is lost.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from contracts.base.errors import Failure
from gateway.transfer.stages import Received

SINGLE: Final = 20
SECONDS: Final = 1.0


@lru_cache(maxsize=4096)
def block_of(source: str) -> str:
    """One source: an IPv4 address, or the /64 of an IPv6 address, which one host can use as a whole."""
    try:
        address = ipaddress.ip_address(source.partition("%")[0])
    except ValueError:  # a Unix socket
        return source
    if isinstance(address, ipaddress.IPv4Address):
        return source
    return str(address.ipv4_mapped or ipaddress.IPv6Network((address, 64), strict=False))


@dataclass(slots=True)
class Sum:
    """The first refusal that was not logged by itself, and the number of like ones within the next second."""

    received: Received
    failure: Failure
    count: int = 0

    @property
    def key(self) -> tuple[str, str]:
        return block_of(self.received.source), self.failure.code


@dataclass(slots=True)
class Floods:
    """The refusal counts of one process."""

    _second: int = 0
    _seen: dict[str, int] = field(default_factory=dict)
    _sums: dict[tuple[str, str], Sum] = field(default_factory=dict)

    def sum_of(self, received: Received, failure: Failure) -> Sum | None:
        """The sum that counts this refusal; None if it is logged by itself. The caller schedules the end of a new sum
        (`count` is 1).
        """
        second = int(received.at)
        if second != self._second:
            self._second, self._seen = second, {}
        source = block_of(received.source)
        self._seen[source] = seen = self._seen.get(source, 0) + 1
        if seen <= SINGLE:
            return None
        sum_ = self._sums.get((source, failure.code))
        if sum_ is None:
            sum_ = Sum(received, failure)
            self._sums[sum_.key] = sum_
        sum_.count += 1
        return sum_

    def under_way(self) -> list[Sum]:
        return list(self._sums.values())

    def end(self, of: Sum) -> bool:
        """Ends a sum. True if it was open: the caller then writes its entry."""
        if self._sums.get(of.key) is not of:
            return False
        del self._sums[of.key]
        return True
