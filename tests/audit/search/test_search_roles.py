"""Agencies are found in each of their roles: compared with a walk of the whole log that shares no code."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from random import Random
from typing import Any, get_args

import pytest
from sqlalchemy import Engine, insert, select

from gateway.audit.search import search
from gateway.audit.search.fields import Role
from gateway.audit.search.index import Indexer
from gateway.audit.search.search import Query
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.transfer.provider_agencies import OLD_AGENCIES
from tests.audit import making

OLD = {"do-thi": "H14.3", "canh-bao": "H14.2"}
LOG = list(making.entries(Random(11), 900))
ROLES: tuple[Role, ...] = get_args(Role)


def walked(old: dict[str, str], agency: str, role: str | None) -> list[int]:
    """What concerns the agency, by the text of each entry alone."""
    intents: dict[str, Any] = {}
    found = []
    for idx, (_, (transfer, phase, raw, _leaf)) in enumerate(LOG):
        entry = json.loads(raw)
        facts, about = entry.get("facts", {}), entry.get("of") or entry.get("facts", {}).get("transfer") or transfer
        if phase == "intent":
            intents[transfer] = entry
        intent = {} if phase == "refusal" else intents.get(about, {})
        has: set[tuple[str, Any]] = set()
        acting = entry["actor"].split("/")[0] if "/" in entry.get("actor", "") and "caller" not in entry else None
        caller = entry.get("caller", intent.get("caller"))
        if acting or caller:
            has.add(("caller", acting or caller["agency"]))
        provider = entry.get("provider") or facts.get("provider") or intent.get("provider")
        if provider is not None:
            named = intent.get("provider_agency") if intent.get("provider") == provider else None
            has.add(("provider", named or old.get(provider)))
            sent = phase.partition("#")[0] in ("outcome", "in-doubt", "queued", "try-failed")
            if sent and caller and (named or old.get(provider)):
                has.add(("owner", caller["agency"]))
                if phase == "outcome" and "failure" not in entry:
                    has.add(("owner", named or old.get(provider)))
        if phase == "feed-read" and acting:
            has.add(("reader", acting))
        if phase == "body-view" and caller:
            has.add(("owner", caller["agency"]))
        has |= {("owner", each) for each in facts.get("owners", [])}
        if any(whose == agency and role in (None, each) for each, whose in has):
            found.append(idx)
    return found


def found(engine: Engine, query: Query, **options: Any) -> list[int]:
    hits: list[int] = []
    cursor = None
    while True:
        with search.reading(engine) as connection:
            page = search.search(connection, query, limit=70, cursor=cursor, **options)
        assert not page.disagree
        hits += [each.idx for each in page.hits]
        cursor = page.next
        if cursor is None:
            return hits


@pytest.fixture
def filled(kept_database: Engine) -> Iterator[Engine]:
    table = tables.instance
    with writing(kept_database) as connection:
        making.clear(connection)
        making.write(connection, LOG)
        connection.execute(table.delete().where(table.c.key == OLD_AGENCIES))
        connection.execute(insert(table).values(key=OLD_AGENCIES, value=json.dumps(OLD)))
    for _ in Indexer(kept_database, None, limit=800).remake():
        pass
    yield kept_database
    with writing(kept_database) as connection:
        connection.execute(table.delete().where(table.c.key == OLD_AGENCIES))


@pytest.mark.parametrize("role", [None, *ROLES])
def test_an_agency_is_found_in_each_role(filled: Engine, role: Role | None) -> None:
    some = 0
    for agency in (*making.AGENCIES, "H14.3", "H99"):
        wanted = walked(OLD, agency, role)
        query = Query(agency=agency, role=role, oldest_first=True)
        assert found(filled, query) == wanted == found(filled, query, indexed=False), (agency, role)
        some += len(wanted)
    assert some > 2


def test_roles_and_other_conditions_together(filled: Engine) -> None:
    wanted = [idx for idx in walked(OLD, "H14.3", "provider") if LOG[idx][1].phase == "outcome"]
    query = Query(agency="H14.3", role="provider", kind="outcome", oldest_first=True)
    assert found(filled, query) == wanted != []


def test_the_update_keeps_the_agencies_of_old_entries_and_indexes_them_again(sqlite: Engine) -> None:
    migration = importlib.import_module("gateway.journal.migrations.versions.0013_parties")
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    with sqlite.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        migration.downgrade()
        connection.exec_driver_sql("INSERT INTO log_indexed VALUES ('search', 5, NULL)")
        for table, own in ((tables.agency, {"code": "H14.3"}), (tables.system, {"id": "do-thi", "agency": "H14.3"})):
            values = {each.name: "x" for each in table.columns if not each.nullable and each.default is None}
            connection.execute(insert(table).values(values | own))
        migration.upgrade()
        assert connection.scalar(select(tables.log_indexed.c.upto)) is None
        kept = connection.scalar(select(tables.instance.c.value).where(tables.instance.c.key == OLD_AGENCIES))
    assert json.loads(str(kept)) == {"do-thi": "H14.3"}
