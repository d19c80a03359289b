"""Programs of older releases, made from their commits, and machines that run one program or another."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from gateway.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
# Release -> the commit that it is made from. Of 0.1.0 there were many: this one is of two days before 0.2.0.
COMMITS = {"0.2.0": "8bdc05bb51b420f95eeefaa0b2f89d88cc811021", "0.1.0": "588830a335e2de9b1f99cc92c8cd720d2f36d02f"}
_kept = ExitStack()


@cache
def program(release: str) -> Path:
    """The folder with the unpacked wheel of that release; skips the test by name where the clone lacks its commit."""
    commit = COMMITS[release]
    found = subprocess.run(["git", "cat-file", "-e", f"{commit}^{{commit}}"], cwd=ROOT, capture_output=True)
    if found.returncode:
        pytest.skip(f"release {release} is left out: this clone has no commit {commit}")
    folder = Path(_kept.enter_context(TemporaryDirectory(prefix=f"lgsp-{release}-")))
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder / "source", filter="data")
    words = ["wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder), "."]
    subprocess.run([sys.executable, "-m", "pip", *words], cwd=folder / "source", check=True)
    (wheel,) = folder.glob(f"lgsp-{release}-*.whl")
    with zipfile.ZipFile(wheel) as packed_wheel:
        packed_wheel.extractall(folder / "program")
    return folder / "program"


def forget_programs() -> None:
    """To be called at the end of the module: their folders are removed."""
    _kept.close()
    program.cache_clear()


def command(code: Path, *words: str) -> dict[str, Any]:
    """What `lgsp words… --json` of that program answers."""
    line = [sys.executable, "-m", "gateway", *words, "--json"]
    ended = subprocess.run(line, cwd=code, env=_environment(), capture_output=True, text=True, timeout=300)
    assert ended.stdout, ended.stderr[-2000:]
    return dict(json.loads(ended.stdout))


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "PYTHONPATH"))}
    return kept | {"XDG_RUNTIME_DIR": os.environ.get("XDG_RUNTIME_DIR", "/tmp")}


@dataclass
class Machine:
    """One `lgsp up`, of one program after another."""

    settings: Settings
    process: subprocess.Popen[str] | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.settings.data.with_suffix(".log")

    def start(self, code: Path) -> dict[str, Any]:
        """Its first line: ready, or why not. A process that was late, on a machine that is busy, is started again."""
        for _ in range(4):
            said = self._start(code)
            if said["ok"] or said["error"]["code"] != "not-started":
                break
        return said

    def _start(self, code: Path) -> dict[str, Any]:
        line = [sys.executable, "-m", "gateway", "up", "--json", "--data", str(self.settings.data)]
        line += ["--without", "truong-ha", "--without", "traffic"]
        with self.log.open("ab") as err:
            self.process = subprocess.Popen(
                line, cwd=code, env=_environment(), stdout=subprocess.PIPE, stderr=err, text=True
            )
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said, self.log.read_text("utf-8", "replace")[-2000:]
        answer: dict[str, Any] = json.loads(said)
        if not answer["ok"]:
            self.process.wait(120)
        return answer

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(120)
            self.process = None

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@pytest.fixture(scope="module")
def programs() -> Iterator[None]:
    """Removes what `program` made when the module ends."""
    yield
    forget_programs()
