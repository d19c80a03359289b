"""Options that belong together are one typed value."""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from typer.testing import CliRunner

from gateway.cli.common.options import grouped

ROOT = Path(__file__).resolve().parents[2]


class Helped:
    help = "Declared below."


@dataclass(frozen=True, kw_only=True)
class Place:
    place: Annotated[str, typer.Option("--place", help="Where.")]
    depth: Annotated[int, Helped()] = 1


def test_the_command_gets_the_value_whatever_the_group_is_called() -> None:
    app = typer.Typer()

    @app.command()
    @grouped
    def command(name: str, place: Place, loud: Annotated[bool, typer.Option("--loud")] = False) -> None:
        """Help."""
        print(name, place.place, place.depth, loud)

    assert CliRunner().invoke(app, ["x", "--place", "here", "--depth", "3", "--loud"]).output == "x here 3 True\n"
    helped = CliRunner().invoke(app, ["--help"]).output
    assert "Where." in helped and "Declared below." in helped and "Help." in helped
    assert CliRunner().invoke(app, ["x"]).exit_code == 2
    command(name="y", place=Place(place="there"))  # and called directly, by value or by option
    command(name="y", place="there", depth=2)
    assert [*inspect.signature(command).parameters] == ["name", "place", "depth", "loud"]


def test_no_function_of_the_command_line_takes_more_than_six_parameters_and_no_command_more_than_eight() -> None:
    many = {}
    for path in (ROOT / "gateway" / "cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count = len([each for each in (*node.args.args, *node.args.kwonlyargs) if each.arg != "self"])
                if count > (8 if any("command" in ast.unparse(each) for each in node.decorator_list) else 6):
                    many[f"{path.name}:{node.name}"] = count
    assert not many
