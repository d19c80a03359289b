"""`./lgsp test --quick`: style, the import rule, types of what changed, and the tests of the packages that changed,
then of those that import them directly, the cheapest file first, until two minutes are up. No server is started.

What changed is the difference to the merge base with `origin/main`, or to `--since COMMIT`, with what is not committed.
Where there is neither, it is what is not committed, or else the last commit.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests import durations
from tests.lanes import ROOT, test_files

SECONDS: Final = 120.0  # of all together
_KEPT: Final = 12.0  # of these, for the end of the tests that have begun, and for what is said
_OURS: Final = ("gateway", "adapters", "contracts", "security", "examples", "bench")
# Files that are no modules of a package, and whose tests they are.
_ELSEWHERE: Final = {"openapi": ("doors", "console"), "docs": ("project",), "deploy": ("project",)}


def git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def changed(since: str | None) -> tuple[str, list[str]]:
    """Since which commit, in words, and the files that changed since then, relative to the project."""
    base = since
    if base is None:
        found = subprocess.run(
            ["git", "merge-base", "origin/main", "HEAD"], cwd=ROOT, capture_output=True, text=True
        ).stdout.strip()
        base = found or "HEAD"
    named = _different(base)
    if not named and since is None:
        base = "HEAD~1"
        named = _different(base)
    return base, named


def _different(base: str) -> list[str]:
    new = git("ls-files", "--others", "--exclude-standard")
    return sorted({*git("diff", "--name-only", base, "--").splitlines(), *new.splitlines()})


def package_of(path: str) -> str:
    """`gateway/feeds` of `gateway/feeds/pages.py`, `contracts/codecs` of a module below it, `security` of one in it;
    nothing for a file outside the packages."""
    parts = Path(path).parts
    if parts[0] not in _OURS or len(parts) < 2:
        return ""
    inner = len(parts) > 2 and parts[0] in ("gateway", "contracts", "security", "examples")
    return "/".join(parts[:2]) if inner else parts[0]


def tests_of(package: str) -> str:
    """The folder of a package's tests, relative to the project; nothing where it has none."""
    below = package.removeprefix("gateway/")
    for folder in (below, below.split("/", maxsplit=1)[0]):
        if (ROOT / "tests" / folder).is_dir():
            return f"tests/{folder}"
    return ""


def importing(packages: set[str]) -> set[str]:
    """The packages that import one of these directly."""
    import grimp

    graph = grimp.build_graph(*_OURS, cache_dir=str(ROOT / ".import_linter_cache"))
    found: set[str] = set()
    for module in graph.modules:
        if package_of(module.replace(".", "/") + ".py") in packages:
            found |= {
                package_of(each.replace(".", "/") + ".py") for each in graph.find_modules_that_directly_import(module)
            }
    return found - packages - {""}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Files of tests, the cheapest first."""

    first: list[str]  # of what changed
    then: list[str]  # of what imports it


def choose(files: Iterable[str], importers: Callable[[set[str]], set[str]] = importing) -> Chosen:
    """The tests of what changed, and of what imports it."""
    packages: set[str] = set()
    first: set[str] = set()  # files, and folders
    for path in files:
        parts = Path(path).parts
        if package := package_of(path):
            packages.add(package)
        elif parts[0] == "tests":
            whole = not parts[-1].startswith("test_") and len(parts) > 2
            first |= {str(Path(*parts[:-1])) if whole else path} if len(parts) > 2 else {"tests/project"}
        else:
            first |= {f"tests/{each}" for each in _ELSEWHERE.get(parts[0], ("project",))}
    first |= {tests_of(package) for package in packages} - {""}
    then = {tests_of(package) for package in importers(packages)} - {""} if packages else set()
    changed_ones = _below(first)
    return Chosen(_cheapest(changed_ones), _cheapest(_below(then) - changed_ones))


def _below(paths: Iterable[str]) -> set[str]:
    return {each for path in paths for each in test_files() if each == path or each.startswith(f"{path}/")}


def _cheapest(files: Iterable[str]) -> list[str]:
    return sorted(files, key=lambda file: (durations.seconds_of(file), file))


def main(since: str | None) -> int:
    start = time.monotonic()
    ends = time.time() + SECONDS
    from tests.suite import CHECKS, PYTHON, Run, Step, run, run_tests, summary

    base, files = changed(since)
    chosen = choose(files)
    print(f"{len(files)} files changed since {base}")
    for said, named in (("their tests", chosen.first), ("then, until two minutes are up", chosen.then)):
        folders = sorted({str(Path(file).parent) for file in named})
        print(f"{said}: {len(named)} files of {', '.join(folders) or 'none'}", flush=True)
    asked = (*chosen.first, *chosen.then)
    words = ("-m", "not server and not full", "--cheapest", "--until", str(ends - _KEPT))
    tests = Run("tests", asked, (*words, "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"))
    typed = [path for path in files if path.endswith(".py") and (ROOT / path).exists()]
    wanted = {name: command for name, command in CHECKS.items() if not name.startswith("mypy")}
    if typed:
        wanted["mypy --strict, of what changed"] = [PYTHON, "-m", "mypy", *typed]
    with tempfile.TemporaryDirectory() as made, ThreadPoolExecutor(1) as second:

        def checks() -> list[Step]:
            return [run(name, command, Path(made) / f"{name}.txt") for name, command in wanted.items()]

        aside = second.submit(checks)
        steps = [run_tests(tests, Path(made), empty=True)] if asked else []
        steps = [*aside.result(), *steps]
    code = summary(steps, start)
    print("left out: servers, the full lane, and packages that import these through others. ./lgsp test runs more.")
    return code
