"""Counts of processes: they outlive the process, in files of a bounded number and size."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.backup.manifest import LAST
from gateway.doors import counts
from gateway.doors.metrics import Standing, text
from gateway.signals import meters, stored
from gateway.signals.listed import COUNTER, GAUGE, METRICS
from tests.signals.counting import begun, counted

NOTHING = Standing(up=True, counts=None, age=None, snapshot=None, now=0.0)


def read(run: Path) -> dict[str, float]:
    """Sample with its labels -> value, as a program reads `/metrics`."""
    families = text_string_to_metric_families(text(NOTHING, run).decode())
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value for each in families for sample in each.samples
    }


def value(run: Path, name: str, **labels: str) -> float:
    return read(run)[f"{name}{sorted(labels.items())}"]


def test_counts_go_on_where_a_killed_process_ended(tmp_path: Path) -> None:
    for _ in range(3):
        counted(
            tmp_path, "door", "meters.limit('cost'); meters.call('rest', 'a/v1', 'x', 'answered', 0.02)", killed=True
        )
    assert value(tmp_path, "lgsp_limit_refusals_total", limit="cost") == 3
    of = {"protocol": "rest", "contract": "a/v1", "operation": "x", "result": "answered"}
    assert value(tmp_path, "lgsp_call_seconds_count", **of) == 3
    assert value(tmp_path, "lgsp_call_seconds_bucket", le="0.01", **of) == 0
    assert value(tmp_path, "lgsp_call_seconds_bucket", le="0.025", **of) == 3
    assert value(tmp_path, "lgsp_call_seconds_sum", **of) == pytest.approx(0.06)
    assert {each.name.split("_")[-1] for each in (tmp_path / stored.FOLDER).glob("*.db")} == {"door-0.db"}


def test_processes_at_one_time_have_places_of_their_own(tmp_path: Path) -> None:
    both = [begun(tmp_path, "door") for _ in range(2)]
    try:
        assert value(tmp_path, "lgsp_limit_refusals_total", limit="cost") == 2
        assert {each.place for each in stored.running(tmp_path / stored.FOLDER)} == {"door-0", "door-1"}
        told = read(tmp_path)
        assert sum(name.startswith("lgsp_process_resident_bytes") and size > 10**6 for name, size in told.items()) == 2
    finally:
        for each in both:
            each.communicate()
    counted(tmp_path, "door", "meters.limit('cost')")
    folder = tmp_path / stored.FOLDER
    assert value(tmp_path, "lgsp_limit_refusals_total", limit="cost") == 3
    assert not list(stored.running(folder))
    sizes = [each.stat().st_size for each in folder.glob("*.db")]
    assert len(sizes) == 2 * len(stored.SIZES) and sum(sizes) == 2 * sum(stored.SIZES.values())
    assert all(each.stat().st_blocks * 512 >= each.stat().st_size for each in folder.glob("*.db")), "allocated whole"


@pytest.mark.attack("files that are damaged")
def test_a_damaged_file_is_left_out_and_begun_anew(tmp_path: Path) -> None:
    counted(tmp_path, "door", "meters.limit('cost')")
    folder, chance = tmp_path / stored.FOLDER, random.Random(7)
    path = folder / "counter_door-0.db"
    whole = path.read_bytes()
    damages = [b"", whole[:100], b"\xff" * len(whole), b"\0" * len(whole)]
    for _ in range(40):
        spoilt = bytearray(whole)
        for _ in range(8):
            spoilt[chance.randrange(600)] = chance.randrange(256)
        damages.append(bytes(spoilt))
    for damage in damages:
        path.write_bytes(damage)
        assert "lgsp_database_up[]" in read(tmp_path)
    path.write_bytes(whole[:100])
    counted(tmp_path, "door", "meters.limit('cost')")
    assert value(tmp_path, "lgsp_limit_refusals_total", limit="cost") == 1


def test_series_and_files_are_bounded(tmp_path: Path) -> None:
    """Beyond the bound names are counted as `other`; no file grows, and nothing fails."""
    many = "[meters.call('rest', f'{n:060}/v1', f'{n:060}', 'answered', 1.0) for n in range(3000)]"
    counted(
        tmp_path, "door", f"{many}; [meters.refusal('rest', f'a.{{n}}') for n in range(3000)]".replace("{{n}}", "{n}")
    )
    folder = tmp_path / stored.FOLDER
    assert {each.stat().st_size for each in folder.glob("*.db")} == set(stored.SIZES.values())
    told = read(tmp_path)
    calls = [name for name in told if name.startswith("lgsp_call_seconds_count")]
    assert 300 < len(calls) <= 401
    assert value(tmp_path, "lgsp_refusals_total", reason="other", protocol="rest") == 2602
    before = path_used(folder / "histogram_door-0.db")
    counted(tmp_path, "door", "meters.limit('cost')")
    assert before > 0.8 and path_used(folder / "histogram_door-0.db") < 0.1, "a file that is nearly full begins anew"


def path_used(path: Path) -> float:
    return int.from_bytes(path.read_bytes()[:4], "little") / path.stat().st_size


def test_without_a_folder_it_counts_in_memory(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("no folder")
    counted(tmp_path / "run", "door", "meters.limit('cost')")
    before = {name: each for name, each in read_here().items() if "cost" in name}
    meters.limit("cost")
    after = {name: each for name, each in read_here().items() if "cost" in name}
    assert sum(after.values()) == sum(before.values()) + 1


def read_here() -> dict[str, float]:
    families = text_string_to_metric_families(text(NOTHING).decode())
    return {f"{each.name}{each.labels}": each.value for family in families for each in family.samples}


def test_every_metric_has_a_bound_and_words() -> None:
    named = {"system", "contract", "operation", "reason", "use"}
    for each in METRICS:
        assert each.help.endswith(".") and each.name.startswith("lgsp_")
        assert each.most or not named & set(each.labels), each.name
        assert each.kind != COUNTER or each.name.endswith("_total")
        assert each.kind == GAUGE or "seconds" in each.name or each.kind == COUNTER
    assert len({each.name for each in METRICS}) == len(METRICS)
    assert counts.BACKUP == LAST
    assert os.path.basename(stored.FOLDER) == stored.FOLDER
