"""What the doctor says of officers and of grants that nobody signed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert

from gateway.doctor.access import access
from gateway.doctor.findings import Finding
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry import store
from gateway.registry.changes import granting
from gateway.registry.changes.officers import set_officer
from gateway.settings import Settings
from security.grants.grants import Grant
from tests.registry.making import NOW, OFFICERS, PROVINCE, filled, new_database, province


def test_officers_and_grants(tmp_path: Path) -> None:
    settings, engine = Settings(tmp_path), new_database(tmp_path)

    def codes() -> dict[str, str]:
        with engine.connect() as connection:
            return {
                each.kind.code: str(next(iter(each.facts.values()), "")) for each in access(settings, connection, NOW)
            }

    assert codes() == {"persons.none": ""}
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


def test_what_a_document_proposes_waits(tmp_path: Path) -> None:
    engine = new_database(tmp_path)
    filled(engine, province(), [])
    with writing(engine) as connection:
        store.apply(
            province(PROVINCE.replace("formats: {field-report/v1: do-thi-xml}", "formats: {}")), connection, NOW
        )
    with engine.connect() as connection:
        (found,) = access(Settings(tmp_path), connection, NOW)
    assert found.kind.code == "content.waiting" and not found.kind.grave
    assert found.facts == {"content": "system/do-thi", "count": 1}


def receiving(folder: Path, connection: Connection, now: float) -> dict[str, Finding]:
    """What it says of routes and of grants to receive."""
    found = {each.kind.code: each for each in access(Settings(folder), connection, now)}
    return {code: each for code, each in found.items() if code.partition(".")[0] in ("receiving", "route")}


def test_a_route_whose_system_may_not_receive(tmp_path: Path) -> None:
    engine = new_database(tmp_path)
    filled(engine, province(), [])
    with writing(engine) as connection:
        granting.revoke(connection, "G-0014", NOW)
    with engine.connect() as connection:
        found = receiving(tmp_path, connection, NOW)["route.not-granted"]
    assert found.kind.code == "route.not-granted" and found.kind.grave
    assert found.facts["routes"] == "indicator/v1 getValue → kinh-te (H14.4: no-contract, G-0039)"


@pytest.mark.parametrize(("days", "codes"), [(0, {"receiving.unconfirmed"}), (30, {"receiving.overdue"})])
def test_what_was_adopted_and_not_confirmed(tmp_path: Path, days: int, codes: set[str]) -> None:
    engine = new_database(tmp_path)
    filled(engine, province(), [])
    now = NOW + days * 86400
    with writing(engine) as connection:
        row = Grant.from_json(granting.content_of(connection, "G-0014").content() | {"id": "adopted-1"})
        body = replace(row, valid_from=NOW).canonical().decode()
        table = tables.access_grant
        connection.execute(table.insert().values(id="adopted-1", body=body, state="active", source="adopted"))
        granting.revoke(connection, "G-0014", NOW)
    with engine.connect() as connection:
        found = receiving(tmp_path, connection, now)
    assert set(found) == codes, "the route is served: it shows nothing personal"
    ((code, finding),) = found.items()
    assert finding.facts["grants"] == "adopted-1" and finding.kind.grave is (code == "receiving.overdue")
    for words in (finding.kind.next.vi, finding.kind.next.en):
        assert "lgsp access show" in words and "lgsp access approve" in words and "lgsp access revoke" in words


@pytest.mark.parametrize(("days", "due"), [(100, False), (200, True)])
def test_a_review_of_access_is_due_half_a_year_after_the_registry_began(tmp_path: Path, days: int, due: bool) -> None:
    engine = new_database(tmp_path)
    filled(engine, province(), [])
    row = {"of_table": "instance", "key": "x", "revision": 1, "what": "registry", "actor": "test", "entry": "e"}
    with writing(engine) as connection:
        connection.execute(insert(tables.registry_history).values(**row, since=NOW - days * 86_400.0))
    with engine.connect() as connection:
        found = {each.kind.code for each in access(Settings(tmp_path), connection, NOW)}
    assert ("access.review-due" in found) is due
