"""The whole matrix of the sandbox province: as it stands in review, and held against what the masks really do."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.canonical.model import Pattern
from contracts.wire.jsontext import read_json
from gateway.registry.changes import matrix
from gateway.registry.parts.grants import FEED
from gateway.registry.snapshot import Snapshot
from security.grants.grants import Reason
from tests.registry.making import NOW
from tests.registry.matrix import AGAIN, FILE, sandbox, written


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return sandbox()


def test_the_matrix_is_the_one_that_was_reviewed(snapshot: Snapshot) -> None:
    assert written(snapshot) == FILE.read_text("utf-8"), (
        f"the grants come to something else: look at it, then `{AGAIN}`"
    )


def test_default_deny_over_the_whole_matrix(snapshot: Snapshot) -> None:
    """Whatever no row of the province names is refused, for every agency, contract and operation; an agency that is not
    registered gets nothing."""
    named = {
        (code, grant.contract, operation, grant.receives)
        for code in snapshot.agencies
        for grant in snapshot.grants(code)
        for operation in grant.operations
    }
    every = list(matrix.matrix(snapshot, NOW))
    received = [each for each in every if each.way is matrix.Way.REQUEST]
    assert named == {
        (each.agency, each.contract, each.operation, each.way is matrix.Way.REQUEST)
        for each in every
        if each.decision.allowed
    }
    assert received and all(each.gets for each in received), "every route of the province is granted, and used"
    cells = [each for each in every if each not in received]
    assert len(cells) == len(snapshot.agencies) * sum(
        len(matrix.operations(each)) for each in snapshot.contracts.values()
    )
    for each in cells:
        assert snapshot.decide("H99", each.contract, each.operation, NOW).reason is Reason.NO_GRANT
        assert not snapshot.decide(each.agency, each.contract, each.operation, 0.0).allowed, "before any grant began"


def test_masks_show_what_the_matrix_says_and_nothing_else(snapshot: Snapshot) -> None:
    """Every sample of every message that an agency may see, masked: a path that is not `+` in the matrix holds no
    value."""
    looked = 0
    for each in matrix.matrix(snapshot, NOW):
        contract = snapshot.contracts[each.contract]
        operation = contract.contract.operations.get(each.operation)
        if not each.decision.allowed or operation is not None and operation.pattern is Pattern.SUBMIT:
            continue
        assert each.operation == FEED or operation is not None
        for message, fields in each.seen:
            mask = snapshot.mask(contract, message, each.decision.views)
            shown = {leaf.path.replace("[]", "") for leaf in fields if leaf.shown}
            for value in values(snapshot, each.contract, message):
                for path in leaves(value if mask is None else mask(value)):
                    assert path in shown, (each, path)
                    looked += 1
    assert looked > 50


FIELDS = [
    "*",
    "!responsible",
    "!value",
    "!responsible.phone",
    "responsible",
    "responsible.name",
    "value",
    "note",
    "updated",
]
views = st.lists(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=4).map(tuple), min_size=1, max_size=3)


@given(views, st.randoms())
def test_several_grants_show_what_one_of_them_shows(
    snapshot: Snapshot, views: list[tuple[str, ...]], random: Random
) -> None:
    """Over random lists of fields: seen by all together is what is seen by one of them, and what the matrix says; order
    means nothing."""
    contract = snapshot.contracts["indicator/v1"]

    def seen(*held: tuple[str, ...]) -> set[str]:
        mask = contract.mask("IndicatorValue", *held)
        found = values(snapshot, "indicator/v1", "IndicatorValue")
        return {path for value in found for path in leaves(value if mask is None else mask(value))}

    together = seen(*views)
    assert together == {path for each in views for path in seen(each)}
    assert seen(*random.sample(views, len(views))) == together
    assert together <= {leaf.path for leaf in contract.leaves("IndicatorValue", *views) if leaf.shown}


def values(snapshot: Snapshot, contract: str, message: str) -> list[dict[str, Any]]:
    """The samples of a message, in canonical form."""
    found: list[dict[str, Any]] = []
    for sample in snapshot.contracts[contract].samples:
        if sample.message == message:
            value = read_json(sample.canonical)
            found += value if isinstance(value, list) else [value]
    return found


def leaves(value: object, path: str = "") -> list[str]:
    """Paths at which something other than a reason for absence stands."""
    if isinstance(value, dict):
        if set(value) == {"absent"}:
            return []
        return [leaf for name, item in value.items() for leaf in leaves(item, f"{path}.{name}" if path else name)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item, path)]
    return [path]
