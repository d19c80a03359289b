"""The bench measures what it says: small here, in full with LGSP_TEST_SIZE=full."""

from __future__ import annotations

import os

import pytest

import bench
from bench import door, rows

FULL = os.environ.get("LGSP_TEST_SIZE") == "full"


def test_a_row_is_the_median_and_ratios_are_taken_round_by_round() -> None:
    made = rows.row("secured", "exchanges/s", [90.0, 100.0, 60.0], {"plain": [10.0, 10.0, 6.0]}, {"p99_ms": 4.0})
    assert made.to_json() == {
        "name": "secured", "median": 90.0, "unit": "exchanges/s", "spread": 0.444, "against": {"plain": 10.0}, "details": {"p99_ms": 4.0},
    }  # fmt: skip
    assert "10 × plain" in rows.table([made.to_json()])


@pytest.mark.server
def test_a_door_is_small() -> None:
    measured = door.measure(10_000 if FULL else 1_000)
    assert measured.memory_mib <= 150
    assert measured.memory_mib - measured.memory_at_start <= (40 if FULL else 25), "memory grows with the number of exchanges"


@pytest.mark.server
def test_the_secured_exchange_is_measured_against_the_plain_stack() -> None:
    """Both sides answer rightly. The ratio is what the bench prints; the goal stands in docs/bench.md."""
    result = bench.run(True)
    assert result["ok"]
    row = result["rows"][0]
    assert row["name"] == "secured-exchange-rest-soap-1k" and row["unit"] == "exchanges/s"
    assert row["against"]["plain"] > 0
