"""Places for calls under way, sums of a flood's refusals: each count is its own, and nothing is left behind."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.base.errors import Failure, Theirs
from gateway.doors.errors import ADDRESS_UNKNOWN
from gateway.doors.http.body import MAX_HEADERS, headers_of
from gateway.doors.http.errors import CHANNEL_NO_CERTIFICATE
from gateway.doors.http.limits import Connections, Limits
from gateway.exchange.floods import SINGLE, Floods


class Key:
    def __init__(self, system: str, good: bool) -> None:
        self.system, self._good = system, good

    def in_force(self, now: float) -> bool:
        return self._good


class Snapshot:
    """Certificates `a…` and `b…` are of two agencies; one with `!` is registered and no longer in force."""

    class _Systems(dict[str, Any]):
        def __missing__(self, name: str) -> Any:
            return type("System", (), {"agency": name[0]})

    systems = _Systems()

    def __init__(self) -> None:
        from gateway.doors.http.channel import mark_of

        self._keys = {mark_of(name.encode()): Key(name, "!" not in name) for name in ("a1", "a2", "b1", "a!")}

    def tls_key(self, mark: str) -> Key | None:
        return self._keys.get(mark)


SNAPSHOT = cast(Any, Snapshot())
WHO = st.tuples(
    st.sampled_from([b"a1", b"a2", b"b1", b"a!", b"unknown", None]), st.sampled_from(["192.0.2.1", "192.0.2.2"])
)


@given(st.lists(st.one_of(WHO, st.integers(0, 30)), max_size=60))
def test_each_has_its_own_places_and_gives_them_back(steps: list[Any]) -> None:
    limits = Limits(3, 2)
    held: list[tuple[str, str]] = []
    for step in steps:
        if isinstance(step, int):
            if held:
                limits.leave(held.pop(step % len(held)))
            continue
        certificate, source = step
        place = ("agency", chr(certificate[0])) if certificate in (b"a1", b"a2", b"b1") else ("source", source)
        most = 3 if place[0] == "agency" else 2
        try:
            assert limits.enter(certificate, source, SNAPSHOT, 0.0) == place
        except Failure as full:
            assert held.count(place) == most
            assert full.status == 429 and full.retry_after and full.code == f"limit.{place[0]}"
        else:
            held.append(place)
            assert held.count(place) <= most
    for place in held:
        limits.leave(place)
    assert not limits._taken, "a stranger's address stays in memory"


@given(st.lists(st.one_of(WHO, st.integers(0, 30)), max_size=60))
def test_connections_of_a_certificate_of_an_agency_and_of_a_source(steps: list[Any]) -> None:
    """A certificate that is not registered, or no longer, counts as its source does, and as itself."""
    connections = Connections(source=3, certificate=2, agency=3, agency_of={b"a1": "a", b"a2": "a", b"b1": "b"}.get)
    held: list[tuple[Any, str, Any]] = []
    for step in steps:
        if isinstance(step, int):
            if held:
                connections.leave(held.pop(step % len(held))[2])
            continue
        certificate, source = step
        agency = certificate.decode()[0] if certificate in (b"a1", b"a2", b"b1") else None
        of_one = sum(1 for each, _, _ in held if certificate is not None and each == certificate)
        of_all = sum(1 for _, _, places in held if places[-1] == (("agency", agency) if agency else ("source", source)))
        try:
            held.append((certificate, source, connections.enter(certificate, source)))
            assert of_one < 2 and of_all < 3
        except Failure as full:
            assert (of_one >= 2 or of_all >= 3) and full.code == "limit.connections" and full.retry_after
    for _, _, places in held:
        connections.leave(places)
    assert not connections._open


def test_all_addresses_of_one_network_are_one_source() -> None:
    """Whoever has one address of IPv6 has 2^64; each with places of its own would be no limit at all."""
    connections, limits = Connections(source=2, certificate=9, agency=9), Limits(3, 2)
    many = [f"2001:db8:1:2::{number:x}" for number in range(1, 6)]
    first, _ = connections.enter(None, many[0]), connections.enter(None, many[1])
    for each in many[2:]:
        with pytest.raises(Failure):
            connections.enter(None, each)
    assert all(connections.enter(None, each) for each in ("2001:db8:1:3::1", "192.0.2.1", "::ffff:192.0.2.2"))
    connections.leave(first)  # whichever of them leaves
    assert connections.enter(None, many[3])
    held = [limits.enter(None, each, SNAPSHOT, 0.0) for each in many[:2]]
    with pytest.raises(Failure):
        limits.enter(None, many[2], SNAPSHOT, 0.0)
    for place in held:
        limits.leave(place)
    assert not limits._taken
    floods = Floods()
    alone = [floods.sum_of(_from(f"fe80::{number:x}%eth0"), CHANNEL_NO_CERTIFICATE()) for number in range(3 * SINGLE)]
    assert alone.count(None) == SINGLE and len(set(map(id, alone))) == 2


def _from(source: str) -> Any:
    return type("Received", (), {"source": source, "at": 0.0})


@given(
    st.lists(
        st.tuples(
            st.sampled_from("xyz"), st.sampled_from(["channel.no-certificate", "address.unknown"]), st.integers(0, 3)
        ),
        max_size=200,
    )
)
def test_each_refusal_of_a_flood_is_in_exactly_one_entry(steps: list[Any]) -> None:
    floods = Floods()
    single, sums, now = 0, [], 0
    for source, code, wait in steps:
        now += wait // 3
        failure = (
            CHANNEL_NO_CERTIFICATE()
            if code.startswith("channel")
            else ADDRESS_UNKNOWN(method="GET", path="/", catalogue="")
        )
        found = floods.sum_of(cast(Any, type("Received", (), {"source": source, "at": float(now)})), failure)
        if found is None:
            single += 1
        elif found.count == 1:
            sums.append(found)
        if wait == 3:
            for each in sums[-1:]:
                if floods._sums.get(each.key) is each:
                    floods.end(each)
    assert single + sum(each.count for each in sums) == len(steps)
    assert single <= SINGLE * len({(source) for source, _, _ in steps}) * (now + 1)


def test_more_headers_than_anybody_needs() -> None:
    fields = [(b"x%d" % number, b"a") for number in range(MAX_HEADERS)]
    assert len(headers_of({"headers": fields})) == MAX_HEADERS
    with pytest.raises(Theirs) as caught:
        headers_of({"headers": [*fields, (b"one", b"more")]})
    assert (caught.value.code, caught.value.status) == ("request.too-many-headers", 431)
