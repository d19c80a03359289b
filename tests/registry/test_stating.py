"""The registry stated as a document: applied unchanged it changes nothing, whatever happened before."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
import yaml
from cryptography import x509
from sqlalchemy import Connection, Engine

from contracts.base.words import Words
from gateway.journal.database import writing
from gateway.registry import store
from gateway.registry.changes import applying, granting, keys, notices, officers
from gateway.registry.changes.content import Subject
from gateway.registry.changes.document import parse_grants
from gateway.registry.changes.proposals import proposals
from gateway.registry.changes.stating import document_text
from gateway.registry.seals.revisions import revision
from gateway.registry.seals.rows import contents
from gateway.registry.snapshot import load_snapshot
from security.pki.chains import Trust
from tests.registry.making import NOW, PROVINCE, House, filled, province, sign_proposals
from tests.registry.test_proposals import document, moved, with_new

GRANT = {
    "id": "G-9001", "agency": "H14.7", "contract": "indicator/v1", "operations": ["getValue"], "fields": ["*"],
    "purpose": "Điều hành", "legal_basis": "QĐ 1", "valid_from": date(2026, 1, 1), "valid_until": date(2030, 12, 31),
}  # fmt: skip


def unchanged(connection: Connection, embedded: Trust | None = None, at: float = NOW + 99) -> dict[str, Any]:
    """Applies what the registry states, and finds nothing changed. Returns the document."""
    text, before, number = document_text(connection), contents(connection), revision(connection)
    applied = applying.apply_text(connection, text, load_snapshot(connection), embedded, at, None)
    assert (applied.changes, applied.rows) == ((), ())
    assert contents(connection) == before and revision(connection) == number
    assert document_text(connection) == text
    read: dict[str, Any] = yaml.safe_load(text)
    return read


def test_an_empty_registry_states_nothing(sqlite: Engine) -> None:
    with writing(sqlite) as connection:
        assert unchanged(connection) == {}


def test_what_a_document_brought_is_stated_with_what_happened_since(sqlite: Engine) -> None:
    filled(sqlite, province(), [])
    with writing(sqlite) as connection:
        stated = unchanged(connection)
        given = yaml.safe_load(PROVINCE)
        assert {name: len(rows) for name, rows in stated.items()} == {name: len(rows) for name, rows in given.items()}
        note = notices.Notice(Words("Bảo trì", "Maintenance"), NOW, None)
        notices.suspend(connection, "system", "canh-bao", note)
        notices.suspend(connection, "agency", "H14.7", note)
        notices.suspend(connection, "grant", "G-0001", note)
        granting.revoke(connection, "G-0002", NOW)
        officers.set_officer(connection, "can-bo-an-toan-2", "retired", NOW)
        (proposal,) = parse_grants(
            yaml.safe_dump({"grants": [GRANT]}),
            load_snapshot(connection).contracts,
            load_snapshot(connection).agencies,
            load_snapshot(connection).systems,
        )
        granting.propose(connection, proposal, NOW)
        store.raise_revision(connection)
        stated = unchanged(connection)
    assert [each["id"] for each in stated["systems"] if each.get("state")] == ["canh-bao"]
    assert [each["code"] for each in stated["agencies"] if each.get("state")] == ["H14.7"]
    assert [each["id"] for each in stated["officers"] if each.get("state")] == ["can-bo-an-toan-2"]
    assert not {"G-0002", "G-9001"} & {each["id"] for each in stated["grants"]}


def test_what_waits_for_officers_is_stated_as_it_was_proposed(sqlite: Engine) -> None:
    filled(sqlite, province(), [])
    with writing(sqlite) as connection:
        store.apply(document(with_new), connection, NOW)
        assert "do-thi-2" in {each["id"] for each in unchanged(connection)["systems"]}
        assert Subject("system", "do-thi-2") in proposals(connection, "waiting")
        store.apply(document(moved), connection, NOW)  # withdraws the system, which was never in force
        stated = unchanged(connection)
        assert "do-thi-2" not in {each["id"] for each in stated["systems"]}
        assert "do-thi" not in {each.get("system") for each in stated["routes"]}
        sign_proposals(connection)
        unchanged(connection)


def test_a_key_that_a_document_stated_is_stated_and_an_enrolled_one_is_not(
    sqlite: Engine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    house = House.make(tmp_path_factory.mktemp("keys"), NOW)
    stated, enrolled = house.identity("canh-bao", NOW), house.identity("truong-ha", NOW)
    pem = house.anchors.read_bytes() + house.tls.pem + house.signing.pem
    embedded = Trust(None, ("tls", "sign"), tuple(x509.load_pem_x509_certificates(pem)))
    filled(sqlite, province(), [enrolled])

    def with_key(raw: dict[str, Any]) -> None:
        (system,) = (each for each in raw["systems"] if each["id"] == "canh-bao")
        key = {"id": "cb.sign", "use": "sign", "certificate": stated.sign_certificate.decode()}
        system["keys"] = [key, {**key, "id": "cb.tls", "use": "tls", "certificate": stated.tls_certificate.decode()}]

    with writing(sqlite) as connection:
        store.apply(document(with_key), connection, NOW, embedded)
        read = unchanged(connection, embedded)
        named = {each["id"]: [key["id"] for key in each.get("keys", ())] for each in read["systems"]}
        assert named["canh-bao"] == ["cb.sign", "cb.tls"] and named["truong-ha"] == []
        keys.revoke_key(connection, "cb.tls", NOW)
        assert [each.get("keys") for each in unchanged(connection, embedded)["systems"]].count(None) == len(named) - 1
