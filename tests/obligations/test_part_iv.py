"""Part IV of the regulation: urging, and what users report."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from tests.registry.making import filled, province
from tests.scorecards import seeding
from tests.watch.test_late import HOUR, MINUTE, NINE, owed, owing, reading


@pytest.mark.obligation("IV/12.1")
def test_a_late_system_is_reminded_then_named(sqlite: Engine) -> None:
    """Article IV/12.1: who owes the data of an hour is reminded before they are due, named after, free when they
    came."""
    filled(sqlite, province(seeding.DOCUMENT), [], NINE - 90 * 24 * HOUR)
    for hour in range(-3, 0):
        reading(sqlite, NINE + hour * HOUR + 600, NINE + hour * HOUR + 660)
    assert owing(sqlite, NINE + 90 * MINUTE) == {"late": [], "due": []}
    assert owing(sqlite, NINE + 106 * MINUTE) == {"late": [], "due": owed(9)}
    assert owing(sqlite, NINE + 120 * MINUTE) == {"late": owed(9), "due": []}
    reading(sqlite, NINE + 5 * MINUTE, NINE + 121 * MINUTE)
    assert owing(sqlite, NINE + 122 * MINUTE) == {"late": [], "due": []}
