"""The alert rules and the dashboard of `deploy/watching/`: every metric in them is one that `/metrics` has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from gateway.doors.counts import QUEUE
from gateway.signals.listed import METRICS
from gateway.transfer.states import State

FOLDER = Path(__file__).resolve().parents[2] / "deploy/watching"
RULES = FOLDER / "lgsp.rules.yaml"


def _known() -> set[str]:
    parts = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
    return {f"{each.name}{part}" for each in METRICS for part in parts.get(each.kind, ("",))}


def _named(text: str) -> set[str]:
    return set(re.findall(r"\blgsp_[a-z_]+", text))


def test_rules_and_dashboard_use_metrics_that_there_are() -> None:
    rules = [each["expr"] for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for each in group["rules"]]
    dashboard = json.loads((FOLDER / "grafana.json").read_text("utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(rules) >= 10 and len(queries) >= 10
    known = _known()
    assert _named(" ".join((*rules, *queries))) <= known
    used = {label for query in (*rules, *queries) for label in re.findall(r"[{,]\s*([a-z]+)!?=", query)}
    assert used - {"job"} <= {label for each in METRICS for label in each.labels}


def test_states_in_the_rules_are_states_that_there_are() -> None:
    named = re.findall(r'(lgsp_[a-z_]+){state="([a-z-]+)"', RULES.read_text("utf-8"))
    known = {"lgsp_queue": set(QUEUE), "lgsp_transfers": {each.value for each in State}}
    assert named and all(state in known[metric] for metric, state in named)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing (package prometheus)")
def test_promtool_takes_the_rules() -> None:
    told = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True)
    assert told.returncode == 0 and "SUCCESS" in told.stdout, told.stdout + told.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing (package prometheus)")
def test_rules_fire_when_they_should(tmp_path: Path) -> None:
    """Among others: on a database that is away, a wrong clock, a failing provider; and not before their time."""
    for each in (RULES, Path(__file__).with_name("watching.test.yaml")):
        shutil.copy(each, tmp_path)
    told = subprocess.run(
        ["promtool", "test", "rules", str(tmp_path / "watching.test.yaml")], capture_output=True, text=True
    )
    assert told.returncode == 0 and "SUCCESS" in told.stdout, told.stdout + told.stderr
