"""Starts services of `docker-compose.yml` on this machine: the same commands with the same environment.

Each service has an address of its own on the loopback, so ports are those of the file. Paths of a container lead below
one folder; names of services become their addresses. What a container's network would do is done by settings: a
listener binds the service's address, not all. `docker-entrypoint.sh` stands in for that of PostgreSQL's image.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from bench import demo
from gateway.cli.run import ensure_instance
from gateway.keys.keyring import Keyring
from gateway.settings import Settings, load
from security import algorithms
from security.pki import authority
from tests.faults.load import gone, until
from tests.faults.test_kill import descendants
from tests.journal.pairs import as_user, programs, server_user
from tests.project.deploying import COMPOSE, ROOT, image_environment, interpolated

SERVERS: Final = ("db1", "db2", "keys1", "keys2")
_LONG: Final = 180.0
_OF_POSTGRESQL: Final = ("postgres.password", "lgsp.password", "replicator.password", "replicator.pgpass")


@dataclass
class Profile:
    """`values` are what the file takes from its surroundings (`${NAME:-…}`)."""

    folder: Path
    values: Mapping[str, str]
    running: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        number = os.getpid()
        base = f"127.{84 + number // 65_536 % 16}.{number // 256 % 256}"
        self.addresses = {name: f"{base}.{number % 12 * 20 + at + 1}" for at, name in enumerate(COMPOSE["services"])}
        self.secrets, self.etc = self.folder / "secrets", self.folder / "etc"
        subprocess.run(["sh", str(ROOT / "deploy/secrets.sh"), str(self.secrets)], check=True, timeout=120)
        shutil.copytree(ROOT / "deploy", self.etc, ignore=shutil.ignore_patterns("kubernetes", "watching"))
        shutil.copytree(ROOT / "deploy/postgresql", self.etc, dirs_exist_ok=True)
        shutil.copy(Path(__file__).with_name("docker-entrypoint.sh"), self.etc)
        (self.folder / "invitations").mkdir(mode=0o700)
        self.folder.chmod(0o711)
        owner = server_user()
        for each in self.secrets.iterdir() if owner else ():  # as whom the services run here
            own = owner is not None and each.name in _OF_POSTGRESQL
            os.chown(each, owner.pw_uid if owner and own else 0, -1)

    def data(self, name: str) -> Path:
        return self.folder / name

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text("utf-8", "replace")[-3000:]

    # --- what the file says, on this machine --------------------------------------------------------------------------
    def here(self, name: str, text: str) -> str:
        """A value of the service with the paths and the addresses of this machine."""
        places = {
            "/tmp": self.folder,
            "/run/secrets": self.secrets,
            "/run/invitations": self.folder / "invitations",
            "/etc/lgsp": self.etc,
            "/data": self.data(name),
        }
        known = "|".join(self.addresses)
        text = re.sub(rf"(?<![\w.:-])({known})(?=:\d|$)", lambda found: self.addresses[found[1]], text)
        for inside, outside in places.items():
            text = re.sub(rf"(?<![\w/]){inside}(?![\w-])", str(outside), text)
        return text

    def words(self, name: str, what: str = "command") -> list[str]:
        return [self.here(name, str(word)) for word in COMPOSE["services"][name].get(what, [])]

    def environment(self, name: str) -> dict[str, str]:
        service, own = COMPOSE["services"][name], self.addresses[name]
        image = image_environment() if service["image"] == "lgsp" else {}
        given = {key: interpolated(str(value), self.values) for key, value in service["environment"].items()}
        found = {key: self.here(name, value) for key, value in {**image, **given}.items()}
        if image:
            found |= {key: own for key, value in found.items() if key.endswith("_HOST") and value == "0.0.0.0"}
            found |= {"LGSP_MACHINE": service["hostname"]}  # the host's name, in a container
            found |= {"LGSP_DESK_EDGE": "127.0.0.1"} if "LGSP_DESK_EDGE" in found else {}  # whence the edge comes
        return {**found, "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(self.folder), "HOSTNAME": name}

    def founded(self, port: int) -> Settings:
        """An instance in the folder of the first keeper, with systems to call, behind the edge at this port: a sandbox,
        where `lgsp setup` makes production."""
        environment = self.environment("keeper1")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CREDENTIALS_DIRECTORY", environment["CREDENTIALS_DIRECTORY"])
            ours = {name: value for name, value in environment.items() if name.startswith("LGSP_")}
            read = load(self.data("keeper1"), ours)
            settings = replace(read, public_base=f"https://localhost:{port}", live=False)
            ensure_instance(settings, say_progress=False)
            keyring, private = Keyring(settings), algorithms.new_private()
            issuer = keyring.issuer("tls")
        names = (self.values["EXCHANGE_NAME"], self.values["DESK_NAME"])
        site = authority.issue_server(issuer, private.public_key(), names, time.time())
        (self.secrets / "site.crt").write_bytes(site + issuer.pem)
        (self.secrets / "site.key").write_bytes(authority.private_pem(private))
        shutil.copy(keyring.trust_anchors, self.secrets / "anchors.pem")
        return settings

    # --- starting and ending ------------------------------------------------------------------------------------------
    def start_server(self, name: str, **environment: str) -> None:
        """A PostgreSQL, with an empty volume. `environment`: what a person gives it besides."""
        place = self.data(name)
        (place / "initdb").mkdir(parents=True)
        for each in COMPOSE["services"][name]["configs"]:
            if each["target"].startswith("/docker-entrypoint-initdb.d/"):
                shutil.copy(ROOT / COMPOSE["configs"][each["source"]]["file"], place / "initdb")
        if owner := server_user():
            os.chown(place, owner.pw_uid, owner.pw_gid)
        given = {key: self.here(name, value) for key, value in environment.items()}
        surroundings = (
            self.environment(name)
            | given
            | {
                "PATH": f"{self.etc}:{programs()}:{os.environ['PATH']}",
                "PGDATA": str(place / "data"),
                "INITDB": str(place / "initdb"),
                "SOCKETS": str(place),
            }
        )
        own = [f"listen_addresses={self.addresses[name]}", f"unix_socket_directories={place}", "fsync=off"]
        own += ["shared_buffers=32MB", "max_wal_size=64MB"]
        command = [*self.words(name, "entrypoint"), *(word for each in own for word in ("-c", each))]
        self._start(name, as_user(command), surroundings)

    def start_servers(self) -> None:
        """Both pairs of PostgreSQL, until they take connections."""
        for name in SERVERS:
            self.start_server(name)
        for name in SERVERS:
            self.until(f"{name} takes connections", partial(self.listens, name), *SERVERS)

    def listens(self, name: str) -> bool:
        with suppress(OSError), socket.create_connection((self.addresses[name], 5432), 60):
            return True
        return False

    def start_machine(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = demo.start(self.words(name), err=log, environment=self.environment(name))

    def start_edge(self, port: int) -> None:
        caddy, *words = self.words("edge")
        environment = self.environment("edge") | {"EDGE_BIND": "127.0.0.1"}
        environment |= {key: f"{environment[key]}:{port}" for key in ("EDGE_SITE", "DESK_SITE")}
        self._start("edge", [str(Path(sys.executable).with_name(caddy)), *words], environment)

    def _start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                start_new_session=True,
            )  # fmt: skip

    def lgsp(self, name: str, *words: str) -> dict[str, Any]:
        """A command beside the service, as `docker compose exec` runs it."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = demo.start([*words, "--json"], err=log, environment=self.environment(name))
        assert process.stdout is not None
        told: dict[str, Any] = json.loads(process.stdout.read())
        process.wait(_LONG)
        assert told["ok"], (words, told)
        return told

    def kill(self, name: str) -> None:
        """The whole machine, by signal 9. It is gone when this returns."""
        process = self.running.pop(name)
        everything = descendants(process.pid)
        for pid in everything:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(_LONG)
        until(f"{name} is gone", lambda: all(map(gone, everything)), _LONG)

    def end(self) -> None:
        for process in self.running.values():
            process.send_signal(signal.SIGINT)
        for name, process in list(self.running.items()):
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill(name)

    def until(self, what: str, done: Callable[[], Any], *names: str) -> None:
        """Waits; what the services of `names` said last is told where it is in vain, or where one ends meanwhile."""

        def found() -> Any:
            ended = [name for name in names if self.running[name].poll() is not None]
            assert not ended, f"{ended} ended"
            return done()

        try:
            until(what, found, _LONG)
        except AssertionError as trouble:
            raise AssertionError("\n".join((str(trouble), *(f"{name}: {self.log(name)}" for name in names)))) from None
