"""Who receives what, over random contracts, grants and routes: held against the masks themselves.

The oracle asks for the decision as a door and the forwarder do, at every hour of a week, applies its mask to a message
that has every field, and looks what is left of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.model import DropFolder, DropRule
from contracts.base.words import Words
from contracts.canonical.model import Array, Choice, Pattern, RecursiveRef, Scalar, Struct, Type
from contracts.compiled.contract import CompiledContract
from gateway.registry.changes.matrix import Way, dropped, matrix, names_field, receipts
from gateway.registry.parts.grants import FEED
from gateway.registry.records import Agency, Route, System
from gateway.registry.routing import RouteTable
from gateway.registry.snapshot import Snapshot
from security.grants.grants import Grant
from security.grants.held import AgencyGrants
from security.grants.windows import Hours
from tests.contracts import generating
from tests.registry.making import NOW
from tests.size import examples

CONTRACT = generating.CONTRACT.replace(
    "operations:\n",
    """operations:
  ask: {pattern: query, method: POST, path: /ask, request: Message, answer: Reply, title: {vi: Hỏi, en: Ask}}
  order: {pattern: dispatch, method: POST, path: /order, request: Message, answer: Reply, title: {vi: Giao, en: Order}}
""",
)
NAME, OPERATIONS, AGENCIES = "made/v1", ("ask", "order", "send", FEED, "*"), ("A", "B")
SYSTEMS = {
    name: System(name, agency, Words("", ""), {}, None, drop=DropFolder(name, (DropRule("*", NAME, "send", "csv"),)))
    if name == "files"
    else System(name, agency, Words("", ""), {}, None)
    for name, agency in (("a1", "A"), ("a2", "A"), ("b1", "B"), ("files", "B"))
}
MARKS = st.sampled_from(["none", "basic", "sensitive"])
MORNING = Hours.from_json({"days": ["mon", "wed"], "from": "08:00", "until": "11:00"})


@st.composite
def contracts(draw: st.DrawFn) -> CompiledContract:
    """A generated contract, some of whose fields, lists and types are marked."""
    defs: dict[str, Any] = {
        "Message": draw(generating.objects(2, 2)),
        "Reply": draw(generating.objects(1, 2)),
        "Part0": draw(generating.SCALARS),
        "Part1": draw(generating.objects(0, 0)),
        "Choice": {
            "oneOf": [{"$ref": "#/$defs/One"}, {"$ref": "#/$defs/Other"}],
            "discriminator": {"propertyName": "loai"},
        },
        "One": draw(generating.branches(["a", "b"], "p")),
        "Other": draw(generating.branches(["c"], "q")),
    }
    for each in list(marked_places(defs)):
        if draw(st.integers(0, 3)) == 0:
            each["personal"] = draw(MARKS)
    return generating.built(defs, CONTRACT)


def marked_places(node: Any) -> Iterator[dict[str, Any]]:
    for each in node.values() if isinstance(node, dict) else ():
        if isinstance(each, dict) and ("type" in each or "$ref" in each) and "enum" not in each:
            yield each
        yield from marked_places(each)


@st.composite
def grants(draw: st.DrawFn, number: int, paths: list[str]) -> Grant:
    holder = draw(st.sampled_from([*AGENCIES, "role"]))
    receives = draw(st.booleans())
    path = st.sampled_from(paths)
    listed = draw(st.lists(st.one_of(st.just("*"), path, path.map(lambda each: f"!{each}")), min_size=1, max_size=4))
    denies = draw(st.integers(0, 9)) == 0
    return Grant(
        id=f"G-{number}",
        agency=None if holder == "role" else holder,
        role="r" if holder == "role" else None,
        contract=NAME,
        operations=tuple(draw(st.sets(st.sampled_from(OPERATIONS), min_size=1, max_size=3))),
        fields=(*listed, *draw(st.sampled_from([(), ("!@personal",)]))),
        purpose="",
        legal_basis="",
        valid_from=NOW - 10,
        valid_until=NOW + draw(st.sampled_from([-1, 10**7, 10**8])),
        hours=None if receives or denies else draw(st.sampled_from([None, None, MORNING])),
        denies=denies,
        receives=receives,
        approved_by=tuple(draw(st.sampled_from(["xy", "xy", "xy", "x"]))),
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    contract = draw(contracts())
    paths = sorted(
        {
            above
            for message in contract.exchanged
            for leaf in contract.leaves(message, ("*",))
            for above in (leaf.path, leaf.path.rpartition(".")[0] or leaf.path)
        }
    )
    held = [draw(grants(number, paths)) for number in range(draw(st.integers(1, 5)))]
    roles = {code: draw(st.sampled_from([(), ("r",)])) for code in AGENCIES}
    routes = {
        (NAME, each): RouteTable(
            [Route(NAME, each, {}, system) for system in draw(st.lists(st.sampled_from("a1 a2 b1".split())))]
        )
        for each in ("ask", "order")
    }
    known: dict[str, Any] = {
        "revision": 1,
        "contracts": {NAME: contract},
        "agencies": {code: Agency(code, Words("", ""), "province", roles[code], ()) for code in AGENCIES},
        "systems": SYSTEMS,
        "_routes": routes,
        "_grants": {
            code: AgencyGrants.of([each for each in held if each.agency == code or each.role in roles[code]])
            for code in AGENCIES
        },
    }
    return Snapshot(**{each.name: frozenset() if each.name == "_ids" else {} for each in fields(Snapshot)} | known)


def whole(type_: Type, path: str, branch: int, above: dict[str, str], left: int) -> Any:
    """A message with every field, each with its canonical path for its value; a recursive type once more inside."""
    if isinstance(type_, Array):
        item = whole(type_.items, path + "[]", branch, above, left)
        return None if item is None else [item]
    if isinstance(type_, Scalar):
        return path
    type_ = type_.target if isinstance(type_, RecursiveRef) else type_
    names = {type_.name, *(each.struct.name for each in type_.branches)} if isinstance(type_, Choice) else {type_.name}
    if type_.name in above:
        path, left = above[type_.name], left - 1
        if left < 0:
            return None
    struct = type_.branches[branch].struct if isinstance(type_, Choice) else type_
    inside = above | dict.fromkeys(names - above.keys(), path)
    found = {
        each.name: whole(each.type, f"{path}.{each.name}" if path else each.name, branch, inside, left)
        for each in struct.fields
    }
    return {name: value for name, value in found.items() if value is not None}


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if not (isinstance(value, dict) and set(value) == {"absent"}):
            yield from texts(each)


def left_of(snapshot: Snapshot, struct: Struct, message: str, views: Any) -> set[str]:
    mask = snapshot.mask(snapshot.contracts[NAME], message, views)
    every = [whole(struct, "", branch, {}, 1) for branch in (0, 1)]
    return {path for each in every for path in texts(each if mask is None else mask(each))}


def oracle(snapshot: Snapshot) -> set[tuple[str, str, str, str, str]]:
    contract = snapshot.contracts[NAME]
    found: set[tuple[str, str, str, str, str]] = set()
    for agency in AGENCIES:
        for hour in range(168):
            now = NOW + hour * 3600
            for name, each in contract.contract.operations.items():
                if (decision := snapshot.decide(agency, NAME, name, now)).allowed:
                    views = (("*",),) if each.pattern is Pattern.SUBMIT else decision.views
                    found |= {
                        (agency, Way.ANSWER, name, each.answer, path)
                        for path in left_of(snapshot, contract.messages[each.answer], each.answer, views)
                    }
            if (decision := snapshot.decide(agency, NAME, FEED, now)).allowed:
                found |= {
                    (agency, Way.FEED, FEED, "Message", path)
                    for path in left_of(snapshot, contract.messages["Message"], "Message", decision.views)
                }
        for name in ("ask", "order"):
            at = {SYSTEMS[each].agency for each in snapshot._routes[(NAME, name)].systems}
            if agency in at and (decision := snapshot.decide_receiving(agency, NAME, name, NOW)).allowed:
                found |= {
                    (agency, Way.REQUEST, name, "Message", path)
                    for path in left_of(snapshot, contract.messages["Message"], "Message", decision.views)
                }
    return found


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[*HealthCheck])
@given(snapshots())
def test_a_receiver_is_named_exactly_if_the_masks_let_the_field_through(snapshot: Snapshot) -> None:
    contract = snapshot.contracts[NAME]
    rows = list(receipts(snapshot, matrix(snapshot, NOW)))
    assert {(each.agency, each.way, each.operation, each.message, each.path) for each in rows} == oracle(snapshot)
    for each in rows:
        assert each.personal == contract.personal(each.message).get(each.path)
        holding = {grant.id: grant for grant in snapshot.grants(each.agency)}
        assert each.grants and each.until == max(holding[grant].valid_until for grant in each.grants)
        if each.way is Way.REQUEST:
            routed = snapshot._routes[(NAME, each.operation)].systems
            assert each.systems == tuple(sorted(name for name in set(routed) if SYSTEMS[name].agency == each.agency))


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[*HealthCheck])
@given(snapshots())
def test_a_route_without_a_right_to_receive_is_named(snapshot: Snapshot) -> None:
    dead = {(each.agency, each.operation) for each in matrix(snapshot, NOW) if each.dead_route}
    assert dead == {
        (SYSTEMS[system].agency, name)
        for name in ("ask", "order")
        for system in snapshot._routes[(NAME, name)].systems
        if not snapshot.decide_receiving(SYSTEMS[system].agency, NAME, name, NOW).allowed
    }
    assert [each.system for each in dropped(snapshot)] == ["files"]


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("phone", True),
        ("responsible", True),
        ("responsible.phone", True),
        ("values[].responsible.phone", True),
        ("values.*", True),
        ("*PHONE*", True),
        ("indicator:phone", True),
        ("indicator/v1:phone", True),
        ("ind*:phone", True),
        ("phon", False),
        ("values.phone", False),
        ("field-report:phone", False),
    ],
)
def test_the_name_of_a_field(pattern: str, fits: bool) -> None:
    assert names_field(pattern, "indicator/v1", "values[].responsible.phone") is fits
