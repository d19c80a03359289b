"""Handles a component system's drop folder: claims files that have settled, and puts their results beside them.

    <folder>/              written by the system; an unfinished file's name ends in .part or .tmp, or begins with a dot
    <folder>/work/         claimed: <mark>~<name>, by one rename
    <folder>/accepted/     <name> with the mark in it, and its report
    <folder>/refused/      the same
    <folder>/quarantine/   what ended the gateway's process too often; its report is in refused/

The folder must be on one file system.
Invariants:
- A file is in exactly one of these places.
- Each step is one rename: after a crash the file is claimed again under the same mark.
- A report is on disk before its file leaves work/.
- Links are never followed.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import unicodedata
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Literal

WORK: Final = "work"
QUARANTINE: Final = "quarantine"
Verdict = Literal["accepted", "refused"]
_PLACE: Final = ".folder"  # in work/: the id of the folder
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_UNFINISHED: Final = (".part", ".tmp", ".filepart", ".crdownload")
_UNSAFE: Final = re.compile(r"[^\w.()+ -]+")
_MARK: Final = re.compile(r"([0-9a-f-]{36})~(.+)", re.DOTALL)
_COUNTED: Final = 1_000
_NAME_MOST: Final = 180  # bytes; with the mark and the ending of a report it stays within the 255 that a name may have


class TooLarge(Exception):
    """The file is over the limit; `size` in bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


@dataclass(frozen=True, slots=True)
class Claimed:
    """A file in work/: the id of its transfer, and the name it was dropped with, made safe."""

    mark: str
    name: str

    @property
    def file(self) -> str:
        return f"{self.mark}~{self.name}"


_Seen = tuple[int, int, int]
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder:
    """One system's folder. Not shared between threads; of several processes one locks it.

    The system may write here, so the folders are opened once: a link in the place of accepted/ has no effect.
    """

    def __init__(self, path: Path, settle_seconds: float, monotonic: Callable[[], float]) -> None:
        """Makes the missing folders: for their owner alone, or for the group that `path` is shared with."""
        self._path, self._settle, self._monotonic = path, settle_seconds, monotonic
        self._looks: dict[str, tuple[_Seen, float]] = {}
        self._held = False
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        self._open = {"": os.open(path, _DIRECTORY)}
        shared = stat.S_IMODE(os.fstat(self._open[""]).st_mode) & 0o770
        for name in (WORK, "accepted", "refused", QUARANTINE):
            with suppress(FileExistsError):
                os.mkdir(name, shared, dir_fd=self._open[""])
            self._open[name] = os.open(name, _DIRECTORY, dir_fd=self._open[""])

    def close(self) -> None:
        for file in self._open.values():
            os.close(file)
        self._open.clear()

    def hold(self) -> bool:
        """Locks the folder until it is closed or the process ends; False if another process has it.

        `OSError` if it was replaced.
        """
        if not os.path.samestat(os.stat(self._path, follow_symlinks=False), os.fstat(self._open[""])):
            raise OSError(f"{self._path} is another folder now")
        if not self._held:
            try:
                fcntl.flock(self._open[WORK], fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self._held = True
        return True

    def place(self) -> str:
        """An id that lies in the folder itself: the same on all machines that share it. `OSError` without room."""
        for _ in range(2):
            with suppress(FileNotFoundError):
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                with os.fdopen(os.open(_PLACE, flags, dir_fd=self._open[WORK]), "rb") as opened:
                    text = opened.read(64).decode("ascii", "replace").strip()
                if text:
                    return text
            draft = f"{_PLACE}.{os.getpid()}"
            with os.fdopen(os.open(draft, _NEW, 0o660, dir_fd=self._open[WORK]), "w") as made:
                made.write(str(uuid.uuid4()))
            work = self._open[WORK]
            with suppress(FileExistsError):  # another machine was first
                os.link(draft, _PLACE, src_dir_fd=work, dst_dir_fd=work)
            os.unlink(draft, dir_fd=work)
        raise OSError(f"{self._path} has no id")

    def settled(self) -> list[str]:
        """Names of the files that have not changed for as long as a file must stay the same, oldest first."""
        now, looks, settled = self._monotonic(), dict[str, tuple[_Seen, float]](), list[tuple[int, str]]()
        with os.scandir(self._open[""]) as entries:
            for entry in entries:
                if (
                    entry.name.startswith(".")
                    or entry.name.lower().endswith(_UNFINISHED)
                    or not entry.is_file(follow_symlinks=False)
                ):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                seen = (status.st_ino, status.st_size, status.st_mtime_ns)
                before = self._looks.get(entry.name)
                since = before[1] if before is not None and before[0] == seen else now
                looks[entry.name] = (seen, since)
                if now - since >= self._settle:
                    settled.append((status.st_mtime_ns, entry.name))
        self._looks = looks
        return [name for _, name in sorted(settled)]

    def claim(self, name: str, mark: str) -> Claimed | None:
        """Claims a file; None if the system took it back."""
        claimed = Claimed(mark, safe_name(name))
        try:
            self._move("", name, WORK, claimed.file)
        except FileNotFoundError:
            return None
        return claimed

    def claimed(self) -> list[Claimed]:
        """The claimed files without a result, oldest mark first."""
        names = sorted(os.listdir(self._open[WORK]))
        return [Claimed(match[1], match[2]) for name in names if (match := _MARK.fullmatch(name)) is not None]

    def remark(self, claimed: Claimed, mark: str) -> Claimed:
        """Gives it another id, for another attempt."""
        again = Claimed(mark, claimed.name)
        self._move(WORK, claimed.file, WORK, again.file)
        return again

    def read(self, claimed: Claimed, limit: int) -> bytes | None:
        """The whole file; None while it is still written to. `TooLarge` over the limit, `OSError` if it is no file."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(claimed.file, flags, dir_fd=self._open[WORK]), "rb") as opened:
            before = os.fstat(opened.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise OSError("no regular file")
            if before.st_size > limit:
                raise TooLarge(before.st_size)
            data = opened.read(limit + 1)
            after = os.fstat(opened.fileno())
        unchanged = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns) and len(
            data
        ) == after.st_size
        return data if unchanged else None

    def finish(self, claimed: Claimed, verdict: Verdict, reports: Mapping[str, bytes], *, aside: bool = False) -> None:
        """Writes the reports (by their endings), then moves the file beside them, or with `aside` to quarantine/.

        Doing it again changes nothing.
        """
        stem, dot, ending = claimed.name.rpartition(".")
        base = f"{stem if dot else claimed.name}.{claimed.mark}"
        for suffix, data in reports.items():
            part = f".{base}{suffix}.part"
            with suppress(FileNotFoundError):
                os.unlink(part, dir_fd=self._open[verdict])
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(part, flags, 0o660, dir_fd=self._open[verdict]), "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            self._move(verdict, part, verdict, f"{base}{suffix}")
        with suppress(FileNotFoundError):  # it was moved before
            self._move(WORK, claimed.file, QUARANTINE if aside else verdict, f"{base}{dot}{ending if dot else ''}")

    def _move(self, source: str, name: str, target: str, new: str) -> None:
        os.rename(name, new, src_dir_fd=self._open[source], dst_dir_fd=self._open[target])
        os.fsync(self._open[target])


def quarantined(root: Path) -> list[Path]:
    """The files in quarantine below `root`: at most a thousand of a folder, and none behind a link."""
    files: list[Path] = []
    for place in sorted(root.glob(f"*/{QUARANTINE}")):
        with suppress(OSError):
            folder = os.open(place, _DIRECTORY)
            try:
                with os.scandir(folder) as entries:
                    names = [entry.name for entry in islice(entries, _COUNTED) if entry.is_file(follow_symlinks=False)]
            finally:
                os.close(folder)
            files += [place / name for name in sorted(names)]
    return files


def safe_name(name: str) -> str:
    """A name for reports and any file system: letters, digits and a few signs; of a long one the end."""
    plain = _UNSAFE.sub("_", unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode("utf-8")))
    return plain.encode("utf-8")[-_NAME_MOST:].decode("utf-8", "ignore")
