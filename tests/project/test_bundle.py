"""`lgsp bundle`: an archive made from the package index, unpacked, installed by its `install.sh` without a network,
and run.

Every absolute path of `install.sh` stands below a folder of the test. `useradd`, `runuser` and `systemctl` are
stand-ins, and `install` makes no other owner (`test_operating_recipe.py`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.bundle import LOCK, OWN_LOCK, ROOT, SUMS, NoBundle, bundle
from gateway import __version__
from tests.faults.load import Load
from tests.project.test_operating_recipe import STANDINS, below
from tests.upgrade.programs import Machine, Program, first

pytestmark = pytest.mark.server  # it takes half a minute and 400 MB


def index_is_reachable(folder: Path) -> bool:
    """Whether one small package of the lock can be had."""
    (pinned,) = re.findall(r"^idna==\S+ \\\n(?:    --hash=\S+(?: \\)?\n)+", (ROOT / LOCK).read_text(), re.MULTILINE)
    (folder / "one.lock").write_text(pinned)
    line = ["download", "--quiet", "--retries", "0", "--timeout", "10", "--require-hashes", "--no-deps"]
    line += ["--dest", str(folder), "--requirement", str(folder / "one.lock")]
    return subprocess.run([sys.executable, "-m", "pip", *line], capture_output=True).returncode == 0


def without_network(*line: str, root: Path) -> subprocess.CompletedProcess[str]:
    """Runs it with an empty home, and in a network namespace of its own where the kernel allows that."""
    shut = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*shut, "true"], capture_output=True).returncode:
        print("no namespace without a network can be made here: pip is only told to use none")
        shut = []
    environment = {"HOME": str(root / "home"), "PATH": f"{root / 'bin'}:/usr/bin:/bin", "LANG": "C.UTF-8"}
    environment["NOTES"] = str(root / "notes")
    return subprocess.run([*shut, *line], env=environment, cwd=root, capture_output=True, text=True, timeout=600)


def machine(root: Path) -> None:
    """The folders of a machine, and its commands: this Python is its python3."""
    for name in ("home", "bin", "opt", "etc/systemd/system", "var/lib", "var/backups", "usr/local/bin"):
        (root / name).mkdir(parents=True)
    standins = {name: STANDINS[name] for name in ("useradd", "systemctl", "id", "runuser", "install")}
    standins["python3"] = f'exec {os.path.realpath(sys.executable)} "$@"'
    for name, script in standins.items():
        file = root / "bin" / name
        file.write_text("#!/bin/sh\n" + script.replace("{real}", shutil.which(name) or name) + "\n", "utf-8")
        file.chmod(0o755)


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def altered(place: Path, name: str, text: str) -> None:
    """Changes a file of the bundle, and its line of the list along."""
    before = digest(place / name)
    (place / name).write_text(text, "utf-8")
    sums = place / SUMS
    sums.write_text(sums.read_text().replace(f"{before}  {name}\n", f"{digest(place / name)}  {name}\n"))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """It is not kept after the test, since it is large."""
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_a_bundle_installs_without_a_network(folder: Path) -> None:
    if not index_is_reachable(folder):
        pytest.skip("left out: no bundle is made, because the package index is not reachable from here")
    made = bundle(folder / "one.tar", None)
    assert made["sha256"] == digest(folder / "one.tar")
    with tarfile.open(folder / "one.tar") as archive:
        archive.extractall(folder, filter="data")
    place = folder / f"lgsp-{__version__}"
    sums = dict(line.split("  ")[::-1] for line in (place / SUMS).read_text().splitlines())
    files = {path.relative_to(place).as_posix(): path for path in place.rglob("*") if path.is_file()}
    assert {name: digest(path) for name, path in files.items() if name != SUMS} == sums
    assert made["sums"] == digest(place / SUMS)
    assert {"deploy/install.sh", "deploy/lgsp.service", "docs/operating.md", "docs/vi/operating.md"} <= files.keys()
    manifest = json.loads((place / "manifest.json").read_text())
    assert manifest["files"].keys() == files.keys() - {SUMS, "manifest.json"}
    assert made["wheels"] == len(list((place / "wheels").glob("*.whl"))) > 40
    again = bundle(folder / "two.tar", place / "wheels")
    assert again["sha256"] == made["sha256"], "the same packages, the same bytes"
    (folder / "two.tar").unlink()

    root = folder / "machine"
    machine(root)
    installer = (place / "deploy" / "install.sh").read_text("utf-8")
    altered(place, "deploy/install.sh", below(installer, root))
    installed = without_network("sh", str(place / "deploy" / "install.sh"), root=root)
    assert installed.returncode == 0, installed.stderr
    print(installed.stdout)
    assert "useradd --system" in (root / "notes").read_text()
    assert (root / "usr/local/bin/lgsp").exists() and (root / "etc/systemd/system/lgsp.service").exists()
    assert not [*(root / "home").iterdir()], "nothing is left in the home"
    program = root / "opt" / "lgsp"
    assert without_network(str(program / "bin" / "lgsp"), "--version", root=root).stdout == f"lgsp {__version__}\n"
    with Machine(first(folder / "data", live=False)) as running:
        running.starts(Program(__version__, root, str(program / "bin" / "python")))
        with Load(running.settings, connections=1, pause=0.1) as load:
            load.wait(1)

    refused_where_it_does_not_fit(place, program, root)


def refused_where_it_does_not_fit(place: Path, program: Path, root: Path) -> None:
    """Another Python, another wheel of the gateway, a changed page: nothing is installed."""
    script = str(place / "deploy" / "program.sh")
    for name, text, said in (
        ("PYTHON", "3.9 linux-sparc\n", "for Python 3.9 linux-sparc"),
        (OWN_LOCK, f"lgsp=={__version__} --hash=sha256:{64 * '0'}\n", "HASHES"),
    ):
        kept = (place / name).read_text()
        altered(place, name, text)
        refused = without_network("sh", script, str(program), root=root)
        assert refused.returncode and said in refused.stderr, refused.stderr
        altered(place, name, kept)
    (place / "docs" / "operating.md").write_text("another page\n")
    refused = without_network("sh", script, str(program), root=root)
    assert refused.returncode == 2 and SUMS in refused.stderr


def test_a_folder_that_lacks_a_package_makes_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    with pytest.raises(NoBundle, match="aiohappyeyeballs"):
        bundle(tmp_path / "one.tar", tmp_path / "wheels")
    assert [each.name for each in tmp_path.iterdir()] == ["wheels"]
