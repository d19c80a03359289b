"""WS-Security: the times of an envelope, and which key verifies it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from contracts.base.errors import Theirs
from security.wssec.verify import verify_envelope
from tests.security.identities import Pair
from tests.security.wssec.test_wssec import find, make, parse, reference_again, refused, verify


@pytest.mark.parametrize(
    ("created", "expires", "expected"),
    [
        ("2026-11-24T07:00:00Z", "2026-11-24T07:05:00Z", None),
        ("2026-11-24T07:00:00.1234567Z", "2026-11-24T07:05:00.1234567Z", None),
        ("2026-11-24T07:00:00Z", "2026-11-24T07:05:01Z", "signature.lifetime"),
        ("2026-11-24T07:00:00Z", "2026-11-24T07:00:00Z", "signature.lifetime"),
        ("2026-11-24T07:00:00Z", "2026-11-24T06:00:00Z", "signature.lifetime"),
        ("2026-11-24T07:00:06Z", "2026-11-24T07:01:00Z", "signature.from-future"),
        ("2026-11-24T06:55:00Z", "2026-11-24T06:59:59Z", "signature.expired"),
        ("2026-11-24T14:00:00+07:00", "2026-11-24T07:05:00Z", "signature.malformed"),
        ("2026-11-24 07:00:00Z", "2026-11-24T07:05:00Z", "signature.malformed"),
        ("2026-02-30T07:00:00Z", "2026-11-24T07:05:00Z", "signature.malformed"),
        ("", "2026-11-24T07:05:00Z", "signature.malformed"),
    ],
)
def test_times(created: str, expires: str, expected: str | None, p256: Pair, now: float) -> None:
    root = parse(make(p256, now))
    find(root, "Created").text, find(root, "Expires").text = created, expires
    raw = reference_again(root, p256, "timestamp")
    if expected is None:
        assert verify(raw, p256, now).key == p256.verify
    else:
        assert refused(raw, p256, now).code == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda stamp: stamp.remove(stamp[0]),
        lambda stamp: stamp.remove(stamp[1]),
        lambda stamp: stamp.append(etree.fromstring("<x/>")),
        lambda stamp: stamp[0].append(etree.fromstring("<x/>")),
        lambda stamp: stamp.insert(0, stamp[1]),
    ],
)
def test_a_timestamp_is_created_and_expires(change: Callable[[Any], object], p256: Pair, now: float) -> None:
    root = parse(make(p256, now))
    change(find(root, "Timestamp"))
    assert refused(reference_again(root, p256, "timestamp"), p256, now).code == "signature.malformed"


def test_freshness_measures_the_skew(p256: Pair, now: float) -> None:
    raw = make(p256, now)
    late, early = refused(raw, p256, now + 310), refused(raw, p256, now - 8)
    assert (late.code, late.facts["late"], late.facts["skew"]) == ("signature.expired", 10.0, 310.0)
    assert (early.code, early.facts["skew"]) == ("signature.from-future", 8.0)


def test_keys(p256: Pair, other: Pair, now: float) -> None:
    raw = make(p256, now)
    assert refused(raw, other, now).code == "signature.unknown-key"
    with pytest.raises(Theirs) as caught:
        verify_envelope(parse(raw), lambda _: other.verify, now)
    assert caught.value.code == "signature.wrong"
    with pytest.raises(Theirs) as caught:
        verify_envelope(parse(raw), lambda _: replace(p256.verify, valid_from=now + 1), now)
    assert caught.value.code == "signature.key-expired"
