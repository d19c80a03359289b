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
from tests.project import watching_states

FOLDER = Path(__file__).resolve().parents[2] / "deploy/watching"
RULES = FOLDER / "lgsp.rules.yaml"


def _known() -> set[str]:
    parts = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
    return {f"{each.name}{part}" for each in METRICS for part in parts.get(each.kind, ("",))}


def _rules() -> dict[str, str]:
    """Expressions of the rules by name."""
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return {each["alert"]: each["expr"] for group in groups for each in group["rules"]}


def _panels() -> list[str]:
    dashboard = json.loads((FOLDER / "grafana.json").read_text("utf-8"))
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def _named(text: str) -> set[str]:
    return set(re.findall(r"\blgsp_[a-z_]+", text))


def test_rules_and_dashboard_use_metrics_that_there_are() -> None:
    rules, queries = list(_rules().values()), _panels()
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


def _whether(query: str, expected: int, at: int = watching_states.LATE) -> dict[str, object]:
    """A case of `promtool`: whether a query has any value at a minute."""
    told = {"expr": f"count({query}) > bool 0 or vector(0)", "eval_time": f"{at}m"}
    return told | {"exp_samples": [{"labels": "{}", "value": expected}]}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing (package prometheus)")
@pytest.mark.parametrize("state", watching_states.STATES)
def test_every_rule_and_panel_on_an_idle_a_busy_and_a_broken_instance(state: str, tmp_path: Path) -> None:
    """No rule speaks of a healthy instance, each speaks of a broken one; each panel shows something of a busy one."""
    rules, fires = _rules(), state == "broken"
    known = {name.partition("{")[0] for name in watching_states.SERIES}
    assert _named(" ".join((*rules.values(), *_panels()))) <= known  # each metric has its values
    cases = [_whether(f'ALERTS{{alertname="{name}", alertstate="firing"}}', int(fires)) for name in rules]
    if not fires:  # at no time of the two hours
        cases += [
            _whether(f'ALERTS{{alertname="{name}", alertstate="firing"}}', 0, at)
            for name in rules
            for at in range(1, watching_states.LATE, 31)
        ]
    if state == "busy":
        cases += [_whether(each, 1) for each in _panels()]
    test = {"interval": "1m", "input_series": watching_states.series(state), "promql_expr_test": cases}
    shutil.copy(RULES, tmp_path)
    file = tmp_path / "states.test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [RULES.name], "evaluation_interval": "1m", "tests": [test]}), "utf-8")
    told = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True)
    assert told.returncode == 0 and "SUCCESS" in told.stdout, told.stdout + told.stderr
