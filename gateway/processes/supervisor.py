"""The supervisor: opens the sockets, starts the processes of `table.py`, restarts what dies, and ends all of them.

    supervisor --- door (one a core)   exchange listener, shared socket
              |--- desk               people's listener
              |--- files              what is dropped in folders
              |--- keeper             sequencer, delivery, recovery
              `--- fork server        all of them are forked from it

Invariants
- It holds no key and opens no message, so a fault in it leaks nothing.
- Children hold the read end of a pipe; the supervisor alone holds the write end. When the supervisor dies, they see
  the end of the pipe and stop. No door runs without a supervisor.
- A child that dies is restarted, after a pause that grows while it keeps dying.
- On SIGHUP (`lgsp reload`) the gateway's own children are replaced in turn. A new one is ready before the old one
  is told to end, so a listener is always open. If a new one does not start, the old ones stay. New ones load
  their code again.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from gateway.hardening import private_files
from gateway.processes.child import READY
from gateway.processes.forkserver import ForkServer
from gateway.processes.service_manager import ServiceManager
from gateway.processes.sockets import BOUND, open_listeners
from gateway.processes.supervised import Child, NotStarted, gateway_children, words
from gateway.processes.table import DOOR, GATEWAY, catalogue
from gateway.settings import BadSetting, Settings, load
from gateway.settings.handing import handed
from gateway.settings.running import PID as PID
from gateway.signals import lines

_PAUSES: Final = (0.2, 1.0, 5.0, 15.0)
# Settings that only a start reads, `lgsp up` or the supervisor: until a restart they keep their value.
_AT_START: Final = (*BOUND, "doors", "roles", "machine", "kind", "live")
RELOADED: Final = "reload.json"  # in the folder `run`: number of reloads, and what went wrong in the last one
_KILLED: Final = "{name} (pid {pid}) did not stop in time and was killed; its open transfers become in-doubt"
# Seconds after which earlier deaths of a child no longer count, if it became ready: while a machine's only door waits
# for its next start, its callers wait too.
_STEADY: Final = 5.0


@dataclass(slots=True)
class Supervisor:
    """`run()` blocks until SIGINT or SIGTERM, or until another thread calls `stop()`."""

    settings: Settings
    on_ready: Callable[[], None] = lambda: None
    extra: Sequence[Child] = ()
    loaded: Sequence[Callable[[], object]] = ()  # called in the fork server, for what `extra` needs besides
    told: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True)
    _children: list[Child] = field(default_factory=list)
    _stopping: bool = False
    _reload: bool = False
    _terminal: bool = False
    _passing: list[Child] = field(
        default_factory=list
    )  # old ones that were told to end, new ones that are not ready yet
    _reloads: int = 0
    _kept: list[str] = field(default_factory=list)  # settings that wait for a restart
    _newest: Settings = field(init=False)  # what the last child got; `settings` are those that all children have
    _lifeline: tuple[int, int] = (-1, -1)
    _forks: ForkServer = field(init=False)
    _manager: ServiceManager | None = None

    def __post_init__(self) -> None:
        self._newest = self.settings
        self._forks = self._fork_server()

    def run(self) -> None:
        settings = self.settings
        listeners = open_listeners(settings)
        self._lifeline = os.pipe()
        manager = self._manager = ServiceManager()
        settings.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        sockets = {name: listener.fileno() for name, listener in listeners.items()}
        self._children = gateway_children(settings, sockets)
        self._children += self.extra
        handlers = {signal.SIGINT: self._on_stop, signal.SIGTERM: self._on_stop, signal.SIGHUP: self._on_reload}
        self._terminal = _has_terminal()
        before = (
            {number: signal.signal(number, handler) for number, handler in handlers.items()}
            if _in_main_thread()
            else {}
        )
        (settings.run / RELOADED).unlink(missing_ok=True)
        pid_file = settings.run / PID
        with private_files():
            pid_file.write_text(f"{os.getpid()}\n", "ascii")
        try:
            self._start_all()
            self._await_ready()
            if not self._stopping:
                self.on_ready()
                manager.ready()
            while not self._stopping:
                self._tend()
                if self._reload:
                    self._reload = False
                    manager.reloading()
                    self._replace_all()
                    manager.ready()
                time.sleep(0.2)
        finally:
            manager.stopping()
            for listener in listeners.values():  # first, so that no connection queues where no door will accept it
                listener.close()
            self._end_all()
            pid_file.unlink(missing_ok=True)
            if "edge_socket" in listeners:
                Path(settings.edge_socket).unlink(missing_ok=True)
            for number, handler in before.items():
                signal.signal(number, handler)

    def stop(self) -> None:
        self._stopping = True

    def say(self, text: str) -> None:
        self.told(lines.said("supervisor", text, self.settings.log_format))

    def pids(self) -> dict[str, int]:
        return {child.name: child.process.pid for child in self._children if child.process is not None}

    def _fork_server(self) -> ForkServer:
        loaded = dict.fromkeys(
            (*(row.load for row in GATEWAY), *(child.load for child in self.extra), *self.loaded, catalogue)
        )
        return ForkServer(tuple(loaded), self.settings.ready_seconds, wanted=lambda: not self._stopping)

    def _start_all(self) -> None:
        for child in self._children:
            try:
                self._begin(child)
            except OSError as error:
                why = error.strerror or error
                raise NotStarted(words("process", name=child.name, why=why), words("process.next")) from None
            except BadSetting as trouble:
                raise NotStarted(words("process", name=child.name, why=trouble.words)) from None

    def _start(self, child: Child) -> bool:
        try:
            self._begin(child)
        except OSError as error:
            self.say(f"{child.name} could not be started: {error.strerror or error} (ulimit -u, ulimit -n, memory)")
        except BadSetting as trouble:
            self.say(f"{child.name} could not be started: {trouble.words.en}")
        return child.process is not None

    def _begin(self, child: Child) -> None:
        """Start a child with the settings of now, unless the supervisor is stopping.

        OSError if no process can be started, BadSetting if the settings cannot be read.
        """
        if self._stopping:
            return
        child.close_pipe()
        child.ready, child.started = False, time.monotonic()
        given = {"--lifeline": self._lifeline[0]}
        try:
            if child.takes_settings:
                given["--settings"] = handed(self._of_now())
            child.ready_pipe, given["--ready"] = os.pipe()
            os.set_blocking(child.ready_pipe, False)
            arguments = [*child.arguments, *(word for name, number in given.items() for word in (name, str(number)))]
            child.process = self._forks.fork(arguments, (*child.sockets, *given.values()))
        finally:
            for name in given.keys() - {"--lifeline"}:
                os.close(given[name])

    def _of_now(self) -> Settings:
        """What is bound keeps its value: a process that took another one would look for a socket that is not there."""
        now, bound = load(self.settings.data), {name: getattr(self.settings, name) for name in _AT_START}
        self._kept = [name for name, value in bound.items() if getattr(now, name) != value]
        self._newest = replace(now, **bound)
        return self._newest

    def _again(self, child: Child, what: str) -> None:
        pause = _PAUSES[min(child.deaths, len(_PAUSES) - 1)]
        self.say(f"{child.name} {what}; starting it again in {pause:g} s")
        child.deaths += 1
        child.again_at = time.monotonic() + pause
        child.process = None

    def _await_ready(self) -> None:
        deadline = time.monotonic() + self.settings.ready_seconds
        while not self._stopping:
            for child in self._children:
                self._look(child)
                if child.process is not None and child.process.poll() is not None:
                    raise NotStarted(words("ended", name=child.name, code=child.process.returncode))
            if all(child.ready for child in self._children):
                return
            if time.monotonic() > deadline:
                late = ", ".join(child.name for child in self._children if not child.ready)
                raise NotStarted(words("late", seconds=f"{self.settings.ready_seconds:g}", names=late))
            time.sleep(0.02)

    def _look(self, child: Child) -> None:
        if child.ready or child.ready_pipe < 0:
            return
        try:
            text = os.read(child.ready_pipe, 64)
        except BlockingIOError:
            return
        child.ready = text == READY
        child.close_pipe()

    def _tend(self) -> None:
        if self._manager is not None:  # also while processes are replaced, which may take long
            self._manager.alive()
        now = time.monotonic()
        for child in self._children:
            if child.ending:
                continue
            self._look(child)
            if child.process is None:
                if now >= child.again_at and not self._start(child) and not self._stopping:
                    self._again(child, "did not begin")
                continue
            code = child.process.poll()
            if code is None:
                if child.deaths and child.ready and now - child.started > _STEADY:
                    child.deaths = 0
                continue
            self._again(child, f"(pid {child.process.pid}) ended with {_ending(code)}")

    # --- replacing ----------------------------------------------------------------------------------------------------

    def _replace_all(self) -> None:
        self._forks.end()
        self._forks = self._fork_server()
        ours = [child for child in self._children if child not in self.extra]
        doors = [child for child in ours if child.load is DOOR.load]
        # what runs alone ends before its successor starts: it comes last, when the others' successors work
        first = [child for child in ours if child not in doors[1:] and not child.alone]
        waves = [first, *([door] for door in doors[1:]), [child for child in ours if child.alone]]
        trouble = ""
        for wave in waves:
            trouble = trouble or self._replace(wave)
        if self._stopping:
            return
        if not trouble:
            self.settings = self._newest
        self._reloads += 1
        draft = self.settings.run / f".{RELOADED}"
        try:
            with private_files():
                draft.write_text(json.dumps({"count": self._reloads, "trouble": trouble, "kept": self._kept}), "utf-8")
            draft.replace(self.settings.run / RELOADED)
        except OSError as error:  # `lgsp reload` then waits in vain; nothing else is affected
            self.say(f"what became of the reload cannot be noted: {error.strerror or error}")
        waits = f"; until a restart these settings keep their value: {', '.join(self._kept)}" if self._kept else ""
        self.say(f"reload {self._reloads}: {trouble or 'all processes are new'}{waits}")

    def _replace(self, wave: list[Child]) -> str:
        """What went wrong. Empty if the successors work and the old ones have ended."""
        alone = [old for old in wave if old.alone]
        self._part_with(alone)
        pairs = [(old, Child(old.name, old.arguments, old.load, old.sockets, alone=old.alone)) for old in wave]
        for _, new in pairs:
            self._start(new)
            self._passing.append(new)
        failed = self._late([new for _, new in pairs])
        if self._stopping:
            return ""
        for old, new in pairs:
            self._passing.remove(new)
            if failed and not old.alone:
                if not new.ready:
                    _kill(new)
            else:  # its predecessor has ended: a successor that died is restarted like any child
                self._children[self._children.index(old)] = new
        if failed:
            self._part_with(
                [new for old, new in pairs if new.ready and not old.alone]
            )  # they may have requests in hand
            return f"the new {failed.name} did not come up; the old processes go on"
        self._part_with([old for old in wave if not old.alone])
        return ""

    def _late(self, awaited: list[Child]) -> Child | None:
        """Wait until all are ready, tending the others. Returns one that died or took too long, if any."""
        until = time.monotonic() + self._newest.ready_seconds
        while not self._stopping:
            self._tend()
            for child in awaited:
                self._look(child)
            open_ones = [child for child in awaited if not child.ready]
            if not open_ones:
                return None
            for child in open_ones:
                if child.process is None or child.process.poll() is not None or time.monotonic() > until:
                    return child
            time.sleep(0.02)
        return None

    def _part_with(self, olds: list[Child]) -> None:
        """Tell them to end, and wait. The other children are tended meanwhile."""
        leaving = [(old, process) for old in olds if (process := old.process) is not None]
        for old, process in leaving:
            old.ending = True
            process.send_signal(signal.SIGTERM)
            self._passing.append(old)
        until = time.monotonic() + patience(self.settings)
        while leaving and not self._stopping:
            self._tend()
            time.sleep(0.05)
            for old, process in [pair for pair in leaving if pair[1].poll() is not None or time.monotonic() > until]:
                if process.poll() is None:
                    _kill(old)
                    self.say(_KILLED.format(name=f"the old {old.name}", pid=process.pid))
                leaving.remove((old, process))
                self._passing.remove(old)

    def _end_all(self) -> None:
        alive = [child for child in dict.fromkeys((*self._children, *self._passing)) if child.process is not None]
        for child in alive:
            assert child.process is not None
            if child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + patience(self.settings)
        for child in alive:
            assert child.process is not None
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.say(_KILLED.format(name=child.name, pid=child.process.pid))
                child.process.kill()
                child.process.wait()
        for child in dict.fromkeys((*self._children, *self._passing)):
            child.close_pipe()
        self._forks.end()
        for end in self._lifeline:
            os.close(end)

    def _on_stop(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _on_reload(self, _number: int, _frame: object) -> None:
        """SIGHUP also reports a closed terminal. That stops a supervisor that runs in one."""
        if self._terminal and not _has_terminal():
            self._stopping = True
        else:
            self._reload = True


def reload_seconds(settings: Settings) -> float:
    """How long a reload may take: its fork server, and one wave after the other (`Supervisor._replace_all`)."""
    return (settings.door_count + 2) * (settings.ready_seconds + patience(settings))


def patience(settings: Settings) -> float:
    """How long processes that were told to end may take, in seconds."""
    return settings.drain_seconds + settings.provider_seconds + 15


def _kill(child: Child) -> None:
    if child.process is not None:
        child.process.kill()
        child.process.wait()
    child.close_pipe()


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
