"""A whole instance with a registered province on each kind of database, made once; each attack gets a copy of its
own."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from gateway.journal.database import open_engine
from gateway.registry import store
from gateway.registry.seals.sealing import Seal, changing
from gateway.sandbox import people
from gateway.sandbox.instance import make_instance
from gateway.settings import Settings
from gateway.settings.saving import save
from security.pki.authority import private_pem
from tests.journal import databases
from tests.registry.making import NOW, PERSONS, House, approve_all, province

_numbers = itertools.count()


@dataclass(frozen=True)
class Instance:
    settings: Settings
    engine: Engine
    house: House

    @property
    def operator(self) -> tuple[str, ...]:
        """The options by which the province's operator acts."""
        file = self.settings.data.with_name(f"{self.settings.data.name}-operator.key")
        file.write_bytes(private_pem(PERSONS[people.OPERATOR]))
        return "--as", people.OPERATOR, "--key", str(file)

    @property
    def seal(self) -> Seal:
        """As a process that starts now reads it."""
        return Seal.of(self.settings)

    def with_keys(self, system: str) -> None:
        """A key for signing and one for TLS, enrolled as `lgsp registry enrol` does."""
        identity = self.house.identity(system, NOW)
        with changing(self.engine, self.seal) as act:
            store.add_key(act.connection, f"{system}.sign-1", system, "sign", identity.sign_certificate)
            changes = store.add_key(act.connection, f"{system}.tls-1", system, "tls", identity.tls_certificate)
            act.note("registry", {"changes": [each.id for each in changes]}, NOW)


@cache
def _made(kind: str, folder: Path) -> tuple[Settings, House]:
    url = "" if kind == "sqlite" else databases.fresh_url(kind, folder)
    settings = replace(Settings(folder / kind), kind="production", origin="localhost/lgsp-attacked", database=url)
    make_instance(settings, {}, NOW, province=False)
    house = House.make(folder, NOW)
    made = Instance(settings, open_engine(settings.database_url), house)
    with changing(made.engine, made.seal) as act:
        store.apply(province(), act.connection, NOW)
        approve_all(act.connection)
        act.note("registry", {}, NOW)
    made.with_keys("y-te")
    made.engine.dispose()
    return settings, house


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the instances stand that every test of this process copies."""
    return tmp_path_factory.mktemp("instances")


@pytest.fixture
def instance(request: pytest.FixtureRequest, base: Path, tmp_path: Path) -> Iterator[Instance]:
    """A copy of its own, on SQLite unless a test is parametrised with a kind of database."""
    made = copy(getattr(request, "param", "sqlite"), base, tmp_path / "data")
    yield made
    made.engine.dispose()


def copy(kind: str, base: Path, place: Path) -> Instance:
    made, house = _made(kind, base)
    shutil.copytree(made.data, place)
    settings = replace(made, data=place)
    if kind != "sqlite":
        source = make_url(made.database)
        name = f"lgsp_attacked_{os.getpid()}_{next(_numbers)}"
        admin = create_engine(
            source.set(drivername="postgresql+psycopg", database="postgres"), isolation_level="AUTOCOMMIT"
        )
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {source.database}"))
        admin.dispose()
        settings = replace(settings, database=source.set(database=name).render_as_string(hide_password=False))
    save(settings)
    return Instance(settings, open_engine(settings.database_url), house)
