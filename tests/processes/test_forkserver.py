"""Children forked from one process that loaded the code: as good as those that were started by themselves."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.processes import forkserver
from gateway.processes.forkserver import Forked, ForkServer
from gateway.processes.table import PROCESSES, agent, catalogue

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forked children fall to the supervisor on Linux alone")

TELLING = """
import json, os, random, ssl, sys, tempfile, threading, uuid
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric import ec
from contracts.base.ids import new_id
from contracts.base.randomness import random_bytes
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.compiled.contract import alive
from gateway.processes.forkserver import serve

random_bytes(16)  # something is drawn before the first fork
loaded = lambda: [sorted(os.listdir(f"/proc/{os.getppid()}/{kind}")) for kind in ("task", "fd")]
serve(sys.argv[1:])
_, out, *words = sys.argv
told = {
    "words": words, "compiled": [alive(Bundle.from_folder(each).digest) is not None for each in catalogue_folders()], "pid": os.getpid(), "session": os.getsid(0), "modules": sorted(sys.modules), "descriptors": sorted(map(int, os.listdir("/proc/self/fd"))),
    "title": Path("/proc/self/cmdline").read_text().strip(chr(0)), "threads": threading.active_count(),
    "drawn": [new_id(0), random_bytes(16).hex(), os.urandom(16).hex(), ssl.RAND_bytes(16).hex(), str(random.getrandbits(64)), str(uuid.uuid4()),
              next(tempfile._get_candidate_names()), str(ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value)],
}
os.write(int(out), json.dumps(told).encode())
os.close(int(out))
if "stay" in words:
    sys.stdin = None
    import time
    time.sleep(600)
sys.exit(7)
"""  # noqa: E501

Telling = Callable[..., tuple[Forked, dict[str, Any]]]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    """One whose children tell what they are, in the place of the command line."""
    script = tmp_path / "telling.py"
    script.write_text(TELLING, "utf-8")

    def start(arguments: Sequence[str], descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
        words = arguments[1:] if arguments[0] == forkserver.COMMAND else ["", *arguments]
        assert arguments[0] == forkserver.COMMAND, "a fresh interpreter was not asked for"
        return subprocess.Popen(
            [sys.executable, str(script), *words],
            pass_fds=descriptors,
            cwd=Path.cwd(),
            env={**os.environ, "PYTHONPATH": "."},
        )

    monkeypatch.setattr(forkserver, "start", start)
    made = ForkServer([*(row.load for row in PROCESSES), agent, catalogue])
    yield made
    made.end()


def telling(server: ForkServer, *words: str, more: Sequence[int] = ()) -> tuple[Forked, dict[str, Any]]:
    read, write = os.pipe()
    child = server.fork([str(write), *words], (write, *more))
    os.close(write)
    assert isinstance(child, Forked)
    with os.fdopen(read, "rb") as told:
        return child, json.loads(told.read())


def first(server: ForkServer) -> None:
    child = server.fork(["--version"], ())
    assert isinstance(child, Forked) and child.wait(60) == 0


def pid_of(server: ForkServer) -> int:
    assert server._server is not None
    return server._server.pid


def test_children_have_their_own_words_and_are_waited_for(server: ForkServer) -> None:
    child, told = telling(server, "cửa", "--data", "a b")
    assert told["words"] == ["cửa", "--data", "a b"] and told["pid"] == child.pid == told["session"]
    assert told["title"].startswith("lgsp ") and "cửa --data a b" in told["title"]
    assert child.wait(30) == 7 and child.poll() == child.returncode == 7
    child.send_signal(signal.SIGTERM)  # to whoever has the number by now: nobody


def test_children_share_no_chance(server: ForkServer) -> None:
    drawn = [telling(server)[1]["drawn"] for _ in range(3)]
    for kinds in zip(*drawn, strict=True):
        assert len(set(kinds)) == 3


def test_a_child_has_the_code_and_nothing_else(server: ForkServer) -> None:
    """The descriptors that it was given under the numbers that it knows, one thread; all that it needs is loaded."""
    mark = os.open(__file__, os.O_RDONLY)
    aside = os.dup2(mark, 77)
    child, told = telling(server, more=(mark, aside))
    assert (
        {row.load().__module__ for row in PROCESSES} <= set(told["modules"])
        and told["compiled"]
        and all(told["compiled"])
        and told["threads"] == 1
    )
    listing = 1  # the descriptor of the listing itself
    assert {mark, aside} <= set(told["descriptors"]) and len(told["descriptors"]) == 3 + 3 + listing, told[
        "descriptors"
    ]
    os.close(mark)
    os.close(aside)
    status = Path(f"/proc/{pid_of(server)}/status").read_text("ascii")
    assert "\nThreads:\t1\n" in status, "a thread would not be there in a child, with the locks that it holds"


@pytest.mark.full
def test_a_child_outlives_the_server_and_the_next_has_another(server: ForkServer) -> None:
    child, _ = telling(server, "stay")
    first = pid_of(server)
    os.kill(first, signal.SIGKILL)
    until(lambda: server._server is None or server._server.poll() is not None)
    assert child.poll() is None
    other, told = telling(server)
    assert pid_of(server) != first and other.wait(30) == 7
    child.send_signal(signal.SIGKILL)
    assert child.wait(30) == -signal.SIGKILL


def test_a_server_that_hangs_is_done_without() -> None:
    server = ForkServer([gc.collect])
    first(server)
    stopped = pid_of(server)
    os.kill(stopped, signal.SIGSTOP)
    server.patience = 0.3
    child = server.fork(["--version"], ())
    assert isinstance(child, subprocess.Popen) and child.wait(60) == 0
    assert server._server is None and not Path(f"/proc/{stopped}").exists()


def test_a_number_that_was_told_late_is_heard() -> None:
    """The time was up, and the child there: it is the supervisor's, and no second one is started."""
    server = ForkServer([gc.collect])
    first(server)
    assert server._control is not None
    control: socket.socket = server._control

    class Late:
        def shutdown(self, how: int) -> None:
            until(lambda: bool(control.recv(32, socket.MSG_PEEK)))  # it stands there
            control.shutdown(how)

        def __getattr__(self, name: str) -> Any:
            return getattr(control, name)

    server.patience = 0
    control.settimeout(None)
    server._control = Late()  # type: ignore[assignment]
    child = server.fork(["--version"], ())
    assert isinstance(child, Forked) and child.wait(30) == 0
    server.end()


def test_who_wants_no_child_any_more_does_not_wait_for_one() -> None:
    """As a supervisor that is told to end while its server loads."""
    wanted = True
    server = ForkServer([gc.collect], wanted=lambda: wanted)
    child = server.fork(["--version"], ())
    assert child is not None and child.wait(60) == 0
    os.kill(pid_of(server), signal.SIGSTOP)
    asked = threading.Thread(target=lambda: children.append(server.fork(["--version"], ())))
    children: list[object] = []
    server.patience = 600
    asked.start()
    wanted = False
    asked.join(60)
    assert children == [None] and server._server is None


@pytest.mark.parametrize("most", [24, 256])
def test_few_open_files_are_enough(most: int) -> None:
    """The numbers that a child's descriptors have here are there, too, however low the limit; nothing needs a higher
    one for a while."""
    script = f"""
import gc, os, resource
from gateway.processes.forkserver import Forked, ForkServer
resource.setrlimit(resource.RLIMIT_NOFILE, ({most}, {most}))
server, pipes = ForkServer([gc.collect]), [os.pipe() for _ in range(5)]
child = server.fork(["--version"], [end for pipe in pipes for end in pipe])
assert isinstance(child, Forked) and child.wait(60) == 0, child
server.end()
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_where_no_process_can_begin_it_is_said_and_nobody_is_left() -> None:
    """The fork server cannot fork: it ends, the supervisor tries by itself. If that cannot either, OSError, and no
    descriptor is lost."""
    script = """
import gc, os, resource, sys
from gateway.processes import forkserver
from gateway.processes.forkserver import COMMAND, ForkServer

def poor():
    if os.getuid() == 0:
        os.setgroups([]), os.setgid(65534), os.setuid(65534)  # of root's processes none are counted
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))

if sys.argv[1:2] == [COMMAND]:
    poor()
    forkserver.serve(sys.argv[2:])
ours = forkserver.start
begun = []
def start(arguments, descriptors):
    if arguments[0] != COMMAND:
        return ours(arguments, descriptors)
    begun.append(forkserver.subprocess.Popen([sys.executable, __file__, *arguments], pass_fds=descriptors, start_new_session=True))
    return begun[-1]
forkserver.start = start
server = ForkServer([gc.collect])
child = server.fork(["--version"], ())
assert type(child).__name__ == "Popen" and child.wait(60) == 0 and len(begun) == 1 and server._server is None
open_ones = os.listdir("/proc/self/fd")
poor()
try:
    server.fork(["--version"], ())
except OSError:
    assert os.listdir("/proc/self/fd") == open_ones
    print("said")
"""  # noqa: E501
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "poor.py")
        file.write_text(script, "utf-8")
        Path(folder).chmod(0o755)
        done = subprocess.run(
            [sys.executable, file], env={**os.environ, "PYTHONPATH": "."}, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 0 and done.stdout.endswith("said\n") and "Traceback" not in done.stderr, done.stderr


@pytest.mark.full
def test_a_server_that_dies_while_it_forks_leaves_nobody_to_be_waited_for() -> None:
    """Killed at any moment: what it had begun ends, and is waited for; the child that was asked for is there, from
    whoever."""
    server = ForkServer([gc.collect])
    for moment in range(12):
        first(server)
        doomed = pid_of(server)
        killer = threading.Timer(moment * 0.0005, os.kill, (doomed, signal.SIGKILL))
        killer.start()
        child = server.fork(["--version"], ())
        killer.join()
        assert child is not None and child.wait(60) == 0
        server.end()
        with pytest.raises(ChildProcessError):
            os.waitpid(-doomed, os.WNOHANG)


def test_code_that_does_not_load_is_told_by_whoever_runs_it() -> None:
    child = ForkServer([sys.exit]).fork(["--version"], ())
    assert isinstance(child, subprocess.Popen) and child.wait(60) == 0


def test_it_ends_with_the_supervisor(tmp_path: Path) -> None:
    script = (
        "from gateway.processes.forkserver import ForkServer; import gc, os, time; s = "
        "ForkServer([gc.collect]); s.fork(['--version'], ()).wait(60);"
        " print(s._server.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        supervisor.stdout.readline()  # the version
        pid = int(supervisor.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        supervisor.kill()
    until(lambda: not alive(pid))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)
