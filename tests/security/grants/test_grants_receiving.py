"""Grants to receive: apart from those to ask, and adopted ones, over the whole finite matrix."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security.grants.grants import TO_CONFIRM, Grant, Reason
from security.grants.held import AgencyGrants, decide
from security.grants.refusals import why_not_received
from security.grants.windows import Quota
from tests.security.grants.test_grants import ASK, GOOD, NOW, OPEN, fits, grants, in_force

RECEIVE = replace(ASK, receives=True)
TAKES = replace(GOOD, receives=True)
receiving_grants = st.builds(
    lambda row, adopted, personal, now: (
        replace(
            row, hours=None, quota=None, receives=True, adopted=adopted, personal=personal, valid_from=now - TO_CONFIRM
        )
        if adopted
        else replace(row, hours=None, quota=None, receives=True, personal=personal)
    ),
    grants,
    st.booleans(),
    st.booleans(),
    st.sampled_from([NOW, NOW + 1]),
)
either = st.lists(st.one_of(grants, receiving_grants), max_size=6)


def lets_receive(row: Any) -> bool:
    """In other words than the product's: what a row alone allows."""
    timely = row.valid_from <= NOW < row.valid_until
    signed = len(set(row.approved_by)) >= 2
    borne = row.adopted and (NOW - row.valid_from < 30 * 24 * 3600 or not row.personal)
    return row.receives and fits(row) and not row.denies and row.state == "active" and timely and (signed or borne)


@given(either)
def test_receiving_in_other_words(rows: list[Any]) -> None:
    """Rows to ask decide nothing of receiving, nor the other way round; the order of rows means nothing."""
    forbidden = any(row.denies and row.receives and in_force(row) for row in rows)
    decision = decide(rows, RECEIVE, NOW)
    assert decision.allowed is (any(map(lets_receive, rows)) and not forbidden)
    assert decision.views == (
        tuple(sorted({row.fields for row in rows if lets_receive(row)})) if decision.allowed else ()
    )
    assert decision == decide([row for row in rows if row.receives], RECEIVE, NOW)
    assert decide(rows, ASK, NOW) == decide([row for row in rows if not row.receives], ASK, NOW)
    backwards = decide(list(reversed(rows)), RECEIVE, NOW)
    assert (backwards.allowed, backwards.reason, backwards.views) == (decision.allowed, decision.reason, decision.views)


@given(either, receiving_grants)
def test_a_permission_to_receive_more_never_allows_or_shows_less(rows: list[Any], more: Any) -> None:
    if more.denies:
        return
    before, after = decide(rows, RECEIVE, NOW), decide([*rows, more], RECEIVE, NOW)
    assert before.allowed <= after.allowed and set(before.views) <= set(after.views)


@given(either, receiving_grants)
def test_a_prohibition_to_receive_more_never_allows_more(rows: list[Any], row: Any) -> None:
    assert decide([*rows, replace(row, denies=True)], RECEIVE, NOW).allowed <= decide(rows, RECEIVE, NOW).allowed


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, Reason.GRANTED),
        ({"receives": False}, Reason.NO_GRANT),
        ({"contract": "x/v1"}, Reason.NO_CONTRACT),
        ({"operations": ("other",)}, Reason.NO_OPERATION),
        ({"denies": True, "approved_by": ()}, Reason.DENIED),
        ({"approved_by": ("an",)}, Reason.NOT_APPROVED),
        ({"approved_by": ("an",), "adopted": True}, Reason.GRANTED),
        ({"approved_by": (), "adopted": True, "valid_from": NOW - TO_CONFIRM}, Reason.GRANTED),
        ({"approved_by": (), "adopted": True, "personal": True, "valid_from": NOW - TO_CONFIRM + 1}, Reason.GRANTED),
        ({"approved_by": (), "adopted": True, "personal": True, "valid_from": NOW - TO_CONFIRM}, Reason.NOT_CONFIRMED),
        ({"adopted": True, "personal": True, "valid_from": NOW - TO_CONFIRM}, Reason.GRANTED),
        ({"approved_by": (), "adopted": True, "state": "suspended"}, Reason.SUSPENDED),
    ],
)
def test_each_reason_of_receiving_says_why_in_both_languages(change: dict[str, Any], reason: Reason) -> None:
    decision = decide([replace(TAKES, **change)], RECEIVE, NOW)
    assert decision.reason is reason and decision.allowed is (reason is Reason.GRANTED)
    if not decision.allowed:
        why = why_not_received(decision, RECEIVE)
        assert why.vi != why.en and "{" not in why.vi + why.en
        named = {"g1" in why.en, "g1" in why.vi}
        assert named == {reason not in (Reason.NO_GRANT, Reason.NO_CONTRACT)}


def test_a_decision_of_an_adopted_grant_is_not_kept_beyond_its_time() -> None:
    row = replace(TAKES, approved_by=(), adopted=True, personal=True, valid_from=0.0, valid_until=2 * TO_CONFIRM)
    held = AgencyGrants.of([row])
    allowed = [
        held.decide_receiving("indicator/v1", "getValue", now).allowed for now in (1.0, TO_CONFIRM - 1, TO_CONFIRM)
    ]
    assert allowed == [True, True, False]


def test_what_officers_sign_of_a_grant_to_receive() -> None:
    """Older signatures stay valid: the content of other grants is as it was."""
    assert "receives" not in GOOD.content() and TAKES.content() == GOOD.content() | {"receives": True}
    assert Grant.from_json(TAKES.content()) == replace(TAKES, approved_by=())
    for standing in ("adopted", "personal"):
        with pytest.raises(ValueError, match=standing):
            Grant.from_json(TAKES.content() | {standing: True})
    for limit in ({"hours": OPEN}, {"quota": Quota(1, "day")}):
        with pytest.raises(ValueError, match="receiving"):
            replace(TAKES, **limit)
