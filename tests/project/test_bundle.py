"""`lgsp bundle`: an archive made from the package index, unpacked, installed by its `install.sh` without a network,
and run; once under a real systemd, once where there is none.

There every absolute path of `install.sh` stands below a folder of the test. `useradd`, `runuser` and `systemctl` are
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
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import launcher
from bench.bundle import BUILD_LOCK, LOCK, OWN_LOCK, ROOT, SUMS, NoBundle, bundle
from bench.ports import free_ports
from gateway import __version__
from tests.faults.load import Load, until
from tests.project.systemd import Systemd, booted, why_none
from tests.project.test_operating_recipe import STANDINS, below
from tests.setup.provinces import GRANT, OFFICERS, OPERATOR, SYSTEM, answers
from tests.setup.test_setup_live import SAMPLE
from tests.upgrade.programs import Machine, Program, first

pytestmark = [pytest.mark.full, pytest.mark.server]  # it takes half a minute and 400 MB


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
        _script(root / "bin" / name, script.replace("{real}", shutil.which(name) or name))


def _script(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    file.chmod(0o755)


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def altered(place: Path, name: str, text: str) -> None:
    """Changes a file of the bundle, and its line of the list along."""
    before = digest(place / name)
    (place / name).write_text(text, "utf-8")
    sums = place / SUMS
    sums.write_text(sums.read_text().replace(f"{before}  {name}\n", f"{digest(place / name)}  {name}\n"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """It is not kept after the tests, since it is large."""
    place = tmp_path_factory.mktemp("bundle")
    yield place
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="module")
def made(folder: Path) -> dict[str, Any]:
    if not index_is_reachable(folder):
        pytest.skip("left out: no bundle is made, because the package index is not reachable from here")
    return bundle(folder / "one.tar", None)


def test_a_production_instance_under_systemd(folder: Path, made: dict[str, Any]) -> None:
    """`install.sh` as it is, by the bundle alone: each unit does what it is for, and one that hangs is started anew."""
    if reason := why_none():
        pytest.skip(f"left out: no systemd of its own can run here: {reason}")
    shared, port = folder / "shared", free_ports(1)[0]
    (shared / "bin").mkdir(parents=True)
    _script(shared / "bin" / "python3", f'exec {os.path.realpath(sys.executable)} "$@"')
    (shared / "one.tar").hardlink_to(folder / "one.tar")
    base = f"https://127.0.0.1:{port}"
    file = answers(shared, base, host="127.0.0.1", doors=1)
    file.write_text(file.read_text("utf-8").replace("secret_file: secret", "secret_file: /etc/lgsp/secret"), "utf-8")
    install = f"cd lgsp-{__version__} && sh deploy/install.sh /mnt/{file.name}"
    with booted(folder / "systemd", shared) as host:
        host.done("tar -xf /mnt/one.tar")
        shared.chmod(0o700)
        refused = host.run(install)
        assert refused.returncode == 2 and "user lgsp cannot read /mnt/setup.yaml" in refused.stderr, refused
        shared.chmod(0o755)
        refused = host.run(install)
        assert refused.returncode == 2 and "/mnt/offline cannot be written" in refused.stderr, refused
        assert not host.done("ls /var/lib/lgsp"), "nothing was made"
        host.done("chown -R lgsp /mnt/*.key && install -d -o lgsp /mnt/offline")
        began = time.monotonic()
        print(host.done(install))
        print(f"installed and ready after {time.monotonic() - began:.1f} s")
        assert host.shown("lgsp", "ActiveState") == "active" and (shared / "offline" / "root.key").exists()
        assert "3 timers listed" in host.done("systemctl list-timers --no-pager 'lgsp-*'")
        assert host.run(install).returncode == 0, "run again"

        found = host.run("lgsp doctor --json")  # from /root, which the gateway's user cannot enter
        assert {each["code"] for each in json.loads(found.stdout)["findings"] if each["grave"]} == {"base.local"}
        refused = host.run("touch here.yaml && lgsp registry apply here.yaml")
        assert refused.returncode == 2 and "cannot use here.yaml there" in refused.stderr
        calls_are_accepted(host)
        for unit in ("lgsp-backup", "lgsp-drill"):
            host.done(f"systemctl start {unit} || (journalctl --no-pager -o cat -n 20 -u {unit}; exit 1)")
        assert host.run("systemctl start lgsp-doctor").returncode, "it fails where something is grave"
        host.done("systemctl reload lgsp")

        watched = "/etc/systemd/system/lgsp.service.d"
        host.done(
            f"mkdir -p {watched} && printf '[Service]\\nWatchdogSec=2\\nTimeoutAbortSec=2\\n' > {watched}/soon.conf"
        )
        host.done("systemctl daemon-reload && systemctl restart lgsp")
        host.done("kill -STOP $(systemctl show --property=MainPID --value lgsp)")
        until("it hangs and is started anew", lambda: host.shown("lgsp", "NRestarts") == "1")
        until("it is ready again", lambda: host.shown("lgsp", "ActiveState") == "active")
        accepted(host, year=2025)
        host.done("systemctl stop lgsp")
        assert host.shown("lgsp", "Result") == "success"


def calls_are_accepted(host: Systemd) -> None:
    host.done(f"/opt/lgsp/bin/lgsp client keygen {SYSTEM} --out /mnt/hers && install -d -o lgsp /mnt/out")
    host.done("install -d /mnt/asked && install -m 0644 /mnt/hers/*.csr /mnt/asked")
    signed = f"--as {OPERATOR} --key /mnt/{OPERATOR}.key"
    host.done(f"lgsp enrol {SYSTEM} --requests /mnt/asked --out /mnt/out/made {signed}")
    for each in OFFICERS:
        host.done(f"lgsp access approve {GRANT} --officer {each} --key /mnt/{each}.key")
    host.done(f"/opt/lgsp/bin/lgsp client install /mnt/hers --trust /mnt/out/made/{SYSTEM}")
    accepted(host, year=2024)


def accepted(host: Systemd, year: int) -> None:
    figures = json.loads(SAMPLE.read_text("utf-8"))
    for each in figures["values"]:
        each["period"] = each["period"].replace("2026", str(year))
    (host.shared / "figures.json").write_text(json.dumps(figures), "utf-8")
    call = "/opt/lgsp/bin/lgsp client call --identity /mnt/hers POST /indicator/v1/values --body /mnt/figures.json"
    until("a call is accepted", lambda: host.run(call).returncode == 0, 30.0)


def test_a_bundle_installs_without_a_network(folder: Path, made: dict[str, Any]) -> None:
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
    given = shutil.copytree(place / "wheels", folder / "given", copy_function=os.link)
    with pytest.raises(NoBundle, match="hatchling"):  # what is installed here builds nothing
        bundle(folder / "two.tar", given)
    line = ["download", "--quiet", "--require-hashes", "--no-deps", "--dest", str(given)]
    subprocess.run([sys.executable, "-m", "pip", *line, "--requirement", str(ROOT / BUILD_LOCK)], check=True)
    again = bundle(folder / "two.tar", given)
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


def test_another_python_leaves_nothing_behind(tmp_path: Path) -> None:
    place = tmp_path / "release"
    (place / "deploy").mkdir(parents=True)
    (place / "wheels").mkdir()
    shutil.copy(ROOT / "deploy" / "program.sh", place / "deploy")
    (place / "PYTHON").write_text("3.9 linux-sparc\n")
    (place / SUMS).write_text(f"{digest(place / 'PYTHON')}  PYTHON\n")

    def program(*words: str) -> str:
        done = subprocess.run(
            ["sh", str(place / "deploy" / "program.sh"), *words], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 2, done.stderr
        return done.stderr

    assert "FOLDER" in program() and "cách dùng" in program()
    assert "Let python3 be that Python" in program("there")
    assert [each.name for each in tmp_path.iterdir()] == ["release"] and not (place / "there").exists()
    (tmp_path / "there" / "bin").mkdir(parents=True)
    (tmp_path / "there" / "bin" / "python").symlink_to(sys.executable)
    assert f"move {tmp_path / 'there'} away" in program("there")


def test_a_folder_that_cannot_be_written_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        launcher.bundle(Path("/proc/x.tar"), None, False)
    told = capsys.readouterr().err
    assert refused.value.code == 2 and "/proc cannot be written" in told and "package index" not in told
