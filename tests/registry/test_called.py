"""Fields are found as people call them: by name, by title in either spelling, by description, by their mark."""

from __future__ import annotations

import pytest

from contracts.compiled.contract import catalogue
from gateway.registry.changes.called import Asked, By, named, near

CONTRACTS = catalogue()
PHONES = {
    ("field-report/v1", "ServiceRequest", "phone"),
    ("indicator/v1", "IndicatorValue", "responsible.phone"),
    ("indicator/v1", "IndicatorValues", "values[].responsible.phone"),
}
CONTACT = ("incident-alert/v1", "Alert", "info[].contact")
OFFICE = ("official-document/v1", "Document", "from.telephone")


@pytest.mark.parametrize(
    "written",
    ["phone", "PHONE", "Điện thoại", "điện thoại", "dien thoai", "Số điện thoại", "so dien thoai", "soDienThoai"],
)
def test_a_telephone_number_is_found_in_both_languages(written: str) -> None:
    found = named(CONTRACTS, Asked.of(written))
    assert PHONES | {CONTACT, OFFICE} <= found.keys(), written
    assert found[CONTACT].by is By.DESCRIPTION
    assert found["field-report/v1", "ServiceRequest", "phone"].title == "Điện thoại"
    assert not [place for place in found if place[2].endswith(("email", "name"))], "nothing else is found"


def test_what_else_is_found_says_by_what() -> None:
    found = named(CONTRACTS, Asked.of("phone"))
    assert {found[each].by for each in PHONES} == {By.NAME} and found[OFFICE].by is By.TITLE
    inside = named(CONTRACTS, Asked.of("người phụ trách"))
    assert {"responsible.name", "responsible.phone"} <= {path for _, _, path in inside}, "all that the group holds"


@pytest.mark.parametrize("written", ["responsible.phone", "*phone", "phon?"])
def test_a_pattern_is_meant_exactly(written: str) -> None:
    assert {each.by for each in named(CONTRACTS, Asked.of(written)).values()} == {By.NAME}


def test_one_contract_alone() -> None:
    assert {each[0] for each in named(CONTRACTS, Asked.of("field-report:điện thoại"))} == {"field-report/v1"}
    assert not named(CONTRACTS, Asked.of("camera-event:phone"))


def test_marks() -> None:
    marked = named(CONTRACTS, Asked.of("@personal"))
    assert marked == named(CONTRACTS, Asked.of("!@personal")) == named(CONTRACTS, Asked.of(None, "personal"))
    assert PHONES | {CONTACT} <= marked.keys() and OFFICE not in marked
    assert named(CONTRACTS, Asked.of("phone", "personal")).keys() >= PHONES | {CONTACT}


@pytest.mark.parametrize(("written", "nearest"), [("phne", "phone"), ("Điên thoạị di", "Điện thoại")])
def test_the_nearest_names(written: str, nearest: str) -> None:
    assert nearest in near(CONTRACTS, written)
    assert near(CONTRACTS, "zzzzqqq") == ()
