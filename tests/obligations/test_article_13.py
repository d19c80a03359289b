"""Article 13: what owners of component systems do."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from contracts.folder.bundle import catalogue_folders
from examples.story.exchange import ALERTS
from examples.story.grants import OFFICERS
from examples.story.world import World
from gateway.sandbox.standins import messages
from gateway.scorecards.scoring import weights
from tests.obligations.calls import ALERT, published, today

pytestmark = pytest.mark.server


@pytest.mark.obligation("13.1")
def test_invalid_samples_of_every_rule_are_refused_at_their_path(world: World) -> None:
    """Article 13.1: of the published samples that break a rule, one of each rule is refused, at the path that it
    names."""
    samples = published(world, f"/contracts/{ALERTS}/samples")
    own = [each for each in samples if (each["format"], each["message"]) == ("canonical", "Alert")]
    of_rule = {each["rule"]: each for each in own if not each["valid"] and each["media"] == "json"}
    assert of_rule.keys() >= {"required", "type", "pattern", "length", "code", "unknown"}
    client = world.rest("quan-trac")
    for rule, each in of_rule.items():
        answer = client.call("POST", ALERT, each["content"].encode())
        assert answer.problem is not None and answer.status == 422, each["name"]
        findings = {(finding["rule"], finding["here"]) for finding in answer.problem["findings"]}
        assert (rule, each["path"]) in findings, each["name"]


@pytest.mark.obligation("13.2")
def test_every_contract_is_described_by_a_valid_openapi_document(world: World) -> None:
    """Article 13.2: each contract in force publishes an OpenAPI document that a foreign validator accepts."""
    contracts = published(world, "/contracts")
    assert len(contracts) >= 8
    for each in contracts:
        validate(published(world, f"/contracts/{each['name']}/openapi.json"))


@pytest.mark.obligation("13.3")
def test_a_workflow_is_live_once_its_owner_and_a_second_person_signed_it(world: World, tmp_path: Path) -> None:
    """Article 13.3: a contract with another workflow is published; an officer of another agency alone, and one who
    signs twice, make it not live; with the owner's it is."""
    subject, data = f"workflow/{ALERTS}", ("--data", str(world.data))
    police, owner = OFFICERS[1], OFFICERS[0]
    folder = next(each for each in catalogue_folders() if each.parts[-2:] == ("incident-alert", "v1"))
    copy = tmp_path / "v1"
    shutil.copytree(folder, copy)
    _edit(copy / "contract.yaml", r"(?m)^version: (\d+\.\d+)\.\d+$", r"version: \1.99")
    _edit(copy / "workflow.yaml", "en: Dealt with|en: Done", "en: Settled")
    published = world.lgsp("contract", "publish", str(copy), "--no-sign", *data)
    (row,) = published["workflow"]["waiting"]
    assert published["moved"] and (row["subject"], row["owner"], row["signed_by"]) == (subject, "H14.0", [])

    def sign(officer: str) -> list[str]:
        key = world.data / "identities" / officer / "officer.key"
        done = world.lgsp("access", "approve", subject, "--officer", officer, "--key", str(key), *data)
        return [each["subject"] for each in done["in_force"]]

    assert sign(police) == [] == sign(police)
    assert world.lgsp("access", "show", subject, *data)["standing"] == "not-approved"
    assert sign(owner) == [subject]
    shown = world.lgsp("access", "show", subject, *data)
    assert shown["standing"] == "in force" and shown["signed_by"] == sorted(OFFICERS)


def _edit(file: Path, old: str, new: str) -> None:
    text, count = re.subn(old, new, file.read_text("utf-8"), count=1)
    assert count == 1, file
    file.write_text(text, "utf-8")


@pytest.mark.obligation("13.4")
def test_an_owner_is_told_what_lowers_the_score_of_its_system(world: World) -> None:
    """Article 13.4: the arithmetic of a score adds up, and the rule that messages broke is named."""
    bad = messages.fire_alarm()
    bad["chiTiet"][0]["mucDo"] = 77
    for _ in range(weights().least["validity"]):  # fewer are not judged
        world.rest("bao-chay").call("POST", ALERT, messages.fire_alarm())
    world.refusal("judged", "message.invalid", world.rest("bao-chay").call("POST", ALERT, bad), status=422)
    words = ("scorecard", "bao-chay", "--day", today(), "--data", str(world.data))
    (card,) = world.lgsp(*words)["scorecards"]
    judged = [each for each in card["parts"] if each["judged"]]
    assert abs(sum(each["points"] for each in judged) - card["score"]) < 0.2
    assert card["score"] < 100 and "code" in str(card["rules"])
