"""YAML that names a key twice, or that is no YAML, is refused wherever the product reads YAML."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from contracts.base import safeyaml
from contracts.base.errors import Theirs
from gateway.agent import config as agent_config
from gateway.doors.api.apis import DOCUMENTS
from gateway.settings import BadSetting, load

ROOT = Path(__file__).resolve().parents[3]
# Written by programs of others, or a template that is no YAML before it is filled.
OURS = [
    path
    for folder in ("openapi", "contracts", "examples", "deploy")
    for path in sorted((ROOT / folder).rglob("*.y*ml"))
]


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "x: {b: 1, b: 1}\n", "- {1: a, 1: b}\n", '"a": 1\na: 2\n'])
def test_a_key_twice(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match="stands twice"):
        safeyaml.load(text)


@pytest.mark.parametrize("text", ["? [a]\n: 1\n", "day: 2026-02-30\n", "!!python/object:os.system {}\n", "a: [\n"])
def test_what_is_no_plain_data(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        safeyaml.load(text)


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_our_own_files(path: Path) -> None:
    documents = [*yaml.load_all(path.read_text("utf-8"), safeyaml.LOADER)]  # those for Kubernetes hold several
    assert documents and None not in documents


def test_the_interfaces_are_among_them() -> None:
    assert {path for path in OURS if path.parent.name == "openapi"} == set(DOCUMENTS.glob("*.yaml"))


@pytest.mark.parametrize(
    ("text", "told"), [("base: a\nbase: b\n", "line 2: the key 'base' stands twice"), ("a: [\n", "line ")]
)
def test_settings_that_cannot_be_read_are_told_with_file_and_line(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "settings.yaml").write_text(text, "utf-8")
    with pytest.raises(BadSetting, match="settings.yaml, ") as refused:
        load(tmp_path, {})
    assert told in str(refused.value)


def test_the_agents_configuration(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("identity: a\nidentity: b\n", "utf-8")
    with pytest.raises(Theirs) as refused:
        agent_config.load(file)
    assert "stands twice" in refused.value.what("en")


@pytest.mark.parametrize(
    ("text", "place"),
    [("a: [1,\nb: 2}", "(line 2, column "), ("a: 1\na: 2", "(line 2, column 1)"), ("a: \x00", "(position 4)")],
)
def test_a_refused_document_is_told_its_place_and_no_name_of_a_buffer(text: str, place: str) -> None:
    for given in (text, text.encode()):
        with pytest.raises((yaml.YAMLError, ValueError)) as caught:
            safeyaml.load(given)
        assert place in safeyaml.why(caught.value) and "string>" not in safeyaml.why(caught.value)
