"""`!@personal` hides what a contract marks as personal, also what a later version marks."""

from __future__ import annotations

from typing import Any

from tests.contracts.compiled.test_personal import TEXT, compiled, listed, object_, ref

PHONE = {**TEXT, "personal": "basic", "absentable": True}
ALL = ["*", "!@personal"]


def test_personal_values_are_hidden_wherever_they_stand() -> None:
    contract = compiled(
        File=object_(
            {
                "code": TEXT,
                "phone": PHONE,
                "mails": listed(TEXT, personal="basic"),
                "owner": ref("Person", absentable=True),
                "people": listed(ref("Caller")),
                "unit": ref("Unit"),
            }
        ),
        Person=object_({"name": TEXT}, required=["name"], personal="sensitive"),
        Caller=object_({"role": TEXT, "phone": PHONE}),
        Unit=object_({"name": TEXT, "phone": PHONE, "units": listed(ref("Unit"))}),
    )
    full = {
        "code": "1",
        "phone": "0900",
        "mails": ["a@b"],
        "owner": {"name": "An"},
        "people": [{"role": "x", "phone": "0900"}],
        "unit": {"name": "n", "phone": "0900", "units": [{"phone": "0900", "units": [{"phone": "0900", "name": "m"}]}]},
    }
    hidden = {"absent": "not-permitted"}
    mask = contract.mask("File", ALL)
    assert contract.check_fields("File", ALL) == [] and mask is not None
    assert mask(full) == {
        "code": "1",
        "phone": hidden,
        "owner": hidden,  # `mails` cannot say that it is absent: it is left out
        "people": [{"role": "x", "phone": hidden}],
        "unit": {"name": "n", "phone": hidden, "units": [{"phone": hidden, "units": [{"phone": hidden, "name": "m"}]}]},
    }
    assert contract.validate("File", mask(full)) == []
    assert contract.mask("File", ["*"], ALL) is None, "another list of the reader shows everything"
    assert [each.path for each in contract.leaves("File", ALL) if each.shown] == [
        "code",
        "people[].role",
        "unit.name",
    ]


def test_a_later_version_that_marks_more_hides_more() -> None:
    before = compiled(File=object_({"code": TEXT}))
    after = compiled(File=object_({"code": TEXT, "cccd": {**TEXT, "personal": "basic"}}))
    for contract in (after, before):  # before: once the later version was taken back
        mask = contract.mask("File", ALL)
        assert mask is not None and mask({"code": "1", "cccd": "012345678901"}) == {"code": "1"}


def test_what_has_to_stand_and_cannot_be_absent_is_refused() -> None:
    contract = compiled(File=object_({"name": {**TEXT, "personal": "basic"}}, required=["name"]))
    (problem,) = contract.check_fields("File", ALL)
    assert problem == "name: hidden, but the contract does not declare it absentable"
    optional = compiled(File=object_({"name": {**TEXT, "personal": "basic"}}))
    assert optional.check_fields("File", ALL) == []
    assert optional.check_fields("File", ["*", "!name"]), "a field hidden by its name has to be absentable, as before"
    assert optional.check_fields("File", ["*", "@personal"]), "the mark is not a field that can be shown"


def test_a_field_of_that_name_is_another_thing() -> None:
    contract = compiled(File=object_({"personal": {**TEXT, "absentable": True}, "phone": PHONE}))
    seen = [(each.path, each.shown) for each in contract.leaves("File", ["*", "!personal"])]
    assert seen == [("personal", False), ("phone", True)]
    assert [each.shown for each in contract.leaves("File", ALL)] == [True, False]


def test_the_catalogue(catalogue: Any) -> None:
    indicator = catalogue["indicator/v1"]
    assert indicator.check_fields("IndicatorValue", ALL) == []
    assert [(each.path, each.personal) for each in indicator.leaves("IndicatorValue", ALL) if not each.shown] == [
        ("responsible.name", "basic"),
        ("responsible.phone", "basic"),
    ]
    citizen = [each for each in catalogue["reference-query/v1"].leaves("CitizenAnswer", ALL) if not each.shown]
    assert {each.path for each in citizen if each.personal == "sensitive"} == {"citizen.ethnicity"}
    assert len(citizen) == 10
