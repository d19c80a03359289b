"""What the doctor says of officers and of grants that nobody signed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.doctor.access import access
from gateway.journal.database import writing
from gateway.registry import store
from gateway.registry.changes import granting
from gateway.registry.changes.officers import set_officer
from gateway.settings import Settings
from tests.registry.making import NOW, OFFICERS, filled, new_database, province


def test_officers_and_grants(tmp_path: Path) -> None:
    settings, engine = Settings(tmp_path), new_database(tmp_path)

    def codes() -> dict[str, str]:
        with engine.connect() as connection:
            return {each.kind.code: str(next(iter(each.facts.values()))) for each in access(settings, connection, NOW)}

    assert codes() == {}
    filled(engine, province(), [])
    assert codes() == {}
    with writing(engine) as connection:
        set_officer(connection, next(iter(OFFICERS)), "retired", NOW + 1)
        changed = province().grants[0].grant.content() | {"purpose": "khác"}
        granting.propose(connection, granting.Proposal(type(province().grants[0].grant).from_json(changed)), NOW)
        store.raise_revision(connection)
    assert codes() == {"officers.few": "1", "grants.unsigned": "G-0001"}
    (settings.identities / "can-bo-1").mkdir(parents=True)
    (settings.identities / "can-bo-1" / "officer.key").write_text("")
    assert codes()["officers.key-here"] == "can-bo-1"


@pytest.mark.parametrize("state", ["revoked", "retired"])
def test_who_left_is_not_in_office(tmp_path: Path, state: str) -> None:
    engine = new_database(tmp_path)
    filled(engine, province(), [])
    with writing(engine) as connection:
        for name in OFFICERS:
            set_officer(connection, name, state, NOW + 1)  # type: ignore[arg-type]
    with engine.connect() as connection:
        found = {each.kind.code for each in access(Settings(tmp_path), connection, NOW)}
    assert "officers.few" in found and ("grants.unsigned" in found) is (state == "revoked")
