"""Limits concurrent calls and connections, before any work for them.

Each door process counts calls by agency for registered certificates, else by source address (IPv6 by /64). It counts
connections by certificate and agency, else by source address. So a slow provider's caller, or an unproven address, uses
up its own places only. An agency has fewer places than one provider has connections (`adapters/http.py`).
Invariant: each place taken is released, whatever becomes of the call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from contracts.base.errors import Failure
from contracts.base.words import WordsFile
from gateway.doors.http.channel import mark_of
from gateway.doors.http.errors import LIMIT_AGENCY, LIMIT_CONNECTIONS, LIMIT_SOURCE
from gateway.exchange.floods import block_of
from gateway.registry.snapshot import Snapshot
from gateway.signals import meters

RETRY_SECONDS: Final = 1
_words = WordsFile(__file__)


Place = tuple[str, str]  # what is counted, and its owner


@dataclass(slots=True)
class Connections:
    """Counts open connections by certificate and then agency, else by source.

    `agency_of` gives the agency of a registered certificate (DER) in force.
    """

    source: int
    certificate: int
    agency: int
    agency_of: Callable[[bytes], str | None] = lambda _certificate: None
    _open: dict[Place, int] = field(default_factory=dict)

    def enter(self, certificate: bytes | None, source: str) -> tuple[Place, ...]:
        """Takes the places and returns them for `leave`. Raises `limit.connections` if one is not free."""
        agency = self.agency_of(certificate) if certificate else None
        last = ("source", block_of(source)) if agency is None else ("agency", agency)
        places = (("certificate", mark_of(certificate)), last) if certificate else (last,)
        limits = {"certificate": self.certificate, "agency": self.agency, "source": self.source}
        for place in places:
            if self._open.get(place, 0) >= limits[place[0]]:
                meters.limit(f"{place[0]}-connections")
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
    """`agency_calls` and `source_calls`: places for one agency and one source in this process."""

    agency_calls: int
    source_calls: int
    _taken: dict[tuple[str, str], int] = field(default_factory=dict)

    def enter(self, certificate: bytes | None, source: str, snapshot: Snapshot, now: float) -> tuple[str, str]:
        """Takes a place and returns it for `leave`. Raises `limit.agency` or `limit.source` if all are taken."""
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
    """Counts and returns the refusal if all `most` places are taken. `place`: `("agency", code)` or `("source",
    address)`; `retry_after`: seconds.
    """
    kind, name = place
    meters.limit(kind)
    if kind == "agency":
        return LIMIT_AGENCY(agency=name, most=most, retry_after=retry_after)
    return LIMIT_SOURCE(source=name, most=most, retry_after=retry_after)


def _less(counts: dict[Any, int], name: object) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]  # bounds the memory for addresses
