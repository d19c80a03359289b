"""`lgsp conform`: the suite as YAML, and a run whose report a build server reads."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import yaml
from typer.testing import CliRunner

from gateway.cli.tree import app
from tests.sandbox.simulation.conftest import SYSTEM, Simulated

NAME = "field-report/v1"


def lgsp(simulated: Simulated, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["conform", *words, "--data", str(simulated.settings.data)])
    return done.exit_code, done.output


def provider(simulated: Simulated, *words: str) -> tuple[int, str]:
    place = ("--url", f"{simulated.url}/{SYSTEM}/{NAME}", "--identity", str(simulated.settings.identities / SYSTEM))
    return lgsp(simulated, "provider", NAME, *place, *words)


def test_the_suite_is_yaml(simulated: Simulated) -> None:
    code, told = lgsp(simulated, "suite", NAME, "--operation", "createRequest", "--protocol", "rest")
    made = yaml.safe_load(told)
    assert code == 0 and made["contract"] == NAME
    assert {each["sent"]["protocol"] for each in made["cases"]} == {"rest"}
    assert all(each["title"]["vi"] and each["source"] and each["expected"] for each in made["cases"])


def test_a_called_system_is_tried_for_what_the_gateway_calls(simulated: Simulated) -> None:
    """The gateway takes in values itself, and asks a provider for one."""
    for role, operations in (("provider", {"getValue"}), ("caller", {"getValue", "submitValues"})):
        made = json.loads(lgsp(simulated, "suite", "indicator/v1", "--role", role, "--json")[1])
        assert {each["sent"]["operation"] for each in made["cases"]} == operations


def test_a_run(simulated: Simulated, tmp_path: Path) -> None:
    case = ("--case", "rest.canonical.createRequest.repeat")
    code, told = provider(simulated, *case, "--junit", str(tmp_path / "report.xml"), "--json")
    report = json.loads(told)
    assert (code, report["ok"], report["counts"]["passed"]) == (0, True, 1) and not report["passed"], "not the whole"
    assert ElementTree.parse(tmp_path / "report.xml").getroot().tag == "testsuites"


def test_a_fault_ends_with_1_and_says_what_to_change(simulated: Simulated) -> None:
    simulated.fault("other-key", count=0)
    try:
        code, told = provider(simulated, "--case", "soap.canonical.createRequest.valid.smallest")
    finally:
        simulated.fault("none", count=0)
    assert code == 1 and "curl " in told and "docs/wire.md" in told and "schema" in told


def test_wrong_words_are_usage(simulated: Simulated, tmp_path: Path) -> None:
    assert lgsp(simulated, "suite", "field-report/v9")[0] == 2
    assert lgsp(simulated, "suite", NAME, "--format", "nope")[0] == 2
    assert lgsp(simulated, "suite", "camera-event/v1")[0] == 2, "nobody is called by it"
    assert lgsp(simulated, "suite", "indicator/v1", "--operation", "submitValues")[0] == 2
    assert provider(simulated, "--case", "nope")[0] == 2
    known = tmp_path / "known.json"
    known.write_text('[{"operation": "createRequest", "ask": {}, "answer": {}}]')
    assert provider(simulated, "--known", str(known))[0] == 2
    gone = ("--url", "https://localhost:1", "--identity", str(tmp_path))
    assert lgsp(simulated, "provider", NAME, *gone)[0] == 2
