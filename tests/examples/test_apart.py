"""The vendor's side stays apart: it imports nothing of the gateway, and nothing that is not there at run time."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUSE = {"gateway", "security", "contracts", "adapters", "bench"}
OUTSIDE = {"lxml", "cryptography", "jwt", "zeep", "aiohttp", "yaml", "yarl"}
FILES = sorted((ROOT / "examples").rglob("*.py"))


def imported(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(ROOT)) for file in FILES])
def test_imports(file: Path) -> None:
    names = imported(file)
    assert not names & HOUSE
    assert names - set(sys.stdlib_module_names) - {"examples"} <= OUTSIDE
    assert len(file.read_text("utf-8").splitlines()) <= 400


def test_what_is_used_is_installed_with_the_product() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    names = {line.partition("=")[0].partition(">")[0].partition("[")[0].strip().lower() for line in wanted}
    assert {{"jwt": "pyjwt", "yaml": "pyyaml"}.get(name, name) for name in OUTSIDE} <= names
