"""The component system's side stays apart: it imports no other code of the gateway, and nothing that is not there at
run time."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAULTS = "gateway.sandbox.simulation.faults"  # what stand-ins do wrong; the rest of its package reads contracts
APART = ("gateway.sample_client", "gateway.sandbox.standins", "gateway.audit.verifier", "examples", FAULTS)
OURS = {"gateway", "security", "contracts", "adapters", "bench", "examples", "tests"}
OUTSIDE = {"lxml", "cryptography", "jwt", "zeep", "aiohttp", "yaml", "yarl"}
ON_THE_KIT = ROOT / "examples" / "centre_consumer.py"  # shows how to use it
FILES = sorted({path for package in APART for path in (ROOT / package.replace(".", "/")).rglob("*.py")} - {ON_THE_KIT})
FILES.append(ROOT / f"{FAULTS.replace('.', '/')}.py")


def imported(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(ROOT)) for file in FILES])
def test_imports(file: Path) -> None:
    names = imported(file)
    ours = {name for name in names if name.partition(".")[0] in OURS}
    assert not {name for name in ours if not f"{name}.".startswith(tuple(f"{each}." for each in APART))}
    assert {name.partition(".")[0] for name in names - ours} - set(sys.stdlib_module_names) <= OUTSIDE


def test_the_consumer_of_the_centre_stands_on_the_kit_alone() -> None:
    ours = {name for name in imported(ON_THE_KIT) if name.partition(".")[0] in OURS}
    assert ours and all(name.startswith("gateway.client.") for name in ours)


def test_what_is_used_is_installed_with_the_product() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    names = {line.partition("=")[0].partition(">")[0].partition("[")[0].strip().lower() for line in wanted}
    assert {{"jwt": "pyjwt", "yaml": "pyyaml"}.get(name, name) for name in OUTSIDE} <= names
