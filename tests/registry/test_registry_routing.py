"""The compiled route table agrees with reading the routes one after the other."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.registry.records import Route
from gateway.registry.routing import RouteTable

VALUES = st.sampled_from(["1", "2", "3"])
PATHS = st.sampled_from(["area", "kind", "info[].code", "place.ward"])
WHEN = st.dictionaries(PATHS, st.lists(VALUES, min_size=1, max_size=2).map(tuple), max_size=3)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "area": VALUES | st.just({"absent": "unknown"}),
        "kind": VALUES | st.integers(1, 3) | st.none(),
        "info": st.lists(st.fixed_dictionaries({}, optional={"code": VALUES}), max_size=3),
        "place": st.fixed_dictionaries({}, optional={"ward": VALUES}),
    },
)


def values_at(message: dict[str, Any], path: str) -> set[str]:
    if path == "info[].code":
        found: list[Any] = [item.get("code") for item in message.get("info", [])]
    elif path == "place.ward":
        found = [message.get("place", {}).get("ward")]
    else:
        found = [message.get(path)]
    return {str(value) for value in found if value is not None and not isinstance(value, dict)}


@given(st.lists(WHEN, max_size=8), st.booleans(), MESSAGES)
def test_the_first_route_that_holds_else_the_fallback(
    whens: list[dict[str, tuple[str, ...]]], fallback: bool, message: dict[str, Any]
) -> None:
    routes = [Route("c/v1", "op", when, f"s{number}") for number, when in enumerate(whens) if when]
    if fallback:
        routes.insert(len(routes) // 2, Route("c/v1", "op", {}, "desk"))  # where it stands does not matter
    expected = next(
        (
            route.system
            for route in routes
            if route.when and all(values_at(message, path) & set(wanted) for path, wanted in route.when.items())
        ),
        "desk" if fallback else None,
    )
    assert RouteTable(routes).find(message) == expected


def test_many_routes_cost_one_look_up() -> None:
    routes = [Route("c/v1", "op", {"area": (f"{number:05d}",)}, f"s{number}") for number in range(3000)]
    table = RouteTable([*routes, Route("c/v1", "op", {}, "desk")])
    assert table.find({"area": "02999"}) == "s2999"
    assert len(table._by_value[("area",)]) == 3000 and not table._others
