"""Searches a log by the new field. Runs twice: in the tree as it is, which writes and indexes the log, and in the
changed one, which has a migration to make first."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Connection, Engine, inspect, select

from gateway.audit.search import search
from gateway.audit.search.fields import FIELDS
from gateway.audit.search.index import Indexer
from gateway.audit.search.search import Query
from gateway.journal.database import migrate, open_engine, writing
from gateway.journal.schema import tables
from gateway.sandbox.instance import make_instance
from gateway.settings import Settings
from security.transparency import entry as form
from tests.audit import making
from tests.commandline import lgsp

FIELD, CHANCE = "bundle", Random(7)
BUNDLES = tuple(f"sha256:{number:064x}" for number in (1, 2, 3))


def index(engine: Engine) -> int:
    """How many entries were indexed."""
    indexer, done = Indexer(engine, None), 0
    while indexer.waiting():
        done += indexer.step(None)
    return done


def intent(number: int) -> form.FrozenEntry:
    caller, digest = form.Caller("H14.1", "canh-bao", "c" * 43, "key-1"), form.Digest(bytes(32), 100)
    names = "incident-alert/v1", "submitAlert", CHANCE.choice(BUNDLES), f"{number:064x}", "G-0001", "do-thi"
    return form.freeze(form.Intent(f"t-{number}", making.START + number, "rest", caller, *names, digest))


def write(settings: Settings) -> None:
    make_instance(settings, {}, time.time(), province=False)
    engine = open_engine(settings.database_url)
    rows = [*making.entries(CHANCE, 200), *((making.START + number, intent(number)) for number in range(60))]
    with writing(engine) as connection:
        making.clear(connection)
        making.write(connection, rows)
    assert index(engine) == len(rows)


def walked(connection: Connection, query: Query) -> list[int]:
    entry = tables.log_entry.c
    rows: Any = connection.execute(
        select(entry.sequenced, entry.transfer, entry.phase, entry.entry, entry.leaf).order_by(entry.idx)
    )
    return making.brute([(row[0], form.FrozenEntry(*row[1:])) for row in rows], query)


def find(settings: Settings) -> None:
    engine = open_engine(settings.database_url)
    migrate(engine)
    assert index(engine) == 260, "older entries are indexed again"
    assert f"log_index_{FIELD}" in {each["name"] for each in inspect(engine).get_indexes("log_index")}
    for bundle in BUNDLES:
        with search.reading(engine) as connection:
            terms: dict[str, Any] = {FIELD: bundle}
            query = Query(**terms)
            found = [each.idx for each in search.search(connection, query, limit=100).hits]
            assert len(found) > 9 and found == walked(connection, query)
        words = ("audit", "search", f"--{FIELD}", bundle, "--limit", "100", "--data", str(settings.data))
        shown = json.loads(lgsp(*words, "--json").out)["entries"]
        assert [each["index"] for each in shown] == found and {each[FIELD] for each in shown} == {bundle}
        table = lgsp(*words, "--csv").out.splitlines()
        assert FIELD in table[0].split(",") and len(table) == 1 + len(found)
    engine.dispose()


(find if FIELD in FIELDS else write)(Settings(Path(sys.argv[1]) / "instance"))
