"""Grants over the whole finite matrix: default deny, denials win, permissions add up, and the nearest miss is the
nearest."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.base.errors import Policy
from contracts.base.words import Language, Words
from security.grants.grants import Decision, Grant, Reason, Request, digest
from security.grants.held import AgencyGrants, decide
from security.grants.refusals import quota_refusal, refusal
from security.grants.windows import Hours, Quota
from tests.cost import seconds
from tests.security.identities import Pair

NOW = 1000.0  # a Thursday, 07:16 in Vietnam
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
OPEN, CLOSED = Hours(("thu",), "07:00", "17:30"), Hours(("thu", "fri"), "08:00", "17:30")
CENTRE = Words("Trung tâm, ĐT 0206", "the centre, tel. 0206")


def test_allowed_through_a_grant_that_is_named() -> None:
    assert decide([GOOD], ASK, NOW) == Decision(True, Reason.GRANTED, GOOD, (("*", "!responsible"),), through=(GOOD,))


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
        ({"hours": CLOSED}, Reason.OUT_OF_HOURS),
        ({"hours": OPEN}, Reason.GRANTED),
        ({"valid_from": 1000.0}, Reason.GRANTED),
        ({"operations": ("*",)}, Reason.GRANTED),
        ({"agency": None, "role": "department"}, Reason.GRANTED),
        ({"denies": True}, Reason.DENIED),
        ({"denies": True, "approved_by": ()}, Reason.DENIED),
        ({"denies": True, "hours": CLOSED}, Reason.NO_GRANT),
        ({"denies": True, "operations": ("other",)}, Reason.NO_GRANT),
        ({"denies": True, "valid_until": 999.0}, Reason.NO_GRANT),
        ({"denies": True, "state": "suspended"}, Reason.NO_GRANT),
    ],
)
def test_each_reason(change: dict[str, Any], reason: Reason) -> None:
    decision = decide([replace(GOOD, **change)], ASK, NOW)
    assert decision.reason is reason
    assert decision.allowed is (reason is Reason.GRANTED)
    assert (decision.nearest is None) is (reason in (Reason.GRANTED, Reason.NO_GRANT))


def test_the_nearest_miss_is_told() -> None:
    misses = [
        replace(GOOD, id="a", contract="x/v1"),
        replace(GOOD, id="b", valid_until=10.0),
        replace(GOOD, id="c", operations=("other",)),
    ]
    for order in itertools.permutations(misses):
        decision = decide(order, ASK, NOW)
        assert decision.nearest is not None and (decision.reason, decision.nearest.id) == (Reason.EXPIRED, "b")


def test_who_decides_among_several_and_what_is_seen() -> None:
    role = replace(GOOD, id="r", agency=None, role="department", fields=("*",), valid_from=500.0)
    older, newer = replace(GOOD, id="o", valid_from=1.0), replace(GOOD, id="n", valid_from=2.0)
    for order in itertools.permutations([role, older, newer]):
        assert decide(order, ASK, NOW).grant == newer
        assert decide(order, ASK, NOW).views == (("*",), ("*", "!responsible"))
        denied = decide([*order, replace(role, id="no", denies=True)], ASK, NOW).nearest
        assert denied is not None and denied.id == "no"


grants = st.builds(
    lambda id, holder, contract, operations, fields, valid, officers, denies, state, hours, quota: Grant(
        id,
        holder[0],
        holder[1],
        contract,
        operations,
        fields,
        "p",
        "b",
        valid[0],
        valid[1],
        hours,
        quota,
        approved_by=officers,
        denies=denies,
        state=state,
    ),  # fmt: skip
    st.sampled_from("abc"),
    st.sampled_from([("H14.7", None), ("H14.3", None), (None, "department"), (None, "centre")]),
    st.sampled_from(["indicator/v1", "x/v1"]),
    st.sampled_from([("getValue",), ("other",), ("*",), ("other", "getValue")]),
    st.sampled_from([("*",), ("*", "!responsible"), ("value",)]),
    st.sampled_from([(0.0, 900.0), (0.0, 2000.0), (1500.0, 2000.0)]),
    st.sampled_from([(), ("a",), ("a", "b")]),
    st.sampled_from([False, False, False, True]),
    st.sampled_from(["active", "suspended"]),
    st.sampled_from([None, OPEN, CLOSED]),
    st.sampled_from([None, None, Quota(1, "day"), Quota(2, "hour")]),
)


def fits(row: Any) -> bool:
    mine = row.agency == ASK.agency or row.role in ASK.roles
    return mine and row.contract == ASK.contract and bool({"getValue", "*"} & set(row.operations))


def in_force(row: Any) -> bool:
    open_now = row.hours is None or row.hours == OPEN
    return fits(row) and row.valid_from <= NOW < row.valid_until and row.state == "active" and open_now


def permits(row: Any) -> bool:
    return not row.denies and in_force(row) and len(set(row.approved_by)) >= 2


@given(st.lists(grants, max_size=6))
def test_the_decision_in_other_words(rows: list[Any]) -> None:
    """Default deny, denials win: allowed exactly when some row allows by itself and no row in force forbids. The order
    of rows means nothing."""
    forbidden = any(row.denies and in_force(row) for row in rows)
    decision = decide(rows, ASK, NOW)
    assert decision.allowed is (any(map(permits, rows)) and not forbidden)
    assert (decision.grant is not None) is decision.allowed
    assert decision.views == (tuple(sorted({row.fields for row in rows if permits(row)})) if decision.allowed else ())
    backwards = decide(list(reversed(rows)), ASK, NOW)
    assert (backwards.allowed, backwards.reason, backwards.views) == (decision.allowed, decision.reason, decision.views)


@given(st.lists(grants, min_size=1, max_size=6), st.data())
def test_a_permission_less_never_allows_more_nor_shows_more(rows: list[Any], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(rows) - 1))
    if rows[number].denies:
        return
    before, after = decide(rows, ASK, NOW), decide(rows[:number] + rows[number + 1 :], ASK, NOW)
    assert after.allowed <= before.allowed
    assert set(after.views) <= set(before.views)


sets = st.lists(grants, max_size=6, unique_by=lambda row: row.id)
used_up = st.sets(st.sampled_from("abc"))


def decided(rows: list[Any], used: Any) -> Any:
    """As the exchange decides where the quotas of these grants are used up."""
    decision = decide(rows, ASK, NOW)
    return decision.without({grant.id for grant in decision.limited if grant.id in used})


@given(sets, used_up)
def test_a_used_up_grant_is_as_if_it_were_not_there(rows: list[Any], used: Any) -> None:
    left = [row for row in rows if row.denies or row.quota is None or row.id not in used]
    anew, decision = decide(left, ASK, NOW), decided(rows, used)
    assert (decision is not None) is anew.allowed
    assert decision is None or decision == anew


@given(sets, used_up, st.data())
def test_a_permission_less_never_allows_more_nor_shows_more_whatever_is_used_up(
    rows: list[Any], used: Any, data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(rows)) if rows else None
    if gone is None or gone.denies:
        return
    before, after = decided(rows, used), decided([row for row in rows if row is not gone], used)
    assert after is None or before is not None and set(after.views) <= set(before.views)


@given(sets, used_up, used_up)
def test_the_more_is_used_up_the_less_is_allowed_and_shown(rows: list[Any], one: Any, other: Pair) -> None:
    less, more = decided(rows, one), decided(rows, one | other)
    assert more is None or less is not None and set(more.views) <= set(less.views)


@given(st.lists(grants, max_size=6))
def test_every_grant_that_lets_a_call_through_and_has_a_quota_counts(rows: list[Any]) -> None:
    decision = decide(rows, ASK, NOW)
    assert set(decision.through) == ({row for row in rows if permits(row)} if decision.allowed else set())
    assert decision.limited == tuple(row for row in decision.through if row.quota is not None)
    assert not decision.allowed or decision.grant == decision.through[0]


@given(st.lists(grants, max_size=6), grants)
def test_a_denial_more_never_allows_more(rows: list[Any], row: Any) -> None:
    assert decide([*rows, replace(row, denies=True)], ASK, NOW).allowed <= decide(rows, ASK, NOW).allowed


@given(st.lists(grants, max_size=6))
def test_the_nearest_miss_is_the_one_that_needs_least(rows: list[Any]) -> None:
    """Steps towards being allowed, in the order in which they are asked for; no row of the caller got further than the
    one that is named."""

    def steps(row: Any) -> Any:
        lives, known = NOW < row.valid_until, row.contract == ASK.contract
        asked = [known, fits(row), lives, row.valid_from <= NOW, row.state == "active", len(set(row.approved_by)) >= 2]
        return list(itertools.takewhile(bool, asked))

    decision = decide(rows, ASK, NOW)
    held = [row for row in rows if (row.agency == ASK.agency or row.role in ASK.roles) and not row.denies]
    if decision.allowed or decision.reason is Reason.DENIED:
        return
    assert (decision.nearest is None) is (not held)
    if held:
        assert len(steps(decision.nearest)) == max(len(steps(row)) for row in held)


@given(st.lists(grants, max_size=5), st.lists(st.floats(0, 3000), min_size=1, max_size=6))
def test_what_is_kept_is_what_would_be_decided_anew(rows: list[Any], times: list[float]) -> None:
    """A decision is kept until one of its grants begins or ends; asked at any times in any order it is as if it had
    never been kept."""
    mine = [row for row in rows if row.agency == ASK.agency or row.role in ASK.roles]
    held = AgencyGrants.of(mine)
    for now in times:
        assert held.decide("indicator/v1", "getValue", now) == AgencyGrants.of(mine).decide(
            "indicator/v1", "getValue", now
        )


def test_a_thousand_grants_cost_what_one_costs() -> None:
    many = [
        replace(GOOD, id=f"g{n}", valid_from=float(n % 900), contract=f"c{n % 40}/v1", hours=OPEN if n % 3 else None)
        for n in range(1000)
    ]
    random.Random(7).shuffle(many)

    def cost(held: AgencyGrants) -> float:
        return seconds(lambda: [held.decide("indicator/v1", "getValue", NOW) for _ in range(2000)])

    assert cost(AgencyGrants.of([*many, GOOD])) < 3 * cost(AgencyGrants.of([GOOD]))


ONLY_RECEIVING = Reason.NOT_CONFIRMED  # of adopted grants, which are to receive


@pytest.mark.parametrize("reason", [r for r in Reason if r not in (Reason.GRANTED, ONLY_RECEIVING)])
def test_a_refusal_names_contract_operation_and_whom_to_ask(reason: Reason) -> None:
    nearest = (
        None if reason is Reason.NO_GRANT else replace(GOOD, hours=Hours(("sat",), "07:00", "08:00"), valid_until=9e9)
    )
    notice = {"reason": Words("đang rà soát", "under review"), "since": "2026-11-24", "until": ""}
    failure = refusal(Decision(False, reason, nearest=nearest), ASK, CENTRE, NOW, notice)
    assert isinstance(failure, Policy) and failure.code == f"access.{reason}" and failure.status == 403
    languages: tuple[tuple[Language, str], ...] = (("vi", CENTRE.vi), ("en", CENTRE.en))
    for language, whom in languages:
        text = failure.what(language) + failure.next(language)
        assert "indicator/v1" in text and "getValue" in text and whom in text and "…" not in text
    assert (failure.retry_after is not None) is (reason is Reason.OUT_OF_HOURS)


def test_out_of_hours_says_when_it_opens() -> None:
    closed = refusal(
        Decision(False, Reason.OUT_OF_HOURS, nearest=replace(GOOD, hours=CLOSED, valid_until=9e9)), ASK, CENTRE, NOW
    )
    assert closed.retry_after == 3600 - 1000 and "1970-01-01T08:00+07:00" in closed.what("vi")
    over = refusal(Decision(False, Reason.OUT_OF_HOURS, nearest=replace(GOOD, hours=CLOSED)), ASK, CENTRE, NOW)
    assert over.retry_after is None, "the grant ends before it would open"


def test_a_full_quota_says_when_the_next_count_begins() -> None:
    failure = quota_refusal(replace(GOOD, quota=Quota(5, "minute")), ASK, CENTRE, NOW)
    assert (failure.code, failure.status, failure.retry_after) == ("access.quota", 429, 20)
    assert "5" in failure.what("en") and failure.facts["left"] == 0


def test_json_there_and_back() -> None:
    full = replace(GOOD, hours=OPEN, quota=Quota(10, "day"), proposed_by="an", edition=2, denies=True)
    for grant in (GOOD, full):
        content = json.loads(grant.canonical())
        assert Grant.from_json(content) == replace(grant, approved_by=())
        assert Grant.from_json(content).canonical() == grant.canonical()
    whole = json.loads(GOOD.canonical())
    changes: tuple[dict[str, Any], ...] = (
        {"id": ""},
        {"operations": "getValue"},
        {"fields": [1]},
        {"valid_from": "now"},
        {"valid_from": "2026-01-01"},
        {"valid_from": True},
        {"extra": 1},
        {"approved_by": ["a", "b"]},
        {"state": "active"},
        {"role": "centre"},
        {"agency": None},
        {"operations": []},
        {"fields": []},
        {"valid_until": whole["valid_from"]},
        {"hours": {"days": ["mon"]}},
        {"quota": {"calls": True, "per": "day"}},
        {"denies": 1},
        {"edition": 0},
    )
    for change in changes:
        with pytest.raises(ValueError):
            Grant.from_json({**whole, **change})
    with pytest.raises(ValueError, match="purpose"):
        Grant.from_json({k: v for k, v in whole.items() if k != "purpose"})


def test_the_digest_is_of_the_content_alone() -> None:
    assert digest(replace(GOOD, approved_by=(), state="suspended").canonical()) == digest(GOOD.canonical())
    changes: tuple[dict[str, Any], ...] = (
        {"fields": ("*",)},
        {"purpose": "khác"},
        {"edition": 2},
        {"hours": OPEN},
        {"quota": Quota(1, "day")},
        {"valid_until": 2001.0},
    )
    for change in changes:
        assert digest(replace(GOOD, **change).canonical()) != digest(GOOD.canonical())
