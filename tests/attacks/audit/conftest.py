"""One log a database, made once: each attack happens in a transaction that is taken back, or on a copy."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, make_url, text

from gateway.journal.database import fold_back, migrate, open_engine
from tests.attacks.audit.insider import Agency, Gateway, answered, commit, handed_in, sent_on
from tests.audit.conftest import sys as _sys

databases = _sys.modules["lgsp_test_databases"]
_copies = itertools.count()


def fill(gateway: Gateway) -> None:
    """Some hundred transfers of two kinds, sequenced in three runs: 600 entries, tiles of two levels, checkpoints of three minutes."""
    for alerts, reports in ((100, 10), (140, 15), (30, 5)):
        sent = [sent_on("door-1") for _ in range(reports)]
        commit(gateway.engine, [*(handed_in("door-1") for _ in range(alerts)), *sent])
        commit(gateway.engine, [answered("door-1", unit.transfer.id) for unit in sent if unit.transfer is not None])
        gateway.sequence()


@pytest.fixture(scope="session", params=databases.KINDS)
def honest(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Nobody changes this one."""
    folder = tmp_path_factory.mktemp("honest")
    engine = open_engine(databases.fresh_url(request.param, folder))
    migrate(engine)
    gateway = Gateway.found(engine, folder)
    fill(gateway)
    fold_back(engine)
    yield gateway
    engine.dispose()


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
def copy(honest: Gateway, tmp_path: Path) -> Iterator[Callable[[], Gateway]]:
    """Gateways with a database and a folder of their own, like the honest one."""
    made: list[Gateway] = []

    def one() -> Gateway:
        folder = tmp_path / f"copy-{next(_copies)}"
        shutil.copytree(honest.folder, folder, ignore=shutil.ignore_patterns("lgsp.db*", "*.lock*"))
        if honest.engine.dialect.name == "sqlite":
            with honest.engine.connect() as connection:
                connection.exec_driver_sql(f"VACUUM INTO '{folder / 'lgsp.db'}'")
            url = f"sqlite:///{folder / 'lgsp.db'}"
        else:
            honest.engine.dispose()
            name = f"{honest.engine.url.database}_{next(_copies)}"
            admin = create_engine(make_url(databases.server_url()).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
            with admin.connect() as connection:
                connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{honest.engine.url.database}"'))
            admin.dispose()
            url = honest.engine.url.set(database=name).render_as_string(hide_password=False)
        made.append(Gateway(open_engine(url), folder, honest.key, honest.lease, honest.now))
        return made[-1]

    yield one
    for each in made:
        each.engine.dispose()
