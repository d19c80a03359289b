"""A person is found by the id, whatever session or command line each act came from, and by the index alone."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, select, update

from gateway.audit.search import search
from gateway.audit.search.fields import id_of_actor, word
from gateway.audit.search.index import Indexer
from gateway.audit.search.search import LOOKS, Query
from gateway.audit.verify.findings import Findings
from gateway.audit.verify.rows.index import check_index
from gateway.journal.database import migrate, writing
from gateway.journal.schema import tables
from security.transparency import entry as form
from tests.audit import making
from tests.journal.databases import downgrade

LAN = [
    "H14.0/lan: console, totp 1f2e3d4c",
    "H14.0/lan: console, passkey 5b6a7988",
    "H14.0/lan: lan as lgsp, command line",
]
OTHERS = ["H14.0/lanh: console, totp 1f2e3d4c", "lan, command line", "H14.5/phan-anh", "gateway", "H14.5/a: lan: b"]
NAMES = [*OTHERS[:2], LAN[0], *OTHERS[2:], *LAN[1:]]


@pytest.fixture
def database(kept_database: Engine) -> Engine:
    with writing(kept_database) as connection:
        making.clear(connection)
        notes = [form.Note(f"n-{at}", making.START + at, "export", name, {}) for at, name in enumerate(NAMES)]
        making.write(connection, [(each.at, form.freeze(each)) for each in notes])
    for _ in Indexer(kept_database, None).remake():
        pass
    return kept_database


def found(engine: Engine, actor: str, *, indexed: bool = True) -> list[str]:
    with search.reading(engine) as connection:
        page = search.search(connection, Query(actor=actor, oldest_first=True), indexed=indexed)
    assert page.looked <= LOOKS and page.next is None and not page.disagree
    return [str(each.facts.actor) for each in page.hits]


def test_a_person_is_found_by_the_id_alone(database: Engine) -> None:
    for indexed in (True, False):
        assert found(database, "lan", indexed=indexed) == found(database, "H14.0/lan", indexed=indexed) == LAN
        assert found(database, LAN[1], indexed=indexed) == [LAN[1]]
        assert found(database, "phan-anh", indexed=indexed) == ["H14.5/phan-anh"]
        for nobody in ("la", "H14.5/lan", "H14.0/", "lan: console", "H14.0/lan: console"):
            assert found(database, nobody, indexed=indexed) == [], nobody
        for whole in ("lan, command line", "gateway"):
            assert found(database, whole, indexed=indexed) == [whole]
    with search.reading(database) as connection:
        assert search.search(connection, Query(actor="lan")).looked == len(LAN)  # and not the whole log


def test_the_migration_makes_older_rows_what_new_ones_are(database: Engine) -> None:
    index = tables.log_index
    with database.begin() as connection:
        downgrade(connection, "0017")
        for idx, name in enumerate(NAMES):  # as they were written then: the digest of the whole name
            connection.execute(update(index).where(index.c.idx == idx).values(actor=word(name)))
        rows = [word(name) for name in NAMES]
        assert connection.execute(select(index.c.actor).order_by(index.c.idx)).scalars().all() == rows
        leaf = connection.scalar(select(tables.log_entry.c.leaf).where(tables.log_entry.c.idx == len(NAMES) - 1))
        connection.execute(tables.log_indexed.insert().values(name="search", upto=len(NAMES), leaf=leaf))
    migrate(database)
    with database.connect() as connection:
        now = connection.execute(select(index.c.actor).order_by(index.c.idx)).scalars().all()
        assert now == [word(id_of_actor(name)) for name in NAMES]
        wrong = Findings()
        check_index(connection, wrong)
        assert wrong.wrong == [] and wrong.checked["rows of the index"] == len(NAMES)
