"""Small files and their folders, written so that they are still there when the power is back.

A file's bytes are safe when it was synced, its name when its folder was, and a folder's own name when the folder above it was.
Invariant: what these functions wrote stands whole under its name once they have come back, or not at all.
"""

from __future__ import annotations

import os
from pathlib import Path


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """The folder and those above it, as far as they are missing; each one's name is safe."""
    if folder.is_dir():
        return
    make_folder(folder.parent, mode)
    folder.mkdir(mode=mode, exist_ok=True)
    sync_folder(folder.parent)


def write_new(path: Path, data: bytes, mode: int) -> None:
    """A file that must not exist yet, all of its bytes safe. Its name is so once the folder is synced."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        left = memoryview(data)
        while left:  # a disk that is nearly full takes a part, and says so by the number
            left = left[os.write(file, left) :]
        os.fsync(file)
    except BaseException:
        os.close(file)
        path.unlink()
        raise
    os.close(file)


def sync_folder(folder: Path) -> None:
    """Make the names in it safe."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
