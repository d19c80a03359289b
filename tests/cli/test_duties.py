"""Every command is in the table of duties, takes a person where it has to, and names the person in what it logs."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import typer

from gateway import cli
from gateway.cli import tree
from gateway.cli.duties import _OF, DUTIES, ROLES, Duty, duty_of

FOLDER = Path(cli.__file__).parent


def commands() -> dict[str, Any]:
    def below(command: Any, path: str) -> dict[str, Any]:
        if not hasattr(command, "commands"):
            return {path: command}
        return {
            name: each for word, one in command.commands.items() for name, each in below(one, f"{path} {word}").items()
        }

    return {name.strip(): each for name, each in below(typer.main.get_command(tree.app), "").items()}


def test_every_command_is_in_the_table_once() -> None:
    listed = [each.strip() for names in _OF.values() for each in names.replace("\n", ",").split(",") if each.strip()]
    assert len(listed) == len(set(listed))
    known = commands()
    assert {name for name in DUTIES if " --" not in name} == set(known)
    for name, _, option in (each.partition(" --") for each in DUTIES if " --" in each):
        assert f"--{option}" in {opt for parameter in known[name].params for opt in parameter.opts}


@pytest.mark.parametrize("name", sorted({name.partition(" --")[0] for name, duty in DUTIES.items() if duty in ROLES}))
def test_what_somebody_answers_for_takes_a_person(name: str) -> None:
    options = {opt for parameter in commands()[name].params for opt in parameter.opts}
    assert {"--as", "--key", "--break-glass", "--data"} <= options


def test_an_option_may_change_the_duty_and_the_unknown_is_a_change() -> None:
    assert duty_of("audit search", {"csv": False}) is Duty.READS
    assert duty_of("audit search", {"csv": True}) is Duty.DISCLOSES
    assert duty_of("vault expire", {"dry_run": True}) is Duty.READS
    assert duty_of("restore confirm", {"by": ""}) is Duty.READS
    assert duty_of("something new", {}) is Duty.CHANGES


@pytest.mark.parametrize("file", sorted(FOLDER.rglob("*.py")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_who_acts_is_never_a_constant(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Constant):
            assert node.value != "command line", f"line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "note":
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id in ("act", "change", "entries"):
                named = [each for each in node.keywords if each.arg == "actor"]
                assert named and not isinstance(named[0].value, ast.Constant), f"line {node.lineno}"
