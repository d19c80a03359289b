"""Writes small files and folders so that they survive a power cut.

A file must be synced for its bytes, its folder for its name, and the folder above for the folder's name.

Invariant: what these functions wrote is complete under its name after they returned, or absent.
"""

from __future__ import annotations

import os
from pathlib import Path


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Creates the folder and its missing parents, and syncs their names."""
    if folder.is_dir():
        return
    make_folder(folder.parent, mode)
    folder.mkdir(mode=mode, exist_ok=True)
    sync_folder(folder.parent)


def write_new(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Creates a file that must not exist, and syncs its bytes. Its name is safe once the folder is synced."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        left = memoryview(data)
        while left:  # a nearly full disk may take only a part
            left = left[os.write(file, left) :]
        os.fsync(file)
    except BaseException:
        os.close(file)
        path.unlink()
        raise
    os.close(file)


def sync_folder(folder: Path) -> None:
    """Syncs the names in it."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
