"""The alert rules and the dashboard of `deploy/watching/`: every metric in them is one that `/metrics` has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from gateway.doors import health
from gateway.transfer.states import State

FOLDER = Path(__file__).resolve().parents[2] / "deploy/watching"
RULES = FOLDER / "lgsp.rules.yaml"


def _known() -> set[str]:
    return set(re.findall(r'"(lgsp_[a-z_]+)"', Path(health.__file__).read_text("utf-8")))


def _named(text: str) -> set[str]:
    return set(re.findall(r"\blgsp_[a-z_]+", text))


def test_rules_and_dashboard_use_metrics_that_there_are() -> None:
    rules = [each["expr"] for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for each in group["rules"]]
    dashboard = json.loads((FOLDER / "grafana.json").read_text("utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(rules) >= 10 and len(queries) >= 10
    assert _named(" ".join((*rules, *queries))) <= _known()


def test_states_in_the_rules_are_states_that_there_are() -> None:
    named = re.findall(r'(lgsp_[a-z_]+){state="([a-z-]+)"', RULES.read_text("utf-8"))
    known = {"lgsp_queue": set(health._QUEUE), "lgsp_transfers": {each.value for each in State}}
    assert named and all(state in known[metric] for metric, state in named)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing (package prometheus)")
def test_promtool_takes_the_rules() -> None:
    told = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True)
    assert told.returncode == 0 and "SUCCESS" in told.stdout, told.stdout + told.stderr
