"""A restore for practice: it says so, and stays closed."""

from __future__ import annotations

import json
import math
from pathlib import Path

from sqlalchemy import make_url

from gateway.cli import restore_words
from gateway.cli.run import restored_words
from gateway.journal.database import open_engine
from gateway.registry.restore_lock import held_until
from gateway.settings import load
from tests import commandline
from tests.backup.conftest import ORIGIN, Instance


def test_one_for_practice_calls_for_nothing_and_cannot_be_confirmed(lite: Instance, tmp_path: Path) -> None:
    lite.exchange(5)
    folder, place = lite.back_up(tmp_path / "copy"), tmp_path / "new"
    lite.exchange(3)  # lost with the machine
    told = commandline.lgsp("restore", "from", str(folder), "--data", str(place), "--practice")
    assert told.code == 0 and f"name of its own, {ORIGIN}/2; nobody needs to be told" in told.out, told
    assert "NEW LOG BEGINS" not in told.out and "give everybody" not in told.out and "then delete" in told.out
    confirm = ("restore", "confirm", "--data", str(place), "--json")
    shown = json.loads(commandline.lgsp(*confirm).out)
    assert shown["practice"] and not shown["confirmed"]
    refused = json.loads(commandline.lgsp(*confirm, "--by", "van-hanh", "--break-glass", "somebody mistook it").out)
    assert refused["error"]["code"] == "backup.practice"
    with open_engine(load(place, {}).database_url).connect() as connection:
        assert held_until(connection) == math.inf
        assert "restore confirm" not in (said := restored_words(connection, place)) and "Restored for practice" in said
    earnest = commandline.lgsp("restore", "from", str(folder), "--data", str(tmp_path / "earnest"))
    assert "A NEW LOG BEGINS" in earnest.out
    assert f"--data {tmp_path / 'earnest'} --by … (production: --as PERSON --key FILE)" in earnest.out
    with open_engine(load(tmp_path / "earnest", {}).database_url).connect() as connection:
        assert "lgsp restore confirm" in restored_words(connection, tmp_path)


def test_the_database_is_named_too_without_its_password(one: Instance, tmp_path: Path) -> None:
    """Else a copy of production stays in it, and the next practice finds it taken."""
    if one.engine.dialect.name == "sqlite":
        (words,) = restore_words.then(tmp_path, True)
        assert f"then delete {tmp_path};" in words, words
        return
    folder, database = one.back_up(tmp_path / "copy"), one.fresh_database()
    place = tmp_path / "new"
    told = commandline.lgsp("restore", "from", str(folder), "--data", str(place), "--practice", "--database", database)
    name = make_url(database).database
    assert told.code == 0 and f"then delete {place} & postgresql+psycopg://" in told.out and f"/{name}" in told.out, (
        told
    )
    shown = commandline.lgsp("restore", "confirm", "--data", str(place))
    assert f"then delete {place} & postgresql+psycopg://" in shown.out, shown
    (hidden,) = restore_words.then(place, True, "postgresql+psycopg://a:geheim@h/b?password=geheim&application_name=c")
    assert "geheim" not in hidden and "@h/b?application_name=c" in hidden, hidden
