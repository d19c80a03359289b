"""Two machines with folders, processes and host names of their own, each with its own way to a PostgreSQL primary and
standby. The second one joined by an invitation; the vault's keys are in a second database, with a standby too.

Of an older release, which knows neither, the second is a copy of the first, and both have one folder of keys.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import demo
from bench.demo import demo_settings, world_of
from bench.ports import free_ports
from examples.story import World
from gateway.audit.log.checkpoints import read_note, size_of
from gateway.cli.run import ensure_instance
from gateway.settings import PREFIX, Settings, load
from gateway.settings.saving import save
from tests.faults.load import until
from tests.faults.test_kill import descendants
from tests.journal.pairs import Pair, paired
from tests.journal.relay import Way
from tests.machines.joining import shared_vault, sharing
from tests.size import FULL
from tests.upgrade.programs import Program

PROVIDERS = ("do-thi", "kinh-te")
NEWER: dict[str, Any] = {  # settings that the older release does not know
    "standby": "required",
    **({} if FULL else {"database_seconds": 5.0}),  # of a machine that is busy with other tests
}
# Before a program: with another host name, a machine does not see whether a process of the other one has ended.
_HOST = "import os, socket, sys; socket.sethostname(sys.argv[1]); os.execv(sys.argv[2], sys.argv[2:])"
LEADER = "SELECT p.id, p.pid FROM lease l JOIN process p ON p.id = l.holder WHERE l.until > 0"


@dataclass(slots=True)
class Machine:
    """A folder and what runs of it: this program, or an `older` one. `within`: the command that starts it."""

    name: str
    settings: Settings
    way: Way
    process: Any = None
    older: Program | None = None
    within: Sequence[str] = ()

    @property
    def pid(self) -> int:
        return int(self.process.pid)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def world(self) -> World:
        return world_of(self.settings)

    @property
    def checkpoint(self) -> tuple[int, str]:
        """Size and text of the newest one in its folder."""
        note = read_note(self.settings.checkpoint_file) or ""
        return (size_of(note), note) if note else (0, "")

    def start(self) -> None:
        """Returns once it is told to start; `ready` tells when it serves."""
        with self.settings.data.with_suffix(".log").open("ab") as log:
            if self.older is not None:
                self.process = self.older.up(self.settings, err=log, out=log, within=self.within)
                return
            line = [*self.within, sys.executable, "-m", "gateway", "up", "--json", "--data", str(self.settings.data)]
            self.process = subprocess.Popen(line, stdout=log, stderr=log, env=_environment())

    def upgrade(self) -> None:
        """Stopped, and started again with this program."""
        self.end()
        self.older, self.settings = None, replace(self.settings, machine=self.name, **NEWER)
        save(self.settings)
        self.start()

    def lgsp(self, *words: str) -> dict[str, Any]:
        """A command with `--json`, in a process of its own: a fork of this one would have the locks of its threads."""
        return self.command(*words, "--data", str(self.settings.data))

    def command(self, *words: str) -> dict[str, Any]:
        """The same for any folder."""
        with (self.settings.data / "commands.log").open("ab") as log:
            process = demo.start([*words, "--json"], err=log, environment=_environment())
        assert process.stdout is not None
        told = process.stdout.read()
        process.wait(60)
        result: dict[str, Any] = json.loads(told)
        return result

    def said(self) -> str:
        return self.settings.data.with_suffix(".log").read_text("utf-8", "replace")

    def kill(self) -> None:
        """Supervisor and children at once, by signal 9."""
        everything = descendants(self.pid)
        for pid in everything:
            _signal(pid, signal.SIGSTOP)  # nobody may react to another's death
        for pid in everything:
            _signal(pid, signal.SIGKILL)
        self.process.wait(60)

    def end(self) -> None:
        if self.running:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()

    def ready(self) -> int:
        """The status of `/readyz`; 0 without an answer."""
        insecure = ssl.create_default_context()
        insecure.check_hostname, insecure.verify_mode = False, ssl.CERT_NONE  # only the status is asked
        try:
            with urllib.request.urlopen(f"{self.settings.base}/readyz", timeout=60, context=insecure) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return int(refused.code)
        except OSError:
            return 0


@dataclass(slots=True)
class Cluster:
    """`machines` on a `pair`, with `keys` of the vault on another; providers run apart, so that they outlive each
    machine."""

    pair: Pair
    keys: Pair
    machines: list[Machine]
    folder: Path
    stack: ExitStack

    @property
    def first(self) -> Machine:
        return self.machines[0]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.pair.rows(query)

    def leader(self) -> tuple[str, int]:
        """Id and process number of the leading keeper; ("", 0) without one."""
        row = next(iter(self.rows(LEADER)), None)
        return ("", 0) if row is None else (str(row[0]), int(row[1]))

    def led_by(self) -> Machine:
        """The machine whose keeper leads."""

        def found() -> Machine | None:
            _, pid = self.leader()
            return next((each for each in self.machines if each.running and pid in descendants(each.pid)), None)

        machine: Machine = until("a machine's keeper leads", found)
        return machine

    def copy(self, name: str) -> Machine:
        """Another machine, by copying the folder of the first: with ports and a way of its own."""
        exchange, desk = free_ports(2)
        place = self.folder / name
        shutil.copytree(self.first.settings.data, place, ignore=shutil.ignore_patterns("run", "*.log", "clients"))
        shutil.rmtree(place / "keys" / "vault", ignore_errors=True)
        (place / "keys" / "vault").symlink_to(self.first.settings.vault_keys.resolve())
        way = self._way()
        settings = replace(
            self.first.settings,
            data=place,
            exchange_port=exchange,
            desk_port=desk,
            database=self.pair.url(way.ports),
        )
        return self._made(name, settings, way, self.first.older)

    def join(self, name: str) -> Machine:
        """Another machine, by an invitation of the first, which runs."""
        place, invitation, first = self.folder / name, self.folder / f"{name}.json", self.first
        exchange, desk = map(str, free_ports(2))
        invited = first.lgsp("machine", "invite", name, "--out", str(invitation))
        assert invited["ok"], invited
        ports = ("--exchange-port", exchange, "--desk-port", desk)
        way = self._way()
        at = ("--database", self.pair.url(way.ports), "--data", str(place))
        joined = first.command("machine", "join", str(invitation), *ports, *at)
        assert joined["ok"], joined
        return self._made(name, sharing(first.settings, load(place, {})), way)

    def _made(self, name: str, settings: Settings, way: Way, older: Program | None = None) -> Machine:
        settings = replace(settings, database_seconds=self.first.settings.database_seconds, doors=1)
        save(settings)
        machine = Machine(name, settings, way, older=older, within=_within(name))
        self.stack.callback(machine.end)
        return machine

    def _way(self) -> Way:
        return self.stack.enter_context(Way([server.port for server in self.pair.servers]))


@contextmanager
def cluster(folder: Path, *, room: int = 0, older: Program | None = None, **changes: Any) -> Iterator[Cluster]:
    """Both machines run and are ready; with `older`, that program. `room`: of the disk of each server, in MiB."""
    with ExitStack() as stack:
        pair, keys = stack.enter_context(paired(room=room)), stack.enter_context(paired())
        pair.fresh_url()
        keys.fresh_url()
        made = Cluster(pair, keys, [], folder, stack)
        way = made._way()
        settings = replace(demo_settings(folder / "first"), database=pair.url(), doors=1, database_seconds=2.0)
        newer = {**NEWER, "machine": "first", "vault_database": keys.url()}
        settings = replace(settings, **({} if older else newer), **changes)
        first = Machine("first", settings, way, older=older, within=_within("first"))
        made.machines.append(first)
        stack.callback(first.end)
        if older is None:
            ensure_instance(settings, say_progress=False)
        else:
            first.settings = replace(settings, live=False)
            settings.data.mkdir(mode=0o700)
            save(first.settings)
            first.start()  # it makes the instance
            wait_ready(first)
            first.end()
            shared_vault(settings, folder / "vault")
        first.settings = replace(settings, live=False, database=pair.url(way.ports))
        save(first.settings)
        for name in PROVIDERS:
            stack.callback(_provider(first.settings, name))
        if older is None:
            first.start()
            wait_ready(first)
            second = made.join("second")
        else:
            second = made.copy("second")
            first.start()
        made.machines.append(second)
        second.start()
        for machine in made.machines:
            wait_ready(machine)
        yield made


def wait_ready(machine: Machine, seconds: float = 120.0) -> None:
    def ready() -> bool:
        assert machine.running, machine.said()[-3000:]
        return machine.ready() == 200

    until(f"the machine {machine.name} is ready", ready, seconds)


def why_no_hosts() -> str:
    """Why no program can have a host name of its own here; empty if one can."""
    try:
        line = ["unshare", "--uts", sys.executable, "-c", _HOST, "lgsp-host", "/bin/true"]
        subprocess.run(line, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as trouble:
        return f"no program can have a host name of its own: {trouble}"
    return ""


def _within(name: str) -> Sequence[str]:
    return () if why_no_hosts() else ("unshare", "--uts", sys.executable, "-c", _HOST, name)


def _provider(settings: Settings, name: str) -> Any:
    """Runs until the returned function is called, or until this process ends."""
    reading, writing = os.pipe()
    with (settings.data / f"{name}.log").open("ab") as log:
        process = demo.start(  # type: ignore[call-arg]  # that of the tests (`tests/warm.py`)
            ["standin", name, "--data", str(settings.data), "--lifeline", str(reading)],
            err=log,
            environment=_environment(),
            keeps=[reading],
        )
    os.close(reading)

    def end() -> None:
        os.close(writing)
        process.wait(60)

    return end


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def seconds_until(what: str, done: Any, seconds: float = 120.0) -> float:
    began = time.monotonic()
    until(what, done, seconds)
    return time.monotonic() - began
