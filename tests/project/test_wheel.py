"""What `pip install .` brings: every file of the packages, data files too, and a command that works from any folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.full

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gateway", "adapters", "contracts", "security", "openapi")


def _pip(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments],
        check=True,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    (made,) = folder.glob("lgsp-*.whl")
    return made


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (points,) = (archive.read(name).decode() for name in names if name.endswith("entry_points.txt"))
        (about,) = (archive.read(name).decode() for name in names if name.endswith("METADATA"))
    ours = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in path.parts)
    }
    assert ours <= names
    assert {name.partition("/")[0] for name in names if "dist-info" not in name} == {*PACKAGES}
    assert {"gateway/sample_client/rest.py", "gateway/audit/verifier/check.py"} <= names
    foreign = [each for each in (ROOT / "examples" / "foreign").rglob("*.*") if each.is_file()]
    assert len(foreign) > 4
    assert {f"gateway/doors/{each.relative_to(ROOT / 'examples').as_posix()}" for each in foreign} <= names
    assert "lgsp = gateway.cli:main" in points
    assert "License-Expression: Apache-2.0" in about and "Requires-Python: >=3.11" in about


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("installed")
    _pip("install", "--no-deps", "--target", str(place), str(wheel))
    return place


def _lgsp(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("LGSP_")}
    env |= {"PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    code = (
        "import sys, gateway; from gateway.client import Client; from gateway.cli import main; assert "
        "sys.argv.pop(1) in gateway.__file__; main()"
    )
    command = [sys.executable, "-c", code, str(installed), *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


@pytest.mark.server
def test_what_was_installed_works_from_any_folder(installed: Path, tmp_path: Path) -> None:
    anywhere = tmp_path / "any where"
    anywhere.mkdir()
    ran = _lgsp(installed, anywhere, "contract", "check", "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads(ran.stdout)["ok"] is True
    code = "from gateway.doors.programs import programs; print(*sorted(programs()))"
    env = {"PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    told = subprocess.run([sys.executable, "-c", code], cwd=anywhere, env=env, capture_output=True, text=True)
    assert told.stdout.split() == ["Lgsp.cs", "Lgsp.csproj", "Lgsp.java", "lgsp-python.zip", "lgsp.mjs", "lgsp.sh"]


@pytest.mark.server
@pytest.mark.parametrize("words", [["demo", "--keep", "here"], ["bench", "--quick"], ["bundle", "lgsp.tar"]])
def test_what_only_a_checkout_has_says_how_to_get_it(installed: Path, tmp_path: Path, words: list[str]) -> None:
    ran = _lgsp(installed, tmp_path, *words)
    assert ran.returncode == 2 and not ran.stdout and not any(tmp_path.iterdir())
    assert f"./lgsp {words[0]}" in ran.stderr and "source checkout" in ran.stderr and "mã nguồn" in ran.stderr
    error = json.loads(_lgsp(installed, tmp_path, *words, "--json").stdout)["error"]
    assert error["code"] == "checkout-only" and f"./lgsp {words[0]}" in error["next"]
