"""Who handles a message: the rules read one after the other give the same; hours, suspended agencies, gaps."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.base.words import Words
from contracts.workflow.model import State, Step, Workflow
from contracts.workflow.working_time import Calendar
from gateway.registry.competence import CompetenceTable, Why, message_of
from gateway.registry.gaps import Code, gaps
from gateway.registry.records import SUSPENDED, Agency, Route
from security.grants.windows import VIETNAM, Hours
from tests.registry.making import contracts

KIND, AREA = "info[].category[]", "info[].area[].geocode[].value"
DAY = Hours(("mon", "tue", "wed", "thu", "fri"), "07:30", "16:30")
CALENDAR = Calendar(
    title=Words("Giờ hành chính", "Office hours"),
    hours=dict.fromkeys(range(5), ((450, 690), (810, 990))),
    holidays={datetime(2026, 9, 2).date(): Words("Quốc khánh", "National Day")},
)
FLOW = Workflow(
    operation="submitAlert",
    kind=KIND,
    area=AREA,
    start="sent",
    term=None,
    states={"sent": State(name="sent", title=Words("", ""), shown="open")},
    steps=dict[str, Step](),
    hours={"office": CALENDAR},
)
NOON = datetime(2026, 11, 24, 10, 0, tzinfo=VIETNAM).timestamp()  # a Tuesday
NIGHT = datetime(2026, 11, 24, 2, 0, tzinfo=VIETNAM).timestamp()
HOLIDAY = datetime(2026, 9, 2, 10, 0, tzinfo=VIETNAM).timestamp()
CODES = [f"H{number}" for number in range(6)]


def agency(code: str, **how: Any) -> Agency:
    roles = ("centre",) if code == "H0" else ()
    return Agency(code=code, name=Words(code, code), level="department", roles=roles, contacts=(), **how)


AGENCIES = {code: agency(code) for code in CODES}


def rule(when: dict[str, tuple[str, ...]], *codes: str, **more: Any) -> Route:
    return Route("incident-alert/v1", "submitAlert", when, "", agencies=codes, **more)


def table(*routes: Route, agencies: dict[str, Agency] = AGENCIES) -> CompetenceTable:
    return CompetenceTable(routes, FLOW, agencies, {})


def alert(kinds: list[str], areas: list[str]) -> dict[str, Any]:
    return {"info": [{"category": kinds, "area": [{"geocode": [{"value": each} for each in areas]}]}]}


def found(
    of: CompetenceTable, kinds: list[str], areas: list[str], at: float = NOON
) -> dict[str, tuple[Why, list[str]]]:
    return {each.agency: (each.why, list(each.areas)) for each in of.find(alert(kinds, areas), at)}


KINDS, AREAS = st.sampled_from(["Fire", "Met", "Geo"]), st.sampled_from(["1", "2", "3", "4"])
some = {KIND: st.lists(KINDS, min_size=1, max_size=2), AREA: st.lists(AREAS, min_size=1, max_size=3)}
RULES = st.lists(
    st.tuples(
        st.fixed_dictionaries({}, optional={path: each.map(tuple) for path, each in some.items()}).filter(bool),
        st.sampled_from(CODES[1:]),
    ),
    max_size=8,
)


@given(RULES, st.lists(KINDS, max_size=2), st.lists(AREAS, max_size=4))
def test_each_area_has_the_first_rule_that_fits_it_else_the_desk(
    rules: list[tuple[dict[str, tuple[str, ...]], str]], kinds: list[str], areas: list[str]
) -> None:
    of = table(*(rule(when, code) for when, code in rules), rule({}, "H0"))

    def first(area: list[str]) -> str:
        given = {KIND: kinds, AREA: area}
        fits = (code for when, code in rules if all(set(given[path]) & set(wanted) for path, wanted in when.items()))
        return next(fits, "H0")

    expected = {first([each]) for each in areas} or {first([])}
    answered = of.find(alert(kinds, areas), NOON)
    assert {each.agency for each in answered} == expected
    assert sorted(area for each in answered for area in each.areas) == sorted(set(areas))


def test_at_night_another_agency_serves_and_says_which_it_stands_in_for() -> None:
    of = table(rule({KIND: ("Met",)}, "H1", hours=(DAY,), outside=("H2",)), rule({}, "H0"))
    assert found(of, ["Met"], []) == {"H1": (Why.RULE, [])}
    (night,) = of.find(alert(["Met"], []), NIGHT)
    assert (night.agency, night.why, night.instead, night.rule) == ("H2", Why.OUTSIDE, ("H1",), 1)
    desk = table(rule({KIND: ("Met",)}, "H1", hours=(DAY,)), rule({}, "H0"))
    assert found(desk, ["Met"], [], NIGHT) == {"H0": (Why.OUTSIDE, [])}, "nobody is named: the duty desk"


def test_hours_of_the_workflow_know_its_holidays() -> None:
    of = table(rule({KIND: ("Met",)}, "H1", hours="office"), rule({}, "H0"))
    assert found(of, ["Met"], []) == {"H1": (Why.RULE, [])}
    (holiday,) = of.find(alert(["Met"], []), HOLIDAY)
    assert holiday.agency == "H0" and "National Day" in holiday.told.en and "Quốc khánh" in holiday.told.vi
    lost = table(rule({KIND: ("Met",)}, "H1", hours="gone"), rule({}, "H0"))
    assert found(lost, ["Met"], [], HOLIDAY) == {"H1": (Why.RULE, [])}, "hours that are gone keep nobody away"


def test_an_alert_for_several_areas_has_several_agencies_and_a_rule_may_name_several() -> None:
    of = table(rule({KIND: ("Fire",), AREA: ("1",)}, "H1", "H2"), rule({AREA: ("2",)}, "H3"), rule({}, "H0"))
    assert found(of, ["Fire"], ["1", "2", "9"]) == {
        "H1": (Why.RULE, ["1"]),
        "H2": (Why.RULE, ["1"]),
        "H3": (Why.RULE, ["2"]),
        "H0": (Why.DESK, ["9"]),
    }


@pytest.mark.parametrize("desk", ["active", SUSPENDED])
def test_no_message_is_without_an_agency(desk: str) -> None:
    agencies = AGENCIES | {"H1": agency("H1", state=SUSPENDED), "H5": agency("H5", state=desk)}
    of = table(rule({KIND: ("Met",)}, "H1"), rule({}, "H5"), agencies=agencies)
    wanted = "H5" if desk == "active" else "H0"
    assert found(of, ["Met"], []) == {wanted: (Why.SUSPENDED, [])}
    (answered,) = of.find(alert(["Met"], []), NOON)
    assert answered.instead == ("H1",)
    assert {each.agency for each in table().find(alert(["Met"], ["1"]), NOON)} == {"H0"}, "without any rule"


def test_many_communes_cost_one_look_up() -> None:
    rules = [rule({KIND: ("Fire",), AREA: (f"{number:05d}",)}, CODES[number % 6]) for number in range(3000)]
    of = table(*rules, rule({}, "H0"))
    assert {len(each) for each in of._table._others[("info", "area", "geocode", "value")].values()} == {1}
    assert found(of, ["Fire"], ["02999"]) == {"H5": (Why.RULE, ["02999"])}
    assert found(of, ["Met"], ["02999"]) == {"H0": (Why.DESK, ["02999"])}


def test_gaps_name_kinds_with_the_desk_alone_and_rules_that_clash() -> None:
    contract = contracts()["incident-alert/v1"]
    of = table(
        rule({KIND: ("Fire",)}, "H1"),
        rule({KIND: ("Fire",), AREA: ("1",)}, "H2"),  # never: every fire is the first rule's
        rule({KIND: ("Met", "Geo"), AREA: ("1",)}, "H3"),
        rule({AREA: ("1", "2")}, "H4"),  # clashes with nothing: it covers the one before
        rule({KIND: ("Health",)}, "H5", hours="gone"),
        rule({}, "H0"),
    )
    every = gaps(contract, of)
    clashes = {(each.code, each.rule, each.other) for each in every if each.rule}
    assert (Code.NEVER, 2, 1) in clashes and (Code.OVERLAP, 4, 1) in clashes and (Code.NO_HOURS, 5, None) in clashes
    assert not any(each.rule == 3 for each in every)
    bare = {each.kind: each.areas for each in every if each.code is Code.DESK_ONLY}
    assert "Fire" not in bare and "Health" not in bare and bare["Security"] == bare["Met"] == ("*",)
    assert all(each.told.vi and each.told.en for each in every)
    suspended = table(
        rule({KIND: ("Fire",)}, "H1"), rule({}, "H0"), agencies=AGENCIES | {"H1": agency("H1", state=SUSPENDED)}
    )
    assert Code.SUSPENDED in {each.code for each in gaps(contract, suspended)}
    assert [each.code for each in gaps(contract, table())] == [Code.NO_ROUTES]


def test_a_message_is_made_of_values_by_path() -> None:
    assert message_of({KIND: ["Fire", "Met"], AREA: "1"}) == {
        "info": {"category": ["Fire", "Met"], "area": {"geocode": {"value": "1"}}}
    }
