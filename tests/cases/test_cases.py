"""Cases between agencies: who may take which step when, as an oracle of its own says; each step is in the log with its
rows and its sealed text, and an edit in the database is found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select, text, update

from contracts.base.errors import Failure
from contracts.base.times import moment
from gateway.cases import reading
from gateway.cases.acting import ACTS, PAUSE, possible
from gateway.cases.calendar import of_province, within
from gateway.cases.kinds import kinds
from gateway.cases.reading import Asked
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.transfer.case_entries import Folded
from tests.cases.making import BUILD, CENTRE, DAY, FINANCE, HEALTH, MONDAY, TEXT, Office, office, verified
from tests.journal.databases import KINDS, migrated
from tests.size import examples

PARTIES = (CENTRE, HEALTH, BUILD, FINANCE)


@pytest.fixture(scope="module", params=KINDS)
def here(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("cases")
    engine = migrated(request.param, folder)
    yield office(engine, folder)
    engine.dispose()


class Oracle:
    """What somebody with a notebook would allow."""

    def __init__(self, sender: str, receivers: tuple[str, ...], answers: bool) -> None:
        self.sender, self.answers = sender, answers
        self.seen: dict[str, bool] = dict.fromkeys(receivers, False)
        self.replied: dict[str, bool] = dict.fromkeys(receivers, False)
        self.over = ""

    @property
    def state(self) -> str:
        if self.over:
            return self.over
        if self.answers and all(self.replied.values()):
            return "answered"
        return "acknowledged" if all(self.seen.values()) else "open"

    def take(self, agency: str, act: str) -> bool:
        if self.over:
            return False
        if act in ("acknowledge", "answer"):
            allowed = agency in self.seen
            if act == "acknowledge":
                allowed = allowed and not self.seen[agency] and self.state != "answered"
        else:
            allowed = agency == self.sender
            if act == "close":
                allowed = allowed and (not self.answers or self.state == "answered")
            else:
                allowed = allowed and self.state in ("open", "acknowledged")
        if allowed and act in ("acknowledge", "answer"):
            self.seen[agency] = True
            self.replied[agency] |= act == "answer"
        if allowed and act in ("close", "withdraw"):
            self.over = "closed" if act == "close" else "withdrawn"
        return allowed


_ACTS = st.lists(st.tuples(st.sampled_from(PARTIES), st.sampled_from(ACTS)), max_size=9)


@given(
    st.sampled_from(["complaint", "guidance", "information"]), st.sets(st.sampled_from(PARTIES[1:]), min_size=1), _ACTS
)
@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_step_is_for_its_party_and_its_state(
    here: Office, kind: str, receivers: set[str], acts: list[tuple[str, str]]
) -> None:
    case = here.open(CENTRE, kind, *sorted(receivers))
    oracle = Oracle(CENTRE, tuple(sorted(receivers)), kinds()[kind].answers)
    for agency, act in acts:
        before, here.now = case, here.now + PAUSE  # so that the sender may remind again
        offered = act in possible(case, agency)
        allowed = oracle.take(agency, act)
        assert offered is allowed
        try:
            case = here.answer(agency, case) if act == "answer" else here.act(agency, case, act)
            assert allowed
        except Failure as refused:
            assert not allowed and refused.code in ("case.other-party", "case.not-now")
            assert case is before
        assert case.state == oracle.state
    assert here.wrong() == []


def test_what_is_opened_is_checked(here: Office) -> None:
    def refused(sender: str, kind: str, *receivers: str, **more: Any) -> str:
        with here.engine.connect() as connection:
            count = connection.scalar(select(func.count()).select_from(tables.agency_case))
        with pytest.raises(Failure) as failure:
            here.open(sender, kind, *receivers, **more)
        with here.engine.connect() as connection:
            assert connection.scalar(select(func.count()).select_from(tables.agency_case)) == count
        return failure.value.code

    assert refused(HEALTH, "wish", CENTRE) == "case.kind"
    for kind in ("guidance", "information", "task", "suspension"):
        assert refused(HEALTH, kind, BUILD) == "case.sender"
    assert refused(CENTRE, "suspension", BUILD) == "case.sender"
    assert refused("H99", "complaint", BUILD) == "case.sender"
    assert refused(HEALTH, "complaint") == refused(HEALTH, "complaint", HEALTH) == "case.receiver"
    assert refused(HEALTH, "complaint", BUILD, "H99") == "case.receiver"
    for reference in ("transfer:none", "contract:none/v1", "person:x", "indicator/v1", "system:" + "x" * 300):
        assert refused(HEALTH, "complaint", BUILD, reference=reference) == "case.reference"
    assert refused(HEALTH, "complaint", BUILD, days=0) == refused(HEALTH, "complaint", BUILD, days=121) == "case.text"
    assert refused(HEALTH, "complaint", BUILD, begins=here.now + DAY) == "case.text"
    case = here.open(HEALTH, "data-request", reference="contract:indicator/v1")
    assert case.receivers == [CENTRE], "the centre, if nobody is named"


def test_a_request_becomes_a_grant_or_is_refused_with_a_reason(here: Office) -> None:
    """Article 12.2, first sentence."""
    case = here.open(HEALTH, "data-request")
    for reply, code in (
        ({}, "case.decision"),
        ({"decision": "perhaps"}, "case.decision"),
        ({"decision": "granted"}, "case.link"),
        ({"decision": "granted", "link": "grant:G-9999"}, "case.link"),
        ({"decision": "granted", "link": "proposal:route/x/y"}, "case.link"),
    ):
        with pytest.raises(Failure) as refused:
            here.answer(CENTRE, case, **reply)
        assert refused.value.code == code
    after = here.answer(CENTRE, case, decision="granted", link="grant:G-0001")
    assert after.state == "answered"
    with here.engine.connect() as connection:
        seen = reading.one(connection, here.vault, case.id, HEALTH, here.now).shown()
    assert seen["steps"][1]["link"] == "grant:G-0001" and seen["steps"][1]["text"] == TEXT.text


def test_a_planned_outage_needs_seven_working_days(here: Office) -> None:
    """Over a weekend and a holiday: the calendar is that of the province."""
    here.now = MONDAY + 35 * DAY  # Monday 28 December 2026; 1 January is a holiday
    earliest = within(of_province(here.snapshot), here.now, 7).due
    assert earliest is not None
    day = (earliest * 60 - here.now) / DAY
    assert day == 10.0, "seven working days, two Saturdays and Sundays would be nine without the holiday"
    with pytest.raises(Failure) as refused:
        here.open(HEALTH, "outage", begins=earliest * 60.0 - 60)
    assert refused.value.code == "case.notice"
    case = here.open(HEALTH, "outage", begins=earliest * 60.0, ends=earliest * 60.0 + 3600)
    assert moment(case.begins) == earliest * 60 and not case.answers
    urgent = here.open(HEALTH, "outage", begins=here.now + 3600, urgent=True)
    assert urgent.begins is not None
    here.now = MONDAY


def test_an_agency_sees_its_own_cases_alone(here: Office) -> None:
    case = here.open(HEALTH, "complaint", BUILD)
    with here.engine.connect() as connection:
        for agency in (HEALTH, BUILD, None):
            assert reading.one(connection, here.vault, case.id, agency, here.now).opening == TEXT
        for agency in (FINANCE, CENTRE, "H14.2", "gateway", ""):
            with pytest.raises(Failure) as refused:
                reading.one(connection, here.vault, case.id, agency, here.now)
            assert refused.value.code == "case.unknown"
            found = reading.listed(connection, here.vault, Asked(agency, "all"), here.now)
            assert case.id not in [each.case.id for each in found.cases]


def test_pages_of_a_list_have_each_case_once_and_overdue_ones_first(database: Engine, tmp_path: Path) -> None:
    here = office(database, tmp_path)
    late = [here.open(CENTRE, "information", HEALTH, days=1 + number % 3).id for number in range(60)]
    here.now += 9 * DAY
    late += [here.open(CENTRE, "information", HEALTH).id for _ in range(5)]
    done = here.open(CENTRE, "guidance", HEALTH)
    here.act(CENTRE, done, "close")
    ids, dues, after = [], [], None
    with database.connect() as connection:
        while True:
            page = reading.listed(connection, here.vault, Asked(HEALTH, "open", after=after), here.now)
            ids += [each.case.id for each in page.cases]
            dues += [(not each.overdue, each.case.due) for each in page.cases]
            if (after := page.next) is None:
                break
        assert reading.counts(connection, HEALTH, here.now) == {"open": 65, "overdue": 60}
        assert reading.counts(connection, BUILD, here.now) == {"open": 0, "overdue": 0}
        ended = reading.listed(connection, here.vault, Asked(None, "ended"), here.now)
    assert sorted(ids) == sorted(late) and dues == sorted(dues)
    assert [each.case.id for each in ended.cases] == [done.id]


def test_texts_are_sealed_and_bound_to_the_log(sqlite: Engine, tmp_path: Path) -> None:
    here = office(sqlite, tmp_path)
    case = here.open(HEALTH, "complaint", BUILD)
    other = here.open(HEALTH, "complaint", BUILD)
    assert TEXT.subject.encode() not in b"".join(each.read_bytes() for each in tmp_path.glob("lgsp.db*"))
    with sqlite.connect() as connection:
        entries = connection.scalars(select(tables.log_pending.c.entry).where(tables.log_pending.c.phase == "case"))
        assert all(TEXT.subject.encode() not in bytes(each) for each in entries)
    with writing(sqlite) as connection:  # a text that was sealed for another case
        vault = tables.vault.c
        sealed = connection.scalar(select(vault.sealed).where(vault.id == f"{other.id}/case-0"))
        connection.execute(update(tables.vault).where(vault.id == f"{case.id}/case-0").values(sealed=sealed))
    with sqlite.connect() as connection, pytest.raises(Failure) as refused:
        reading.one(connection, here.vault, case.id, HEALTH, here.now)
    assert refused.value.code == "case.altered"
    with writing(sqlite) as connection:
        connection.execute(text("DELETE FROM vault"))
    assert len(here.wrong()) == 2, "each text that is gone is named"


def test_an_edit_of_any_column_is_found(sqlite: Engine, tmp_path: Path) -> None:
    here = office(sqlite, tmp_path)
    first = here.open(HEALTH, "complaint", BUILD, reference="system:do-thi")
    here.answer(BUILD, first)
    here.open(HEALTH, "outage", begins=here.now + 40 * DAY, ends=here.now + 41 * DAY)
    assert here.wrong() == []
    for table in (tables.agency_case, tables.agency_case_party, tables.agency_case_step):
        for column in table.columns:
            if column.name == "remind_at":
                continue
            with sqlite.connect() as connection:
                row = connection.execute(select(table).where(column.is_not(None))).mappings().first()
                assert row is not None
                where = [key == row[key.name] for key in table.primary_key.columns]
                value = row[column.name]
                changed = value + 7 if isinstance(value, int) else _other(value)
                connection.execute(update(table).where(*where).values({column.name: changed}))
                assert verified(connection), f"{table.name}.{column.name}"
                connection.rollback()
        with sqlite.connect() as connection:
            connection.execute(table.delete())
            assert verified(connection)
            connection.rollback()


def _other(value: str) -> str:
    return json.dumps({**json.loads(value), "agency": "H14.2"}) if value.startswith("{") else f"{value}0"


def test_of_two_at_once_one_is_taken(here: Office) -> None:
    case: Folded = here.open(HEALTH, "complaint", BUILD)
    stale = case
    here.act(HEALTH, case, "withdraw")
    with pytest.raises(Failure) as refused:
        here.answer(BUILD, stale)
    assert refused.value.code == "case.not-now" and refused.value.facts["state"] == "withdrawn"
