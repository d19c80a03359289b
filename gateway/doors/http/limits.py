"""How many calls may be under way at once, counted before anything is done for one of them.

Counted in each door process: calls by agency, for whoever shows a registered certificate, and by source address (of IPv6 by /64), for everybody else;
connections by certificate and by agency, or by source address for whoever shows no registered certificate. One agency that calls a slow provider, or one address that proves
nothing, fills its own places and nobody else's. An agency's places are fewer than the connections to one provider (`adapters/http.py`).
Invariant: a place that was taken is given back, whatever became of the call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from contracts.base.errors import Failure
from contracts.base.words import WordsFile
from gateway.doors.http.channel import mark_of
from gateway.doors.http.errors import LIMIT_AGENCY, LIMIT_CONNECTIONS, LIMIT_SOURCE
from gateway.doors.http.refusals import count
from gateway.exchange.floods import block_of
from gateway.registry.snapshot import Snapshot

RETRY_SECONDS: Final = 1
_words = WordsFile(__file__)


Place = tuple[str, str]  # what is counted, and whose it is


@dataclass(slots=True)
class Connections:
    """Connections that are open: each certificate has its places, then the agency that it is registered for; else the source.

    `agency_of` gives the agency of a certificate (DER) that is registered and in force.
    """

    source: int
    certificate: int
    agency: int
    agency_of: Callable[[bytes], str | None] = lambda _certificate: None
    _open: dict[Place, int] = field(default_factory=dict)

    def enter(self, certificate: bytes | None, source: str) -> tuple[Place, ...]:
        """Takes the places; what is handed back is to be given to `leave`. `limit.connections` where one of them is not free."""
        agency = self.agency_of(certificate) if certificate else None
        last = ("source", block_of(source)) if agency is None else ("agency", agency)
        places = (("certificate", mark_of(certificate)), last) if certificate else (last,)
        limits = {"certificate": self.certificate, "agency": self.agency, "source": self.source}
        for place in places:
            if self._open.get(place, 0) >= limits[place[0]]:
                count(f"{place[0]}-connections")
                raise LIMIT_CONNECTIONS(
                    kind=_words(f"limit.{place[0]}"), name=place[1], most=limits[place[0]], retry_after=RETRY_SECONDS
                )
        for place in places:
            self._open[place] = self._open.get(place, 0) + 1
        return places

    def leave(self, places: tuple[Place, ...]) -> None:
        for place in places:
            _less(self._open, place)


@dataclass(slots=True)
class Limits:
    """`agency_calls` and `source_calls`: places for one agency, and for one source, in this process."""

    agency_calls: int
    source_calls: int
    _taken: dict[tuple[str, str], int] = field(default_factory=dict)

    def enter(self, certificate: bytes | None, source: str, snapshot: Snapshot, now: float) -> tuple[str, str]:
        """Take a place; what is handed back is to be given to `leave`. `limit.agency` or `limit.source` where all are taken."""
        key = snapshot.tls_key(mark_of(certificate)) if certificate else None
        if key is not None and key.in_force(now):
            agency = snapshot.systems[key.system].agency
            place, most = ("agency", agency), self.agency_calls
        else:
            place, most = ("source", block_of(source)), self.source_calls
        taken = self._taken.get(place, 0)
        if taken >= most:
            raise full(place, most, RETRY_SECONDS)
        self._taken[place] = taken + 1
        return place

    def leave(self, place: tuple[str, str]) -> None:
        _less(self._taken, place)


def full(place: tuple[str, str], most: int, retry_after: int) -> Failure:
    """The refusal, counted, where all `most` places of `("agency", code)` or `("source", address)` are taken. `retry_after` in seconds."""
    kind, name = place
    count(kind)
    if kind == "agency":
        return LIMIT_AGENCY(agency=name, most=most, retry_after=retry_after)
    return LIMIT_SOURCE(source=name, most=most, retry_after=retry_after)


def _less(counts: dict[Any, int], name: object) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]  # else strangers could fill the memory with addresses
