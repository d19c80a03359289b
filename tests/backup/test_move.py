"""An instance that leaves SQLite for PostgreSQL: all of it, once, and the log goes on where it stood."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from contracts.base.errors import Failure
from gateway.audit.verify.verify import verify_log
from gateway.backup import move as moving
from gateway.backup.move import SUFFIX, move
from gateway.cli.run import alone
from gateway.journal.database import open_engine
from gateway.journal.schema import tables
from gateway.registry.seals.sealing import Seal
from gateway.settings import load
from gateway.settings.saving import save
from tests import commandline
from tests.backup.conftest import Instance, quiet
from tests.journal import databases


def _to(one: Instance, url: str) -> Any:
    one.engine.dispose()
    return move(one.settings, url, time.time(), "người vận hành", quiet)


def test_a_moved_instance_has_every_row_and_its_log_goes_on(lite: Instance) -> None:
    note = lite.exchange(40)
    with lite.engine.connect() as connection:
        before = {
            each.name: connection.scalar(select(func.count()).select_from(each))
            for each in tables.metadata.sorted_tables
        }
        feed = connection.execute(select(tables.feed_event).order_by(tables.feed_event.c.offset)).all()
    url = str(databases.fresh_url("postgresql", Path()))
    moved = _to(lite, url)
    assert moved.entries == before["log_entry"] and moved.kept.name.endswith(SUFFIX) and moved.kept.exists()
    settings = load(lite.settings.data, {})
    assert settings.database == url and not (lite.settings.data / "lgsp.db").exists()
    there = Instance.open(settings)
    with there.engine.connect() as connection:
        after = {
            each.name: connection.scalar(select(func.count()).select_from(each))
            for each in tables.metadata.sorted_tables
        }
        assert connection.execute(select(tables.feed_event).order_by(tables.feed_event.c.offset)).all() == feed
        assert verify_log(connection, there.vkey, newest=note).ok
        assert Seal.of(settings).differing(connection, but="") == []
    grown = {name for name in after if after[name] != before[name]}
    assert grown <= {"instance", "log_pending", "lease", "process"}, grown
    longer = there.exchange(5)
    with there.engine.connect() as connection:
        assert verify_log(connection, there.vkey, newest=longer, kept=note).ok
    there.engine.dispose()


def test_a_database_that_is_not_empty_or_of_the_same_kind_is_refused(lite: Instance, tmp_path: Path) -> None:
    url = str(databases.fresh_url("postgresql", Path()))
    with pytest.raises(Failure, match=r"backup\.kind"):
        _to(lite, f"sqlite:///{tmp_path}/other.db")
    first = (lite.settings.data / "settings.yaml").read_bytes()
    _to(lite, url)
    (lite.settings.data / f"lgsp.db{SUFFIX}").rename(lite.settings.data / "lgsp.db")
    (lite.settings.data / "settings.yaml").write_bytes(first)
    with pytest.raises(Failure, match=r"backup\.taken"):
        _to(lite, url)
    assert (lite.settings.data / "lgsp.db").exists()


def test_a_move_that_was_cut_short_before_or_after_its_commit_is_completed_by_the_same_command(
    lite: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    lite.exchange(10)
    url = str(databases.fresh_url("postgresql", Path()))

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr(moving, "keep", killed)
        with pytest.raises(KeyboardInterrupt):
            _to(lite, url)
    assert load(lite.settings.data, {}).database == "" and (lite.settings.data / "lgsp.db").exists()
    with monkeypatch.context() as cut:
        cut.setattr(moving, "change", killed)
        with pytest.raises(KeyboardInterrupt):
            _to(lite, url)
    assert (lite.settings.data / "lgsp.db").exists()
    moved = _to(lite, url)
    with open_engine(url).connect() as connection:
        notes = connection.scalar(select(func.count()).select_from(tables.log_pending))
    assert moved.kept.exists() and notes == 1


def test_a_log_that_was_altered_does_not_move(lite: Instance) -> None:
    lite.exchange(10)
    with lite.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE log_entry SET entry = X'7b7d' WHERE idx = 4")
    url = str(databases.fresh_url("postgresql", Path()))
    with pytest.raises(Failure, match=r"backup\.wrong-log"):
        _to(lite, url)
    assert (lite.settings.data / "lgsp.db").exists() and load(lite.settings.data, {}).database == ""


def test_a_command_that_meets_a_running_instance_says_so_in_words_of_its_own(lite: Instance) -> None:
    """Nobody started anything."""
    lite.engine.dispose()
    save(lite.settings)
    place = ("--data", str(lite.settings.data))
    with alone(lite.settings):
        for words in (("move", "postgresql://127.0.0.1/x"), ("vault", "move", "postgresql://127.0.0.1/x")):
            told = commandline.lgsp(*words, *place)
            assert told.code == 2 and "is running already" in told.err and "[running]" in told.err, told
            assert "start" not in told.err and "khởi động" not in told.err, told.err
        again = commandline.lgsp("up", *place)
        assert again.code == 3 and "[not-started]" in again.err, again


def test_the_command_moves_and_says_what_it_did(lite: Instance) -> None:
    lite.engine.dispose()
    save(lite.settings)
    url = str(databases.fresh_url("postgresql", Path()))
    data = ("--data", str(lite.settings.data), "--json")
    wrong = commandline.lgsp("move", "sqlite:////tmp/x.db", *data)
    assert json.loads(wrong.out)["error"]["code"] == "backup.kind"
    told = commandline.lgsp("move", url, *data)
    moved = json.loads(told.out)
    assert told.code == 0 and moved["rows"] > 0 and moved["kept"].endswith("lgsp.db.moved"), told
    again = commandline.lgsp("move", url, *data)
    assert again.code == 1 and json.loads(again.out)["error"]["code"] == "backup.moved", again
    verified = commandline.lgsp("audit", "verify", *data)
    assert verified.code == 0, verified
