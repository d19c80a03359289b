"""A disk that loses its power: what a process wrote is recorded by strace, and played again only as far as it was
synced.

The model is the one that a file system promises (POSIX, and no more): the bytes of a file are safe when `fsync` of it
came back, its name in a folder when `fsync` of that folder did; of everything else any part may be there or not, in any
order, and of a write any of its sectors. Names that are added and taken away are one step each; a rename is one step
that happened or did not.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

CALLS = "openat,write,pwrite64,fsync,fdatasync,ftruncate,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat"  # noqa: E501
SECTOR = 512
_LINE = re.compile(r"(\d+) +(.*)")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+|\?)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_OF = re.compile(r"(\d+)<((?:\\x[0-9a-f]{2})*)>")


def command(trace: Path, *words: str) -> list[str]:
    return [
        "strace",
        "-f",
        "-qq",
        "-y",
        "-xx",
        "-s",
        "10000000",
        "--seccomp-bpf",
        "-e",
        f"trace={CALLS}",
        "-o",
        str(trace),
        *words,
    ]


def can_trace(folder: Path) -> str | None:
    """Why this machine cannot; None if it can."""
    try:
        done = subprocess.run(
            command(folder / "trial", "true"), capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as trouble:
        return f"strace: {trouble}"
    return None if done.returncode == 0 else f"strace: {done.stderr.strip()[:120]}"


@dataclass
class File:
    """Bytes as the process sees them, and as they are safe. A change is (offset, bytes), or a length to cut at."""

    now: bytearray = field(default_factory=bytearray)
    safe: bytearray = field(default_factory=bytearray)
    open: list[tuple[int, bytes | None]] = field(default_factory=list)
    folder: bool = False

    def change(self, offset: int, data: bytes | None) -> None:
        _apply(self.now, offset, data)
        self.open.append((offset, data))

    def synced(self, count: int) -> None:
        for offset, data in self.open[:count]:
            _apply(self.safe, offset, data)
        del self.open[:count]


def _apply(to: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        to[offset:] = bytes(max(0, offset - len(to)))
        return
    to.extend(bytes(max(0, offset - len(to))))
    to[offset : offset + len(data)] = data


@dataclass
class Step:
    """A name that was given (`file`), taken away (None), or moved, and is not safe yet."""

    changes: dict[str, File | None]


class Disk:
    """The files under `root` from a record of calls; `Disk.told` are the lines that the process wrote on its output
    until then."""

    def __init__(self, root: Path, as_it_was: Path) -> None:
        self.root = str(root)
        self.told: list[str] = []
        self.names: dict[str, File] = {}
        self._steps: list[Step] = []
        self._at: dict[int, int] = {}
        for path in [as_it_was, *sorted(as_it_was.rglob("*"))]:
            content = b"" if path.is_dir() else path.read_bytes()
            name = self.root + str(path).removeprefix(str(as_it_was))
            self.names[name] = File(bytearray(content), bytearray(content), folder=path.is_dir())
        self.safe_names: dict[str, File] = dict(self.names)

    # --- playing ------------------------------------------------------------------------------------------------------
    def play(self, lines: Iterator[str]) -> Iterator[str]:
        """One call after the other; yields what kind it was where it may matter when the power goes."""
        begun: dict[str, tuple[str, int]] = {}
        for line in lines:
            found = _LINE.match(line.rstrip("\n"))
            if found is None:
                continue
            thread, rest = found.groups()
            before = None
            if rest.endswith("<unfinished ...>"):
                text = rest.removesuffix("<unfinished ...>").rstrip()
                begun[thread] = text, self._open_changes(text)
                continue
            if rest.startswith("<... "):
                text, before = begun.pop(thread, ("", 0))
                rest = text + rest.partition(" resumed>")[2]
            call = _CALL.match(rest)
            if call is None or call[3] in ("?",) or call[3].startswith("-"):
                continue
            if kind := self._one(call[1], call[2], int(call[3]), before):
                yield kind

    def _open_changes(self, text: str) -> int:
        """For a sync that began: what was written before then is what it will make safe."""
        file = self._file(text)
        return len(self._steps) if file is not None and file.folder else len(file.open) if file is not None else 0

    def _file(self, arguments: str) -> File | None:
        found = _OF.search(arguments)
        return None if found is None else self.names.get(_text(found[2]))

    def _one(self, name: str, arguments: str, result: int, before: int | None) -> str | None:
        if name == "write" and arguments.startswith("1<"):
            data = _TEXT.search(arguments)
            self.told += bytes.fromhex(data[1].replace("\\x", "")).decode().splitlines() if data else []
            return "told"
        if name.startswith(("rename", "link", "unlink", "mkdir")) or name == "openat":
            return self._named(name, arguments, result)
        file = self._file(arguments)
        if file is None:
            return None
        if name in ("fsync", "fdatasync"):
            if file.folder:
                self._sync_folder(_text(_OF.search(arguments)[2]), before)  # type: ignore[index]  # it was found just now
            else:
                file.synced(len(file.open) if before is None else before)
            return "sync"
        if name == "ftruncate":
            file.change(int(arguments.rpartition(",")[2]), None)
            return "truncate"
        data = _TEXT.search(arguments)
        written = bytes.fromhex(data[1].replace("\\x", ""))[:result] if data else b""
        descriptor = int(arguments.partition("<")[0])
        offset = int(arguments.rpartition(",")[2]) if name == "pwrite64" else self._at.get(descriptor, 0)
        if name == "write":
            self._at[descriptor] = offset + len(written)
        file.change(offset, written)
        return "write"

    def _named(self, name: str, arguments: str, result: int) -> str | None:
        paths = [_text(text) for text in _TEXT.findall(arguments)]
        if not any(path.startswith(self.root) for path in paths):
            return None
        first = paths[0]
        if name == "openat":
            self._at[result] = 0
            if first not in self.names and "O_CREAT" in arguments:
                self._step({first: File()})
            elif "O_TRUNC" in arguments and first in self.names:
                self.names[first].change(0, None)
            return None
        if name.startswith("rename"):
            self._step({first: None, paths[1]: self.names[first]})
        elif name.startswith("link"):
            self._step({paths[1]: self.names[first]})
        elif name.startswith("unlink"):
            self._step({first: None})
        else:
            self._step({first: File(folder=True)})
        return "name"

    def _step(self, changes: dict[str, File | None]) -> None:
        _rename(self.names, changes)
        self._steps.append(Step(changes))

    def _sync_folder(self, folder: str, before: int | None) -> None:
        left = []
        for number, step in enumerate(self._steps):
            mine = any(path.rpartition("/")[0] == folder for path in step.changes)
            if mine and (before is None or number < before):
                _rename(self.safe_names, step.changes)
            else:
                left.append(step)
        self._steps = left

    # --- the power goes -----------------------------------------------------------------------------------------------
    def left_over(self, place: Path, rng: Random, share: float) -> None:
        """What is found when the power is back: all that was safe, and of the rest this share, at random."""
        names = dict(self.safe_names)
        for step in self._steps:
            if rng.random() < share:
                _rename(names, step.changes)
        place.mkdir(parents=True)
        for name, file in sorted(names.items(), key=lambda each: each[0]):
            path = place / name.removeprefix(self.root).lstrip("/")
            if not path.parent.is_dir():
                continue  # its folder is not there
            if file.folder:
                path.mkdir(exist_ok=True)
            elif not name.endswith("-shm") and not name.endswith((".lock", ".turn")):
                path.write_bytes(_torn(file, rng, share))


def _rename(names: dict[str, File], changes: dict[str, File | None]) -> None:
    for path, file in changes.items():
        if file is None:
            names.pop(path, None)
        else:
            names[path] = file


def _torn(file: File, rng: Random, share: float) -> bytes:
    content = bytearray(file.safe)
    for offset, data in file.open:
        if data is None:
            if rng.random() < share:
                _apply(content, offset, None)
            continue
        for start in range(0, len(data), SECTOR):
            if rng.random() < share:
                _apply(content, offset + start, data[start : start + SECTOR])
    return bytes(content)


def _text(hexed: str) -> str:
    return bytes.fromhex(hexed.replace("\\x", "")).decode()


def chosen(among: Sequence[int], number: int, rng: Random) -> list[int]:
    """So many of them, evenly over the whole, in order."""
    step = len(among) / number
    return sorted({among[min(len(among) - 1, int((at + rng.random()) * step))] for at in range(number)})
