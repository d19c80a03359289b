"""Contacts of agencies: two duties with days, old documents as before, and no live connection without both."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from contracts.base.errors import Failure, Theirs
from contracts.base.words import Words
from gateway.doctor.contacts import parties
from gateway.journal.database import writing
from gateway.registry import contacts, store
from gateway.registry.changes import contacting, notices
from gateway.registry.changes.notices import Notice
from gateway.registry.changes.stating import document_text
from gateway.registry.contacts import ALERTS, DATA, DUTIES, Contact
from gateway.registry.seals.mark import Mark
from gateway.registry.seals.sealing import Seal, changing
from gateway.registry.snapshot import load_snapshot
from tests.registry.making import NOW, PROVINCE, filled, province

DAY = 86_400.0
AGENCY, SYSTEM = "H14.7", "y-te"
AT: dict[str, Any] = {"office": "Phòng", "phone": "0206 000 0077", "email": "truc@yte.caobang.example"}
BY = ("an", "the contact has retired")


def stated(*entries: dict[str, Any]) -> str:
    """The province with these contacts of H14.7."""
    document = yaml.safe_load(PROVINCE)
    (agency,) = (each for each in document["agencies"] if each["code"] == AGENCY)
    del agency["contact"]
    return yaml.safe_dump({**document, "agencies": [
        {**each, "contacts": list(entries)} if each["code"] == AGENCY else each for each in document["agencies"]
    ]}, allow_unicode=True)  # fmt: skip


def seal(folder: Path, production: bool = True) -> Seal:
    return Seal(b"k" * 32, "localhost/contacts", Mark(folder / "registry"), production=production)


def codes(engine: Engine, now: float) -> dict[str, str]:
    with engine.connect() as connection:
        return {each.kind.code: str(next(iter(each.facts.values()))) for each in parties(connection, now)}


def test_an_old_document_means_both_duties_without_end(sqlite: Engine) -> None:
    filled(sqlite, province(), [])
    with sqlite.connect() as connection:
        snapshot, text = load_snapshot(connection), document_text(connection)
    (one,) = snapshot.agencies[AGENCY].contacts
    assert one.plain and contacts.missing([one], NOW + 9999 * DAY) == ()
    assert one.phone in snapshot.agencies[AGENCY].reached.vi
    (agency,) = (each for each in yaml.safe_load(text)["agencies"] if each["code"] == AGENCY)
    assert agency["contact"] == one.details and "contacts" not in agency


def test_a_document_with_duties_is_read_stated_and_read_again(database: Engine) -> None:
    first = {**AT, "name": "Nông Văn A", "duties": [DATA], "valid_until": date(2026, 12, 31)}
    second = {**AT, "duties": [ALERTS], "valid_from": date(2026, 1, 1)}
    filled(database, province(), [])
    with writing(database) as connection:
        store.apply(province(stated(first, second)), connection, NOW)
        known = load_snapshot(connection).agencies[AGENCY].contacts
        again = yaml.safe_load(document_text(connection))
    assert known == (
        Contact(**AT, name="Nông Văn A", duties=(DATA,), valid_until=date(2026, 12, 31)),
        Contact(**AT, duties=(ALERTS,), valid_from=date(2026, 1, 1)),
    )
    (agency,) = (each for each in again["agencies"] if each["code"] == AGENCY)
    assert agency["contacts"] == [first, second]


@pytest.mark.parametrize(
    ("entry", "path", "rule"),
    [
        ({**AT, "duties": []}, "duties", "required"),
        ({**AT, "duties": ["sings"]}, "duties[0]", "code"),
        ({**AT, "valid_from": date(2026, 2, 1), "valid_until": date(2026, 1, 1)}, "valid_until", "range"),
        ({**AT, "valid_until": "2026-01-01"}, "valid_until", "type"),
        ({"office": "Phòng", "phone": "1"}, "email", "required"),
        ({**AT, "nickname": "x"}, "nickname", "unknown"),
    ],
)
def test_what_a_contact_may_not_be(entry: dict[str, Any], path: str, rule: str) -> None:
    with pytest.raises(Theirs) as wrong:
        contacting.parse([entry])
    assert {each.here: each.rule for each in wrong.value.findings} == {f"contacts[0].{path}": rule}


def test_no_system_becomes_live_without_both_duties(database: Engine, tmp_path: Path) -> None:
    """In production the change is refused, whichever way it comes; a sandbox has the doctor's finding alone."""
    filled(database, province(), [])
    only = Contact(**AT, duties=(DATA,))
    with pytest.raises(Failure) as refused, changing(database, seal(tmp_path)) as act:
        contacting.set_contacts(act, AGENCY, [only], BY, NOW)
    assert refused.value.code == "registry.contact-duty" and refused.value.facts["system"] == SYSTEM
    assert codes(database, NOW) == {}
    with changing(database, seal(tmp_path)) as act:
        notices.suspend(act.connection, "system", SYSTEM, Notice(Words("x", "x"), NOW))
        act.note("suspended", {}, NOW)
    with changing(database, seal(tmp_path)) as act:  # nothing of it is live
        assert contacting.set_contacts(act, AGENCY, [only], BY, NOW)
    with pytest.raises(Failure) as refused, changing(database, seal(tmp_path)) as act:
        notices.resume(act.connection, "system", SYSTEM)
        act.note("resumed", {}, NOW)
    assert refused.value.code == "registry.contact-duty"
    with changing(database, seal(tmp_path, production=False)) as act:
        notices.resume(act.connection, "system", SYSTEM)
        act.note("resumed", {}, NOW)
    (missing,) = codes(database, NOW).items()
    assert missing[0] == "contacts.duty-missing" and f"{AGENCY}/{SYSTEM}: takes alerts" in missing[1]


def test_a_lapsed_contact_is_named_before_and_after_and_keeps_nobody_else_from_changes(
    sqlite: Engine, tmp_path: Path
) -> None:
    filled(sqlite, province(), [])
    ends = Contact(**AT, valid_until=contacts.day_of(NOW + 20 * DAY))
    with changing(sqlite, seal(tmp_path)) as act:
        contacting.set_contacts(act, AGENCY, [ends], BY, NOW)
    assert codes(sqlite, NOW) == {}
    assert codes(sqlite, NOW + 6 * DAY) == {"contacts.ending": f"agency {AGENCY} ({ends.valid_until})"}
    assert set(codes(sqlite, NOW + 20 * DAY)) == {"contacts.ending"}, "the last day counts"
    late = NOW + 21 * DAY
    assert set(codes(sqlite, late)) == {"contacts.duty-missing"}
    with changing(sqlite, seal(tmp_path)) as act:
        contacting.set_contacts(act, "H14.3", [Contact(**{**AT, "phone": "1"})], BY, late)


_DAYS = st.none() | st.dates(date(2026, 1, 1), date(2026, 1, 20))
_CONTACTS = st.builds(
    Contact,
    office=st.just("o"),
    phone=st.just("p"),
    email=st.just("e@x.vn"),
    name=st.sampled_from(["", "A"]),
    duties=st.sampled_from([(DATA,), (ALERTS,), DUTIES]),
    valid_from=_DAYS,
    valid_until=_DAYS,
)


@given(st.lists(_CONTACTS, max_size=4), st.dates(date(2026, 1, 1), date(2026, 1, 20)))
def test_a_row_keeps_contacts_and_a_duty_is_missing_when_no_day_has_it(known: list[Contact], day: date) -> None:
    assert contacts.read(contacts.row(known)) == tuple(known)
    now = 1_767_200_400.0 + (day - date(2026, 1, 1)).days * DAY + 3600  # 2026-01-01T00:00+07:00 and an hour
    assert contacts.day_of(now) == day
    held = {
        duty
        for each in known
        for duty in each.duties
        if (each.valid_from is None or each.valid_from <= day) and (each.valid_until is None or day <= each.valid_until)
    }
    assert set(contacts.missing(known, now)) == {*DUTIES} - held
