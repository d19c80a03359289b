"""An instance of each kind of database, made once a run and copied for each test: a log that grows by `exchange`, a
backup, a restore."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, insert, make_url, text

from contracts.base.ids import new_id
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.backup.restore import Asked, Restored, restore
from gateway.backup.take import Wanted, take
from gateway.journal.append import append
from gateway.journal.database import open_engine, writing
from gateway.journal.schema import tables
from gateway.keys.keyring import Keyring
from gateway.sandbox.instance import make_instance
from gateway.settings import Settings, load
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from tests.journal import databases

_numbers = itertools.count()
ORIGIN = "tinh.example/lgsp"


def quiet(_what: str, _done: int, _all: int) -> None:
    pass


@dataclass
class Instance:
    """One that stands; the test is its keeper."""

    settings: Settings
    engine: Engine
    lease: Lease
    _sequencer: Sequencer = field(init=False)

    def __post_init__(self) -> None:
        keyring = Keyring(self.settings)
        key = LogKey.open(keyring.log_key, self.settings.origin, keyring.at_rest)
        self._sequencer = Sequencer(self.engine, None, key, CheckpointFile(self.settings.checkpoint_file))

    @classmethod
    def open(cls, settings: Settings) -> Instance:
        engine = open_engine(settings.database_url)
        with writing(engine) as connection:
            lease = leases.take(connection, new_id(), time.time(), over=leases.holder(connection))
        assert lease is not None
        return cls(settings, engine, lease)

    def exchange(self, count: int, contract: str = "incident-alert/v1") -> str:
        """So many messages that were handed in, sequenced and signed; the newest checkpoint."""
        with writing(self.engine) as connection:
            for _ in range(count):
                unit = databases.submission("door-1")
                assert unit.transfer is not None
                (event,) = unit.feed
                append(connection, unit.log)
                connection.execute(insert(tables.transfer).values(unit.transfer._asdict()))
                connection.execute(insert(tables.feed_pending).values(event._replace(contract=contract)._asdict()))
        self._sequencer.run_once(self.lease)  # a log that is new signs its emptiness first
        while self._sequencer.run_once(self.lease).busy:
            pass
        return self.note

    @property
    def note(self) -> str:
        return self.settings.checkpoint_file.read_text("utf-8")

    @property
    def vkey(self) -> str:
        return Keyring(self.settings).log_vkey.read_text("ascii").strip()

    def back_up(self, folder: Path, tick: Callable[[str, int, int], object] = quiet, **wanted: Any) -> Path:
        _made, _digest, report = take(
            self.settings, folder, Wanted(**{"plain_keys": True, **wanted}), time.time(), tick
        )
        assert report.ok, report.first_wrong
        return folder

    def lose(self) -> None:
        """The machine is gone, and its data folder with it."""
        self.engine.dispose()
        shutil.rmtree(self.settings.data)

    def restore(self, folder: Path, place: Path, **asked: Any) -> tuple[Restored, Instance]:
        done = restore(folder, Asked(place, database=self.fresh_database(), **asked), time.time(), quiet)
        return done, Instance.open(load(place, {}))

    def fresh_database(self) -> str:
        return "" if self.engine.dialect.name == "sqlite" else str(databases.fresh_url("postgresql", Path()))


@cache
def _made(kind: str, folder: Path) -> Settings:
    url = "" if kind == "sqlite" else databases.fresh_url(kind, folder)
    settings = replace(Settings(folder / kind), kind="production", origin=ORIGIN, database=url)
    make_instance(settings, {}, time.time(), province=False)
    return settings


def _copy(kind: str, base: Path, place: Path) -> Settings:
    made = _made(kind, base)
    shutil.copytree(made.data, place)
    if kind == "sqlite":
        return replace(made, data=place)
    source = make_url(made.database)
    admin = create_engine(source.set(database="postgres"), isolation_level="AUTOCOMMIT")
    name = f"lgsp_copy_{os.getpid()}_{next(_numbers)}"
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {source.database}"))
    admin.dispose()
    return replace(made, data=place, database=source.set(database=name).render_as_string(hide_password=False))


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backup")


@pytest.fixture(params=databases.KINDS)
def one(request: pytest.FixtureRequest, base: Path, tmp_path: Path) -> Iterator[Instance]:
    made = Instance.open(_copy(request.param, base, tmp_path / "data"))
    yield made
    made.engine.dispose()


@pytest.fixture
def lite(base: Path, tmp_path: Path) -> Iterator[Instance]:
    made = Instance.open(_copy("sqlite", base, tmp_path / "data"))
    yield made
    made.engine.dispose()
