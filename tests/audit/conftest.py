from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from bench.demo import world_of
from examples.story import World
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.audit.verify.verify import Report, verify_log
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.settings import Settings
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from tests.audit.packaging import files, packages, trusted  # noqa: F401  fixtures of this room
from tests.journal.databases import KINDS, log_row, migrated


@pytest.fixture(scope="module", params=KINDS)
def kept_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One of each kind for all tests of a module, which empty what they fill."""
    engine = migrated(request.param, tmp_path_factory.mktemp("kept"))
    yield engine
    engine.dispose()


@pytest.fixture(scope="session", params=KINDS)
def instance(request: pytest.FixtureRequest) -> Settings:
    """A gateway in real processes on each kind."""
    settings: Settings = request.getfixturevalue(f"instance_on_{request.param}")
    return settings


@pytest.fixture(scope="session")
def world(instance: Settings) -> World:
    """Of this folder's instance: pytest would keep the one that was made with another folder's fixture of that name."""
    made: World = world_of(instance)
    return made


@dataclass
class Log:
    """A log in a folder, with the leader's lease."""

    engine: Engine
    folder: Path
    key: LogKey
    file: CheckpointFile
    lease: Lease
    clock: list[float] = field(default_factory=lambda: [1_795_500_000.0])

    def sequencer(self, **options: Any) -> Sequencer:
        return Sequencer(self.engine, None, self.key, self.file, clock=lambda: self.clock[0], **options)

    def pend(self, *names: str, phase: str = "intent") -> None:
        with writing(self.engine) as connection:
            append(connection, [log_row(name, phase) for name in names])

    def verify(self, **options: Any) -> Report:
        with self.engine.connect() as connection:
            return verify_log(connection, self.key.vkey, **{"newest": self.file.read(), **options})

    def lead(self, holder: str) -> Lease:
        with writing(self.engine) as connection:
            taken = leases.take(connection, holder, self.clock[0] + 1000, over=self.lease.holder)
        assert taken is not None
        return taken


def made_log(engine: Engine, folder: Path) -> Log:
    with writing(engine) as connection:
        lease = leases.take(connection, "keeper-1", 1_795_500_000.0)
    assert lease is not None
    key = LogKey.open(folder / "keys" / "log.key", "localhost/lgsp-test")
    return Log(engine, folder, key, CheckpointFile(folder / "log" / "checkpoint"), lease)


@pytest.fixture
def make_log(database: Engine, tmp_path: Path) -> Callable[[], Log]:
    return lambda: made_log(database, tmp_path)


@pytest.fixture
def sqlite_log(sqlite: Engine, tmp_path: Path) -> Log:
    """For what is the same on both databases."""
    return made_log(sqlite, tmp_path)


@pytest.fixture
def log(make_log: Callable[[], Log]) -> Log:
    return make_log()


@pytest.fixture
def file_log(sqlite: Engine, tmp_path: Path) -> Log:
    """On SQLite alone, for what does not depend on the database."""
    return made_log(sqlite, tmp_path)
