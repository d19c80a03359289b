"""The shell script `lgsp`, with a Python that only pretends: what is made, when, where, and what is said when it cannot
be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = (
    "sh",
    "dirname",
    "readlink",
    "cmp",
    "cut",
    "cksum",
    "grep",
    "tail",
    "cp",
    "mv",
    "rm",
    "mkdir",
    "cat",
    "sleep",
    "chmod",
    "touch",
)

# Stands for any Python: has a version, makes "environments" that hold itself, "installs" by noting it, "runs" by saying
# how it was called.
PYTHON = """#!/bin/sh
case "$*" in
  *version_info*) [ -z "$PRETEND_OLD" ]; exit ;;
  *ensurepip*) [ -z "$PRETEND_BARE" ]; exit ;;
  *fcntl*) exec {real} "$@" ;;
  "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; echo "made $3" >>"$NOTES" ;;
  "-m pip "*) sleep "${{PRETEND_SLOW:-0}}"; echo "installed" >>"$NOTES"; [ -z "$PRETEND_BROKEN" ] ;;
  *) echo "ran in $PWD: $*"; echo "path $PYTHONPATH" ;;
esac
"""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A folder with the script, its locks, and a home beside it."""

    folder: Path
    home: Path
    bin: Path
    notes: Path

    def run(
        self, *arguments: str, cwd: Path | None = None, before: tuple[str, ...] = (), **environment: str
    ) -> subprocess.CompletedProcess[str]:
        env = {
            "PATH": str(self.bin),
            "HOME": str(self.home),
            "NOTES": str(self.notes),
            "LANG": "C.UTF-8",
            **environment,
        }
        command = [*before, str(self.folder / "lgsp"), *arguments]
        return subprocess.run(
            command, cwd=cwd or self.home, env=env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
        )

    def noted(self, what: str) -> int:
        return self.notes.read_text("utf-8").count(what)


@pytest.fixture
def checkout() -> Iterator[Checkout]:
    with tempfile.TemporaryDirectory() as made:
        top = Path(made) / "a folder of spaces"
        parts = Checkout(top / "check out", top / "home", top / "bin", top / "notes")
        for folder in (parts.folder, parts.home, parts.bin):
            folder.mkdir(parents=True)
        parts.notes.touch()
        for name in ("lgsp", "requirements.lock", "requirements-test.lock"):
            shutil.copy(ROOT / name, parts.folder)
        for tool in TOOLS:
            (parts.bin / tool).symlink_to(shutil.which(tool) or tool)
        python = parts.bin / "python3"
        python.write_text(PYTHON.format(real=_any_python()), "utf-8")
        python.chmod(0o755)
        yield parts


def _any_python() -> Path:
    """A Python that another user could run too: the system's own, else the one of this run."""
    system = Path("/usr/bin/python3")
    return system if system.exists() else Path(sys.executable)


def test_it_makes_the_environment_once_and_runs_where_the_caller_stands(checkout: Checkout) -> None:
    first = checkout.run("up", "--port", "a b")
    assert first.returncode == 0, first.stderr
    assert f"ran in {checkout.home}: -m bench.launcher up --port a b" in first.stdout
    assert f"path {checkout.folder}" in first.stdout
    assert "Đang cài" in first.stderr and "Installing" in first.stderr
    assert (checkout.folder / ".venv" / "requirements.lock").read_bytes() == (ROOT / "requirements.lock").read_bytes()
    second = checkout.run("up", cwd=checkout.bin)
    assert second.returncode == 0 and second.stderr == "" and f"ran in {checkout.bin}: " in second.stdout
    assert checkout.noted("made ") == 1 and checkout.noted("installed") == 1


def test_it_is_found_through_a_link(checkout: Checkout) -> None:
    (checkout.bin / "lgsp").symlink_to(checkout.folder / "lgsp")
    got = subprocess.run(
        ["lgsp", "up"],
        cwd=checkout.home,
        env={"PATH": str(checkout.bin), "HOME": "/", "NOTES": str(checkout.notes)},
        capture_output=True,
        text=True,
    )
    assert f"path {checkout.folder}" in got.stdout, got.stderr


def test_an_interrupted_install_is_done_again(checkout: Checkout) -> None:
    broken = checkout.run("up", PRETEND_BROKEN="yes")
    assert broken.returncode == 3 and "Không cài được" in broken.stderr and "could not be installed" in broken.stderr
    assert not (checkout.folder / ".venv" / "requirements.lock").exists()
    assert checkout.run("up").returncode == 0
    assert checkout.noted("made ") == 2


def test_a_changed_lock_makes_it_anew_and_the_test_lock_goes_on_top(checkout: Checkout) -> None:
    checkout.run("up")
    tested = checkout.run("test", "tests/security", "-k", "x")
    assert f"ran in {checkout.folder}: tests/suite.py tests/security -k x" in tested.stdout
    assert checkout.noted("made ") == 1 and checkout.noted("installed") == 2
    with (checkout.folder / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert f"ran in {checkout.folder}: tests/suite.py" in checkout.run("test").stdout
    assert checkout.noted("made ") == 2 and checkout.noted("installed") == 4


def test_the_tasks_of_a_checkout_run_in_its_folder(checkout: Checkout) -> None:
    formatted = checkout.run("fmt")
    assert [line for line in formatted.stdout.splitlines() if line.startswith("ran")] == [
        f"ran in {checkout.folder}: -m ruff check --fix .",
        f"ran in {checkout.folder}: -m ruff format .",
    ]
    assert f"ran in {checkout.folder}: tests/pages.py --check" in checkout.run("docs", "--check").stdout


def test_two_at_once_make_it_once(checkout: Checkout) -> None:
    env = {"PATH": str(checkout.bin), "HOME": str(checkout.home), "NOTES": str(checkout.notes), "PRETEND_SLOW": "0.7"}
    both = [
        subprocess.Popen(
            [str(checkout.folder / "lgsp"), "up"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60) for process in both]
    assert all(
        process.returncode == 0 and "-m bench.launcher up" in out for process, (out, _) in zip(both, said, strict=True)
    ), said
    assert checkout.noted("made ") == 1 and checkout.noted("installed") == 1
    assert sum("waiting" in err for _, err in said) == 1


def test_the_place_can_be_chosen(checkout: Checkout) -> None:
    assert checkout.run("up", LGSP_VENV="my env").returncode == 0
    assert (checkout.home / "my env" / "requirements.lock").exists() and not (checkout.folder / ".venv").exists()


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("/nowhere/python3", ("không có chương trình /nowhere/python3", "there is no program /nowhere/python3")),
        ("old python", ("không phải Python 3.11", "is not Python 3.11 or newer")),
        ("bare python", ("thiếu mô-đun venv", "lacks the venv module")),
    ],
)
def test_a_named_python_that_does_not_fit_is_refused_and_no_other_is_taken(
    checkout: Checkout, named: str, words: tuple[str, ...]
) -> None:
    for name, refused in (("old python", "version_info"), ("bare python", "ensurepip")):
        (checkout.bin / name).write_text(f'#!/bin/sh\ncase "$*" in *{refused}*) exit 1 ;; esac\n', "utf-8")
        (checkout.bin / name).chmod(0o755)
    got = checkout.run("up", LGSP_PYTHON=named)
    assert got.returncode == 3 and all(word in got.stderr for word in words), got.stderr
    assert checkout.noted("made ") == 0
    (checkout.bin / "my python").symlink_to(checkout.bin / "python3")
    assert checkout.run("up", LGSP_PYTHON="my python").returncode == 0


def test_a_named_place_that_cannot_be_made_is_refused_in_words(checkout: Checkout) -> None:
    (checkout.home / "file").touch()
    got = checkout.run("up", LGSP_VENV=str(checkout.home / "file" / "venv"))
    assert got.returncode == 3 and "Name a place that can be written to with LGSP_VENV" in got.stderr
    assert "Không tạo được gì tại" in got.stderr and len(got.stderr.splitlines()) == 2, got.stderr


@pytest.mark.parametrize("held", ["thesis.odt", ".profile", "pyvenv.cfg"])
def test_a_folder_that_it_did_not_make_is_never_removed(checkout: Checkout, held: str) -> None:
    (checkout.home / "mine").mkdir()
    (checkout.home / "mine" / held).write_text("dear", "utf-8")
    got = checkout.run("up", LGSP_VENV="mine")
    assert (
        got.returncode == 3
        and "không phải do lgsp tạo" in got.stderr
        and "name another place with LGSP_VENV" in got.stderr
    )
    assert (checkout.home / "mine" / held).read_text("utf-8") == "dear" and checkout.noted("made ") == 0
    (checkout.home / "mine" / held).unlink()
    assert checkout.run("up", LGSP_VENV="mine").returncode == 0


def test_a_checkout_of_somebody_else_is_left_alone(checkout: Checkout) -> None:
    nobody: tuple[str, ...] = ()
    if os.geteuid() == 0:  # root may write anywhere, so be somebody else
        nobody = (shutil.which("setpriv") or "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        for folder in (checkout.folder.parents[1], checkout.home, checkout.notes):
            folder.chmod(0o777)
    checkout.folder.chmod(0o555)
    got = checkout.run("up", before=nobody)
    assert got.returncode == 0, got.stderr
    assert not (checkout.folder / ".venv").exists()
    assert len(list((checkout.home / ".cache" / "lgsp").glob("venv-*/requirements.lock"))) == 1
    assert checkout.run("up", before=nobody).stderr == ""
    checkout.folder.chmod(0o755)


@pytest.mark.parametrize(
    ("pretended", "words"),
    [
        ("PRETEND_OLD", ("Không tìm thấy Python 3.11", "No Python 3.11 or newer")),
        ("PRETEND_BARE", ("python3-venv", "thiếu mô-đun venv")),
    ],
)
def test_without_a_fit_python_it_says_what_to_do(checkout: Checkout, pretended: str, words: tuple[str, ...]) -> None:
    pretence: dict[str, Any] = {pretended: "yes"}
    got = checkout.run("up", **pretence)
    assert got.returncode == 3 and all(word in got.stderr for word in words)
    (checkout.bin / "python3").unlink()
    none = checkout.run("up")
    assert none.returncode == 3 and "no Python at all" in none.stderr and "LGSP_PYTHON" in none.stderr
