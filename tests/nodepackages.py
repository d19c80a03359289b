"""Packages of npm that tests ask: installed by the lock beside the tests, once for all runs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

UNREACHED = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "E403", "E503")


def installed(folder: Path, named: str) -> Path:
    """Where the packages of the lock in `folder` are. Skips where there is no npm; `named`: what is not asked then."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip(f"Node is not installed: {named} not asked")
    lock = (folder / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lgsp-tests"
    place = cache / f"node-{hashlib.sha256(lock).hexdigest()[:16]}"
    if place.is_dir():
        return place
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as made:
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(folder / name, Path(made) / name)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
        done = subprocess.run(command, cwd=made, capture_output=True, text=True, check=False)
        if done.returncode and any(word in done.stderr for word in UNREACHED):
            pytest.skip(f"no npm registry was reached: {named} not asked")
        assert done.returncode == 0, done.stderr[-2000:]
        try:
            os.rename(Path(made), place)
        except OSError:  # another run was first
            assert place.is_dir()
        else:
            Path(made).mkdir()  # for the temporary folder to remove
    return place
