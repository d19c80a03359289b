"""Where the policy is that nothing new is taken while nobody confirms the log: nothing is committed then, and all of
it is taken once somebody does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from contracts.base.errors import Ours
from gateway.audit.errors import AUDIT_UNWITNESSED
from gateway.audit.witnessing.admission import AdmissionCheck, AdmissionDeadline, admission_check
from gateway.settings import Settings
from tests.doors.files.dropping import CSV, Place, dropped, fresh


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return fresh(tmp_path / "data")


def look(place: Place, gate: Callable[[], None]) -> int:
    place.now[0] += 100
    with place.process() as files:
        files._exchange.admit = gate
        return asyncio.run(files.look())


def stands(place: Place) -> dict[str, int]:
    tables = ("transfer", "vault", "feed_pending", "replay", "queue")
    return {table: place.rows(f"select count(*) from {table}")[0][0] for table in tables}


def test_a_dropped_file_waits_unclaimed(place: Place) -> None:
    dropped(place, quy_csv=CSV)
    before, gate = stands(place), AdmissionCheck(place.data / "licence", lambda: place.now[0], 1000.0)
    for _ in range(3):
        assert look(place, gate) == 0
    assert stands(place) == before and place.phases() == [] and place.where() == ["so-lieu"]
    AdmissionDeadline(place.data / "licence", frozenset({"witnesses"})).extend("witnesses", place.now[0] + 1000)
    gate._looked = float("-inf")
    assert look(place, gate) == 1
    assert len(place.fed()) == 1 and place.where() == ["accepted"]


def test_a_transfer_is_refused_before_anything_is_committed(place: Place) -> None:
    """The same way as a call: the gate closes between the look at the folder and the exchange."""
    dropped(place, quy_csv=CSV)
    before, asked = stands(place), list[int]()

    def closing() -> None:
        asked.append(len(asked))
        if len(asked) > 1:
            raise AUDIT_UNWITNESSED(retry_after=5)

    assert look(place, closing) == 0 and len(asked) == 2
    assert stands(place) == before and place.phases() == ["refusal"] and place.where() == ["work"]
    assert b'"audit.unwitnessed"' in place.rows("select entry from log_pending")[0][0]
    assert look(place, lambda: None) == 1
    assert len(place.fed()) == 1 and place.where() == ["accepted"]


def test_without_that_policy_nothing_is_asked(tmp_path: Path) -> None:
    for policy in ("off", "flagged"):
        admission_check(Settings(tmp_path, witness_policy=policy, stamp_policy=policy), lambda: 0.0)()
    with pytest.raises(Ours):
        admission_check(Settings(tmp_path, stamp_policy="closed"), lambda: 0.0)()
