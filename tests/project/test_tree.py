"""The tree itself: sizes, what must not stand in it, locks, container files."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from itertools import takewhile
from pathlib import Path

import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema

from gateway.processes.supervisor import patience
from gateway.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gateway", "adapters", "contracts", "security", "examples", "bench")
CODE = sorted(path for package in (*PACKAGES, "tests", "deploy") for path in (ROOT / package).rglob("*.py"))


def _tracked() -> list[Path]:
    """The files of the project: git's list in a clone, else all that stands there (an unpacked archive)."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        command = [
            "git",
            "-c",
            f"safe.directory={ROOT}",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]
        names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
        return [ROOT / name for name in names if name and (ROOT / name).is_file()]
    return [path for path in ROOT.rglob("*") if path.is_file() and not {".venv", "__pycache__"} & set(path.parts)]


def _texts() -> dict[str, str]:
    found = {}
    for path in _tracked():
        raw = path.read_bytes()
        if b"\0" not in raw[:8192]:
            found[str(path.relative_to(ROOT))] = raw.decode("utf-8")  # everything of ours is UTF-8
    return found


def test_no_module_is_over_400_lines() -> None:
    long = {str(path.relative_to(ROOT)): n for path in CODE if (n := len(path.read_text("utf-8").splitlines())) > 400}
    assert not long


def test_every_module_says_what_it_is_for() -> None:
    ours = [path for path in CODE if path.stat().st_size and path.name != "conftest.py"]
    silent = [str(path.relative_to(ROOT)) for path in ours if not ast.get_docstring(ast.parse(path.read_text("utf-8")))]
    assert not silent


def test_nothing_of_a_machine_and_no_secret_in_the_tree() -> None:
    # Written so that this file does not find itself.
    forbidden = {
        "a private key": re.compile("-----BEGIN (?:[A-Z]+ )?PRIVATE" + " KEY"),
        "a registry's host": re.compile("pypi" + r"\.org|python" + "hosted|registry" + r"\.npmjs|deb" + r"\.debian"),
        "a path of one machine": re.compile("/(?:" + "work|home|root|Users)/" + r"[a-z._]"),
        # in backquotes it is named, as where the guide says what a drafted contract leaves to people
        "something left open": re.compile(
            r"(?<!`)\b(?:" + "TO" + "DO|FIX" + "ME|X" + r"XX)\b|raise Not" + "ImplementedError"
        ),
    }
    found = [
        f"{name}:{text.count(chr(10), 0, hit.start()) + 1}: {what}: {hit.group()}"
        for name, text in _texts().items()
        for what, pattern in forbidden.items()
        for hit in pattern.finditer(text)
    ]
    assert not found


@pytest.mark.parametrize(
    ("name", "least"), [("requirements.lock", 40), ("requirements-build.lock", 4), ("requirements-test.lock", 40)]
)
def test_locks_pin_everything_by_hash_and_name_no_index(name: str, least: int) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert "://" not in text
    assert not re.search(r"^-", text, re.M), "options belong to whoever installs"
    entries = [entry for entry in text.replace("\\\n", " ").splitlines() if entry.strip()]
    assert len(entries) > least
    loose = [
        entry
        for entry in entries
        if not re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", entry)
    ]
    assert not loose


def _pins(name: str) -> dict[str, str]:
    found = re.findall(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==(\S+)", (ROOT / name).read_text("utf-8"), re.M)
    return dict(found)


def _lock_names(name: str) -> set[str]:
    return set(_pins(name))


def _declared(entries: list[str]) -> set[str]:
    return {re.match(r"[A-Za-z0-9._-]+", entry).group().lower() for entry in entries}  # type: ignore[union-attr]


def _imported(folders: tuple[str, ...]) -> set[str]:
    """Distributions that the code imports, except the standard library and the house itself."""
    roots: set[str] = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    roots |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    roots.add(node.module.partition(".")[0])
    by_import = packages_distributions()
    return {
        by_import.get(root, [root])[0].lower().replace("_", "-")
        for root in roots - set(sys.stdlib_module_names) - {*PACKAGES, "tests"}
    }


def test_what_the_code_imports_is_declared_and_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    run = _declared(project["dependencies"])
    optional = [each for name in ("pkcs11", "parquet") for each in project["optional-dependencies"][name]]
    assert _imported(PACKAGES[:4]) <= run | _declared(optional)
    assert _imported(("tests", *PACKAGES[4:])) <= run | _declared(project["optional-dependencies"]["test"])
    assert run <= _lock_names("requirements.lock")
    locked = _lock_names("requirements.lock") | _lock_names("requirements-test.lock")
    assert _declared(project["optional-dependencies"]["test"]) <= locked


def test_the_tests_build_with_what_a_release_is_built_with() -> None:
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
    build = _pins("requirements-build.lock")
    assert _declared(requires) <= set(build)
    assert build.items() <= (_pins("requirements.lock") | _pins("requirements-test.lock")).items()


def test_the_compose_file_follows_the_compose_schema() -> None:
    import jsonschema_rs

    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    jsonschema_rs.validator_for(get_builtin_schema("vendor.compose-spec")).validate(compose)
    service = compose["services"]["gateway"]
    assert service["volumes"] == ["data:/data"] and "data" in compose["volumes"]
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert re.search(r"^USER 10001:10001$", dockerfile, re.M) and 'CMD ["up"]' in dockerfile


def test_whoever_runs_it_waits_as_long_as_the_supervisor_does_before_killing(tmp_path: Path) -> None:
    """The unit and the container: nothing under way is cut off; and the words of the units are commands that there
    are."""
    longest = patience(Settings(tmp_path))
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    assert int(compose["services"]["gateway"]["stop_grace_period"].removesuffix("s")) > longest
    for name in ("lgsp.service", "lgsp-witness.service"):
        lines = (ROOT / "deploy" / name).read_text("utf-8").splitlines()
        unit = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        program, *words = unit["ExecStart"].split()
        assert (
            program.endswith("/bin/lgsp")
            and f"/var/lib/{unit['User']}" in words
            and unit.get("StateDirectory", unit["User"]) == unit["User"]
        )
        asked = list(takewhile(lambda word: not word.startswith("-"), words))
        helped = subprocess.run(
            [sys.executable, "-m", "gateway", *asked, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert helped.returncode == 0 and all(word in helped.stdout for word in words if word.startswith("--")), (
            helped.stderr
        )
        assert name != "lgsp.service" or (int(unit["TimeoutStopSec"]) > longest and unit["KillMode"] == "mixed")


def test_the_shell_scripts_are_sound() -> None:
    scripts = [str(ROOT / "lgsp"), *map(str, sorted((ROOT / "deploy").glob("*.sh")))]
    for script in scripts:
        assert os.access(script, os.X_OK)
        subprocess.run(["sh", "-n", script], check=True)
    if shutil.which("shellcheck"):  # the script itself is the witness that `sh -n` cannot be
        subprocess.run(["shellcheck", "-s", "sh", *scripts], check=True)
        subprocess.run(["shellcheck", "-s", "bash", str(ROOT / ".ci" / "run")], check=True)
    assert "./lgsp test" in (ROOT / ".ci" / "run").read_text("utf-8")
