"""Holidays that end are told before the first year without them."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import Engine

from gateway.doctor.holidays import holidays
from security.grants.windows import VIETNAM
from tests.registry.making import filled, province


@pytest.mark.parametrize(("day", "years"), [("2026-11-27", []), ("2030-10-01", []), ("2030-12-01", [2031])])
def test_a_year_without_holidays_is_told_two_months_before(sqlite: Engine, day: str, years: list[int]) -> None:
    filled(sqlite, province(), [])
    with sqlite.connect() as connection:
        at = datetime.fromisoformat(day).replace(tzinfo=VIETNAM).timestamp()
        found = list(holidays(connection, at))
    assert [each.facts["year"] for each in found] == years
    for each in found:
        assert "incident-alert/v1" in str(each.facts["contracts"]) or "field-report/v1" in str(each.facts["contracts"])
