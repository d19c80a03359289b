"""Short-lived copies of the vault's keys: a folder of dates, with one file a key. Both key stores have them.

<copies>/<date>/<id>.key      in the form of the folder store: sealed if the instance has a secret, else in clear
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.durable import sync_folder, write_new
from gateway.vault.classes import KeyName

SUFFIX: Final = ".key"


class Copies:
    """`folder` None: there are none, and none is made."""

    def __init__(self, folder: Path | None) -> None:
        self.folder: Final = folder

    def of(self, key_id: str) -> list[Path]:
        """The copies of one key, oldest first."""
        files = (folder / f"{key_id}{SUFFIX}" for folder in self._dated())
        return [file for file in files if file.exists()]

    def ids(self) -> set[str]:
        """The ids of the keys that have a copy."""
        return set() if self.folder is None else {name.id for _, name in copied(self.folder)}

    def today(self, now: float) -> Path | None:
        return None if self.folder is None else self.folder / f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d}"

    def write(self, now: float, keys: Iterable[tuple[str, bytes]]) -> int:
        """Writes these files into the folder of today; returns how many."""
        folder = self.today(now)
        if folder is None:
            return 0
        for each in (folder.parent, folder):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = 0
        for key_id, data in keys:
            draft = folder / f".{key_id}.{secrets.token_hex(8)}"
            write_new(draft, data)
            draft.replace(folder / f"{key_id}{SUFFIX}")
            written += 1
        if written:
            sync_folder(folder)
        return written

    def prune(self, now: float, days: int) -> int:
        """Removes the copies of dates more than `days` ago; returns how many dates."""
        first = datetime.fromtimestamp(now, UTC).date() - timedelta(days=days)
        old = [folder for folder in self._dated() if date.fromisoformat(folder.name) < first]
        for folder in old:
            for file in folder.iterdir():
                if file.is_file():
                    overwrite(file)
            shutil.rmtree(folder)
        return len(old)

    def _dated(self) -> list[Path]:
        return _dated(self.folder) if self.folder is not None and self.folder.is_dir() else []


def copied(copies: Path) -> Iterator[tuple[Path, KeyName]]:
    """Every copy of a key in a folder of copies."""
    if copies.is_dir():
        for folder in _dated(copies):
            for name in names_in(folder):
                yield folder / f"{name.id}{SUFFIX}", name


def names_in(folder: Path) -> Iterator[KeyName]:
    for path in folder.iterdir():
        if path.name.endswith(SUFFIX) and (name := KeyName.of(path.name.removesuffix(SUFFIX))) is not None:
            yield name


def overwrite(path: Path) -> bool:
    """Overwrites a file with random bytes, synced, and removes it; False if there is none."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        os.write(file, secrets.token_bytes(os.fstat(file).st_size))
        os.fsync(file)
    finally:
        os.close(file)
    path.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def _dated(copies: Path) -> list[Path]:
    folders = []
    for folder in copies.iterdir():
        try:
            date.fromisoformat(folder.name)
        except ValueError:
            continue
        if folder.is_dir():
            folders.append(folder)
    return sorted(folders)
