"""The pages made from code are up to date, and say everything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer

from gateway.cli.tree import app
from gateway.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def test_every_generated_page_is_up_to_date() -> None:
    """In a process of its own: pytest, which lists the attacks, does not like to be called from within."""
    command = [sys.executable, "tests/pages.py", "--check"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_setting_is_explained() -> None:
    page = (DOCS / "settings.md").read_text("utf-8")
    for item in fields(Settings):
        if item.name != "data":
            assert item.metadata["help"] and f"LGSP_{item.name.upper()}" in page


def test_no_text_names_a_command_that_there_is_not() -> None:
    top: Any = typer.main.get_command(app)
    within = {name: set(getattr(found, "commands", {})) for name, found in top.commands.items()}
    texts = [
        path
        for room in ("gateway", "contracts", "adapters", "security", "examples")
        for path in (ROOT / room).rglob("*.py")
    ]
    texts += [*DOCS.rglob("*.md"), *ROOT.glob("README*.md"), *(ROOT / "openapi").glob("*.yaml")]
    for path in texts:
        for first, second in re.findall(
            r"(?:`|--|: |[/(] ?)lgsp ([a-z]+(?:-[a-z]+)*)(?: ([a-z]+(?:-[a-z]+)*))?", path.read_text("utf-8")
        ):
            assert first in {*within, "test", "fmt", "docs", "and"}, (
                path,
                first,
            )  # `./lgsp test`, `fmt`, `docs` are the checkout's own, "and" is prose
            assert not second or not within.get(first) or second in within[first], (path, first, second)
