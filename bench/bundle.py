"""`lgsp bundle`: one archive from which the gateway is installed on a machine without a network."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from gateway import __version__

ROOT: Final = Path(__file__).parents[1]
LOCK: Final = "requirements.lock"
BUILD_LOCK: Final = "requirements-build.lock"  # what builds the gateway's own wheel
OWN_LOCK: Final = "lgsp.lock"  # the gateway's own wheel with its hash
SUMS: Final = "SHA256SUMS"
_TAKEN: Final = ("CHANGELOG.md", "LICENSE", "README.md", "README.vi.md", "SECURITY.md", "deploy", "docs", LOCK)


class NoBundle(RuntimeError):
    """pip found no wheel for a package of a lock: its words."""


def bundle(out: Path, wheels: Path | None) -> dict[str, Any]:
    """Writes the archive `out` (tar) for this Python and platform. Raises `NoBundle`.

    `wheels`: a folder to take the packages from, those that build too; without it they come from the package index.
    Either way each must have a hash of its lock.

    The same packages give the same bytes: order, times, owners and modes of the files are fixed.
    """
    with _folder() as folder:
        place = folder / f"lgsp-{__version__}"
        for name in _TAKEN:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, place / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                place.mkdir(exist_ok=True)
                shutil.copy(source, place / name)
        ours = _collect(place / "wheels", wheels)
        (place / OWN_LOCK).write_text(f"lgsp=={__version__} --hash=sha256:{_digest(ours)}\n", "ascii")
        version = "{}.{}".format(*sys.version_info)
        (place / "PYTHON").write_text(f"{version} {sysconfig.get_platform()}\n", "ascii")
        files = {path.relative_to(place).as_posix(): path for path in sorted(place.rglob("*")) if path.is_file()}
        facts: dict[str, dict[str, Any]] = {
            name: {"size": path.stat().st_size, "sha256": _digest(path)} for name, path in files.items()
        }
        about = {"version": __version__, "python": version, "platform": sysconfig.get_platform()}
        manifest = place / "manifest.json"
        manifest.write_text(json.dumps({**about, "files": facts}, indent=1, sort_keys=True) + "\n", "utf-8")
        facts[manifest.name] = {"size": manifest.stat().st_size, "sha256": _digest(manifest)}
        (place / SUMS).write_text("".join(f"{facts[name]['sha256']}  {name}\n" for name in sorted(facts)), "utf-8")
        _pack(place, out)
        counted = [name for name in facts if name.startswith("wheels/")]
        return {
            **about,
            "archive": str(out),
            "sha256": _digest(out),
            "bytes": out.stat().st_size,
            "files": len(facts) + 1,
            "wheels": len(counted),
            "wheels_bytes": sum(facts[name]["size"] for name in counted),
            "sums": _digest(place / SUMS),
        }


def _collect(folder: Path, wheels: Path | None) -> Path:
    """All wheels of the lock, and the gateway's own, which is returned."""
    where = [] if wheels is None else ["--no-index", "--find-links", str(wheels.absolute())]
    only = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    _pip(["download", *where, *only, "--requirement", str(ROOT / LOCK)])
    with _folder() as tools:
        venv.create(tools, symlinks=True)
        there = ["--python", str(tools / "bin" / "python")]
        _pip([*there, "install", *where, "--require-hashes", "--requirement", str(ROOT / BUILD_LOCK)])
        own = ["--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
        _pip([*there, "wheel", *own])
    return next(folder.glob(f"lgsp-{__version__}-*.whl"))


def _pip(words: Sequence[str]) -> None:
    line = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", *words]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "315532800"}  # 1980, where the times of a zip begin
    ended = subprocess.run(line, capture_output=True, text=True, env=environment, cwd=ROOT)
    if ended.returncode:
        raise NoBundle(ended.stderr.strip()[-1000:])


def _pack(place: Path, out: Path) -> None:
    draft = out.with_name(f".{out.name}.part")
    try:
        with tarfile.open(draft, "w", format=tarfile.PAX_FORMAT) as archive:
            for path in sorted(place.rglob("*")):
                if path.is_file():
                    entry = tarfile.TarInfo(path.relative_to(place.parent).as_posix())
                    entry.size, entry.mode = path.stat().st_size, 0o644
                    with path.open("rb") as content:
                        archive.addfile(entry, content)
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)


def _digest(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="lgsp-bundle-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
