"""A drop folder of a component system: files are taken up once they have settled, and a result is laid beside them.

    <folder>/              where the system writes; under a name ending in .part or .tmp, or beginning with a dot, until the file is whole
    <folder>/work/         taken up: <mark>~<name>, by one rename
    <folder>/accepted/     <name> with the mark in it, and its report
    <folder>/refused/      the same

The folder must be one file system. Invariants: a file is in exactly one of these places; each step is one rename, so that whoever dies in between
leaves a file that can be taken up again under the same mark; a report is on disk before its file leaves work/. Links are never followed.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

WORK: Final = "work"
Verdict = Literal["accepted", "refused"]
_UNFINISHED: Final = (".part", ".tmp", ".filepart", ".crdownload")
_UNSAFE: Final = re.compile(r"[^\w.()+ -]+")
_MARK: Final = re.compile(r"([0-9a-f-]{36})~(.+)", re.DOTALL)
_NAME_MOST: Final = 120  # characters; with the mark and the ending of a report it stays within 255 bytes of UTF-8 for most names


class TooLarge(Exception):
    """The file is over the limit; `size` in bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


@dataclass(frozen=True, slots=True)
class Claimed:
    """A file in work/: the id under which it is carried, and the name it was dropped with, made safe."""

    mark: str
    name: str

    @property
    def file(self) -> str:
        return f"{self.mark}~{self.name}"


_Seen = tuple[int, int, int]


class Folder:
    """One system's folder. Not shared between threads; of several processes one holds it."""

    def __init__(self, path: Path, settle_seconds: float, monotonic: Callable[[], float]) -> None:
        self._path, self._settle, self._monotonic = path, settle_seconds, monotonic
        self._looks: dict[str, tuple[_Seen, float]] = {}
        self._held = -1

    def make(self) -> None:
        """The folder and what belongs in it, for its owner and group alone."""
        for each in (self._path, *(self._path / name for name in (WORK, "accepted", "refused"))):
            each.mkdir(mode=0o770, parents=True, exist_ok=True)

    def hold(self) -> bool:
        """Whether this process alone works on the folder; once it does, until it ends."""
        if self._held < 0:
            file = os.open(self._path / WORK, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                return False
            self._held = file
        return True

    def let_go(self) -> None:
        if self._held >= 0:
            os.close(self._held)
            self._held = -1

    def settled(self) -> list[str]:
        """Names of the files that have not changed for as long as a file must stay the same, oldest first."""
        now, looks, ripe = self._monotonic(), dict[str, tuple[_Seen, float]](), list[tuple[int, str]]()
        with os.scandir(self._path) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name.lower().endswith(_UNFINISHED) or not entry.is_file(follow_symlinks=False):
                    continue
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                seen = (found.st_ino, found.st_size, found.st_mtime_ns)
                before = self._looks.get(entry.name)
                since = before[1] if before is not None and before[0] == seen else now
                looks[entry.name] = (seen, since)
                if now - since >= self._settle:
                    ripe.append((found.st_mtime_ns, entry.name))
        self._looks = looks
        return [name for _, name in sorted(ripe)]

    def claim(self, name: str, mark: str) -> Claimed | None:
        """Take a file up; None if somebody else was first, or it was taken back."""
        claimed = Claimed(mark, safe_name(name))
        try:
            os.rename(self._path / name, self._path / WORK / claimed.file)
        except FileNotFoundError:
            return None
        sync(self._path / WORK)
        return claimed

    def claimed(self) -> list[Claimed]:
        """What was taken up and has no result yet, oldest mark first."""
        names = sorted(os.listdir(self._path / WORK))
        return [Claimed(match[1], match[2]) for name in names if (match := _MARK.fullmatch(name)) is not None]

    def remark(self, claimed: Claimed, mark: str) -> Claimed:
        again = Claimed(mark, claimed.name)
        os.rename(self._path / WORK / claimed.file, self._path / WORK / again.file)
        return again

    def read(self, claimed: Claimed, limit: int) -> bytes | None:
        """The whole file; None while somebody still writes to it. `TooLarge` over the limit, `OSError` for what is no file any more."""
        file = os.open(self._path / WORK / claimed.file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(file, "rb") as opened:
            before = os.fstat(file)
            if not stat.S_ISREG(before.st_mode):
                raise OSError("no regular file")
            if before.st_size > limit:
                raise TooLarge(before.st_size)
            data = opened.read(limit + 1)
            after = os.fstat(file)
        unchanged = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns) and len(data) == after.st_size
        return data if unchanged else None

    def finish(self, claimed: Claimed, verdict: Verdict, reports: Mapping[str, bytes]) -> None:
        """Lay the reports (by their ending) beside where the file goes, then move it there. Doing it again changes nothing."""
        place = self._path / verdict
        stem, dot, ending = claimed.name.rpartition(".")
        base = f"{stem if dot else claimed.name}.{claimed.mark}"
        for suffix, data in reports.items():
            part = place / f".{base}{suffix}.part"
            with part.open("wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            part.rename(place / f"{base}{suffix}")
        sync(place)
        try:
            os.rename(self._path / WORK / claimed.file, place / f"{base}{dot}{ending if dot else ''}")
        except FileNotFoundError:  # another process brought it to the same end
            return
        sync(place)


def safe_name(name: str) -> str:
    """A name that can stand in a report and on any file system: letters, digits, and a few signs; the end of a long one stays."""
    plain = _UNSAFE.sub("_", unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode("utf-8")))
    return plain[-_NAME_MOST:]


def sync(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
