"""Which tests of a tree have passed, so that `./lgsp test --full --continue` goes on where an earlier run stopped.

`--green FILE` of pytest notes each test's end in a file as it comes. With `--continue` a file of which every test has
passed is not run again. The notes are of one tree: a changed tree begins anew.
"""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.lanes import ROOT

_FOLDER: Final = ROOT / ".pytest_cache" / "green"  # git does not keep it


def place() -> Path | None:
    """Of this tree: its commit, what is changed, and what is new. Nothing outside of a git checkout."""

    def git(*words: str) -> bytes:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True).stdout

    if not (ROOT / ".git").exists():
        return None
    tree = hashlib.sha256(git("rev-parse", "HEAD") + git("diff", "HEAD", "--binary"))
    for name in sorted(filter(None, git("ls-files", "-z", "--others", "--exclude-standard").split(b"\0"))):
        tree.update(name + (ROOT / name.decode()).read_bytes())
    _FOLDER.mkdir(parents=True, exist_ok=True)
    return _FOLDER / tree.hexdigest()[:20]


def passed(notes: Path) -> set[str]:
    """The names of the tests whose last run passed, or was skipped."""
    last: dict[str, str] = {}
    for line in notes.read_text("utf-8").splitlines() if notes.exists() else ():
        outcome, _, name = line.partition(" ")
        last[name] = outcome
    return {name for name, outcome in last.items() if outcome == "ok"}


def leave_out(notes: Path, items: list[pytest.Item]) -> list[pytest.Item]:
    """Takes the files out of `items` of which every test has passed, and returns their tests."""
    good = passed(notes)
    bad = {item.path for item in items if item.nodeid not in good}
    out = [item for item in items if item.path not in bad]
    items[:] = [item for item in items if item.path in bad]
    return out


class Noting:
    """A plugin of the process that gathers the reports."""

    def __init__(self, notes: Path) -> None:
        self._notes: Final = notes
        self._failed: Final = set[str]()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.add(report.nodeid)
        if report.when == "teardown":
            outcome = "failed" if report.nodeid in self._failed else "ok"
            with self._notes.open("a", encoding="utf-8") as notes:
                notes.write(f"{outcome} {report.nodeid}\n")
