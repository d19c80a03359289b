"""The version of SOAP that a system speaks: declared, kept, and read back; without a word it is 1.1, in old rows
too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import select

from adapters.kinds import KINDS
from contracts.base.errors import Theirs
from contracts.wire.soap import VERSIONS
from gateway.journal.schema import tables
from gateway.registry.snapshot import load_snapshot
from tests.registry.making import PROVINCE, filled, new_database, province

SOAP = 'endpoint: {kind: soap, url: "{do-thi}"}'


def told(version: str) -> str:
    assert PROVINCE.count(SOAP) == 1
    return PROVINCE.replace(SOAP, SOAP[:-1] + f", version: {version}}}")


def test_the_versions_are_those_that_envelopes_have() -> None:
    option = next(each for each in KINDS["soap"].options if each.name == "version")
    assert option.default == "1.1" and set(option.choices) == {version.number for version in VERSIONS.values()}


@pytest.mark.parametrize(("text", "version"), [(PROVINCE, "1.1"), (told('"1.1"'), "1.1"), (told('"1.2"'), "1.2")])
def test_the_registered_version_reaches_the_endpoint(text: str, version: str, tmp_path: Path) -> None:
    engine = new_database(tmp_path)
    filled(engine, province(text), [])
    with engine.connect() as connection:
        endpoint = load_snapshot(connection).systems["do-thi"].endpoint
        row = connection.scalar(select(tables.system.c.endpoint).where(tables.system.c.id == "do-thi"))
    engine.dispose()
    assert endpoint is not None and endpoint.options.get("version", "1.1") == version
    assert json.loads(row or "").get("version", "1.1") == version and (
        version == "1.2" or "version" not in json.loads(row or "")
    )


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (told('"2.0"'), "version"),
        (told("1.2"), "version"),
        (PROVINCE.replace("{kind: rest, url", '{kind: rest, version: "1.2", url', 1), "version"),
    ],
)
def test_other_versions_and_places_are_findings(text: str, path: str) -> None:
    with pytest.raises(Theirs) as caught:
        province(text)
    assert caught.value.code == "registry.invalid" and [
        found.here.rpartition(".")[2] for found in caught.value.findings
    ] == [path]
