"""The bench measures what it says: small here, in full with LGSP_TEST_SIZE=full."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

import bench
from bench import door, rows, soak
from tests.size import FULL


def test_a_row_is_the_median_and_ratios_are_taken_round_by_round() -> None:
    made = rows.row("secured", "exchanges/s", [90.0, 100.0, 60.0], {"plain": [10.0, 10.0, 6.0]}, {"p99_ms": 4.0})
    assert made.to_json() == {
        "name": "secured",
        "median": 90.0,
        "unit": "exchanges/s",
        "spread": 0.444,
        "against": {"plain": 10.0},
        "details": {"p99_ms": 4.0},
    }
    assert "10 × plain" in rows.table([made.to_json()])


@pytest.mark.full
@pytest.mark.server
def test_a_door_is_small_and_soon_there() -> None:
    measured = door.measure(10_000 if FULL else 1_000)
    starts = [each.first_answer / each.loading for each in (measured, door.measure(1), door.measure(1))]
    assert statistics.median(starts) <= 2.5, f"a door does more at its start than to load what it needs: {starts}"
    assert measured.memory_mib <= 150
    assert measured.memory_mib - measured.memory_at_start <= (40 if FULL else 25), (
        "memory grows with the number of exchanges"
    )


@pytest.fixture(scope="module")
def measured_rows() -> dict[str, Any]:
    """One run of the bench for all that is asked of it; a wrong answer on any side raises."""
    result = bench.run(True)
    assert result["ok"]
    return {row["name"]: row for row in result["rows"]}


@pytest.fixture
def measured_row(measured_rows: dict[str, Any]) -> dict[str, Any]:
    return dict(measured_rows["secured-exchange-rest-soap-1k"])


@pytest.mark.full
@pytest.mark.server
def test_the_secured_exchange_is_measured_against_the_plain_stack(measured_row: dict[str, Any]) -> None:
    assert measured_row["unit"] == "exchanges/s"
    assert measured_row["median"] > 0 and measured_row["against"]["plain"] > 0


@pytest.mark.full
@pytest.mark.server
@pytest.mark.xfail(
    reason="the goal of 4 x the plain stack is not reached yet: docs/bench.md says where the time goes", strict=True
)
def test_the_secured_exchange_beats_the_plain_stack_four_times(measured_row: dict[str, Any]) -> None:
    """The goal as it was set. Strict: the day that it is reached this fails, and the mark goes."""
    assert measured_row["against"]["plain"] >= 4


@pytest.mark.full
@pytest.mark.server
def test_encryption_costs_no_more_than_a_private_key(measured_rows: dict[str, Any]) -> None:
    """An RSA-3072 decryption is most of it: were it used twice, the ratio would halve."""
    assert 0.08 <= measured_rows["soap-encrypted-1k"]["against"]["signed"] < 1


@pytest.mark.full
@pytest.mark.server
def test_fifty_megabytes_of_files_pass_in_little_memory(measured_rows: dict[str, Any]) -> None:
    row = measured_rows["translation-50-mb-of-files"]
    assert row["unit"] == "MiB above rest" and 0 <= row["median"] <= 100


@pytest.mark.full
@pytest.mark.server
def test_translation_is_ten_times_as_fast_as_zeep(measured_rows: dict[str, Any]) -> None:
    assert measured_rows["translation-20-readings"]["against"]["zeep"] >= 10


@pytest.mark.full
@pytest.mark.server
def test_the_log_keeps_up(measured_rows: dict[str, Any]) -> None:
    """Against what cannot be done without, in the same run: the bare rows on disk, and the bare leaf hashes."""
    row = measured_rows["audit-durable-entries"]
    assert row["unit"] == "entries/s" and row["against"]["the same rows in a plain table"] >= 0.08
    assert row["details"]["delay_p50_ms"] <= row["details"]["delay_max_ms"]
    checked = measured_rows["audit-verify-whole-log"]
    assert checked["details"]["entries"] == 100_000 and checked["against"]["leaf hashes alone"] >= 0.01


@pytest.mark.full
@pytest.mark.server
def test_page_one_of_a_long_log_costs_what_it_does_of_a_short_one(measured_rows: dict[str, Any]) -> None:
    """Pages a second of ten times as many entries; were a page to walk the log, a tenth would be left."""
    (ratio,) = measured_rows["audit-search-million"]["against"].values()
    assert ratio >= 0.5


@pytest.mark.full
@pytest.mark.server
def test_page_one_of_the_console_costs_what_it_does_over_a_short_log(measured_rows: dict[str, Any]) -> None:
    (ratio,) = measured_rows["console-pages-million"]["against"].values()
    assert ratio >= 1 / 1.5


@pytest.mark.full
@pytest.mark.server
def test_page_one_of_a_long_feed_costs_what_it_does_of_a_short_one(measured_rows: dict[str, Any]) -> None:
    """Of ten times as many events. Every event that a round read was the next one."""
    row = measured_rows["feed-million"]
    (ratio,) = row["against"].values()
    assert ratio >= 0.5 and row["median"] > 0 and row["details"]["keys_of_the_state_per_second"] > 0
    assert row["details"]["webhook_events_per_second"] > 0 and row["details"]["stream_event_ms"] > 0


@pytest.mark.full
@pytest.mark.server
def test_twelve_agencies_for_a_while() -> None:
    """All of them are served; what was acknowledged stands in the feed once, and the queue ends empty."""
    result = soak.soak(600.0 if FULL else 5.0, lambda text: print(text))
    assert all(result["holds"][each] for each in ("accounted", "log", "drained")), result
    assert result["agencies"] == 12 and all(each["answers"] for each in result["calls"].values())
    assert {"door", "keeper"} <= result["memory_mib"].keys()
    if FULL:  # memory and percentiles too, which a few seconds do not show
        assert result["ok"], result
