"""`lgsp indicator`: definitions of the province, missing values with their owners, and a document with faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import select

from gateway.journal.database import open_engine
from gateway.journal.schema import tables
from gateway.settings import Settings
from tests import commandline


def asked(sandbox: Settings, *words: str) -> tuple[int, dict[str, Any]]:
    ended = commandline.lgsp("indicator", *words, "--data", str(sandbox.data), "--json")
    return ended.code, json.loads(ended.out or ended.err)


@pytest.fixture
def stated(sandbox: Settings) -> list[dict[str, Any]]:
    code, told = asked(sandbox, "list")
    assert code == 0
    return list(told["definitions"])


def test_definitions_and_who_owes_what(sandbox: Settings, stated: list[dict[str, Any]]) -> None:
    assert [(each["version"], each["frequency"]) for each in stated if each["code"] == "KT-11"] == [(1, "Q"), (2, "M")]
    assert all(each["defined"].endswith("Z") and each["entry"] for each in stated)
    code, told = asked(sandbox, "missing", "--from", "2024", "--until", "2024")
    owed = {(each["indicator"], each["period"]): each["owner"] for each in told["missing"]}
    assert code == 0 and owed == {("KT-02", "2024"): "H14.4", ("MT-04", "2024"): "H14.2"}
    code, told = asked(sandbox, "show", "MT-04", "--from", "2024", "--until", "2024")
    assert code == 0 and [each["state"] for each in told["figures"]] == ["missing"]
    text = commandline.lgsp("indicator", "missing", "--from", "2024", "--until", "2024", "--data", str(sandbox.data))
    assert "MT-04" in text.out and "H14.2" in text.out


def test_what_is_refused(sandbox: Settings, stated: list[dict[str, Any]], tmp_path: Path) -> None:
    assert asked(sandbox, "show", "KT-99")[1]["error"]["code"] == "indicator.unknown"
    assert asked(sandbox, "missing", "--from", "2026-13")[1]["error"]["code"] == "indicator.period"
    file, names = tmp_path / "indicators.yaml", ("version", "defined", "actor", "entry")
    known = [{name: value for name, value in each.items() if name not in names} for each in stated]
    file.write_text(yaml.safe_dump({"indicators": known}), "utf-8")
    assert asked(sandbox, "define", str(file)) == (0, {"ok": True, "changes": []})
    file.write_text(yaml.safe_dump({"indicators": [{**known[0], "owner": "H99"}]}), "utf-8")
    code, told = asked(sandbox, "define", str(file))
    assert code == 1 and told["error"]["code"] == "indicator.invalid" and "indicators[0].owner" in told["error"]["what"]
    with open_engine(sandbox.database_url).connect() as connection:
        assert len(connection.execute(select(tables.indicator.c.code)).all()) == len(stated)
