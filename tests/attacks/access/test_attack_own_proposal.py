"""An officer proposes at the command line and signs it himself; and a proposer is named whom nobody knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.sandbox import people
from gateway.settings import Settings
from tests.attacks.access.test_attack_persons import key, lgsp, made, production, refused  # noqa: F401
from tests.registry.test_stating import GRANT

FIRST, SECOND = "can-bo-an-toan-1", "can-bo-an-toan-2"

pytestmark = pytest.mark.attack("acting as another")


def file(place: Path, name: str, **said: Any) -> str:
    path = place / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"grants": [{**GRANT, "id": name, **said}]}, allow_unicode=True), "utf-8")
    return str(path)


def acts(settings: Settings, officer: str) -> tuple[str, ...]:
    return ("--as", officer, "--key", key(settings, officer))


def signs(settings: Settings, name: str, officer: str) -> tuple[str, ...]:
    return ("access", "approve", name, "--officer", officer, "--key", key(settings, officer))


def proposer(settings: Settings, name: str) -> Any:
    return json.loads(lgsp(settings, "access", "show", name)[1]["content"])["proposed_by"]


@pytest.mark.parametrize("named", [None, SECOND])
def test_who_proposes_does_not_sign_it(production: Settings, tmp_path: Path, named: str | None) -> None:  # noqa: F811
    """Whoever the file names: the key says who it is."""
    said = {} if named is None else {"proposed_by": named}
    code, told = lgsp(production, "access", "propose", file(tmp_path, "G-9001", **said), *acts(production, FIRST))
    assert code == 0, told
    assert refused(production, *signs(production, "G-9001", FIRST)) == "approval.own-proposal"
    assert lgsp(production, *signs(production, "G-9001", SECOND))[0] == 0


def test_proposed_again_it_keeps_proposer_and_signatures(production: Settings, tmp_path: Path) -> None:  # noqa: F811
    assert lgsp(production, "access", "propose", file(tmp_path, "G-9001"), *acts(production, FIRST))[0] == 0
    assert lgsp(production, *signs(production, "G-9001", SECOND))[0] == 0
    code, told = lgsp(production, "access", "propose", file(tmp_path, "G-9001"), *acts(production, SECOND))
    assert code == 0 and told["changes"] == [], told
    assert refused(production, *signs(production, "G-9001", FIRST)) == "approval.own-proposal"


def test_an_operator_who_proposes_it_again_names_nobody_else(production: Settings, tmp_path: Path) -> None:  # noqa: F811
    by_operator = ("--as", people.OPERATOR, "--key", key(production, people.OPERATOR))
    assert lgsp(production, "access", "propose", file(tmp_path, "G-9001"), *acts(production, FIRST))[0] == 0
    code, told = lgsp(production, "access", "propose", file(tmp_path, "G-9001"), *by_operator)
    assert code == 0 and told["changes"] == [], told
    assert refused(production, *signs(production, "G-9001", FIRST)) == "approval.own-proposal"
    other = file(tmp_path, "G-9001", purpose="Việc khác")
    assert lgsp(production, "access", "propose", other, *by_operator)[1]["changes"] != []
    assert lgsp(production, *signs(production, "G-9001", FIRST))[0] == 0, "another content, which he did not propose"


def test_a_document_that_an_officer_applies(production: Settings, tmp_path: Path) -> None:  # noqa: F811
    stated = yaml.safe_load(lgsp(production, "registry", "show", "--document")[1]["document"])
    stated["grants"] = [*stated.get("grants", []), {**GRANT, "id": "G-9001"}]
    path = tmp_path / "registry.yaml"
    path.write_text(yaml.safe_dump(stated, allow_unicode=True), "utf-8")
    code, told = lgsp(production, "registry", "apply", str(path), "--no-sign", *acts(production, FIRST))
    assert code == 0, told
    assert [each["id"] for each in told["changes"]] == ["G-9001"], "what stands keeps its signatures"
    assert refused(production, *signs(production, "G-9001", FIRST)) == "approval.own-proposal"
    assert lgsp(production, *signs(production, "G-9001", SECOND))[0] == 0
    by_operator = ("--as", people.OPERATOR, "--key", key(production, people.OPERATOR))
    code, told = lgsp(production, "registry", "apply", str(path), "--no-sign", *by_operator)
    assert code == 0 and told["changes"] == [], "the same document, which names no proposer, ends nothing"
    (stands,) = lgsp(production, "access", "show", "G-9001")[1]["approvals"]
    assert stands["officer"] == SECOND


def test_a_proposer_whom_nobody_knows(production: Settings, tmp_path: Path) -> None:  # noqa: F811
    words = ("access", "propose", file(tmp_path, "G-9001", proposed_by="nguoi-la"))
    who = ("--as", people.OPERATOR, "--key", key(production, people.OPERATOR))
    assert refused(production, *words, *who) == "registry.unknown"
