"""Accounts beside the instance's own: root and others write nothing there; a group of auditors reads it, and cannot
change it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, func, make_url, select, text
from sqlalchemy.exc import DBAPIError, InternalError, ProgrammingError

from gateway.audit.log import origins
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.audit.search.index import Indexer
from gateway.doctor import examine
from gateway.journal.append import append
from gateway.journal.database import open_engine, writing
from gateway.journal.read_only import read_only
from gateway.journal.schema import tables
from gateway.keys.keyring import Keyring
from gateway.settings import Settings
from gateway.settings.saving import save
from gateway.transfer import entries
from gateway.transfer import lease as leases
from tests import commandline
from tests.attacks.audit import instances
from tests.journal import databases
from tests.otheruser import GROUP, OTHER, OWNER, as_user, give

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
READING = (
    ("audit", "search"),
    ("audit", "search", "--kind", "registry"),
    ("audit", "origins"),
    ("access", "list"),
    ("access", "show", "G-0001"),
    ("access", "matrix"),
    ("access", "explain", "H14.7", "indicator/v1", "getValue"),
    ("registry", "show"),
    ("registry", "keys"),
    ("contract", "show", "indicator/v1"),
    ("queue", "list"),
    ("doctor",),
)

# As docs/operating.md has it.
SELECT_ONLY = """CREATE ROLE {role} LOGIN PASSWORD 'x';
GRANT CONNECT ON DATABASE {database} TO {role};
GRANT USAGE ON SCHEMA public TO {role};
GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {role}"""


def sequenced(settings: Settings) -> None:
    """What a keeper does with the log: entries, checkpoint, index."""
    engine = open_engine(settings.database_url)
    with writing(engine) as connection:
        lease = leases.take(connection, "keeper-test", time.time(), seconds=600)
    assert lease is not None
    key = LogKey.open(Keyring(settings).log_key, settings.origin, Keyring(settings).at_rest)
    sequencer = Sequencer(engine, None, key, CheckpointFile(settings.checkpoint_file))
    while sequencer.run_once(lease).busy or pending(engine):
        pass
    Indexer(engine, None).step(lease)
    engine.dispose()


def pending(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(tables.log_pending)) or 0


def first_entry(settings: Settings) -> str:
    engine = open_engine(settings.database_url)
    try:
        with engine.connect() as connection:
            return str(connection.scalar(select(tables.log_entry.c.transfer).limit(1)))
    finally:
        engine.dispose()


@pytest.fixture(scope="module")
def made(sandbox: Settings) -> Settings:
    sequenced(sandbox)
    for words in (*READING, ("audit", "verify")):  # what they import cannot be imported by everybody
        commandline.lgsp(*words, "--data", str(sandbox.data), "--json")
    return sandbox


@pytest.fixture
def place(made: Settings) -> Iterator[Settings]:
    """A copy where another user gets at it."""
    folder = Path(tempfile.mkdtemp(prefix="lgsp-users-"))
    folder.chmod(0o755)
    shutil.copytree(made.data, folder / "data")
    settings = replace(made, data=folder / "data")
    save(settings)
    yield settings
    shutil.rmtree(folder)


def for_auditors(settings: Settings) -> None:
    """What docs/operating.md tells to do."""
    data = settings.data
    for path in (data, data / "log"):
        path.chmod(0o2750)
    for path in (data / "settings.yaml", data / "lgsp.db", *data.glob("lgsp.db-*"), *(data / "log").glob("*[!k]")):
        path.chmod(0o640)


def at(settings: Settings, *words: str) -> tuple[str, ...]:
    return (*words, "--data", str(settings.data), "--json")


def written(settings: Settings) -> dict[Path, int]:
    """All but the shared memory, whose time the kernel sets late."""
    return {path: path.stat().st_mtime_ns for path in settings.data.rglob("*") if not path.name.endswith("-shm")}


def test_its_own_user_runs_everything(place: Settings) -> None:
    assert commandline.lgsp(*at(place, "keys", "rotate", "sign")).code == 0
    assert "files.owner" not in {each.kind.code for each in examine(place, time.time)}


@root
@pytest.mark.attack("files that the service cannot read")
@pytest.mark.parametrize(
    "words",
    [
        ("keys", "rotate", "sign"),
        ("registry", "suspend", "agency", "H14.7", "--reason-vi", "a", "--reason-en", "b"),
        ("backup", "make", "/tmp/never-made"),
        ("reload",),
        ("up",),
    ],
    ids=" ".join,
)
def test_root_leaves_nothing_in_an_instance_of_another(place: Settings, words: tuple[str, ...]) -> None:
    give(place.data, OWNER)
    before = sorted(path for path in place.data.rglob("*"))
    ended = commandline.lgsp(*at(place, *words))
    assert ended.code == 2 and '"other-user"' in ended.out and f"sudo -u '#{OWNER}'" in ended.out
    assert sorted(path for path in place.data.rglob("*")) == before
    if words[0] != "up":
        code, told, _ = as_user(OWNER, at(place, "keys", "rotate", "sign"))
        assert code == 0, told
        assert {path.stat().st_uid for path in place.data.rglob("*")} == {OWNER}


@root
def test_files_of_a_foreign_owner_are_named_and_stop_the_start_in_words(place: Settings) -> None:
    give(place.data, OWNER)
    strange = place.keys / "sign-2.key"
    shutil.copy(place.keys / "sign.key", strange)
    (finding,) = [each for each in examine(place, time.time) if each.kind.code == "files.owner"]
    assert finding.facts["paths"] == str(strange) and finding.kind.grave
    code, told, _ = as_user(OWNER, at(place, "up"))
    assert code == 2 and told["error"]["code"] == "foreign-files" and finding.facts["command"] in told["error"]["next"]
    (place.drop_root / "so-lieu").mkdir(parents=True)
    assert os.system(finding.facts["command"]) == 0
    assert not [each for each in examine(place, time.time) if each.kind.code == "files.owner"]
    assert strange.stat().st_uid == OWNER


@root
@pytest.mark.parametrize("live", [False, True], ids=["stopped", "running"])
@pytest.mark.attack("reading turned into changing")
def test_a_group_of_auditors_reads_and_cannot_change(place: Settings, live: bool) -> None:
    entry = first_entry(place)
    give(place.data, OWNER, GROUP)
    for_auditors(place)
    base = sqlite3.connect(place.data / "lgsp.db") if live else None
    if base is not None:
        base.execute("delete from replay").connection.commit()
        give(place.data, OWNER, GROUP)
    before = written(place)
    own_key = str(place.data / "log" / "log.vkey")
    for words in (
        ("audit", "verify", "--vkey", own_key),
        ("audit", "show", entry),
        ("audit", "journey", entry),
        *READING,
    ):
        code, told, err = as_user(OTHER, at(place, *words), groups=[GROUP])
        assert code == 0, (words, told, err)
    findings = {each["code"] for each in told["findings"]}
    assert "files.unread" in findings and not findings & {"files.open", "files.modes", "keys.locked", "files.owner"}
    for words in (("registry", "resume", "agency", "H14.7"), ("audit", "search", "--csv")):
        asked = at(place, *words)[: -1 if "--csv" in words else None]
        assert as_user(OTHER, asked, groups=[GROUP])[0] == 2
    code, told, err = as_user(OTHER, at(place, "audit", "search"))
    assert code != 0, "whoever is not in the group reads nothing"
    assert written(place) == before
    if base is not None:
        base.close()
    assert not {"files.open"} & {each.kind.code for each in examine(place, time.time)}


def test_a_newer_checkpoint_can_be_read_by_whom_the_older_one_could(place: Settings) -> None:
    place.checkpoint_file.chmod(0o640)
    with writing(open_engine(place.database_url)) as connection:
        append(connection, [entries.note("export", {}, time.time())])
    before = place.checkpoint_file.read_text()
    with writing(open_engine(place.database_url)) as connection:
        connection.execute(delete(tables.lease))
    sequenced(place)
    assert place.checkpoint_file.read_text() != before and place.checkpoint_file.stat().st_mode & 0o777 == 0o640


@pytest.mark.attack("reading turned into changing")
def test_a_role_of_postgresql_that_only_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = instances.copy("postgresql", tmp_path, tmp_path / "data")
    sequenced(made.settings)
    owner, name = make_url(made.settings.database_url), f"lgsp_auditor_{os.getpid()}"
    with made.engine.begin() as connection:
        for line in SELECT_ONLY.format(role=name, database=owner.database).split(";"):
            connection.execute(text(line))
    role = owner.set(username=name, password="x").render_as_string(hide_password=False)
    monkeypatch.setenv("LGSP_DATABASE", role)
    entry = first_entry(made.settings)
    reading = (("audit", "verify"), ("audit", "show", entry), *READING[:4], *READING[7:9], ("queue", "list"))
    for words in reading:
        ended = commandline.lgsp(*at(made.settings, *words))
        assert ended.code == 0, (words, ended.out)
    engine = open_engine(role)
    with engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
        connection.execute(delete(tables.agency))
    with read_only():
        reader = open_engine(owner.render_as_string(hide_password=False))
    with reader.connect() as connection, pytest.raises(InternalError, match="read-only transaction"):
        connection.execute(delete(tables.agency))
    engine.dispose()
    reader.dispose()


@pytest.mark.parametrize("kind", databases.KINDS)
def test_an_ended_log_is_read_too(tmp_path: Path, kind: str) -> None:
    engine = databases.migrated(kind, tmp_path)
    row = {"origin": "old.example/log", "number": 1, "vkey": "x", "size": 0, "ended": 0.0}
    with writing(engine) as connection:
        connection.execute(tables.log_origin.insert().values(row))
    with read_only():
        reader = open_engine(engine.url.render_as_string(hide_password=False))
    with origins.within(reader, "old.example/log") as connection:
        assert connection.scalar(select(func.count()).select_from(tables.log_entry)) == 0
        connection.rollback()
        with pytest.raises(DBAPIError):
            connection.execute(delete(tables.agency))
    engine.dispose()
    reader.dispose()


@pytest.mark.attack("reading turned into changing")
def test_a_reading_command_cannot_write_even_for_the_owner(place: Settings) -> None:
    with read_only():
        engine = open_engine(place.database_url)
    with engine.connect() as connection, pytest.raises(Exception, match="readonly|read-only|query_only"):
        connection.exec_driver_sql("DELETE FROM agency")


def test_files_that_nobody_may_write_are_read(place: Settings) -> None:
    """As an ordinary user: on a medium that is read-only, or a copy handed over."""
    for path in [*place.data.rglob("*"), place.data]:
        if not path.is_symlink():
            path.chmod(0o500 if path.is_dir() else 0o400)
    for words in READING[:-1]:
        assert commandline.lgsp(*at(place, *words)).code == 0, words
    for path in [place.data, *place.data.rglob("*")]:
        path.chmod(0o700)


def test_verify_says_what_it_did_not_check(place: Settings) -> None:
    """Whoever reads no keys gets no answer that looks like the whole one."""
    assert "unseen" not in json.loads(commandline.lgsp(*at(place, "audit", "verify")).out)
    (place.data / "keys" / "hash.key").unlink()
    found = json.loads(commandline.lgsp(*at(place, "audit", "verify")).out)
    assert found["ok"] and "ids of messages and seals" in found["unseen"][0]
    text = commandline.lgsp("audit", "verify", "--data", str(place.data)).out
    assert "NOT CHECKED / CHƯA KIỂM TRA" in text


def test_a_key_of_another_log_is_told_as_that(place: Settings) -> None:
    """Else it would read as if every checkpoint had been forged."""
    other = place.data / "other.vkey"
    other.write_text(LogKey.open(place.data / "other.key", "tinh.example/lgsp").vkey, "ascii")
    done = commandline.lgsp(*at(place, "audit", "verify", "--vkey", str(other)))
    assert done.code == 1
    assert json.loads(done.out)["first_wrong"] == (
        f"the key that was given is of the log tinh.example/lgsp, and this is the log {place.origin}"
    )
