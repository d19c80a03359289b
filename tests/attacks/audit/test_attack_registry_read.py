"""Questions about rights, asked of an instance whose registry rows an insider has edited."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import update

from gateway.journal.database import writing
from gateway.journal.schema import tables
from tests import commandline
from tests.attacks.audit import instances


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry-read")


@pytest.mark.attack("registry: rows edited with the database alone")
@pytest.mark.parametrize("keyless", [False, True])
def test_no_question_about_rights_is_answered_from_an_edited_row(base: Path, tmp_path: Path, keyless: bool) -> None:
    """An officer would read of a role that no door grants anything by. An auditor without the key is told too."""
    instance = instances.copy("sqlite", base, tmp_path / "data")
    if keyless:
        instance.settings.data.joinpath("keys", "hash.key").unlink()
    asked = ("access", "explain", "H14.21", "indicator/v1", "getValue")
    data = ("--data", str(instance.settings.data), "--json")
    assert json.loads(commandline.lgsp(*asked, *data).out)["reason"] in ("no-contract", "no-grant")
    with writing(instance.engine) as inside:
        agency = tables.agency
        inside.execute(update(agency).where(agency.c.code == "H14.21").values(roles='["centre"]'))
    instance.engine.dispose()
    for words in (asked, ("access", "who", "--personal"), ("access", "matrix")):
        done = commandline.lgsp(*words, *data)
        said = json.loads(done.out)
        assert done.code == 3 and said["error"]["code"] == "registry.altered" and "H14.21" in said["error"]["what"]
    for words in (("access", "list"), ("registry", "show"), ("registry", "keys")):
        done = commandline.lgsp(*words, *data)
        assert done.code == 0 and "registry.altered" in done.err and "H14.21" in done.err, words
