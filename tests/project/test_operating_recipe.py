"""The production recipe of `docs/operating.md` as printed, the units by systemd's own check, compose by its schema.

Every absolute path of the recipe stands below a folder of the test. Nothing is fetched: the fresh environment sees the
packages of this run's environment by a `.pth` file, so pip finds each pin of the locks installed. `useradd`, `runuser`,
`systemctl` and `systemd-run` are stand-ins, and `install` makes no other owner.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import sysconfig
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from bench.ports import free_ports
from security.grants import approvals

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("operating.md", "vi/operating.md")
STANDINS = {
    "useradd": 'echo "useradd $*" >>"$NOTES"',
    "systemctl": 'echo "systemctl $*" >>"$NOTES"',
    "id": "exit 1",
    "runuser": 'shift 3; exec "$@"',
    # the environment of this run's packages, for a fresh one
    "python3": f"""{sys.executable} "$@" && case "$*" in "-m venv "*) echo "{sysconfig.get_path("purelib")}" \
>"$(echo "$3"/lib/python3*/site-packages)/of_the_tests.pth" ;; esac""",
    "install": """keep=; skip=; for word; do shift; if [ "$skip" ]; then skip=; elif [ "$word" = -o ] || \
[ "$word" = -g ]; then skip=yes; else set -- "$@" "$word"; fi; done; exec {real} "$@" """,
    # takes options up to the command, and hands over the credential as the service manager does
    "systemd-run": """while case $1 in --*) true ;; *) false ;; esac; do
  case $1 in
    --property=LoadCredential=lgsp:*) install -m 0440 "${1#*=lgsp:}" "$CREDENTIALS_DIRECTORY/lgsp" ;;
    --setenv=*) export "${1#--setenv=}" ;;
    --quiet|--pipe|--wait|--working-directory=*|--uid=lgsp) ;;
    *) echo "no option of systemd-run: $1" >&2; exit 1 ;;
  esac; shift; done; exec "$@" """,
}


def _blocks(page: str, language: str) -> list[str]:
    """The code of the page's recipe, in order."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    return re.findall(rf"^```{language}(?: [\w.-]+)?\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def below(text: str, root: Path) -> str:
    return re.sub(r"(?<![\w/.])/(opt|etc|var|usr/local|mnt)/", rf"{root}/\1/", text)


def test_both_pages_print_the_same_commands() -> None:
    first, second = (_blocks(page, "sh")[:2] for page in PAGES)
    assert first == second and "deploy/install.sh" in first[0] and first[1] == "lgsp doctor\n"
    keys = [[line.partition(":")[0] for line in _blocks(page, "yaml")[0].splitlines()] for page in PAGES]
    assert keys[0] == keys[1]


def test_without_systemd_nothing_is_installed(tmp_path: Path) -> None:
    """It says what to do instead, before it makes a folder or a user."""
    for name, script in (("systemctl", "exit 1"), ("python3", 'echo "$*" >>"$NOTES"; exit 1')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "NOTES": str(tmp_path / "notes")}
    line = ["sh", str(ROOT / "deploy" / "install.sh")]
    refused = subprocess.run(line, env=environment, capture_output=True, text=True)
    assert refused.returncode == 2 and not (tmp_path / "notes").exists()
    assert "deploy/program.sh" in refused.stderr and "không chạy systemd" in refused.stderr


@dataclass(frozen=True, slots=True)
class Machine:
    root: Path
    environment: dict[str, str]

    def run(self, script: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-euc", below(script, self.root)],
            cwd=cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    for name in ("opt", "etc/systemd/system", "var/lib", "mnt/khoa-goc", "bin", "usr/local/bin", "credentials"):
        (tmp_path / name).mkdir(parents=True)
    for name, script in STANDINS.items():
        file = tmp_path / "bin" / name
        file.write_text("#!/bin/sh\n" + script.replace("{real}", shutil.which(name) or name) + "\n", "utf-8")
        file.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LGSP_", "PYTHON", "PIP_"))}
    exchange, desk, metrics = free_ports(3)
    yield Machine(
        tmp_path,
        kept
        | {
            "PATH": f"{tmp_path / 'bin'}:{tmp_path / 'usr/local/bin'}:{os.environ['PATH']}",
            "NOTES": str(tmp_path / "notes"),
            "CREDENTIALS_DIRECTORY": str(tmp_path / "credentials"),
            "PIP_NO_INDEX": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            # the test's own ports, on the loopback
            "LGSP_HOST": "127.0.0.1",
            "LGSP_DESK_HOST": "127.0.0.1",
            "LGSP_EXCHANGE_PORT": str(exchange),
            "LGSP_DESK_PORT": str(desk),
            "LGSP_METRICS_PORT": str(metrics),
            "LGSP_DOORS": "1",
        },
    )


def _status(port: str, path: str, scheme: str = "http") -> int:
    insecure = ssl.create_default_context()
    insecure.check_hostname, insecure.verify_mode = False, ssl.CERT_NONE  # only the status is asked
    try:
        with urllib.request.urlopen(f"{scheme}://127.0.0.1:{port}{path}", timeout=5, context=insecure) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def _unit(file: Path) -> dict[str, list[str]]:
    lines: dict[str, list[str]] = {}
    for line in file.read_text("utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            lines.setdefault(name, []).append(value)
    return lines


@pytest.mark.full
@pytest.mark.server
def test_the_recipe_makes_a_running_production_instance(machine: Machine) -> None:
    checkout = machine.root / "checkout"
    kept = ("contracts", "security", "adapters", "gateway", "openapi", "deploy", "docs", "examples")
    for name in kept:
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.lock", "requirements-build.lock", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    for script in (checkout / "deploy").glob("*.sh"):
        script.write_text(below(script.read_text("utf-8"), machine.root), "utf-8")
    answers = yaml.safe_load(below(_blocks(PAGES[0], "yaml")[0], machine.root))
    (checkout / "setup.yaml").write_text(yaml.safe_dump(answers, allow_unicode=True), "utf-8")
    for each in (*answers["officers"], *answers["people"]):
        public = ec.generate_private_key(ec.SECP256R1()).public_key()
        (checkout / each["key"]).write_text(approvals.public_pem(public), "ascii")
    installed, command = _blocks(PAGES[0], "sh")[:2]
    ran = machine.run(installed, checkout)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    notes = (machine.root / "notes").read_text("utf-8")
    assert ran.stdout.count(f"{answers['desk_base']}/console/link/") == len(answers["officers"]) + len(
        answers["people"]
    )
    assert (
        "useradd --system" in notes
        and "systemctl enable --now lgsp lgsp-doctor.timer lgsp-backup.timer lgsp-drill.timer" in notes
    )
    unit = _unit(machine.root / "etc/systemd/system/lgsp.service")
    assert unit["User"] == ["lgsp"]
    shutil.copy(machine.root / "etc/lgsp/secret", machine.root / "credentials" / "lgsp")
    heard: list[bytes] = []
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(machine.root / "notify"))
    listening = threading.Thread(
        target=lambda: heard.extend(iter(lambda: manager.recv(100), b"STOPPING=1")), daemon=True
    )
    listening.start()
    environment = machine.environment | dict(each.split("=", 1) for each in unit["Environment"])
    environment |= {"NOTIFY_SOCKET": str(machine.root / "notify"), "WATCHDOG_USEC": "1000000"}
    assert unit["Type"] == ["notify"]
    start = below(unit["ExecStart"][0], machine.root).split()
    with subprocess.Popen(start, env=environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as up:
        try:
            desk, metrics = environment["LGSP_DESK_PORT"], environment["LGSP_METRICS_PORT"]
            until = time.monotonic() + 60
            while _status(desk, "/readyz", "https") != 200 and up.poll() is None and time.monotonic() < until:
                time.sleep(0.1)
            assert _status(desk, "/readyz", "https") == 200, up.poll()
            assert (_status(metrics, "/metrics"), _status(metrics, "/console"), _status(desk, "/metrics", "https")) == (
                200,
                404,
                404,
            )
            # the printed function, then the printed command: without PATH of the environment
            told = machine.run(command, checkout)
            assert told.returncode == 0 and "0 grave" in told.stdout, told  # by the page's answers alone
            assert (machine.root / "mnt/khoa-goc/root.key").is_file()
            for code in ("keys.unprotected", "keys.locked", "instance.not-running", "files.modes", "listen.desk-open"):
                assert code not in told.stdout, told.stdout
        finally:
            up.send_signal(signal.SIGTERM)
            output = up.communicate(timeout=60)[0]
    assert up.returncode == 0, output
    listening.join(10)
    manager.close()
    assert not listening.is_alive() and heard[0] == b"READY=1" and b"WATCHDOG=1" in heard, heard


@pytest.mark.parametrize(
    "name", sorted(each.name for each in (ROOT / "deploy").iterdir() if each.suffix in (".service", ".timer"))
)
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing (package systemd)")
def test_a_unit_is_sound_for_systemd(name: str, tmp_path: Path) -> None:
    text = (ROOT / "deploy" / name).read_text("utf-8")
    program = tmp_path / "lgsp"
    program.write_text("#!/bin/sh\n", "utf-8")
    program.chmod(0o755)
    (tmp_path / name).write_text(text.replace("/opt/lgsp/bin/lgsp", str(program)), "utf-8")
    if name.endswith(".timer"):  # it starts the service of its name
        shutil.copy(ROOT / "deploy" / name.replace(".timer", ".service"), tmp_path)
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)], capture_output=True, text=True
    )
    ours = [line for line in told.stderr.splitlines() if name in line]
    assert told.returncode == 0 and not ours, told.stderr


@pytest.mark.parametrize("name", sorted(each.name for each in (ROOT / "deploy").glob("*.service")))
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing (package systemd)")
def test_a_unit_is_let_do_little(name: str) -> None:
    """By systemd's own score of exposure, from 0 to 10."""
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=30", str(ROOT / "deploy" / name)]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout[-300:] + told.stderr


def _without_the_secret() -> list[list[str]]:
    """The commands that the unit's comment names as working without the secret."""
    comment = re.findall(r"^#     (.+)$", (ROOT / "deploy/lgsp.service").read_text("utf-8"), re.MULTILINE)
    return [each.split() for line in comment for each in line.strip().rstrip(",").split(", ")]


ARGUMENTS = {
    "access show": ["không-có"],
    "access explain": ["H14.5", "indicator/v1", "getValue"],
    "contract show": ["indicator/v1"],
    "contract diff": ["indicator/v1", str(ROOT / "contracts/catalogue/indicator/v1")],
    "backup check": ["/nonexistent"],
}
NEED_IT = [
    ["ca", "show"],
    ["audit", "verify"],
    ["audit", "journey", "x"],
    ["vault", "status"],
    ["vault", "hold", "add", "x", "--reason", "y"],
    ["registry", "accept", "--reason", "y"],
    ["contract", "publish", str(ROOT / "contracts/catalogue/indicator/v1")],
    ["up"],
]


def test_the_comment_of_the_unit_names_all_commands_that_work_without_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.sandbox.instance import make_instance
    from gateway.settings import Settings
    from tests import commandline

    secret = tmp_path / "secret"
    secret.write_bytes(os.urandom(32))
    secret.chmod(0o600)
    settings = Settings(
        tmp_path / "data", kind="production", public_base="https://t.invalid", secret_file=str(secret), origin="t/l"
    )
    make_instance(settings, {}, time.time(), province=False)
    secret.unlink()
    monkeypatch.setenv("LGSP_DATA", str(settings.data))
    free = _without_the_secret()
    assert len(free) == 12
    for words in free:
        told = commandline.lgsp(*words, *ARGUMENTS.get(" ".join(words), []))
        assert "secret" not in told.err and told.code != 3, (words, told)
    for words in NEED_IT:
        told = commandline.lgsp(*words)
        assert told.code == 3 and "secret_file" in told.err, (words, told)
