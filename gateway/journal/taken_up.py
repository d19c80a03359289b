"""What a process has in hand, in a file that outlives it: one register a process, in `run/taken-up/`, named by its row in `process`.

    header (512 bytes)   1,024 slots of 512 bytes   tail: what `faulthandler` writes when it ends a process that is silent, or that crashes

Theory of operation
1. A slot is written by plain stores into a shared mapping, before anything of a call is read. The kernel keeps such pages when the process
   dies, however it dies. They do not survive a power cut.
2. The process holds a lock on its file (flock) for as long as it lives; the kernel lets go of it. A register whose lock is free is of a dead
   process. Numbers of processes and clocks are not asked.
3. Whoever finds one (`recovery.hand_in`) holds that lock while it writes the entries, and removes the file when they are committed.
Invariants
- What is stored is bounded, and cleaned of control characters when it is read.
- A slot is seen as taken only when all of it is written.
- All blocks of the file are there before it is mapped: a full disk cannot end a door at a store.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import mmap
import os
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from contracts.base.visible import visible

FOLDER: Final = "taken-up"  # in the folder `run`
SLOTS: Final = 1024
SLOT: Final = 512
_TAIL: Final = SLOT * (SLOTS + 1)
_SIZE: Final = _TAIL + 65_536
_MAGIC: Final = b"lgsp taken-up 1\n"
_UNTOLD: Final = struct.Struct("<I")  # of the header, behind the magic: calls for which there was no slot
_UNTOLD_AT: Final = len(_MAGIC)
_ABOUT_AT: Final = _UNTOLD_AT + _UNTOLD.size
_HEAD: Final = struct.Struct(
    "<Hdq"
)  # of a slot, behind its state: bytes of text, when, size of the body (-1: not told)
_TEXT_AT: Final = 1 + _HEAD.size
_TEXT: Final = SLOT - _TEXT_AT
_FREE, _TAKEN = 0, 1
_DRAFT: Final = ".new"
_DRAFT_SECONDS: Final = 60.0
_SHOWN: Final = 300  # characters of a path
NOWHERE: Final = -1  # the slot of a call for which there was none
_log: Final = logging.getLogger(__name__)


class Call(NamedTuple):
    """A call that was in hand. `certificate` is the thumbprint of what the connection showed; empty for none."""

    transfer: str
    at: float
    source: str
    certificate: str
    method: str
    path: str
    size: int | None


class Register:
    """Of this process. Where no file can be had it works in memory, which helps nobody, and says so in the log."""

    def __init__(self, folder: Path, process_id: str, kind: str) -> None:
        self._path: Path | None = folder / process_id
        self._file = -1
        self.trace: int | None = None  # descriptor for `faulthandler`
        about = {"process": process_id, "kind": kind, "pid": os.getpid(), "started": time.time()}
        try:
            self._file = _made(folder, process_id, about)
            self._map = mmap.mmap(self._file, _TAIL)
            self.trace = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
            os.lseek(self.trace, _TAIL, os.SEEK_SET)
        except OSError as error:
            _log.error(
                "what process %s has in hand will not be known if it dies: %s", process_id, error.strerror or error
            )
            if self._file >= 0:
                os.close(self._file)
            self._path, self._file, self._map = None, -1, mmap.mmap(-1, _TAIL)
        self._slots: Final = list(
            range(SLOTS, 0, -1)
        )  # the last that was given back is taken next: few pages are ever written
        self._untold = 0

    def take(self, call: Call) -> int:
        """Note a call; the slot is for `done`. A few microseconds."""
        if not self._slots:
            self._untold += 1
            _UNTOLD.pack_into(self._map, _UNTOLD_AT, min(self._untold, 0xFFFFFFFF))
            return NOWHERE
        slot = self._slots.pop()
        words = f"{call.transfer}\n{call.source[:64]}\n{call.certificate}\n{call.method[:16]}\n{call.path[:_SHOWN]}"
        text = words.encode("utf-8", "replace")[:_TEXT]
        start = slot * SLOT
        _HEAD.pack_into(self._map, start + 1, len(text), call.at, -1 if call.size is None else call.size)
        self._map[start + _TEXT_AT : start + _TEXT_AT + len(text)] = text
        self._map[start] = _TAKEN
        return slot

    def done(self, slot: int) -> None:
        """Forget a call: it ended, and whatever is to be known of it is in the log."""
        if slot != NOWHERE and not self._map.closed:  # a call that is cut off by the end comes here last
            self._map[slot * SLOT] = _FREE
            self._slots.append(slot)

    def close(self) -> None:
        """At the end of the process. The file stays where something is in hand; whoever recovers reads it then."""
        if self._path is not None and len(self._slots) == SLOTS and not self._untold:
            self._path.unlink(missing_ok=True)
        self._map.close()
        for descriptor in (self._file, self.trace):
            if descriptor is not None and descriptor >= 0:
                os.close(descriptor)
        self._file, self.trace = -1, None


def _made(folder: Path, name: str, about: dict[str, Any]) -> int:
    """A new register, locked, with its header; it has its name only then, so that nobody takes it for one that was left."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f"{_DRAFT}-{name}"
    file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.posix_fallocate(file, 0, _SIZE)
        os.pwrite(file, _MAGIC + _UNTOLD.pack(0) + json.dumps(about).encode("ascii") + b"\n", 0)
        draft.rename(folder / name)
    except OSError:
        os.close(file)
        draft.unlink(missing_ok=True)
        raise
    return file


# --- after its death --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Left:
    """The register of a process that is dead. `trace`: what ended it, as lines; empty where it was ended from outside."""

    path: Path
    process: str
    kind: str
    calls: tuple[Call, ...]
    untold: int
    trace: tuple[str, ...]

    @property
    def silent(self) -> bool:
        """Its loop was silent for too long, and the watchdog ended it."""
        return bool(self.trace) and self.trace[0].startswith("Timeout")

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def left_behind(folder: Path) -> Iterator[Left]:
    """The registers of dead processes of this machine, each held for as long as the caller works on it."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        path = folder / name
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:  # somebody else was faster
            continue
        try:
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(file).st_nlink and (left := _read(file, path)) is not None:
                    yield left
        finally:
            os.close(file)


def _read(file: int, path: Path) -> Left | None:
    """None for a draft, which holds nothing; one that was left lying is removed."""
    if path.name.startswith(_DRAFT):
        if time.time() - os.fstat(file).st_mtime > _DRAFT_SECONDS:
            path.unlink(missing_ok=True)
        return None
    data = os.pread(file, os.fstat(file).st_size, 0)
    try:
        if not data.startswith(_MAGIC) or len(data) < _TAIL:
            raise ValueError
        about = json.loads(data[_ABOUT_AT : data.index(b"\n", _ABOUT_AT)])
        process, kind = visible(str(about["process"])), visible(str(about["kind"]))
    except (ValueError, LookupError, TypeError):  # after a power cut, say
        _log.error("%s is no register of calls in hand; it is removed", path)
        path.unlink(missing_ok=True)
        return None
    calls = [_call(data[start : start + SLOT]) for start in range(SLOT, _TAIL, SLOT) if data[start] == _TAKEN]
    trace = data[_TAIL:].rstrip(b"\0").decode("utf-8", "replace").splitlines()
    (untold,) = _UNTOLD.unpack_from(data, _UNTOLD_AT)
    return Left(
        path=path,
        process=process,
        kind=kind,
        calls=tuple(sorted(calls, key=lambda call: call.at)),
        untold=untold,
        trace=tuple(visible(line) for line in trace),
    )


def _call(slot: bytes) -> Call:
    length, at, size = _HEAD.unpack_from(slot, 1)
    text = slot[_TEXT_AT : _TEXT_AT + length].decode("utf-8", "ignore")
    transfer, source, certificate, method, path = (visible(each) for each in [*text.split("\n", 4), *[""] * 4][:5])
    return Call(transfer, at, source, certificate, method, path, size if size >= 0 else None)
