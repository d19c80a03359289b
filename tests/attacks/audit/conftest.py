"""One log a database, made once: each attack happens in a transaction that is taken back, or on a copy."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from gateway.journal.database import open_engine
from tests.attacks.audit.insider import Agency, Gateway, answered, commit, handed_in, sent_on
from tests.attacks.audit.instances import base, instance  # noqa: F401  fixtures
from tests.journal import databases


def fill(gateway: Gateway) -> None:
    """Some hundred transfers of two kinds, sequenced in three runs: 600 entries, tiles of two levels, checkpoints of
    three minutes."""
    for alerts, reports in ((100, 10), (140, 15), (30, 5)):
        sent = [sent_on("door-1") for _ in range(reports)]
        commit(gateway.engine, [*(handed_in("door-1") for _ in range(alerts)), *sent])
        commit(gateway.engine, [answered("door-1", unit.transfer.id) for unit in sent if unit.transfer is not None])
        gateway.sequence()


def make(kind: str, folder: Path) -> Gateway:
    engine = databases.migrated(kind, folder)
    gateway = Gateway.found(engine, folder)
    fill(gateway)
    if kind == "sqlite":
        driver = engine.raw_connection().driver_connection
        assert driver is not None
        driver.execute("VACUUM INTO ?", (str(folder / "template.db"),))
    return gateway


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """On SQLite; nobody changes this one."""
    gateway = make("sqlite", tmp_path_factory.mktemp("plain"))
    yield gateway
    gateway.engine.dispose()


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The like on PostgreSQL."""
    gateway = make("postgresql", tmp_path_factory.mktemp("large"))
    yield gateway
    gateway.engine.dispose()


@pytest.fixture(params=["plain", "large"], ids=databases.KINDS)
def honest(request: pytest.FixtureRequest) -> Gateway:
    """Each of the two in turn."""
    gateway: Gateway = request.getfixturevalue(request.param)
    return gateway


@pytest.fixture
def inside(honest: Gateway) -> Iterator[Connection]:
    """The insider's connection; nothing of what he does is committed."""
    with honest.engine.connect() as connection:
        taken_back = connection.begin()
        yield connection
        taken_back.rollback()


@pytest.fixture
def agency(honest: Gateway, inside: Connection, tmp_path: Path) -> Agency:
    """It called when the log was shorter, and again when it was as long as now."""
    with honest.engine.connect() as connection:
        older = connection.execute(text("SELECT note FROM checkpoint ORDER BY size LIMIT 1 OFFSET 1")).scalar_one()
        return Agency(tmp_path / "agency", honest.key, older, honest.note, connection=connection)


@pytest.fixture
def copy(plain: Gateway, tmp_path: Path) -> Iterator[Callable[[], Gateway]]:
    """Gateways with a database and a folder of their own, like the one on SQLite."""
    made: list[Gateway] = []

    def one() -> Gateway:
        folder = tmp_path / f"copy-{len(made)}"
        shutil.copytree(plain.folder, folder, ignore=shutil.ignore_patterns("*.db*", "*.lock*"))
        shutil.copyfile(plain.folder / "template.db", folder / "lgsp.db")
        made.append(Gateway(open_engine(f"sqlite:///{folder / 'lgsp.db'}"), folder, plain.key, plain.lease, plain.now))
        return made[-1]

    yield one
    for each in made:
        each.engine.dispose()
