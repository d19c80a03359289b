"""A PostgreSQL that is frozen, silent, gone, or a standby by now: nobody waits for it for ever, and all goes on by
itself when it is back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError

from contracts.base.errors import Ours
from gateway.doors.counts import pulse
from gateway.doors.health import METRICS, PROBES, Health, Vitals
from gateway.journal import processes, servers
from gateway.journal.database import moment, open_engine, writing
from gateway.journal.limits import Limits, Presence, Server, exactly, for_calls, presence_of, unavailable
from gateway.journal.servers import OldPrimary
from gateway.journal.write import Verdict, Write
from gateway.journal.writer import Journal
from tests.journal.databases import committed, frozen, migrated, submission

SILENT = 2.0
CALLS = for_calls(SILENT)
PATIENT = Limits(silent=SILENT, patient=True, statement=0.0, idle=0.0)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    engine = migrated("postgresql", tmp_path_factory.mktemp("none"))
    engine.dispose()
    return engine.url.render_as_string(hide_password=False)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url, CALLS)
    yield engine
    engine.dispose()


@pytest.fixture
def journal(engine: Engine, request: pytest.FixtureRequest) -> Iterator[Journal]:
    journal = Journal(engine, None, f"door {request.node.name}")
    journal.start()
    yield journal
    journal.stop()


def back(journal: Journal) -> None:
    end = time.monotonic() + 60
    while journal.trouble is not None:
        assert time.monotonic() < end, journal.trouble
        time.sleep(0.02)


def test_a_frozen_server_hangs_no_caller(
    journal: Journal, engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each of these returns although the server does not. What the log says does not grow with the time it is away."""
    monkeypatch.setattr(processes, "BEAT_SECONDS", 0.05)
    unit = submission(journal.process_id)
    committed(journal, Write())
    with engine.connect() as held, caplog.at_level(logging.INFO), frozen():
        with pytest.raises(OperationalError) as lost:
            held.execute(text("SELECT 1"))
        held.rollback()  # asks nothing of the server, and proves nothing
        assert presence_of(engine).away
        with pytest.raises(OperationalError), engine.connect():
            pass
        with pytest.raises(Ours) as refused:
            committed(journal, unit)
        for _ in range(40):
            time.sleep(0.05)
            with pytest.raises(Ours) as again:
                committed(journal, unit)
    for failure in (refused.value, again.value, unavailable(lost.value)):
        assert failure is not None and failure.code == "journal.unavailable" and failure.retry_after
    back(journal)
    assert committed(journal, unit).verdict is Verdict.COMMITTED and not journal.fenced
    with engine.connect() as connection:
        count = text("SELECT count(*) FROM transfer WHERE process = :process")
        assert connection.execute(count, {"process": journal.process_id}).scalar() == 1
    said = [each.message.partition(",")[0] for each in caplog.records if each.name == "gateway.journal.writer"]
    assert said[0] == "the journal cannot be written" and said[-1] == "the journal is written again"
    assert len(said) <= 4, said


@pytest.mark.full
def test_only_the_journal_waits_for_a_server_that_is_away(journal: Journal, engine: Engine) -> None:
    """It tries to connect again and again. Callers learn at once that the server is away, each with any connection."""
    committed(journal, Write())
    held = [engine.connect() for _ in range(4)]
    for each in held:
        each.close()  # now the pool has as many
    with frozen():
        began = time.monotonic()
        with pytest.raises(OperationalError), engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        first = time.monotonic() - began
        later = []
        for _ in range(60):
            began = time.monotonic()
            with pytest.raises(OperationalError), engine.connect() as connection:
                connection.execute(text("SELECT 1"))
            later.append(time.monotonic() - began)
            time.sleep(0.05)
        assert presence_of(engine).away
        assert sorted(later)[-3] < first, later  # two may be slow for another reason: this machine is busy
    end = time.monotonic() + 60
    while presence_of(engine).away:  # found by the journal, although nobody writes
        assert time.monotonic() < end
        time.sleep(0.02)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1


def test_a_server_that_takes_no_more_connections_serves_those_that_there_are(engine: Engine, url: str) -> None:
    """Its refusal is no silence: a connection in the pool is asked, and its answer says that the server is there."""
    with engine.connect() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar_one()
    other = make_url(url).set(database="postgres")
    admin = open_engine(other.render_as_string(hide_password=False)).execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'))
        try:
            with engine.connect() as held:
                with pytest.raises(OperationalError), engine.connect():
                    pass
                assert presence_of(engine).away
                held.execute(text("SELECT 1"))
            time.sleep(1.1)  # its answer is no longer fresh
            with engine.connect() as again:
                assert again.execute(text("SELECT 1")).scalar() == 1
            assert not presence_of(engine).away
        finally:
            connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'))
    admin.dispose()


def test_a_late_attempt_changes_nothing_that_is_known_since() -> None:
    presence = Presence()
    presence.server = Server("7", 1)
    view = presence.view()
    presence.server = Server("7", 2)
    view.host, view.refused = "db1", "timeline 1"
    view.lost()
    assert not presence.away and presence.refused is None
    presence.adopt(view)
    assert presence.server == Server("7", 2) and presence.host == "db1"


@pytest.mark.full
def test_a_long_statement_is_no_silence_where_nobody_waits(url: str, engine: Engine) -> None:
    """The server answers others meanwhile. Frozen, it is away there too."""
    patient = open_engine(url, PATIENT)
    with patient.connect() as connection:
        assert connection.execute(text(f"SELECT pg_sleep({3 * SILENT})")).rowcount == 1
        with frozen(), pytest.raises(OperationalError):
            connection.execute(text("SELECT 1"))
    patient.dispose()
    with engine.connect() as connection, pytest.raises(OperationalError):
        connection.execute(text(f"SELECT pg_sleep({3 * SILENT})"))


@pytest.mark.full
def test_what_is_left_open_ends_by_itself(url: str) -> None:
    engine = open_engine(url, CALLS._replace(idle=1.0))
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        time.sleep(3.0)
        with pytest.raises(InternalError) as ended:
            connection.execute(text("SELECT 1"))
    assert unavailable(ended.value) is not None
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    engine.dispose()


def test_a_server_that_takes_no_writes_is_left(journal: Journal) -> None:
    """Its connections, that of the journal and those in the pool, are as good as lost."""
    committed(journal, Write())
    with journal._engine.connect() as other:
        other.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))
        other.commit()
        journal._cursor.execute("SET default_transaction_read_only = on")  # type: ignore[union-attr]
        assert committed(journal, submission(journal.process_id)).verdict is Verdict.COMMITTED
    with journal._engine.connect() as connection:
        connection.execute(text("SET TRANSACTION READ ONLY"))
        with pytest.raises(InternalError) as refused:
            connection.execute(text("INSERT INTO instance VALUES ('a', 'b')"))
        assert connection.invalidated and unavailable(refused.value) is not None


@pytest.mark.full
async def test_readiness_and_metrics(journal: Journal, engine: Engine) -> None:
    """Not ready: while nothing can be written, in the process with a journal and in the one without; and while nothing
    answers. The metrics have what was known last."""
    snapshot = SimpleNamespace(revision=7, held_until=0.0, readiness=lambda now: {}, systems={}, contracts={}, keys={})
    registry = cast(Any, SimpleNamespace(snapshot=snapshot))
    door, desk = (
        Health(Vitals(engine, registry, time.time, journal=each, seconds=SILENT), PROBES | {METRICS})
        for each in (journal, None)
    )

    async def asked(of: Health, path: str = "/readyz") -> tuple[int, str]:
        reply = await of.reply({"path": path, "method": "GET"})
        assert reply is not None
        return reply.status, reply.body.decode()

    async def until(of: Health, status: int) -> str:
        end = time.monotonic() + 60
        while (answer := await asked(of))[0] != status:
            assert time.monotonic() < end, answer
            await asyncio.sleep(0.05)
        return answer[1]

    for of in (door, desk):
        assert (await asked(of))[0] == 200 and "lgsp_database_up 1.0\n" in (await asked(of, METRICS))[1]
    for of, table in ((door, "process"), (desk, "instance")):
        with engine.connect() as locking:
            locking.execute(text(f"LOCK TABLE {table} IN EXCLUSIVE MODE"))
            of.vitals._written_until = 0.0
            journal._beat_at = 0.0
            await until(of, 503)
        await until(of, 200)
    with frozen():
        for of in (door, desk):
            of.vitals._pulse_until = 0.0
            assert '"database": false' in await until(of, 503)
            status, said = await asked(of, METRICS)
            assert status == 200 and "lgsp_database_up 0.0\n" in said and "lgsp_log_entries 0.0\n" in said
    await until(door, 200)


def test_a_machine_whose_clock_is_off_is_alive(engine: Engine, journal: Journal) -> None:
    """Its beats are compared by the clock of the database."""
    committed(journal, Write())
    with writing(engine) as connection:
        own = {"id": journal.process_id}
        set_ = "UPDATE process SET kind = 'keeper', seen = seen - 400, heard = {} WHERE id = :id"
        for heard, alive in (("NULL", 0), ("extract(epoch FROM clock_timestamp())", 1)):
            connection.execute(text(set_.format(heard)), own)
            assert pulse(connection, moment(connection, lambda: 0.0)).keepers == alive


def test_several_hosts_and_the_one_that_takes_writes(url: str, tmp_path: Path) -> None:
    parsed = make_url(url)
    host = str(parsed.query.get("host") or parsed.host)
    asked = {"host": f"{tmp_path},{host}", "target_session_attrs": "read-write", "keepalives_idle": "7"}
    engine = open_engine(parsed.set(host=None, query={**parsed.query, **asked}).render_as_string(hide_password=False))
    with engine.connect() as connection:
        assert connection.execute(text("SHOW transaction_read_only")).scalar() == "off"
        given = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
    assert given["keepalives_idle"] == "7" and given["connect_timeout"] == "2" and given["keepalives_count"] == "3"
    engine.dispose()


def test_one_at_a_time_tries_while_the_server_is_away() -> None:
    at = [100.0]
    presence = Presence(lambda: at[0])
    with presence.attempt() as first, presence.attempt() as second:
        assert first and second
    presence.lost()
    with presence.attempt() as too_soon:
        assert not too_soon
    at[0] += 1.0
    with presence.attempt() as first, presence.attempt() as second:
        assert first and not second
    with presence.attempt() as next_one:
        assert next_one
    presence.found()
    with presence.attempt() as first, presence.attempt() as second:
        assert first and second


def test_each_host_is_named_with_its_own_failure() -> None:
    """Nothing listens at the first two; the name of the third is known to nobody."""
    hosts = "host=127.0.0.1:1&host=127.0.0.1:2&host=nobody.invalid:5432"
    engine = open_engine(f"postgresql://lgsp@/lgsp?{hosts}", CALLS)
    with pytest.raises(OperationalError) as told, engine.connect():
        pass
    parts = str(told.value.orig).split("; ")
    assert [each.partition(": ")[0] for each in parts] == ["127.0.0.1:1", "127.0.0.1:2", "nobody.invalid:5432"]
    assert "refused" in parts[0] and "refused" in parts[1] and "refused" not in parts[2]
    assert "\n" not in str(told.value.orig) and unavailable(told.value) is not None
    engine.dispose()


def test_callers_read_no_address_of_a_server() -> None:
    old = OldPrimary("timeline 4, newest: 5")
    failures: list[tuple[str, psycopg.Error]] = [
        ("db1.trong:5432", old),
        ("db2.trong:5432", psycopg.OperationalError("no")),
    ]
    told = servers._together(failures)
    assert "db1.trong:5432: timeline 4" in str(told) and "db2.trong" in str(told), "operators do"
    failure = exactly(DBAPIError("", None, told))
    assert failure is not None and failure.code == "journal.old-primary"
    assert "timeline 4" in failure.what("en") and "trong" not in failure.what("en") + failure.what("vi")
