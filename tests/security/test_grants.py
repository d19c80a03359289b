"""Grants over the whole finite matrix, and the nearest miss."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.base.errors import Policy
from security.grants import Decision, Grant, Reason, Request, decide, refusal

NOW = 1000.0
GOOD = Grant(
    id="g1",
    agency="H14.7",
    role=None,
    contract="indicator/v1",
    operations=("getValue",),
    fields=("*", "!responsible"),
    purpose="Điều hành",
    legal_basis="QĐ 1/2026",
    valid_from=0.0,
    valid_until=2000.0,
    approved_by=("an", "binh"),
)
ASK = Request("H14.7", frozenset({"department"}), "indicator/v1", "getValue")


def test_allowed_through_a_grant_that_is_named():
    assert decide([GOOD], ASK, NOW) == Decision(True, Reason.GRANTED, GOOD, ("*", "!responsible"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"agency": "H14.3"}, Reason.NO_GRANT),
        ({"agency": None, "role": "centre"}, Reason.NO_GRANT),
        ({"contract": "field-report/v1"}, Reason.NO_CONTRACT),
        ({"operations": ("other",)}, Reason.NO_OPERATION),
        ({"valid_until": 1000.0}, Reason.EXPIRED),
        ({"valid_from": 1000.1}, Reason.NOT_YET_VALID),
        ({"state": "suspended"}, Reason.SUSPENDED),
        ({"approved_by": ()}, Reason.NOT_APPROVED),
        ({"approved_by": ("an",)}, Reason.NOT_APPROVED),
        ({"approved_by": ("an", "an")}, Reason.NOT_APPROVED),
        ({"valid_from": 1000.0}, Reason.GRANTED),
        ({"operations": ("*",)}, Reason.GRANTED),
        ({"agency": None, "role": "department"}, Reason.GRANTED),
        ({"denies": True}, Reason.DENIED),
        ({"denies": True, "approved_by": ()}, Reason.DENIED),
        ({"denies": True, "operations": ("other",)}, Reason.NO_GRANT),
        ({"denies": True, "valid_until": 999.0}, Reason.NO_GRANT),
        ({"denies": True, "state": "suspended"}, Reason.NO_GRANT),
    ],
)
def test_each_reason(change, reason):
    decision = decide([replace(GOOD, **change)], ASK, NOW)
    assert decision.reason is reason
    assert decision.allowed is (reason is Reason.GRANTED)
    assert (decision.nearest is None) is (reason in (Reason.GRANTED, Reason.NO_GRANT))


def test_the_nearest_miss_is_told():
    misses = [replace(GOOD, id="a", contract="x/v1"), replace(GOOD, id="b", valid_until=10.0), replace(GOOD, id="c", operations=("other",))]
    for order in itertools.permutations(misses):
        decision = decide(order, ASK, NOW)
        assert (decision.reason, decision.nearest.id) == (Reason.EXPIRED, "b")


def test_who_decides_among_several():
    role = replace(GOOD, id="r", agency=None, role="department", fields=("*",), valid_from=500.0)
    older, newer = replace(GOOD, id="o", valid_from=1.0), replace(GOOD, id="n", valid_from=2.0)
    for order in itertools.permutations([role, older, newer]):
        assert decide(order, ASK, NOW).grant == newer
        assert decide([*order, replace(role, id="no", denies=True)], ASK, NOW).nearest.id == "no"


grants = st.tuples(
    st.sampled_from("abc"),
    st.sampled_from(["H14.7", "H14.3"]),
    st.sampled_from(["indicator/v1", "x/v1"]),
    st.sampled_from([("getValue",), ("other",), ("*",)]),
    st.sampled_from([(0.0, 900.0), (0.0, 2000.0), (1500.0, 2000.0)]),
    st.sampled_from([(), ("a",), ("a", "b")]),
    st.booleans(),
    st.sampled_from(["active", "suspended"]),
).map(lambda t: Grant(t[0], t[1], None, t[2], t[3], ("*",), "p", "b", *t[4], t[5], t[6], t[7]))


@given(st.lists(grants, max_size=6))
def test_the_decision_in_other_words(rows):
    """Allowed exactly when some row allows by itself and no row in force forbids; the order of rows means nothing."""

    def in_force(g):
        fits = g.agency == ASK.agency and g.contract == ASK.contract and bool({"getValue", "*"} & set(g.operations))
        return fits and g.valid_from <= NOW < g.valid_until and g.state == "active"

    forbidden = any(g.denies and in_force(g) for g in rows)
    allowed = any(not g.denies and in_force(g) and len(set(g.approved_by)) >= 2 for g in rows)
    decision = decide(rows, ASK, NOW)
    assert decision.allowed is (allowed and not forbidden)
    assert (decision.grant is not None) is decision.allowed
    backwards = decide(list(reversed(rows)), ASK, NOW)
    assert (backwards.allowed, backwards.reason) == (decision.allowed, decision.reason)


@pytest.mark.parametrize("reason", [r for r in Reason if r is not Reason.GRANTED])
def test_a_refusal_names_contract_operation_and_whom_to_ask(reason):
    failure = refusal(Decision(False, reason, nearest=None if reason is Reason.NO_GRANT else GOOD), ASK, "Trung tâm, ĐT 0206")
    assert isinstance(failure, Policy) and failure.code == f"access.{reason}" and failure.status == 403
    for language in ("vi", "en"):
        text = failure.what(language) + failure.next(language)
        assert "indicator/v1" in text and "getValue" in text and "Trung tâm, ĐT 0206" in text and "…" not in text


def test_json_there_and_back():
    assert Grant.from_json(json.loads(json.dumps(GOOD.to_json()))) == GOOD
    assert Grant.from_json({k: v for k, v in GOOD.to_json().items() if k not in ("role", "denies", "state")}) == GOOD
    for change in (
        {"id": ""},
        {"operations": "getValue"},
        {"fields": [1]},
        {"valid_from": "now"},
        {"valid_from": True},
        {"extra": 1},
        {"role": "centre"},
        {"agency": None},
        {"state": "odd"},
        {"operations": []},
        {"fields": []},
        {"valid_until": 0.0},
    ):
        with pytest.raises(ValueError):
            Grant.from_json({**GOOD.to_json(), **change})
    with pytest.raises(ValueError, match="purpose"):
        Grant.from_json({k: v for k, v in GOOD.to_json().items() if k != "purpose"})
