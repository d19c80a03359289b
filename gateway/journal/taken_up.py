"""A file per process that records the calls in hand, and survives the process: `run/taken-up/<process id>`.

    header (512 bytes)   1,024 slots of 512 bytes   tail: output of `faulthandler` when the process hung or crashed

Theory of operation:
1. A slot is written by plain stores into a shared mapping, before anything of a call is read. The kernel keeps such
   pages however the process dies. They do not survive a power cut.
2. A living process holds a lock on its file (flock), which the kernel releases at its end. A register whose lock is
   free belongs to a dead process. Neither process numbers nor clocks are needed.
3. The recovering process (`recovery.hand_in`) holds that lock while it writes the entries, and removes the file after
   their commit.

Invariants:
- What is stored is bounded, and control characters are removed when it is read.
- A slot is marked as taken only when all of it is written.
- All blocks of the file are allocated before it is mapped: a full disk cannot end a door at a store.
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
_UNLISTED: Final = struct.Struct("<I")  # in the header, behind the magic: number of calls without a slot
_UNLISTED_AT: Final = len(_MAGIC)
_ABOUT_AT: Final = _UNLISTED_AT + _UNLISTED.size
_HEAD: Final = struct.Struct("<Hdq")  # of a slot, behind its state: bytes of text, time, size of the body (-1: unknown)
_TEXT_AT: Final = 1 + _HEAD.size
_TEXT: Final = SLOT - _TEXT_AT
_FREE, _TAKEN = 0, 1
_DRAFT: Final = ".new"
_DRAFT_SECONDS: Final = 60.0
_SHOWN: Final = 300  # characters of a path
NOWHERE: Final = -1  # returned when all slots are taken
_log: Final = logging.getLogger(__name__)


class Call(NamedTuple):
    """A call in hand. `at` is in Unix seconds.

    `certificate` is the thumbprint of the client certificate, or empty.
    """

    transfer: str
    at: float
    source: str
    certificate: str
    method: str
    path: str
    size: int | None


class Register:
    """The register of this process. Without a file it works in memory, which the log reports as an error."""

    def __init__(self, folder: Path, process_id: str, kind: str) -> None:
        self._path: Path | None = folder / process_id
        self._file = -1
        self.trace: int | None = None  # descriptor for `faulthandler`
        about = {"process": process_id, "kind": kind, "pid": os.getpid(), "started": time.time()}
        try:
            self._file = _create(folder, process_id, about)
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
        self._slots: Final = list(range(SLOTS, 0, -1))  # last in, first out: few pages are ever written
        self._unlisted = 0

    def take(self, call: Call) -> int:
        """Records a call and returns its slot for `done`; takes a few microseconds."""
        if not self._slots:
            self._unlisted += 1
            _UNLISTED.pack_into(self._map, _UNLISTED_AT, min(self._unlisted, 0xFFFFFFFF))
            return NOWHERE
        slot = self._slots.pop()
        fields = f"{call.transfer}\n{call.source[:64]}\n{call.certificate}\n{call.method[:16]}\n{call.path[:_SHOWN]}"
        text = fields.encode("utf-8", "replace")[:_TEXT]
        start = slot * SLOT
        _HEAD.pack_into(self._map, start + 1, len(text), call.at, -1 if call.size is None else call.size)
        self._map[start + _TEXT_AT : start + _TEXT_AT + len(text)] = text
        self._map[start] = _TAKEN
        return slot

    def done(self, slot: int) -> None:
        """Forgets a call that ended; the log holds its outcome."""
        if slot != NOWHERE and not self._map.closed:  # a call cut off by the shutdown comes here after `close`
            self._map[slot * SLOT] = _FREE
            self._slots.append(slot)

    def close(self) -> None:
        """Closes the register at the end of the process; the file stays if calls are in hand, for recovery."""
        if self._path is not None and len(self._slots) == SLOTS and not self._unlisted:
            self._path.unlink(missing_ok=True)
        self._map.close()
        for descriptor in (self._file, self.trace):
            if descriptor is not None and descriptor >= 0:
                os.close(descriptor)
        self._file, self.trace = -1, None


def _create(folder: Path, name: str, about: dict[str, Any]) -> int:
    """Creates a locked register with its header.

    It gets its name last, so that no process takes it for an abandoned one.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f"{_DRAFT}-{name}"
    file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.posix_fallocate(file, 0, _SIZE)
        os.pwrite(file, _MAGIC + _UNLISTED.pack(0) + json.dumps(about).encode("ascii") + b"\n", 0)
        draft.rename(folder / name)
    except OSError:
        os.close(file)
        draft.unlink(missing_ok=True)
        raise
    return file


# --- recovery ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Left:
    """The register of a dead process.

    `trace`: lines of `faulthandler`; empty if the process was killed from outside.
    """

    path: Path
    process: str
    kind: str
    calls: tuple[Call, ...]
    untold: int
    trace: tuple[str, ...]

    @property
    def silent(self) -> bool:
        """Whether the watchdog ended the process because its event loop hung."""
        return bool(self.trace) and self.trace[0].startswith("Timeout")

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def left_behind(folder: Path) -> Iterator[Left]:
    """The registers of dead processes of this machine, each locked while the caller works on it."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        path = folder / name
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:  # another process was faster
            continue
        try:
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(file).st_nlink and (left := _read(file, path)) is not None:
                    yield left
        finally:
            os.close(file)


def _read(file: int, path: Path) -> Left | None:
    """The register in `file`; None for a draft, which holds nothing. Abandoned drafts are removed."""
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
    except (ValueError, LookupError, TypeError):  # for example after a power cut
        _log.error("%s is no register of calls in hand; it is removed", path)
        path.unlink(missing_ok=True)
        return None
    calls = [_call(data[start : start + SLOT]) for start in range(SLOT, _TAIL, SLOT) if data[start] == _TAKEN]
    trace = data[_TAIL:].rstrip(b"\0").decode("utf-8", "replace").splitlines()
    (untold,) = _UNLISTED.unpack_from(data, _UNLISTED_AT)
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
    return Call(
        transfer=transfer,
        at=at,
        source=source,
        certificate=certificate,
        method=method,
        path=path,
        size=size if size >= 0 else None,
    )
