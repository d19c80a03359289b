"""`lgsp bundle`: made from the package index, unpacked and installed where there is no network, and run."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from bench.bundle import LOCK, ROOT, SUMS, NoBundle, bundle
from gateway import __version__
from gateway.sandbox.instance import make_instance
from gateway.settings import Settings

pytestmark = pytest.mark.server  # it takes half a minute and 200 MB


def index_is_reachable(folder: Path) -> bool:
    """Whether one small package of the lock can be had."""
    (pinned,) = re.findall(r"^idna==\S+ \\\n(?:    --hash=\S+(?: \\)?\n)+", (ROOT / LOCK).read_text(), re.MULTILINE)
    (folder / "one.lock").write_text(pinned)
    line = ["download", "--quiet", "--retries", "0", "--timeout", "10", "--require-hashes", "--no-deps"]
    line += ["--dest", str(folder), "--requirement", str(folder / "one.lock")]
    return subprocess.run([sys.executable, "-m", "pip", *line], capture_output=True).returncode == 0


def without_network(*line: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Runs it with an empty home, a path that has this Python as python3, and no network where that can be had."""
    shut = ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*shut, "true"], capture_output=True).returncode:
        shut = []
    environment = {"HOME": str(home), "PATH": f"{home / 'bin'}:/usr/bin:/bin", "LANG": "C.UTF-8"}
    return subprocess.run([*shut, *line], env=environment, cwd=home, capture_output=True, text=True, timeout=600)


def test_a_bundle_installs_without_a_network(tmp_path: Path) -> None:
    if not index_is_reachable(tmp_path):
        pytest.skip("no bundle is made: the package index is not reachable from here")
    made = bundle(tmp_path / "one.tar", None)
    assert made["sha256"] == hashlib.sha256((tmp_path / "one.tar").read_bytes()).hexdigest()
    with tarfile.open(tmp_path / "one.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    place = tmp_path / f"lgsp-{__version__}"
    sums = dict(line.split("  ")[::-1] for line in (place / SUMS).read_text().splitlines())
    files = {path.relative_to(place).as_posix(): path for path in place.rglob("*") if path.is_file()}
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items() if name != SUMS} == sums
    assert {"deploy/install.sh", "deploy/lgsp.service", "docs/operating.md", "docs/vi/operating.md"} <= files.keys()
    manifest = json.loads((place / "manifest.json").read_text())
    assert manifest["files"].keys() == files.keys() - {SUMS, "manifest.json"}
    assert made["wheels"] == len(list((place / "wheels").glob("*.whl"))) > 40
    assert bundle(tmp_path / "two.tar", place / "wheels")["sha256"] == made["sha256"], (
        "the same packages, the same bytes"
    )

    home, program, data = tmp_path / "home", tmp_path / "program", tmp_path / "data"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "python3").symlink_to(os.path.realpath(sys.executable))
    make_instance(Settings(data), {}, time.time(), province=False)
    installed = without_network("sh", str(place / "deploy" / "program.sh"), str(program), home=home)
    assert installed.returncode == 0, installed.stderr
    lgsp = str(program / "bin" / "lgsp")
    assert without_network(lgsp, "--version", home=home).stdout == f"lgsp {__version__}\n"
    examined = json.loads(without_network(lgsp, "doctor", "--data", str(data), "--json", home=home).stdout)
    assert "instance.not-running" in {each["code"] for each in examined["findings"]}
    assert {path.name for path in home.iterdir()} == {"bin"}, "nothing is left in the home"

    (place / "docs" / "operating.md").write_text("another page\n")
    refused = without_network("sh", str(place / "deploy" / "program.sh"), str(program), home=home)
    assert refused.returncode == 2 and SUMS in refused.stderr


def test_a_folder_that_lacks_a_package_makes_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    with pytest.raises(NoBundle, match="aiohappyeyeballs"):
        bundle(tmp_path / "one.tar", tmp_path / "wheels")
    assert [each.name for each in tmp_path.iterdir()] == ["wheels"]
