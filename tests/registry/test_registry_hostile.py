"""What a registry document may not do to its reader, nor two who change the registry at once to each other."""

from __future__ import annotations

import datetime
import threading
from typing import Any

import pytest
import yaml
from sqlalchemy import Engine

from contracts.base.errors import Theirs
from gateway.journal.database import writing
from gateway.registry.changes.document import parse
from gateway.registry.seals.revisions import raise_revision, revision
from tests.registry.making import ENDPOINTS, PROVINCE, contracts


def refused(text: str | bytes) -> dict[str, str]:
    with pytest.raises(Theirs) as caught:
        parse(text, contracts(), ENDPOINTS)
    assert caught.value.code == "registry.invalid"
    return {found.here: found.rule for found in caught.value.findings}


def with_grant(**edits: Any) -> str:
    raw = yaml.safe_load(PROVINCE)
    raw["grants"][0].update(edits)
    return yaml.safe_dump(raw, allow_unicode=True)


@pytest.mark.parametrize(
    "text",
    [
        "agencies: []\ngrants:\n- valid_until: 2026-02-30\n",
        "agencies: 2026-01-01T99:99:99Z",
        "agencies: " + "9" * 5000,
        "? [a]\n: b\n",
        "? {a: b}\n: c\n",
        "[" * 3000 + "]" * 3000,
        'agencies: "\\ud800\\0"',
        "&a {agencies: [*a], grants: *a}",
        "<<: 5",
        b"\xff\xfe\x00",
        "agencies: !!python/object/apply:os.system [x]",
        "",
    ],
    ids=[
        "no such day",
        "no such time",
        "digits",
        "list as key",
        "map as key",
        "nested",
        "no text",
        "in itself",
        "merge",
        "bytes",
        "object",
        "empty",
    ],
)
def test_a_document_that_is_odd_is_refused_with_its_place(text: str | bytes) -> None:
    assert refused(text)


def test_a_day_that_does_not_exist_is_told_with_its_line() -> None:
    assert refused("agencies: []\ngrants:\n- valid_until: 2026-02-30\n") == {"line 3": "syntax"}


@pytest.mark.parametrize(
    ("edits", "path", "rule"),
    [
        ({"agency": ["H14.1"]}, "agency", "type"),
        ({"agency": None, "role": {"a": "b"}}, "role", "type"),
        ({"valid_from": datetime.date(1, 1, 1)}, "valid_from", "range"),
        ({"edition": 2**53}, "edition", "type"),
        ({"fields": []}, "fields", "reference"),
        ({"fields": ["!*"]}, "fields", "reference"),
        ({"fields": ["!"]}, "fields", "reference"),
        ({"purpose": "Phối hợp \u202eứng phó"}, "purpose", "characters"),
        ({"purpose": "Phối hợp\u200b ứng phó"}, "purpose", "characters"),
        ({"legal_basis": "Quyết định \x1b[2K"}, "legal_basis", "characters"),
        ({"legal_basis": "Quyết định\0"}, "legal_basis", "characters"),
    ],
)
def test_values_that_an_officer_could_not_mean(edits: dict[str, Any], path: str, rule: str) -> None:
    assert (f"grants[0].{path}", rule) in refused(with_grant(**edits)).items()


def test_vietnamese_in_any_form_and_signs_of_four_bytes_are_taken_as_they_are() -> None:
    for purpose in ("Điều phối ứng phó", "Đie\u0302\u0300u pho\u0302\u0301i", "Chữ Nôm 𠄎𡨸", "x" * 500):
        found = parse(with_grant(purpose=purpose, valid_until=datetime.date(9999, 12, 31)), contracts(), ENDPOINTS)
        assert found.grants[0].grant.purpose == purpose and found.grants[0].grant.from_json(
            found.grants[0].grant.content()
        )


def test_no_system_bears_the_gateways_name() -> None:
    """Its keys, enrolled like any other's, would pass at every system for the gateway's own."""
    raw = yaml.safe_load(PROVINCE)
    raw["systems"][0]["id"] = "gateway"
    assert refused(yaml.safe_dump(raw, allow_unicode=True))["systems[0].id"] == "reserved"


def test_two_changes_at_once_bear_two_numbers(database: Engine) -> None:
    """Else a door that has seen the number would never see the second: a suspension, say."""
    with writing(database) as connection:
        raise_revision(connection)
        first = revision(connection)
    second_begins = threading.Event()

    def second() -> None:
        with writing(database) as connection:
            second_begins.set()
            raise_revision(connection)

    other = threading.Thread(target=second)
    with writing(database) as connection:
        revision(connection)
        raise_revision(connection)
        other.start()
        second_begins.wait(0.5)  # on SQLite it waits for this transaction to end
        other.join(0.3)
    other.join()
    with database.connect() as connection:
        assert revision(connection) == first + 2
