"""Stores of keys for tests: a folder, and a second database on the run's PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine

from gateway.vault.database_keys import DatabaseKeys
from gateway.vault.keys import Keys
from gateway.vault.keystore import KeyStore
from gateway.vault.second import Second, sealer_of
from tests.journal.databases import fresh_url

HASH_KEY = b"h" * 32
KINDS = ("folder", "database")


class Machines:
    """Machines that share a store as far as it is shared: those of a folder share the folder."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.url = fresh_url("postgresql", folder) if kind == "database" else ""
        self._open: list[DatabaseKeys] = []

    def keys(self, copies: Path | None = None, main: Engine | None = None, machine: str = "here") -> Keys:
        """The store, as a process that starts now opens it."""
        if self.kind == "folder":
            return KeyStore(self.folder / "keys", copies=copies)
        return self.second(copies, main, machine)

    def second(self, copies: Path | None = None, main: Engine | None = None, machine: str = "here") -> DatabaseKeys:
        opened = Second(self.url, sealer_of(HASH_KEY), 5.0)
        made = DatabaseKeys(opened, main=main, folder=self.folder / machine / "keys", copies=copies)
        self._open.append(made)
        return made

    def close(self) -> None:
        for each in self._open:
            each.close()


def folders_with(data: Path, part: bytes) -> set[str]:
    """The folders of a PostgreSQL's data that have a file with these bytes."""
    found = set()
    for path in data.rglob("*"):
        with suppress(FileNotFoundError):  # it was removed meanwhile
            if path.is_file() and part in path.read_bytes():
                found.add(path.relative_to(data).parts[0])
    return found


@pytest.fixture(params=KINDS)
def machines(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machines]:
    made = Machines(request.param, tmp_path)
    yield made
    made.close()


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Machines]:
    """Machines with a second database."""
    made = Machines("database", tmp_path)
    yield made
    made.close()
