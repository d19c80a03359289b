"""Counts what the doors of an instance refused by limit, for `/metrics`.

Each door counts in a file of its own, by its place among the doors, which the desk reads. A successor counts on.
Invariant: all blocks of the file are allocated before it is mapped: a full disk cannot end a door at a store.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final

LIMITS: Final = (
    *("agency", "source", "certificate-connections", "agency-connections", "source-connections", "cost"),
    *("streams", "door-streams"),
)
FOLDER: Final = "refused"  # in the folder `run`
_ROW: Final = struct.Struct(f"={len(LIMITS)}Q")
_log: Final = logging.getLogger(__name__)


class _Counter:
    """The counts of this process: in memory until `keep_in` names a file."""

    row = memoryview(bytearray(_ROW.size)).cast("Q")


def keep_in(folder: Path, name: str) -> None:
    """Counts in the file `name` of `folder` from now on. Without the file the counts stay in memory."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(file, 0, _ROW.size)
            _Counter.row = memoryview(mmap.mmap(file, _ROW.size)).cast("Q")
        finally:
            os.close(file)
    except OSError as error:
        _log.error("refusals by limit are not counted in %s: %s", folder / name, error.strerror or error)


def count(limit: str) -> None:
    """Counts one refusal for a limit, one of `LIMITS`."""
    _Counter.row[LIMITS.index(limit)] += 1


def counts(folder: Path | None) -> Mapping[str, int]:
    """The sums over all doors of this machine; without a folder those of this process."""
    rows = [list(_Counter.row)] if folder is None else list(map(_read, sorted(folder.glob("*"))))
    return {limit: sum(row[place] for row in rows) for place, limit in enumerate(LIMITS)}


def _read(path: Path) -> list[int]:
    """A door of an earlier release may count fewer limits, and one that has just begun none."""
    return list(_ROW.unpack(path.read_bytes()[: _ROW.size].ljust(_ROW.size, b"\0")))
