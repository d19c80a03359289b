"""Sums up refusals of callers who proved nothing.

A few of a source and second stand in the log one by one, the rest as one entry with their number.

So a flood costs its sender as much as before, and the log one row a second and reason.
Invariant: each refusal is in exactly one entry. One that was summed up bears the transfer id of its sum, which is
written a second later, or when the process stops; of one that was killed, that last second is missing.
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
    """What counts as one source: an address of IPv4; of IPv6 the /64 around it, since whoever has one address has all
    of these.
    """
    try:
        address = ipaddress.ip_address(source.partition("%")[0])
    except ValueError:  # a Unix socket
        return source
    if isinstance(address, ipaddress.IPv4Address):
        return source
    return str(address.ipv4_mapped or ipaddress.IPv6Network((address, 64), strict=False))


@dataclass(slots=True)
class Sum:
    """The first refusal that was not logged by itself, and how many like it there were within the second after it."""

    received: Received
    failure: Failure
    count: int = 0

    @property
    def key(self) -> tuple[str, str]:
        return block_of(self.received.source), self.failure.code


@dataclass(slots=True)
class Floods:
    """What one process counts."""

    _second: int = 0
    _seen: dict[str, int] = field(default_factory=dict)
    _sums: dict[tuple[str, str], Sum] = field(default_factory=dict)

    def sum_of(self, received: Received, failure: Failure) -> Sum | None:
        """The sum that this refusal goes into (`count` is 1 for a new one, whose end the caller sees to), or None: log
        it by itself.
        """
        second = int(received.at)
        if second != self._second:
            self._second, self._seen = second, {}
        source = block_of(received.source)
        self._seen[source] = seen = self._seen.get(source, 0) + 1
        if seen <= SINGLE:
            return None
        found = self._sums.get((source, failure.code))
        if found is None:
            found = Sum(received, failure)
            self._sums[found.key] = found
        found.count += 1
        return found

    def under_way(self) -> list[Sum]:
        return list(self._sums.values())

    def end(self, of: Sum) -> bool:
        """True if it was under way: then its entry is to be written now."""
        if self._sums.get(of.key) is not of:
            return False
        del self._sums[of.key]
        return True
