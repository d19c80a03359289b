"""A process that has loaded the code once, and from which the supervisor's children are forked: they start at once and share its memory.

    supervisor --- fork server       code and the catalogue's contracts alone: no key, no socket, no thread
              |--- door, keeper …    forked twice, so orphans at once, and orphans fall to the supervisor (PR_SET_CHILD_SUBREAPER, Linux 3.4)

Invariants
- A child is the supervisor's own in every respect: it is waited for, signalled and outlived as one that was started by itself, and none is lost
  with the fork server.
- Nothing that must differ between children exists before they are forked (`tests/processes/test_forkserver.py`).
- Where there is none, or it does not answer, children are started in fresh interpreters.
- The supervisor waits for it only as long as it wants the child, and is left no process that nobody waits for.

Why not multiprocessing's: its children are lost with it, for it alone can wait for them. Children share one layout of memory, as those of any
server do that forks (docs/security.md).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from gateway.hardening import leave_no_cores

COMMAND: Final = "forkserver"  # python -m gateway forkserver DESCRIPTOR LOADED…
_HELD: Final[list[Any]] = []  # in the fork server and in all that it forks
_SUBREAPER: Final = 36  # prctl(2)
_MOST: Final = 65_536  # bytes of one request
_MOST_DESCRIPTORS: Final = 16
_MOMENT: Final = 0.1  # seconds after which it is asked again whether the child is still wanted


class Process(Protocol):
    """What the supervisor uses of a process, as `subprocess.Popen` has it."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def kill(self) -> None: ...


@dataclass(slots=True)
class Forked:
    """A child of this process that another one forked."""

    pid: int
    returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            try:
                found, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # somebody else waited for it
                found, status = self.pid, 0
            if found:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        until = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if until is not None and time.monotonic() > until:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(0.02)
        return code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:  # until it is waited for, its number is nobody else's
            os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(arguments: Sequence[str], descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
    """`python -m gateway` with these arguments in a fresh interpreter that inherits these descriptors.

    In a session of its own: Ctrl-C is for the supervisor, which then tells its children.
    """
    command = [sys.executable, "-m", "gateway", *arguments]
    return subprocess.Popen(command, pass_fds=descriptors, stdin=subprocess.DEVNULL, start_new_session=True)


@dataclass(slots=True)
class ForkServer:
    """The supervisor's side. The server is started when it is needed, also in the place of one that died; loading takes a second."""

    loaded: Sequence[str]  # names of modules; of functions, as module:function, whose results are held
    seconds: float = 30.0  # that the first answer may take, with the loading
    patience: float = 10.0  # that any other may
    wanted: Callable[[], bool] = lambda: (
        True
    )  # asked while an answer is awaited: a supervisor that was told to end wants no more children
    _answered: bool = False
    _server: subprocess.Popen[bytes] | None = None
    _control: socket.socket | None = field(default=None, repr=False)

    def fork(self, arguments: Sequence[str], descriptors: Sequence[int]) -> Process | None:
        """A child with these arguments, in which these descriptors bear the numbers that they have here; None where it was no longer wanted.
        OSError where this machine, or a limit on it, lets no process begin."""
        if self._server is not None and self._server.poll() is not None:
            self.end()
        if self._server is None and _adopt_orphans():
            self._begin()
        pid = None if self._control is None else self._ask(self._control, arguments, descriptors)
        if pid is not None:
            self._answered = True
            return Forked(pid)
        self.end()
        return start(arguments, descriptors) if self.wanted() else None

    def _begin(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(_MOMENT)
        with theirs:
            try:
                self._server = start([COMMAND, str(theirs.fileno()), *self.loaded], [theirs.fileno()])
            except OSError:
                ours.close()
                raise
        self._control, self._answered = ours, False

    def _ask(self, control: socket.socket, arguments: Sequence[str], descriptors: Sequence[int]) -> int | None:
        request = json.dumps({"arguments": list(arguments), "numbers": list(descriptors)}).encode("utf-8")
        told = b""
        with contextlib.suppress(OSError):  # it died or hangs
            socket.send_fds(control, [request], list(descriptors))
            until = time.monotonic() + (self.patience if self._answered else self.seconds)
            while not told and time.monotonic() < until and self.wanted():
                with contextlib.suppress(TimeoutError):
                    if not (told := control.recv(32)):
                        break
        if not told:
            with contextlib.suppress(OSError):  # whoever has not told its number until now cannot any more, and ends
                control.shutdown(socket.SHUT_RD)
                told = control.recv(32)
        return int(told) if told else None

    def end(self) -> None:
        """Its children stay."""
        if self._control is not None:
            self._control.close()
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            _wait_for_strays(self._server.pid)
        self._control = self._server = None


def _wait_for_strays(group: int) -> None:
    """What fell to this process from a server that died while it forked: it ends by itself. A child that told its number leaves the group."""
    until = time.monotonic() + 1
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < until:
            if os.waitpid(-group, os.WNOHANG) == (0, 0):
                time.sleep(0.01)


def _adopt_orphans() -> bool:
    """Whether processes whose parent is gone fall to this one from now on."""
    return sys.platform == "linux" and not ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def serve(arguments: Sequence[str]) -> None:
    """Load, then fork whatever is asked for, until the supervisor's end closes. It comes back in each child, whose command line is in `sys.argv` then."""
    leave_no_cores()
    control, *names = arguments
    _HELD.extend(_load(name) for name in names)
    gc.collect()
    gc.freeze()  # a collection in a child would write to every object that it looks at, and so copy what is shared
    with socket.socket(fileno=int(control)) as asked:
        while True:
            request, received, _, _ = socket.recv_fds(asked, _MOST, _MOST_DESCRIPTORS)
            if not request:
                raise SystemExit(0)
            if _fork():
                break
            for descriptor in received:
                os.close(descriptor)
        try:
            asked.send(str(os.getpid()).encode("ascii"))
        except OSError:  # nobody waits for it any more
            raise SystemExit(1) from None
    wanted = json.loads(request)
    os.setsid()
    _place(received, wanted["numbers"])
    sys.argv = ["lgsp", *wanted["arguments"]]
    _name_process(" ".join(sys.argv))


def _load(name: str) -> Any:
    module, _, function = name.partition(":")
    found = importlib.import_module(module)
    return getattr(found, function)() if function else found


def _fork() -> bool:
    """Whether this is the child; by then it is an orphan. Where no process can begin, the server ends: the supervisor tries by itself, and tells."""
    try:
        middle = os.fork()
    except OSError:
        raise SystemExit(1) from None
    if middle:
        if os.waitpid(middle, 0)[1]:
            raise SystemExit(1)
        return False
    middle = os.getpid()
    try:
        child = os.fork()
    except OSError:
        os._exit(1)
    if child:
        os._exit(0)
    while os.getppid() == middle:
        time.sleep(0.001)
    return True


def _place(received: Sequence[int], numbers: Sequence[int]) -> None:
    above = max((*received, *numbers), default=0) + 1  # out of the way of all places that are taken in turn
    aside = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, above) for descriptor in received]
    for descriptor in received:
        os.close(descriptor)
    for descriptor, number in zip(aside, numbers, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)


def _name_process(title: str) -> None:
    """So that `ps` tells a door from a keeper."""
    from setproctitle import setproctitle

    setproctitle(title)
