"""Text of others on a terminal: nothing in it moves the cursor, colours a verdict, or turns the order of letters."""

from __future__ import annotations

import ast
import io
import json
from pathlib import Path
from typing import Any

import pytest

from contracts.base.visible import visible
from gateway.cli import client
from gateway.cli.common.output import emit, say
from tests.contracts.base.test_visible import UNSEEN


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.attack("text that speaks to a terminal")
def test_no_character_that_a_terminal_obeys_or_hides_is_left() -> None:
    left = [each for each in UNSEEN if each in visible(f"a{each}b")]
    assert not left, [f"U+{ord(each):04X}" for each in left]


@pytest.mark.attack("text that speaks to a terminal")
@pytest.mark.parametrize("as_json", [True, False])
def test_a_command_shows_it_as_escapes_and_writes_it_whole_into_a_file(
    monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    hostile = "Sở\u202e\x9b2J\u061c"
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr("sys.stdout", stream)
        result: dict[str, Any] = {"ok": True, "name": hostile}
        with pytest.raises(SystemExit):
            emit(result, as_json, hostile)
        say(hostile, end="")
        text = stream.getvalue()
        assert any(each in text for each in UNSEEN if each != "\n") is not stream.isatty()
        assert not as_json or json.loads(text.partition("\n")[0]) == result


@pytest.mark.attack("text that speaks to a terminal")
def test_the_kits_commands_print_by_no_other_way() -> None:
    """What they print comes from a gateway, and from feeds that many wrote."""
    folder = Path(client.__file__).parent
    calls = {
        (file.name, node.lineno)
        for file in folder.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.stdout.write", "sys.stderr.write")
    }
    assert not calls
