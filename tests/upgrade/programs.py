"""Programs of older releases, each a wheel made from its commit, and machines that run one program or another."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import pytest
from packaging.markers import Marker

from bench.demo import demo_settings
from bench.ports import free_ports
from gateway.settings import PREFIX, Settings
from gateway.settings.saving import save

ROOT = Path(__file__).parents[2]
# Release -> the commit that it is made from. Of 0.1.0 there were many: this one is of two days before 0.2.0.
COMMITS = {"0.2.0": "8bdc05bb51b420f95eeefaa0b2f89d88cc811021", "0.1.0": "588830a335e2de9b1f99cc92c8cd720d2f36d02f"}
_LOCK = "requirements.lock"
_PINNED = re.compile(r"^([\w.-]+)==(\S+)(?: ; (.+?))? \\$", re.MULTILINE)
_kept = ExitStack()


@dataclass(frozen=True, slots=True)
class Program:
    """A gateway: the folder of its packages, and the interpreter that has what it imports."""

    release: str
    code: Path
    python: str = sys.executable

    def lgsp(self, *words: str) -> dict[str, Any]:
        """What `lgsp words… --json` answers."""
        ended = self._run(*words, "--json")
        assert ended.stdout, ended.stderr[-2000:]
        return dict(json.loads(ended.stdout))

    def up(
        self,
        settings: Settings,
        *words: str,
        err: IO[bytes],
        out: IO[bytes] | None = None,
        machine: str = "",
        within: Sequence[str] = (),
    ) -> subprocess.Popen[str]:
        """`lgsp up --json words…`. `out`: None for a pipe. `machine`: its name, if not that of the host. `within`: the
        command that starts it."""
        line = [*within, self.python, "-m", "gateway", "up", "--json", "--data", str(settings.data), *words]
        named = {f"{PREFIX}MACHINE": machine} if machine else {}
        if self is NEW:  # of a machine that is busy with other tests; the older release refuses it in the file
            named[f"{PREFIX}DATABASE_SECONDS"] = "20"
        return subprocess.Popen(
            line, cwd=self.code, env=_environment() | named, stdout=out or subprocess.PIPE, stderr=err, text=True
        )

    def says(self, script: str) -> str:
        """What a script prints that imports this program's packages."""
        line = [self.python, "-c", script]
        ran = subprocess.run(line, cwd=self.code, env=_environment(), capture_output=True, text=True, check=True)
        return ran.stdout

    def version(self) -> str:
        return self._run("--version").stdout.strip()

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        line = [self.python, "-m", "gateway", *words]
        return subprocess.run(line, cwd=self.code, env=_environment(), capture_output=True, text=True, timeout=300)


NEW = Program("this", ROOT)


@cache
def program(release: str) -> Program:
    """The program of that release; skips the test, and says why, where it cannot be made."""
    commit = COMMITS[release]
    if shutil.which("git") is None or _git("cat-file", "-e", f"{commit}^{{commit}}").returncode:
        pytest.skip(f"left out: release {release}, because this is no clone that has its commit {commit}")
    folder = Path(_kept.enter_context(TemporaryDirectory(prefix=f"lgsp-{release}-")))
    with tarfile.open(fileobj=io.BytesIO(_git("archive", commit, ".", ":(exclude)tests").stdout)) as archive:
        archive.extractall(folder / "source", filter="data")
    words = ["wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder), "."]
    subprocess.run([sys.executable, "-m", "pip", *words], cwd=folder / "source", check=True)
    (wheel,) = folder.glob(f"lgsp-{release}-*.whl")
    with zipfile.ZipFile(wheel) as packed_wheel:
        packed_wheel.extractall(folder / "program")
    made = Program(release, folder / "program", _interpreter(release, folder))
    assert made.version() == f"lgsp {release}"
    return made


def _interpreter(release: str, folder: Path) -> str:
    """That of the tests where it has all packages of the release's lock in their versions, else one made from it."""
    lock = folder / "source" / _LOCK
    pinned = _PINNED.findall(lock.read_text("utf-8"))
    assert len(pinned) > 20
    here = [(name, version) for name, version, marker in pinned if not marker or Marker(marker).evaluate()]
    if all(_installed(name) == version for name, version in here):
        return sys.executable
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = str(folder / "venv" / "bin" / "python")
    line = [python, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "-r", str(lock)]
    if (ended := subprocess.run(line, capture_output=True, text=True)).returncode:
        pytest.skip(f"left out: release {release}, because pip cannot install its {_LOCK}: {ended.stderr[-300:]}")
    return python


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "PYTHON"))}


@pytest.fixture(scope="module")
def older() -> Iterator[None]:
    """Removes the programs that a module had made."""
    yield
    _kept.close()
    program.cache_clear()


@dataclass(slots=True)
class Machine:
    """One `lgsp up`, of one program after another."""

    settings: Settings
    process: subprocess.Popen[str] | None = None

    def start(self, run: Program) -> dict[str, Any]:
        """Its first line: ready, or why not. What was not ready in time on a busy machine is started again."""
        for _ in range(3):
            said = self._start(run)
            if said["ok"] or said["error"]["code"] != "not-started":
                break
        return said

    def _start(self, run: Program) -> dict[str, Any]:
        log = self.settings.data.with_suffix(".log")
        # The new one tells machines apart by their names: those of their hosts, and here is one host.
        name = self.settings.data.name if run is NEW else ""
        words = ("--without", "truong-ha", "--without", "traffic")
        with log.open("ab") as err:
            self.process = run.up(self.settings, *words, err=err, machine=name)
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said, log.read_text("utf-8", "replace")[-2000:]
        answer: dict[str, Any] = json.loads(said)
        if not answer["ok"]:
            self.process.wait(120)
        return answer

    def starts(self, run: Program) -> None:
        said = self.start(run)
        assert said["ok"], said

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

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


def first(folder: Path, **changes: Any) -> Settings:
    """A folder with settings alone: the program that starts there first makes the instance."""
    default = Settings(folder)  # 0.2.0 knows no `database_seconds`
    settings = replace(demo_settings(folder), **({"doors": 1, "database_seconds": default.database_seconds} | changes))
    settings.data.mkdir(mode=0o700)
    save(settings)
    return settings


def second(first: Settings, place: Path) -> Settings:
    """Another machine, as 0.2.0 had them: a copy of the first one's folder, other ports, and the same vault's keys."""
    exchange, desk = free_ports(2)
    shutil.copytree(first.data, place, ignore=shutil.ignore_patterns("run", "*.log"))
    shutil.rmtree(place / "keys" / "vault", ignore_errors=True)
    first.vault_keys.mkdir(mode=0o700, exist_ok=True)
    (place / "keys" / "vault").symlink_to(first.vault_keys)
    settings = replace(first, data=place, exchange_port=exchange, desk_port=desk, live=False)
    save(settings)
    return settings
