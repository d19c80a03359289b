"""Programs of the gateway as forks of one process that has loaded all of them: in interpreters of their own an instance
spent half of its start on loading, and a run of tests starts dozens.

    tests --- this process      loaded once, when the first program is started; it holds no key and no thread
                |--- waits      one for each program: it tells the tests the number and the exit code
                       `--- lgsp up, lgsp agent run …

What starts here has the arguments, environment, folder, umask and descriptors that it is given, as with `subprocess`.
The fork server of an `lgsp up` is a fork, too, made before its supervisor has read anything. That programs hold in
interpreters of their own is proved where a test starts them by `subprocess`: the story, what kills supervisors and
children, `tests/processes`.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Final, NoReturn

from gateway.processes import forkserver
from tests import counters

_MOST: Final = 262_144  # bytes of a request: the environment is in it
_server: list[tuple[subprocess.Popen[bytes], socket.socket]] = []


@dataclass(slots=True)
class Program:
    """The part of `subprocess.Popen` that tests use. `stdout` is None where a file was given for it."""

    told: IO[str]  # a line with its number, and one with its exit code
    stdout: IO[str] | None
    pid: int = field(init=False)
    returncode: int | None = None

    def __post_init__(self) -> None:
        self.pid = int(self.told.readline())

    def poll(self) -> int | None:
        if self.returncode is None and self._told(0):
            self._ended()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not self._told(timeout):
                raise subprocess.TimeoutExpired("lgsp", timeout or 0.0)
            self._ended()
        assert self.returncode is not None
        return self.returncode

    def _told(self, timeout: float | None) -> bool:
        """Whether its exit code is there. select(2) knows no descriptor from 1,024 on, and a worker may have those."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.told, selectors.EVENT_READ)
            return bool(selector.select(timeout))

    def _ended(self) -> None:
        self.returncode = int(self.told.readline())
        self.told.close()
        if self.stdout is not None:
            self.stdout.close()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(
    words: Sequence[str],
    *,
    err: IO[Any],
    out: IO[Any] | None = None,
    environment: Mapping[str, str] | None = None,
    keeps: Sequence[int] = (),
) -> Program:
    """`lgsp words…`. Its output goes to `out`, or is read from `stdout`. It keeps these descriptors, by number."""
    if words[0] == "up":
        counters.add("instances")
    if not _server or _server[0][0].poll() is not None:
        _begin()
    read, write = os.pipe()
    told, tells = os.pipe()
    request = {
        "words": list(words),
        "environment": dict(os.environ if environment is None else environment),
        "folder": os.getcwd(),
        "umask": _umask(),
        "keeps": list(keeps),
    }
    given = [tells, write if out is None else out.fileno(), err.fileno(), *keeps]
    socket.send_fds(_server[0][1], [json.dumps(request).encode()], given)
    os.close(write)
    os.close(tells)
    if out is not None:
        os.close(read)
    return Program(os.fdopen(told, "r", buffering=1), os.fdopen(read, "r") if out is None else None)


def _umask() -> int:
    """It can only be read by setting it."""
    now = os.umask(0o077)
    os.umask(now)
    return now


def end() -> None:
    """At the end of the run. What still runs goes on."""
    while _server:
        process, control = _server.pop()
        control.close()
        process.wait()


def _begin() -> None:
    end()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-m", "tests.warm", str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    _server.append((process, ours))


# --- in the process that has loaded them ------------------------------------------------------------------------------


def _load() -> list[object]:
    from setproctitle import getproctitle

    from gateway.cli import parser, tree
    from gateway.cli.common.language import language
    from gateway.processes import desk_certificate, supervised, supervisor, table
    from gateway.registry.changes import adopting
    from gateway.sandbox import instance

    getproctitle()  # it looks for its place once, and has to before the environment changes
    held: list[object] = [tree, desk_certificate, supervised, supervisor, adopting, instance, parser(language())]
    held += [each.load() for each in table.PROCESSES]
    return [*held, table.agent(), table.catalogue()]


def _serve(control: int) -> None:
    """Returns in each program."""
    gc.disable()
    held = _load()
    gc.enable()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    with socket.socket(fileno=control) as asked:
        while True:
            request, received, _, _ = socket.recv_fds(asked, _MOST, 16)
            if not request:
                os._exit(0)
            if os.fork() == 0:
                break
            for descriptor in received:
                os.close(descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    tells, *others = received
    child = os.fork()
    if child:
        _wait(child, tells, others)
    os.close(tells)
    assert held
    signal.signal(signal.SIGINT, signal.default_int_handler)
    wanted = json.loads(request)
    forkserver._place(others, [1, 2, *wanted["keeps"]])
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)  # the first ones asked whether theirs can seek
    sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(wanted["environment"])
    os.chdir(wanted["folder"])
    os.umask(wanted["umask"])
    sys.argv = ["lgsp", *wanted["words"]]
    if wanted["words"][0] == "up":
        _prepare_fork_server()
    forkserver._name_process(" ".join(sys.argv))


def _wait(child: int, tells: int, others: Sequence[int]) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for descriptor in others:
        os.close(descriptor)
    os.write(tells, f"{child}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.write(tells, f"{code}\n".encode())
    os._exit(0)


def _prepare_fork_server() -> None:
    """A fork that becomes the fork server of this supervisor as soon as it asks for the first."""
    begin = forkserver.start
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        os.setsid()
        request, received, _, _ = socket.recv_fds(theirs, _MOST, 1)
        if not request:
            os._exit(0)  # the supervisor ended before it needed one
        theirs.close()
        forkserver._name_process("lgsp forkserver")
        forkserver.serve([str(received[0]), *json.loads(request)[2:]])  # returns in each child
        return
    theirs.close()

    def start(arguments: Sequence[str], descriptors: Sequence[int]) -> Any:
        if arguments[0] != forkserver.COMMAND:
            return begin(arguments, descriptors)
        forkserver.start = begin  # a second one loads its code again, as after `lgsp reload`
        with ours:
            socket.send_fds(ours, [json.dumps(list(arguments)).encode()], list(descriptors))
        return forkserver.Forked(pid)

    forkserver.start = start


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
    from gateway.cli import main

    main()
