"""Searching the log: pages joined are what looking at every entry finds, on both databases, whatever the index lags and
whatever comes meanwhile."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, func, insert, select, update

from contracts.base.errors import Failure
from gateway.audit.search import fields, index, search
from gateway.audit.search.coverage import coverage
from gateway.audit.search.fields import OUTCOMES
from gateway.audit.search.index import Indexer
from gateway.audit.search.search import Query
from gateway.audit.search.table import cell
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keeper.tasks.search_index import PATIENCE, Indexing
from security.transparency import entry as form
from tests.audit import making
from tests.size import examples

WIDTH = 700
LOG = list(making.entries(Random(7), WIDTH))


def indexed(engine: Engine, upto: int, limit: int = 90) -> None:
    """The index of the first `upto` entries."""
    Indexer(engine, None).empty()
    while upto:
        upto -= Indexer(engine, None, limit=min(limit, upto)).step(None)


@pytest.fixture
def database(kept_database: Engine) -> Engine:
    with writing(kept_database) as connection:
        making.clear(connection)
    return kept_database


@pytest.fixture
def filled(database: Engine) -> Engine:
    with writing(database) as connection:
        making.write(connection, LOG)
    indexed(database, WIDTH - 60)
    return database


def pages(engine: Engine, query: Query, limit: int, **options: Any) -> list[int]:
    """All of a search, page by page."""
    found: list[int] = []
    cursor = None
    for _ in range(5000):
        with search.reading(engine) as connection:
            page = search.search(connection, query, limit=limit, cursor=cursor, **options)
        assert len(page.hits) <= limit and not page.disagree
        found += [hit.idx for hit in page.hits]
        cursor = page.next
        if cursor is None:
            return found
    raise AssertionError("it never ends")


def some(*values: str) -> st.SearchStrategy[str | None]:
    return st.none() | st.none() | st.sampled_from(values)


TIMES = st.none() | st.floats(making.START - 5, LOG[-1][0] + 5) | st.sampled_from([at for at, _ in LOG])
QUERIES = st.builds(
    Query,
    transfer=st.none() | st.none() | st.none() | st.sampled_from([one.transfer for _, one in LOG]),
    message=some(*(form.keyed(making.KEY, f"m-{number}") for number in range(4)), "no such"),
    failure=some(*making.CODES),
    grant=some(*making.GRANTS),
    actor=some(*making.ACTORS, "officer-1", "canh-bao"),
    system=some(*making.SYSTEMS),
    provider=some(*making.SYSTEMS),
    operation=some(*making.OPERATIONS),
    agency=some(*making.AGENCIES, "H99"),
    contract=some(*making.CONTRACTS),
    kind=some(
        "intent", "outcome", "refusal", "repeat", "body-view", "export", "export,intent", "refusal,body-view,feed-read"
    ),
    outcome=some(*OUTCOMES),
    trouble=st.none() | st.booleans(),
    since=TIMES,
    until=TIMES,
    oldest_first=st.booleans(),
    role=some("caller", "owner", "provider", "reader"),
)


@pytest.mark.sampled("*-True")
@pytest.mark.parametrize("small", [False, True])
def test_a_search_finds_what_looking_at_every_entry_finds(
    filled: Engine, small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`small`: pages may look at so little that they come short again and again."""
    if small:
        for name, value in {"LOOKS": 20, "RAW_LOOKS": 9, "_RAW": 9, "_PROBE": 5, "_WIDEST": 8}.items():
            monkeypatch.setattr(search, name, value)

    few = (3 if small else 8) if filled.dialect.name == "postgresql" else (8 if small else 30)

    @settings(max_examples=examples(few), deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(query=QUERIES, limit=st.integers(1, 60))
    def hold(query: Query, limit: int) -> None:
        wanted = making.brute(LOG, query)
        assert pages(filled, query, limit) == wanted
        assert pages(filled, query, 200, indexed=False) == wanted

    hold()


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("role", [None, "caller", "provider"])
def test_a_search_is_of_the_log_as_it_was_when_it_began(
    database: Engine, oldest_first: bool, role: fields.Role | None
) -> None:
    with writing(database) as connection:
        making.write(connection, LOG[:200])
    query = Query(agency="H14.2", oldest_first=oldest_first, role=role)
    found: list[int] = []
    cursor, size = None, 200
    while True:
        with search.reading(database) as connection:
            page = search.search(connection, query, limit=7, cursor=cursor)
        found += [hit.idx for hit in page.hits]
        cursor = page.next
        if cursor is None:
            break
        with writing(database) as connection:  # the log grows, and the index behind it
            making.write(connection, LOG[size : size + 20], size)
        size += 20
        Indexer(database, None, limit=45).step(None)
    assert found == making.brute(LOG[:200], query) and size > 240


def test_a_cursor_serves_its_own_search_only(filled: Engine) -> None:
    query = Query(agency="H14.1")
    with search.reading(filled) as connection:
        cursor = search.search(connection, query, limit=3).next
        assert cursor is not None
        for other, text in (
            (replace(query, agency="H14.2"), cursor),
            (query, cursor[:-6]),
            (query, "☃"),
            (query, "W10"),
            (query, ""),
        ):
            with pytest.raises(Failure) as caught:
                search.search(connection, other, limit=3, cursor=text)
            assert caught.value.code == "audit.bad-cursor"


# --- the index --------------------------------------------------------------------------------------------------------
def rows(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(tables.log_index).order_by(tables.log_index.c.idx))]


def test_the_index_made_anew_equals_what_was_there(database: Engine) -> None:
    """Filled in small steps behind a growing log, or at once: the same rows."""
    Indexer(database, None).empty()
    for start in range(0, WIDTH, 70):
        with writing(database) as connection:
            making.write(connection, LOG[start : start + 70], start)
        assert Indexer(database, None, limit=33).step(None) == 33
    while Indexer(database, None, limit=60).step(None):
        pass
    grown = rows(database)
    assert len(grown) == WIDTH
    assert list(Indexer(database, None, limit=200).remake()) == [200, 400, 600, 700]
    assert rows(database) == grown


def test_a_step_of_another_indexer_is_not_taken_for_another_log(
    filled: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command works beside the keeper: it goes on between two reads of the other's step."""
    watermark, before = index.watermark, rows(filled)

    def later(connection: Any) -> Any:
        monkeypatch.undo()
        assert Indexer(filled, None, limit=10).step(None) == 10
        return watermark(connection)

    monkeypatch.setattr(index, "watermark", later)
    assert Indexer(filled, None, limit=10).step(None) == 0, "the other one was faster"
    assert len(rows(filled)) == len(before) + 10 and rows(filled)[: len(before)] == before


def test_a_falsified_index_shows_nothing_false_and_is_mended(filled: Engine) -> None:
    query = Query(outcome="refused", agency="H14.1")
    wanted = making.brute(LOG, query)
    table = tables.log_index
    false = next(idx for idx in range(WIDTH) if idx not in wanted and idx < 300)
    with writing(filled) as connection:
        connection.execute(
            update(table).where(table.c.idx == false).values(outcome=OUTCOMES["refused"], agency=fields.word("H14.1"))
        )
        connection.execute(delete(table).where(table.c.idx == wanted[-1]))
    with search.reading(filled) as connection:
        page = search.search(connection, query, limit=WIDTH)
        assert [hit.idx for hit in page.hits] == wanted[:-1] and page.disagree == (false,)
    assert pages(filled, query, 50, indexed=False) == wanted
    assert list(Indexer(filled, None).remake())[-1] == WIDTH
    assert pages(filled, query, 50) == wanted


def test_words_that_share_a_digest_are_told_apart(filled: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = {fields.word: len, fields.wide: lambda text: 5}
    alike = {name: replace(each, digest=shared.get(each.digest, each.digest)) for name, each in fields.FIELDS.items()}
    for module in (index, search):
        monkeypatch.setattr(module, "FIELDS", alike)
    monkeypatch.setattr(search, "wide", shared[fields.wide])
    list(Indexer(filled, None).remake())
    for query in (
        Query(agency="H14.1"),
        Query(agency="H14.5", failure="access.no-grant"),
        Query(transfer=LOG[40][1].transfer),
    ):
        assert pages(filled, query, 9) == making.brute(LOG, query) != []


def test_a_log_that_was_replaced_gets_an_index_of_its_own(filled: Engine) -> None:
    other = list(making.entries(Random(8), WIDTH + 50))
    with writing(filled) as connection:
        connection.execute(delete(tables.log_entry))
        making.write(connection, other)
    query = Query(contract="field-report/v1")
    assert pages(filled, query, 90) == making.brute(other, query)  # the old index is passed over
    indexer = Indexer(filled, None, limit=1000)
    assert [indexer.step(None) for _ in range(3)] == [0, WIDTH + 50, 0]
    assert pages(filled, query, 90) == making.brute(other, query)


class Killed(BaseException):
    pass


def test_killed_in_the_middle_of_a_step_nothing_is_half_done(filled: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows(filled)
    with filled.connect() as connection:
        mark = index.watermark(connection)

    def killed(*_: Any) -> Any:
        raise Killed

    for held, where in (
        (None, "gateway.journal.statements.Statements._run"),
        (object(), "gateway.transfer.lease.check"),
    ):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(where, killed)
            Indexer(filled, None).step(held)  # type: ignore[arg-type]
        with filled.connect() as connection:
            assert rows(filled) == before and index.watermark(connection) == mark
    assert Indexer(filled, None).step(None) == 60


def test_an_overtaken_keeper_indexes_nothing(log: Any) -> None:
    with writing(log.engine) as connection:
        making.write(connection, LOG[:50])
    indexer = Indexer(log.engine, None, limit=20)
    assert indexer.step(log.lease) == 0 and indexer.step(log.lease) == 20  # the first one only begins
    newer = log.lead("keeper-2")
    with pytest.raises(Failure) as caught:
        indexer.step(log.lease)
    assert caught.value.code == "audit.lease-lost" and len(rows(log.engine)) == 20
    assert indexer.step(newer) == 20


async def test_the_task_waits_for_some_to_come_together_and_leaves_time_to_others(
    log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "LIMIT", 40)
    now = [0.0]
    task = Indexing(Indexer(log.engine, None, limit=40), lambda: now[0])
    with writing(log.engine) as connection:
        making.write(connection, LOG[:100])
    await task.run_once(log.lease)
    assert len(rows(log.engine)) == 80  # what is left is too little
    with writing(log.engine) as connection:
        making.write(connection, LOG[100:130], 100)
    await task.run_once(log.lease)
    assert len(rows(log.engine)) == 80
    now[0] += PATIENCE
    await task.run_once(log.lease)
    assert len(rows(log.engine)) == 120


# --- plans ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("oldest_first", [False, True])
def test_no_page_walks_the_log_or_sorts(database: Engine, oldest_first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plans of every statement of every search, as the database makes them: each table by an index, nothing
    sorted."""
    chance = Random(3)
    with writing(database) as connection:
        making.write(connection, list(making.entries(chance, 4000)))
    indexer = Indexer(database, None, limit=4000)
    indexer.step(None)
    assert indexer.step(None) == 4000
    if database.dialect.name == "postgresql":
        with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
    said: list[tuple[str, str]] = []
    names = ["about", "message", "kind", "outcome", "agency", "operation", "party"]
    with search.reading(database) as connection:
        walk = search._Walk(connection, oldest_first, 4000)
        execute = connection.execute

        def explained(statement: Any, *rest: Any) -> Any:
            plain = str(statement)
            if "log_index" in plain or "log_party" in plain:
                text = str(statement.compile(connection, compile_kwargs={"literal_binds": True}))
                head = "EXPLAIN QUERY PLAN " if database.dialect.name == "sqlite" else "EXPLAIN "
                said.append(
                    (text, "\n".join(str(row) for row in connection.exec_driver_sql(head + text.replace("%", "%%"))))
                )
            return execute(statement, *rest)

        monkeypatch.setattr(connection, "execute", explained)
        monkeypatch.setattr(connection, "scalar", lambda *asked: explained(*asked).scalar())
        for at, name in enumerate(names):
            walk._rows(Query(), {name: 1}, 100, 3900, 50)
            for other in names[at + 1 :]:
                walk._rows(Query(), {name: 1, other: 11}, 100, 3900, 50)
    assert len(said) > 50
    for text, plan in said:
        assert "SCAN" not in plan.upper().replace("INDEX SCAN", "").replace("INDEX ONLY SCAN", ""), (text, plan)
        assert "SORT" not in plan.upper() and "TEMP B-TREE" not in plan.upper(), (text, plan)


def test_halving_finds_the_first_entry_of_a_moment(filled: Engine) -> None:
    times = [at for at, _ in LOG]
    with filled.connect() as connection:
        for moment in (*times[::37], times[0] - 1, times[-1], times[-1] + 1, (times[50] + times[51]) / 2):
            assert search.first_at(connection, moment, 0, WIDTH) == sum(at < moment for at in times)
        assert connection.scalar(select(func.count()).select_from(tables.log_index)) == WIDTH - 60


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_a_spreadsheet_would_run_is_text(begin: str) -> None:
    assert cell(f"{begin}1") == f"'{begin}1" and cell("plain") == "plain" and cell(-1) == -1


def test_a_search_says_up_to_where_it_goes(filled: Engine) -> None:
    """What was written and has no place yet is not found: after a keeper died, how it ended waits for the next one."""
    with search.reading(filled) as connection:
        covered = coverage(connection)
    assert (covered.entries, covered.newest, covered.waiting, covered.oldest) == (WIDTH, LOG[-1][0], 0, None)
    late = form.freeze(form.Note("01935b6e-0000-7000-8000-00000000dead", 1.0, "process-ended", "gateway", {}))
    with writing(filled) as connection:
        named = {"transfer": late.transfer, "phase": late.phase, "entry": late.entry, "leaf": late.leaf}
        connection.execute(insert(tables.log_pending), [named])
    with search.reading(filled) as connection:
        covered = coverage(connection)
        assert not search.search(connection, Query(kind="process-ended", transfer=late.transfer)).hits
    assert (covered.entries, covered.waiting, covered.oldest) == (WIDTH, 1, 1.0)
    assert covered.to_json()["waitingSince"] == "1970-01-01T00:00:01.000Z"
    with writing(filled) as connection:
        connection.execute(delete(tables.log_pending))
