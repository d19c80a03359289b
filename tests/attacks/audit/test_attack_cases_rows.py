"""An insider has the keeper remind, tell or close by rows of cases. What the log says of a case decides."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, select, update

from contracts.base.times import rfc3339
from contracts.base.words import Words
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry.changes import suspending
from gateway.registry.changes.notices import Notice
from gateway.registry.seals.sealing import changing
from tests.cases.making import CENTRE, DAY, FINANCE, HEALTH, MONDAY, Office, mails, office
from tests.cases.test_reminding import keeper

KIND = pytest.mark.attack("keeper: a row that says when a case is reminded of, or that a suspension was told")
CASE, STEP, PARTY = tables.agency_case, tables.agency_case_step, tables.agency_case_party


@pytest.fixture
def here(database: Engine, tmp_path: Path) -> Office:
    made = office(database, tmp_path)
    made.mails = True
    return made


def changed(here: Office, *statements: Any) -> None:
    with writing(here.engine) as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount >= 1


def steps_of(here: Office) -> list[tuple[str, int]]:
    """Case and number of each step."""
    with here.engine.connect() as connection:
        return [*connection.execute(select(STEP.c.case_id, STEP.c.number).order_by(STEP.c.case_id, STEP.c.number))]


@KIND
def test_an_earlier_row_reminds_nobody_and_is_put_right(here: Office) -> None:
    run = keeper(here)
    here.open(CENTRE, "information", HEALTH)
    told, steps = mails(here.engine), steps_of(here)
    before = select(CASE.c.remind_at)
    with here.engine.connect() as connection:
        due = connection.scalar(before)
    changed(here, update(CASE).values(remind_at=1.0))
    (finding,) = here.wrong()
    assert "remind_at 1.0" in finding
    assert run() == 0 and mails(here.engine) == told and steps_of(here) == steps
    with here.engine.connect() as connection:
        assert connection.scalar(before) == due
    assert here.wrong() == []


@KIND
def test_a_case_that_is_answered_is_not_reminded_of_by_its_rows(here: Office) -> None:
    """The step that answered is taken away, with all that follows from it."""
    run = keeper(here)
    case = here.open(CENTRE, "information", HEALTH, days=1)
    here.answer(HEALTH, case)
    told = mails(here.engine)
    changed(
        here,
        delete(STEP).where(STEP.c.number == 1),
        update(CASE).values(state="open", steps=1, remind_at=1.0),
        update(PARTY).values(answered=None, acknowledged=None),
    )
    here.now += 3 * DAY
    assert run() == 0 and mails(here.engine) == told
    assert here.wrong() != []


@KIND
def test_a_deadline_that_was_changed_in_the_rows_reminds_nobody(here: Office, caplog: pytest.LogCaptureFixture) -> None:
    run = keeper(here)
    case = here.open(CENTRE, "information", HEALTH)
    told = mails(here.engine)
    with here.engine.connect() as connection:
        facts = str(connection.scalar(select(STEP.c.facts)))
    early = facts.replace(str(case.due), rfc3339(MONDAY))
    assert early != facts
    changed(here, update(STEP).values(facts=early), update(CASE).values(due=rfc3339(MONDAY), remind_at=1.0))
    with caplog.at_level(logging.CRITICAL, "lgsp.cases"):
        assert run() == 0
    assert mails(here.engine) == told and "are not those of the log" in caplog.text


def suspend(here: Office) -> Callable[[], int]:
    run = keeper(here)
    with changing(here.engine, None) as act:
        notice = Notice(Words("Gửi sai định dạng", "Sends a wrong format"), here.now, None)
        suspending.suspend(act, ("agency", FINANCE), notice, "test")
    assert run() == 1
    return run


SUSPENSIONS: Mapping[str, Mapping[str, Any]] = {
    "another reference": {"reference": "agency:H14.9"},
    "another kind": {"kind": "complaint"},
    "closed": {"state": "closed"},
}


@KIND
@pytest.mark.parametrize("change", SUSPENSIONS)
def test_a_suspension_is_told_once_whatever_its_row_says(here: Office, change: str) -> None:
    run = suspend(here)
    told, steps = mails(here.engine), steps_of(here)
    changed(here, update(CASE).values(**SUSPENSIONS[change]))
    assert run() == 0 and mails(here.engine) == told and steps_of(here) == steps


@KIND
def test_a_suspension_whose_rows_are_gone_is_not_told_again(here: Office) -> None:
    run = suspend(here)
    told = mails(here.engine)
    changed(here, delete(CASE), delete(STEP), delete(PARTY))
    assert run() == 0 and mails(here.engine) == told and steps_of(here) == []


@KIND
def test_a_case_of_others_is_not_closed_as_the_end_of_a_suspension(here: Office) -> None:
    run = keeper(here)
    here.open(CENTRE, "information", HEALTH)
    steps = steps_of(here)
    changed(here, update(CASE).values(kind="suspension", reference=f"agency:{HEALTH}"))
    assert run() == 0 and steps_of(here) == steps
