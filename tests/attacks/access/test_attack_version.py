"""Who sees more by a version that adds a field: grants with `*` were signed before anyone knew it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select

from contracts.base.errors import Theirs
from contracts.compiled.contract import compile_bundle
from contracts.folder.bundle import Bundle
from gateway.doctor.access import access
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry import store, versions
from gateway.registry.changes import granting
from gateway.registry.changes.publish import Accepted, Publication, publish, roll_back
from gateway.registry.registry import Registry
from gateway.registry.seals.mark import Mark
from gateway.registry.seals.sealing import Seal, changing
from gateway.settings import Settings
from security.grants.grants import Grant
from tests.registry.editions import NAME, answer_field, edition, swap
from tests.registry.making import NOW, PROVINCE, approve_all, filled, province

ATTACK = pytest.mark.attack("by a version that adds a field")
FIELD, OF_FEED = "IndicatorValue.cccd", "IndicatorValues.values[].cccd"  # of the answer, and of the feed
PLAIN = '"cccd": {"type": "string"}'


def marked(text: str = PLAIN) -> Callable[[dict[str, str]], None]:
    return swap("schema.json", text, '"cccd": {"type": "string", "personal": "basic", "absentable": true}')


WORSE = edition("1.20.0", answer_field("cccd"), marked())


def put(connection: Connection, bundle: Bundle, *accepted: str) -> Publication:
    return publish(connection, bundle, compile_bundle(bundle), Accepted(accepted, NOW))


@pytest.fixture
def engine(sqlite: Engine) -> Engine:
    filled(sqlite, province(), [])
    return sqlite


def in_force(engine: Engine) -> str:
    with engine.connect() as connection:
        return versions.in_force(connection)[NAME].version


def seen(engine: Engine, agency: str) -> dict[str, Any]:
    """What an agency gets of an answer that has the field."""
    snapshot = Registry(engine).snapshot
    contract = snapshot.contracts[NAME]
    decision = snapshot.decide(agency, NAME, "getValue", NOW)
    sample = next(each for each in contract.samples if each.message == "IndicatorValue")
    value = {**json.loads(sample.canonical), "cccd": "012345678901"}
    mask = snapshot.mask(contract, "IndicatorValue", decision.views)
    return value if mask is None else mask(value)


def sign(engine: Engine, name: str, **content: Any) -> None:
    """A changed grant, signed by both officers."""
    with writing(engine) as connection:
        grant = granting.content_of(connection, name)
        changed = Grant.from_json(grant.content() | {"edition": grant.edition + 1} | content)
        granting.propose(connection, granting.Proposal(changed), NOW + 20)
        approve_all(connection, NOW + 20)


@ATTACK
def test_no_version_shows_signed_grants_a_personal_field_that_nobody_signed(engine: Engine) -> None:
    before = in_force(engine)
    with writing(engine) as connection, pytest.raises(Theirs) as caught:
        put(connection, WORSE)
    assert caught.value.code == "contract.discloses" and in_force(engine) == before
    assert {each.canonical: each.got for each in caught.value.findings} == {
        FIELD: "G-0005, G-0006: H14.0, H14.7",
        OF_FEED: "G-0008: H14.0",
    }
    assert all(f"--accept-personal {each.canonical}" in each.expected for each in caught.value.findings)
    with writing(engine) as connection, pytest.raises(Theirs) as caught:
        put(connection, WORSE, "IndicatorValue.note", "cccd", OF_FEED)
    assert [each.canonical for each in caught.value.findings] == [FIELD], "another field was accepted"


@ATTACK
def test_what_was_accepted_is_in_the_log_and_the_doctor_names_it_until_officers_sign(
    engine: Engine, tmp_path: Path
) -> None:
    seal = Seal(b"key of the test", "lgsp.example/log", Mark(tmp_path / "registry"))
    with changing(engine, seal) as act:
        store.raise_revision(act.connection)
        act.note("registry", {}, NOW - 5)
    with engine.connect() as connection:
        assert "grants.disclose" not in codes(connection, tmp_path)
    with changing(engine, seal) as act:
        done = put(act.connection, WORSE, FIELD, OF_FEED)
        act.note("contract", done.facts(), NOW + 10)
    assert in_force(engine) == "1.20.0"
    table = tables.log_pending.c
    with engine.connect() as connection:
        entries = [json.loads(bytes(each)) for each in connection.scalars(select(table.entry))]
        (entry,) = [each for each in entries if each.get("what") == "contract"]
        assert entry["facts"]["discloses"] == [
            {"field": FIELD, "personal": "basic", "grants": ["G-0005", "G-0006"], "agencies": ["H14.0", "H14.7"]},
            {"field": OF_FEED, "personal": "basic", "grants": ["G-0008"], "agencies": ["H14.0"]},
        ]
        assert f"{FIELD} (G-0005, G-0006: H14.0, H14.7)" in codes(connection, tmp_path)["grants.disclose"]
    sign(engine, "G-0006")
    with engine.connect() as connection:
        assert f"{FIELD} (G-0005: H14.0)" in codes(connection, tmp_path)["grants.disclose"]
    for name in ("G-0005", "G-0008"):
        sign(engine, name, fields=["*", "!@personal"])
    with engine.connect() as connection:
        assert "grants.disclose" not in codes(connection, tmp_path)


def codes(connection: Connection, folder: Path) -> dict[str, str]:
    return {each.kind.code: str(each.facts) for each in access(Settings(folder), connection, NOW + 30)}


@ATTACK
def test_a_grant_that_hides_what_is_personal_hides_it_in_every_version(engine: Engine) -> None:
    for name in ("G-0005", "G-0006", "G-0008"):
        sign(engine, name, fields=["*", "!@personal"])
    with writing(engine) as connection:
        assert put(connection, WORSE).disclosed == [], "nothing has to be accepted"
        store.raise_revision(connection)
    for agency in ("H14.0", "H14.7"):
        assert seen(engine, agency)["cccd"] == {"absent": "not-permitted"}
    # A version that takes the mark away, and one before the mark, would show it again.
    lifted = edition(
        "1.21.0", answer_field("cccd"), swap("schema.json", PLAIN, PLAIN.replace("}", ', "absentable": true}'))
    )
    with writing(engine) as connection, pytest.raises(Theirs) as caught:
        put(connection, lifted)
    assert caught.value.code == "contract.discloses" and {each.canonical for each in caught.value.findings} == {
        FIELD,
        OF_FEED,
    }
    with writing(engine) as connection, pytest.raises(Theirs) as caught:
        put(connection, edition("1.21.0", answer_field("cccd"), marked(), unmarked))
    assert len(caught.value.findings) == 4, "name and telephone number, in the answer and in the feed"


def unmarked(files: dict[str, str]) -> None:
    swap("schema.json", '      "personal": "basic",\n', "")(files)


@ATTACK
def test_no_rollback_shows_it_either(engine: Engine) -> None:
    """Before the mark came: `!@personal` hides nothing there."""
    with writing(engine) as connection:
        put(connection, edition("1.20.0", unmarked))
        put(connection, edition("1.20.1"))
    sign(engine, "G-0005", fields=["*", "!@personal"])
    with writing(engine) as connection, pytest.raises(Theirs) as caught:
        roll_back(connection, NAME)
    assert caught.value.code == "contract.discloses" and in_force(engine) == "1.20.1"
    names = tuple(each.canonical for each in caught.value.findings)
    assert names == ("IndicatorValue.responsible.name", "IndicatorValue.responsible.phone")
    with writing(engine) as connection:
        assert [each.field for each in roll_back(connection, NAME, Accepted(names, NOW)).disclosed] == list(names)


@ATTACK
def test_a_field_that_has_to_stand_cannot_be_marked_past_a_grant(engine: Engine) -> None:
    """`!@personal` cannot hide a required value that may not be absent: such a version is refused."""
    sign(engine, "G-0005", fields=["*", "!@personal"])
    unit = '"title": "Đơn vị tính", "minLength": 1'
    with writing(engine) as connection, pytest.raises(Theirs) as caught:
        put(connection, edition("1.20.0", swap("schema.json", unit, f'"personal": "basic", {unit}')))
    assert caught.value.code == "contract.not-hidden" and caught.value.findings[0].got == "G-0005"


ANSWER = "    answer: DocumentStatus\n"
FED = edition("1.20.0", swap("contract.yaml", ANSWER, f"{ANSWER}    feed: true\n"), contract="official-document")
BOTH = """
  - id: G-0901
    role: centre
    contract: official-document/v1
    operations: ["*"]
    fields: ["*"]
    purpose: Gửi văn bản điện tử
    legal_basis: Quyết định 28/2018/QĐ-TTg
    valid_from: 2026-01-01
    valid_until: 2030-12-31
"""


@ATTACK
def test_a_feed_that_a_version_begins_shows_no_signed_grant_the_requests(sqlite: Engine) -> None:
    filled(sqlite, province(PROVINCE + BOTH), [])
    with writing(sqlite) as connection, pytest.raises(Theirs) as caught:
        put(connection, FED)
    assert caught.value.code == "contract.discloses"
    named = {each.canonical.partition(".")[0] for each in caught.value.findings}
    assert named == {"Document"} and {each.got for each in caught.value.findings} == {"G-0901: H14.0"}
    accepted = [each.canonical for each in caught.value.findings]
    with writing(sqlite) as connection:
        assert {each.field for each in put(connection, FED, *accepted).disclosed} == set(accepted)
