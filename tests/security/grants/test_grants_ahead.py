"""Grants of an agency whose own clock is ahead: both clocks must allow."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from security.grants.grants import Grant, Reason
from security.grants.held import AgencyGrants
from security.grants.windows import Hours
from tests.security.grants import test_grants

DAY = 86_400
GOOD: Final = replace(test_grants.GOOD, valid_until=99.0 * DAY)
NOW = GOOD.valid_from + DAY
ASKED = (GOOD.contract, GOOD.operations[0])


def decided(ahead: int, *grants: Grant) -> list[str] | Reason:
    decision = AgencyGrants.of(grants, ahead).decide(*ASKED, NOW)
    return [each.id for each in decision.through] if decision.allowed else decision.reason


def test_what_has_ended_by_the_own_clock_is_refused() -> None:
    ends = replace(GOOD, valid_until=NOW + DAY)
    assert decided(0, ends) == decided(DAY - 1, ends) == [GOOD.id]
    assert decided(DAY, ends) is Reason.EXPIRED


def test_nothing_begins_earlier_and_no_prohibition_ends_earlier() -> None:
    later = replace(GOOD, valid_from=NOW + DAY, valid_until=NOW + 9 * DAY)
    assert decided(2 * DAY, later) is Reason.NOT_YET_VALID
    denies = replace(GOOD, id="G-deny", denies=True, fields=(), valid_until=NOW + DAY)
    assert decided(2 * DAY, GOOD, denies) is Reason.DENIED
    denied_later = replace(denies, valid_from=NOW + DAY, valid_until=NOW + 9 * DAY)
    assert decided(2 * DAY, GOOD, denied_later) is Reason.DENIED


def test_a_wider_grant_of_later_shows_nothing_now() -> None:
    narrow = replace(GOOD, id="G-narrow", fields=("value",), valid_until=NOW + DAY)
    wide = replace(GOOD, id="G-wide", valid_from=NOW + DAY // 2, valid_until=NOW + 9 * DAY)
    assert decided(DAY - 1, narrow, wide) == ["G-narrow"]
    assert decided(2 * DAY, narrow, wide) is Reason.EXPIRED


@pytest.mark.parametrize("ahead", [0, 6 * 3600, 12 * 3600, 18 * 3600])
def test_hours_hold_by_both_clocks(ahead: int) -> None:
    grant = replace(GOOD, hours=Hours(("mon", "thu"), "07:00", "17:30"), valid_until=NOW + 9 * DAY)
    assert grant.hours is not None
    held = AgencyGrants.of([grant], ahead)
    for hour in range(48):
        at = NOW + 3600.0 * hour
        decision = held.decide(*ASKED, at)
        assert decision.allowed == (grant.hours.holds(at) and grant.hours.holds(at + ahead))
        if not decision.allowed:
            assert not grant.hours.holds(held.refused_at(decision, at))
