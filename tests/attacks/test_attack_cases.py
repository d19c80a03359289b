"""Cases under attack: floods of mails and steps, hostile texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from contracts.base.errors import Failure
from contracts.base.times import moment, rfc3339
from gateway.cases import texts
from gateway.cases.acting import MOST_STEPS, PAUSE
from gateway.cases.reading import Asked, listed, one
from tests.cases.making import BUILD, CENTRE, DAY, FINANCE, HEALTH, TEXT, Office, mails, office


@pytest.fixture
def here(database: Engine, tmp_path: Path) -> Office:
    return office(database, tmp_path)


def test_a_sender_cannot_flood_others_with_reminders(here: Office) -> None:
    here.mails = True
    case, sent = here.open(CENTRE, "information", HEALTH), 0
    for _ in range(30):
        try:
            here.act(CENTRE, case, "remind")
            sent += 1
        except Failure as failure:
            assert failure.code == "case.not-now"
        here.now += PAUSE / 10
    assert sent == 3 and [kind for kind, _ in mails(here.engine)].count("case-due") <= 3 and here.wrong() == []


def test_the_steps_of_a_case_are_bounded_and_it_can_still_end(here: Office) -> None:
    case, taken = here.open(CENTRE, "information", HEALTH), 1
    with pytest.raises(Failure) as refused:
        for _ in range(MOST_STEPS + 5):
            here.answer(HEALTH, case)
            taken += 1
    assert refused.value.code == "case.not-now" and taken == MOST_STEPS
    assert here.act(CENTRE, case, "close").state == "closed" and here.wrong() == []


@pytest.mark.parametrize("text", ["a\x00", "a\ud800", "\u202egnort", "a\x0bb", " \n ", "", "x" * 10_001, "\u200b"])
def test_a_text_that_nobody_sees_is_refused(text: str) -> None:
    with pytest.raises(Failure) as refused:
        texts.checked("Tiêu đề", text)
    assert refused.value.code == "case.text"


@pytest.mark.parametrize("days", [0, -1, 121, 2**63])
def test_days_out_of_range_are_refused(here: Office, days: int) -> None:
    with pytest.raises(Failure) as refused:
        here.open(CENTRE, "information", HEALTH, days=days)
    assert refused.value.code == "case.text"


@pytest.mark.parametrize("year", ["0001-01-01T00:00:00Z", "1969-12-31T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_an_outage_of_a_time_that_pages_cannot_show_is_refused(here: Office, year: str) -> None:
    at, soon = moment(year), here.now + 60 * DAY
    assert at is not None and rfc3339(at)[:20] == year.replace("Z", ".")
    for times in ({"begins": at}, {"begins": soon, "ends": at}, {"begins": at, "ends": soon}):
        with pytest.raises(Failure) as refused:
            here.open(HEALTH, "outage", reference="system:y-te", urgent=True, **times)
        assert refused.value.code == "case.text"
    assert here.open(HEALTH, "outage", reference="system:y-te", begins=soon, ends=soon + 10 * DAY).state == "open"


def test_an_agency_without_a_part_learns_nothing_of_a_case(here: Office) -> None:
    case, own = here.open(CENTRE, "information", HEALTH), here.open(CENTRE, "information", FINANCE, days=1)
    with here.engine.connect() as connection:
        with pytest.raises(Failure) as unknown:
            one(connection, here.vault, case.id, FINANCE, here.now)
        assert unknown.value.code == "case.unknown"
        (only,) = listed(connection, here.vault, Asked(FINANCE, "all"), here.now).cases
        assert only.case.id == own.id
        # nor its deadline, from which of the own cases come behind it
        for cursor in (case.id, "01935b6e-0000-7000-8000-000000000001"):
            found = listed(connection, here.vault, Asked(FINANCE, "open", after=cursor), here.now).cases
            assert [each.case.id for each in found] == [own.id]
    for act in ("acknowledge", "answer", "close", "withdraw", "remind"):
        with pytest.raises(Failure) as refused:
            here.act(BUILD, case, act, content=TEXT)
        assert refused.value.code in ("case.other-party", "case.unknown")
