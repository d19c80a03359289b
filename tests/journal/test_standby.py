"""A primary and its synchronous standby, killed, frozen, promoted and returned: what was acknowledged is on the
standby, what is refused is refused soon, and an old primary gets nothing."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from contracts.base.errors import Ours
from gateway.doctor.standby import standby
from gateway.journal.alone import END_WAITS
from gateway.journal.database import migrate, open_engine, writing
from gateway.journal.limits import for_calls, for_work, presence_of, unavailable
from gateway.journal.write import Verdict, Write
from gateway.journal.writer import Journal
from gateway.settings import SEEN, Settings
from gateway.settings.address import DatabaseAddress
from tests.journal.databases import committed, submission
from tests.journal.pairs import Pair, paired
from tests.journal.relay import Way

pytestmark = pytest.mark.server

SECONDS = 2.0  # `database_seconds`
SOON = 5 * SECONDS  # generous: the machine may be loaded
REFUSED = {"journal.no-standby", "journal.busy"}  # the second: what waited too long behind others


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with paired() as made:
        yield made


@pytest.fixture
def engine(pair: Pair, tmp_path: Path) -> Iterator[Engine]:
    pair.wait_synchronous()
    pair.fresh_url()
    engine = open_engine(DatabaseAddress(pair.url(), True, tmp_path), for_calls(SECONDS))
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def journal(engine: Engine, request: pytest.FixtureRequest) -> Iterator[Journal]:
    made = Journal(engine, None, f"door {request.node.name}")
    made.start()
    yield made
    made.stop()


def until(what: str, done: object, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not done():  # type: ignore[operator]
        assert time.monotonic() < end, what
        time.sleep(0.05)


def refused(journal: Journal) -> Ours:
    with pytest.raises(Ours) as told:
        committed(journal, submission(journal.process_id))
    return told.value


class Load:
    """Callers who submit, and repeat what was refused with the same message id."""

    def __init__(self, journal: Journal, callers: int = 4) -> None:
        self.acknowledged: list[str] = []
        self.refused: list[str] = []
        self.unwritten: list[str] = []  # of those: refused before anything was written
        self.codes: Counter[str] = Counter()
        self.longest = 0.0
        self._journal, self._going = journal, True
        self._stood_still = 0.0  # this process, at the longest
        work = [self._call] * callers + [self._watch]
        self._threads = [threading.Thread(target=each, daemon=True) for each in work]
        for each in self._threads:
            each.start()

    @property
    def waited(self) -> float:
        """How long a caller had to wait at most, without the time in which this process stood still."""
        return self.longest - self._stood_still

    def _watch(self) -> None:
        while self._going:
            began = time.monotonic()
            time.sleep(0.05)
            self._stood_still = max(self._stood_still, time.monotonic() - began - 0.05)

    def _call(self) -> None:
        while self._going:
            journal = self._journal
            unit = submission(journal.process_id)
            assert unit.transfer is not None
            began = time.monotonic()
            try:
                verdict = committed(journal, unit).verdict
                (self.acknowledged if verdict is Verdict.COMMITTED else self.refused).append(unit.transfer.id)
                self.codes[verdict.name] += 1
            except Ours as failure:
                self.refused.append(unit.transfer.id)
                self.codes[failure.code] += 1
                if failure.code == "journal.busy":
                    self.unwritten.append(unit.transfer.id)
                time.sleep(0.02)
            self.longest = max(self.longest, time.monotonic() - began)

    def stop(self) -> None:
        self._going = False
        for each in self._threads:
            each.join(60)
            assert not each.is_alive(), "a caller hangs"


def stands(pair: Pair, load: Load) -> set[str]:
    """The transfers of the newest primary, of those that were submitted. Each acknowledged one is there once."""
    rows = [row[0] for row in pair.rows("SELECT id FROM transfer")]
    assert len(rows) == len(set(rows)) and not set(load.acknowledged) - set(rows), "acknowledged, and not there"
    assert not set(load.unwritten) & set(rows), "refused as unwritten, and there"
    return set(rows)


def test_without_a_standby_nothing_is_acknowledged(pair: Pair, engine: Engine, journal: Journal) -> None:
    """Also when it dies under load. All that was acknowledged is on the standby; it goes on when it is back."""
    load = Load(journal)
    until("acknowledged", lambda: len(load.acknowledged) > 50)
    pair.standby.kill()
    until("refused", lambda: load.codes["journal.no-standby"] > 50)
    done = len(load.acknowledged)
    time.sleep(1.0)
    load.stop()
    assert len(load.acknowledged) == done, "acknowledged without a standby"
    assert load.waited < SOON and set(load.codes) <= {*REFUSED, "COMMITTED", "FENCED"}, load.codes
    failure = refused(journal)
    assert failure.code == "journal.no-standby" and failure.retry_after
    with pytest.raises(OperationalError) as other, writing(engine) as connection:
        connection.execute(text("INSERT INTO instance VALUES ('a', 'b')"))
    told = unavailable(other.value)
    assert told is not None and told.code == "journal.no-standby", other.value
    assert pair.rows("SELECT count(*) FROM instance WHERE key = 'a'") == [(0,)]
    pair.standby.start()
    pair.wait_synchronous()
    until("it goes on", lambda: journal.trouble is None)
    stands(pair, load)
    on_standby = {row[0] for row in pair.rows("SELECT id FROM transfer", pair.standby)}
    assert set(load.acknowledged) <= on_standby


@pytest.mark.full
def test_a_frozen_standby_is_none(pair: Pair, journal: Journal) -> None:
    """PostgreSQL says for a while that it streams. What waits for it is invisible, and few connections wait."""
    load = Load(journal)
    until("acknowledged", lambda: len(load.acknowledged) > 50)
    with pair.standby.frozen():
        until("refused", lambda: load.codes["journal.no-standby"] > 50)
        done = len(load.acknowledged)
        time.sleep(2.0)
        assert len(load.acknowledged) == done, "acknowledged without a standby"
        waiting = pair.rows("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")[0][0]
        assert 0 < waiting <= 4, waiting
    until("it goes on", lambda: len(load.acknowledged) > done + 50)
    load.stop()
    assert load.waited < SOON and set(load.codes) <= {*REFUSED, "COMMITTED"}, load.codes
    assert not journal.fenced
    stands(pair, load)


def test_a_wait_that_was_ended_is_no_confirmation(pair: Pair, engine: Engine, journal: Journal) -> None:
    """COMMIT succeeds with a warning: it stands on the primary alone. The journal and other writers tell nobody so."""
    committed(journal, Write())
    with pair.standby.frozen():
        outcome: list[object] = []

        def write() -> None:
            try:
                with writing(engine) as connection:
                    connection.execute(text("INSERT INTO instance VALUES ('warned', 'b')"))
                outcome.append("written")
            except OperationalError as error:
                outcome.append(unavailable(error))

        def submit() -> None:
            with suppress(Ours):
                outcome.append(committed(journal, submission(journal.process_id)))

        threads = [threading.Thread(target=each) for each in (write, submit)]
        for each in threads:
            each.start()
        until("waits", lambda: pair.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"))
        end = time.monotonic() + 60
        while any(each.is_alive() for each in threads):
            pair.rows(END_WAITS)
            assert time.monotonic() < end
        assert len(outcome) == 1 and isinstance(outcome[0], Ours) and outcome[0].code == "journal.no-standby", outcome
        assert pair.rows("SELECT count(*) FROM instance WHERE key = 'warned'") == [(1,)]


def test_what_postgresql_must_say(pair: Pair, engine: Engine, journal: Journal) -> None:
    """Without `synchronous_standby_names`, and without the right to look, nothing is taken."""
    pair.alone()
    try:
        until("it knows", lambda: journal.trouble is not None)
        failure = refused(journal)
        assert failure.code == "journal.no-standby" and "synchronous_standby_names" in str(failure.facts)
    finally:
        pair.alone(False)
    until("it goes on", lambda: journal.trouble is None)
    pair.primary.sql("CREATE ROLE plain LOGIN")
    try:
        role = open_engine(DatabaseAddress(pair.url().replace("postgres@", "plain@"), True, Path("/nowhere")))
        pair.rows("GRANT ALL ON ALL TABLES IN SCHEMA public TO plain")
        add = text("INSERT INTO instance VALUES ('plain', '1')")
        with pytest.raises(OperationalError, match="pg_read_all_stats"), writing(role) as connection:
            connection.execute(add)
        pair.primary.sql("GRANT pg_read_all_stats TO plain")
        with writing(role) as connection:
            connection.execute(add)
        assert presence_of(role).server == presence_of(engine).server, "who may read the cluster's identifier"
        role.dispose()
    finally:
        pair.rows("DROP OWNED BY plain")
        pair.primary.sql("DROP ROLE plain")


def test_a_frozen_primary_hangs_nobody(pair: Pair, journal: Journal) -> None:
    load = Load(journal)
    until("acknowledged", lambda: len(load.acknowledged) > 50)
    with pair.primary.frozen():
        until("refused", lambda: load.codes["journal.unavailable"] + load.codes["journal.no-standby"] > 50)
        done = len(load.acknowledged)
    until("it goes on", lambda: len(load.acknowledged) > done + 50)
    load.stop()
    assert load.waited < SOON and not journal.fenced
    stands(pair, load)


def test_a_promoted_standby_has_all_and_the_old_primary_gets_nothing(
    pair: Pair, engine: Engine, journal: Journal, tmp_path: Path
) -> None:
    """The primary is killed in mid-commit, the standby promoted; the old primary comes back as it was."""
    load = Load(journal)
    until("acknowledged", lambda: len(load.acknowledged) > 100)
    before = presence_of(engine).server
    old = pair.primary
    old.kill()
    pair.promote()
    until("refused", lambda: len(load.refused) > 20)
    load.stop()
    assert load.waited < 2 * SOON, load.waited
    stands(pair, load)
    until("it asks the new one", lambda: refused(journal).code == "journal.no-standby")
    after = presence_of(engine).server
    assert before is not None and after is not None
    assert after.system == before.system and after.timeline == before.timeline + 1
    assert f'"timeline": {after.timeline}' in (tmp_path / SEEN).read_text()
    old.start()  # as it was: it takes writes
    assert not old.is_standby()
    count = "SELECT count(*) FROM transfer"
    had = pair.rows(count, old)
    pair.primary.stop()
    until("the old one is refused", lambda: refused(journal).code == "journal.old-primary")
    assert pair.rows(count, old) == had
    fresh = open_engine(DatabaseAddress(pair.url(), False, tmp_path), for_work(SECONDS))
    with pytest.raises(OperationalError, match="timeline") as told, fresh.connect():
        pass
    failure = unavailable(told.value)
    assert failure is not None and failure.code == "journal.old-primary"
    pair.primary.start()
    for address in (DatabaseAddress(pair.url(), False, tmp_path), pair.url()):  # one that knows nothing: looks at all
        fresh = open_engine(address, for_work(SECONDS))
        with fresh.connect() as connection:
            assert presence_of(fresh).server == after
            (told_of,) = standby(Settings(tmp_path, database=pair.url()), connection)
        fresh.dispose()
        assert told_of.kind.code == "database.two-primaries" and f"127.0.0.1:{old.port} " in told_of.words("en")["what"]
    pair.rejoin()
    until("it goes on", lambda: journal.trouble is None)
    assert committed(journal, submission(journal.process_id)).verdict is Verdict.COMMITTED


@pytest.mark.full
def test_a_silent_host_does_not_delay_callers(pair: Pair, tmp_path: Path) -> None:
    """libpq waits two seconds for each. A process that begins takes that time, since the second host may answer."""
    pair.wait_synchronous()
    with Way([each.port for each in pair.servers]) as way:
        hasty, patient = (open_engine(pair.url(way.ports), limits(1.3)) for limits in (for_calls, for_work))
        waited = []
        for engine in (hasty, patient):
            with engine.connect():
                pass
            engine.dispose()  # the next connection is new
        way.stall()
        for engine in (hasty, patient):
            began = time.monotonic()
            with pytest.raises(OperationalError), engine.connect():
                pass
            waited.append(time.monotonic() - began)
        assert waited[0] < waited[1] / 2, waited
        assert presence_of(hasty).away
        way.flow()
        until("it is found again", lambda: answers(hasty))
        hasty.dispose()
        patient.dispose()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections in, and says nothing
        port = silent.getsockname()[1]
        begins = open_engine(pair.url([port, pair.primary.port]), for_calls(SECONDS))
        until("the second host is found", lambda: answers(begins))
        begins.dispose()


def test_a_copy_that_takes_writes_is_named_although_its_timeline_is_the_same(pair: Pair, tmp_path: Path) -> None:
    """One that was made by pg_basebackup and started without its `standby.signal`."""
    copy = pair.standby
    copy.stop()
    (copy.data / "standby.signal").unlink()
    try:
        copy.start()
        engine = open_engine(pair.url())
        with engine.connect() as connection:
            (found,) = standby(Settings(tmp_path, database=pair.url()), connection)
        engine.dispose()
        assert found.kind.code == "database.two-primaries"
    finally:
        copy.kill()
        pair.copy()
        pair.wait_synchronous()


def answers(engine: Engine) -> bool:
    try:
        with engine.connect() as connection:
            return bool(connection.execute(text("SELECT 1")).scalar() == 1)
    except OperationalError:
        return False


def test_another_cluster_is_refused(pair: Pair, tmp_path: Path) -> None:
    pair.wait_synchronous()
    pair.fresh_url()
    for seen, said in {'{"system": "7", "timeline": 1}': "cluster", "{": "damaged"}.items():
        (tmp_path / SEEN).write_text(seen)
        engine = open_engine(DatabaseAddress(pair.url(), False, tmp_path))  # one engine tries only now and then
        with pytest.raises(OperationalError, match=said), engine.connect():
            pass
        engine.dispose()
