"""An insider with the database alone has the keeper destroy keys of the vault, whose files lie outside of it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keeper.retention.elsewhere import destroy_returned
from tests.keeper.retention.conftest import small_house  # noqa: F401  the fixture
from tests.keeper.retention.test_retention_holds import DAY, MONTHS_24, over, put

KIND = pytest.mark.attack("keeper: a row that says that a key of the vault is destroyed, or held no more")
ENDED, HOLD = tables.vault_destroyed, tables.vault_hold


@KIND
@pytest.mark.parametrize("destroyed", [None, 1.0])
@pytest.mark.parametrize("is_due", [False, True])
def test_a_row_alone_destroys_no_key(small_house: Any, destroyed: float | None, is_due: bool) -> None:  # noqa: F811
    """Nor one whose retention is over: that its end was begun stands in the log first."""
    transfer = small_house.transfer("request")
    key = small_house.key_of(transfer)
    small_house.now += MONTHS_24 if is_due else DAY
    with writing(small_house.engine) as connection:
        connection.execute(insert(ENDED).values(key_id=key, began=1.0, destroyed=destroyed, bodies=1, bytes=1))
    destroy_returned(small_house.engine, small_house.vault, small_house.now)
    if not is_due:
        over(small_house)
    assert small_house.vault.keys.stands(key)
    assert small_house.opened(transfer) == f"request of {transfer}".encode()
    assert small_house.notes("retention") == []


@KIND
def test_an_end_that_stands_in_the_log_is_not_told_again(small_house: Any) -> None:  # noqa: F811
    small_house.transfer("request")
    small_house.now += MONTHS_24
    over(small_house)
    steps = [each["facts"]["step"] for each in small_house.notes("retention")]
    assert steps == ["begun", "done"]
    with writing(small_house.engine) as connection:
        connection.execute(update(ENDED).values(destroyed=None))
    over(small_house)
    assert len(small_house.notes("retention")) == 2


CHANGES = {
    "released": update(HOLD).values(released=1.0),
    "of another transfer": update(HOLD).values(transfers='["another"]'),
    "narrowed": update(HOLD).values(agency="H14.9"),
    "of another time": update(HOLD).values(ends=1.0),
    "taken away": delete(HOLD),
}


@KIND
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("sealed", [False, True])
def test_a_hold_that_ends_in_the_table_alone_still_holds(small_house: Any, change: str, sealed: bool) -> None:  # noqa: F811
    held = small_house.transfer("request")
    if change in ("narrowed", "of another time"):
        put(small_house, contract="field-report/v1")
    else:
        put(small_house, transfers=(held,))
    if sealed:
        small_house.retention().look(small_house.lease, small_house.now)
    with writing(small_house.engine) as connection:
        connection.execute(CHANGES[change])
    small_house.now += MONTHS_24
    over(small_house)
    assert small_house.opened(held) == f"request of {held}".encode()
