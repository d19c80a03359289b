"""Keeps the counts of this process in files below `run/metrics`, which the desk reads for `/metrics`.

A process takes the first free place of its kind (`door-0`, `door-1`, …): a lock file that it holds for life, and one
file of values for each kind of metric. The kernel frees the lock however the process dies; a successor takes the place
and counts on in the same files. So there are never more files than processes at one time, and none to clean up.
Theory of operation:
1. Values stand in files of prometheus-client (`MmapedDict`), written by plain stores into a shared mapping. A process
   that is killed leaves whole values: a new key counts only when the head of the file says so.
2. Files have a fixed size. What finds no room counts in memory alone. A file that is nearly full, or damaged by a power
   cut, begins anew when its place is taken; Prometheus takes that as a restart.
Invariant: all blocks are allocated before a file is mapped: a full disk cannot end a door at a store.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import struct
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from prometheus_client import values
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector

FOLDER: Final = "metrics"  # in the folder `run`
SIZES: Final = {"counter": 1 << 17, "summary": 1 << 18, "histogram": 1 << 21}  # bytes of a file, by kind of metric
MOST_PLACES: Final = 256
_NEARLY: Final = 0.8  # of a file: then it begins anew
_LOCK: Final = ".lock"
_log: Final = logging.getLogger(__name__)


class _Full(Exception):
    """There is no room for one more value."""


class _File(MmapedDict):
    """Never grows beyond what is allocated."""

    @classmethod
    def of(cls, path: Path) -> _File:
        return cls(str(path))

    def value_of(self, key: str) -> float:
        return float(self.read_value(key)[0])  # type: ignore[no-untyped-call]

    def keep(self, key: str, value: float) -> None:
        self.write_value(key, value, 0.0)  # type: ignore[no-untyped-call]

    def _init_value(self, key: str) -> None:
        if self._used + len(key.encode("utf-8")) + 32 > self._capacity:
            raise _Full
        super()._init_value(key)  # type: ignore[no-untyped-call]


_files: dict[str, _File] = {}  # by kind, of this process
_writing: Final = threading.Lock()
_place: list[int] = []  # the descriptor of the lock, held until the process ends


class _Value:
    """A number in a file. prometheus-client makes one for each series (`values.ValueClass`)."""

    _multiprocess = True

    def __init__(
        self, typ: str, metric_name: str, name: str, labelnames: Any, labelvalues: Any, help_text: str, **_more: Any
    ) -> None:
        self._file: _File | None = _files.get(typ)
        self._key: Final = mmap_key(metric_name, name, labelnames, labelvalues, help_text)
        self._value = 0.0
        if self._file is not None:
            try:
                with _writing:
                    self._value = self._file.value_of(self._key)
            except _Full:
                self._file = None

    def inc(self, amount: float) -> None:
        with _writing:
            self._value += amount
            if self._file is not None:
                self._file.keep(self._key, self._value)

    def set(self, value: float, timestamp: float | None = None) -> None:
        with _writing:
            self._value = value
            if self._file is not None:
                self._file.keep(self._key, value)

    def get(self) -> float:
        return self._value

    def set_exemplar(self, exemplar: Any) -> None:
        """Files hold none."""

    def get_exemplar(self) -> None:
        return None


def keep_in(folder: Path, kind: str) -> str | None:
    """Counts in files of `folder` from now on. Returns the name of the place; without files counts stay in memory."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = _taken(folder, kind)
        for typ, size in SIZES.items():
            _files[typ] = _opened(folder / f"{typ}_{name}.db", size)
    except OSError as error:
        _files.clear()
        _log.error("%s is not counted for /metrics in %s: %s", kind, folder, error.strerror or error)
        return None
    values.ValueClass = _Value
    return name


def _taken(folder: Path, kind: str) -> str:
    for number in range(MOST_PLACES):
        name = f"{kind}-{number}"
        file = os.open(folder / f"{name}{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            continue
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps({"pid": os.getpid()}).encode("ascii"), 0)
        _place.append(file)
        return name
    raise OSError("no place is free")


def _opened(path: Path, size: int) -> _File:
    if not _sound(path, size):
        draft = path.with_suffix(".new")
        file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(file, 0, size)
        finally:
            os.close(file)
        draft.rename(path)
    return _File.of(path)


def _sound(path: Path, size: int) -> bool:
    """Whether it can be counted on in: whole, of this size, with room left."""
    try:
        if path.stat().st_size != size:
            return False
        last = max((place for *_, place in MmapedDict.read_all_values_from_file(str(path))), default=0)
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, struct.error):
        return False
    return last < _NEARLY * size


def collected(folder: Path) -> Iterator[Metric]:
    """The sums over all processes of this machine, dead ones with them. A file that cannot be read is left out."""
    found = [path for typ in SIZES for path in sorted(folder.glob(f"{typ}_*.db")) if _readable(path)]
    yield from MultiProcessCollector.merge([str(path) for path in found])


def _readable(path: Path) -> bool:
    try:
        for key, *_ in MmapedDict.read_all_values_from_file(str(path)):
            json.loads(key)
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, struct.error):
        _log.warning("%s cannot be read and is left out of /metrics", path.name)
        return False
    return True


class Running(NamedTuple):
    """A process of this machine that holds a place."""

    place: str
    pid: int


def running(folder: Path) -> Iterable[Running]:
    for path in sorted(folder.glob(f"*{_LOCK}")):
        try:
            with path.open("r+b") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    yield Running(path.name.removesuffix(_LOCK), int(json.load(file)["pid"]))
        except (OSError, ValueError, LookupError, TypeError):
            continue
