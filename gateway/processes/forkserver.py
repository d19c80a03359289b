"""A process that loads the code once. The supervisor's children are forked from it: they start fast, share memory.

    supervisor --- fork server       code and the catalogue's contracts alone: no key, no socket, no thread
              |--- door, keeper …    forked twice, so they become orphans, which the supervisor adopts
                                     (PR_SET_CHILD_SUBREAPER, Linux 3.4)

Invariants
- The supervisor waits for, signals and outlives such a child as one that it started itself. No child ends with
  the fork server.
- Nothing that must differ between children exists before they are forked (`tests/processes/test_forkserver.py`).
- Where no fork server runs or answers, children start in fresh interpreters.
- The supervisor waits for the server only as long as it wants the child. No process is left unwaited for.

multiprocessing's fork server does not serve: only it can wait for its children, which are lost with it.
Children share one layout of memory, as with any server that forks (docs/security.md).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import json
import os
import pkgutil
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
_HELD: Final[list[Any]] = []  # what was loaded, kept alive in the fork server and its children
_SUBREAPER: Final = 36  # prctl(2)
_MOST: Final = 65_536  # bytes of one request
_MOST_DESCRIPTORS: Final = 16
_MOMENT: Final = 0.1  # seconds between checks whether the child is still wanted


class Process(Protocol):
    """The part of `subprocess.Popen` that the supervisor uses."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def kill(self) -> None: ...


@dataclass(slots=True)
class Forked:
    """A child of this process that the fork server forked."""

    pid: int
    returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            try:
                ended, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # another thread waited for it
                ended, status = self.pid, 0
            if ended:
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
        if self.poll() is None:  # its number is not reused before it is waited for
            os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(arguments: Sequence[str], descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
    """`python -m gateway` with these arguments in a fresh interpreter that inherits these descriptors.

    It has a session of its own, so that Ctrl-C reaches the supervisor alone.
    """
    command = [sys.executable, "-m", "gateway", *arguments]
    return subprocess.Popen(command, pass_fds=descriptors, stdin=subprocess.DEVNULL, start_new_session=True)


@dataclass(slots=True)
class ForkServer:
    """The supervisor's side. The server starts when it is first needed, and again after it died."""

    loaded: Sequence[Callable[[], object]]  # functions of modules, called in the server before the first fork
    seconds: float = 30.0  # time for the first answer, including loading
    patience: float = 10.0  # time for any other answer
    wanted: Callable[[], bool] = lambda: True  # asked while an answer is awaited
    _answered: bool = False
    _server: subprocess.Popen[bytes] | None = None
    _control: socket.socket | None = field(default=None, repr=False)

    def fork(self, arguments: Sequence[str], descriptors: Sequence[int]) -> Process | None:
        """A child with these arguments. The descriptors have the same numbers there as here.

        None if the child is no longer wanted. OSError if no process can be started.
        """
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
            loaded = [f"{each.__module__}:{each.__qualname__}" for each in self.loaded]
            try:
                self._server = start([COMMAND, str(theirs.fileno()), *loaded], [theirs.fileno()])
            except OSError:
                ours.close()
                raise
        self._control, self._answered = ours, False

    def _ask(self, control: socket.socket, arguments: Sequence[str], descriptors: Sequence[int]) -> int | None:
        request = json.dumps({"arguments": list(arguments), "numbers": list(descriptors)}).encode("utf-8")
        answer = b""
        with contextlib.suppress(OSError):  # the server died or hangs
            socket.send_fds(control, [request], list(descriptors))
            until = time.monotonic() + (self.patience if self._answered else self.seconds)
            while not answer and time.monotonic() < until and self.wanted():
                with contextlib.suppress(TimeoutError):
                    if not (answer := control.recv(32)):
                        break
        if not answer:
            with contextlib.suppress(OSError):  # a child that reported no number by now gets no answer and ends
                control.shutdown(socket.SHUT_RD)
                answer = control.recv(32)
        return int(answer) if answer else None

    def end(self) -> None:
        """End the server. Its children stay."""
        if self._control is not None:
            self._control.close()
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            _wait_for_strays(self._server.pid)
        self._control = self._server = None


def _wait_for_strays(group: int) -> None:
    """Wait for processes of a server that died while forking. They end by themselves; ready children left the group."""
    until = time.monotonic() + 1
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < until:
            if os.waitpid(-group, os.WNOHANG) == (0, 0):
                time.sleep(0.01)


def _adopt_orphans() -> bool:
    """Whether this process adopts orphaned descendants from now on."""
    return sys.platform == "linux" and not ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def serve(arguments: Sequence[str]) -> None:
    """Load, then fork a child per request, until the supervisor's end closes.

    Returns in each child, whose command line is then in `sys.argv`.
    """
    leave_no_cores()
    control, *names = arguments
    gc.disable()  # what is loaded stays: a tenth of the time went into looking through it
    _HELD.extend(pkgutil.resolve_name(name)() for name in names)
    gc.collect()
    gc.freeze()  # a collection in a child would write to every object, and so copy the shared memory
    gc.enable()
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
        except OSError:  # the supervisor no longer waits
            raise SystemExit(1) from None
    wanted = json.loads(request)
    os.setsid()
    _place(received, wanted["numbers"])
    sys.argv = ["lgsp", *wanted["arguments"]]
    _name_process(" ".join(sys.argv))


def _fork() -> bool:
    """Whether this is the child, which is an orphan by then.

    If no process can be started, the server ends. The supervisor then tries by itself and reports.
    """
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
    above = max((*received, *numbers), default=0) + 1  # above all numbers in use
    aside = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, above) for descriptor in received]
    for descriptor in received:
        os.close(descriptor)
    for descriptor, number in zip(aside, numbers, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)


def _name_process(title: str) -> None:
    """Let `ps` show which process this is."""
    from setproctitle import setproctitle

    setproctitle(title)
