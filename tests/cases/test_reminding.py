"""The keeper's part: reminders before and after a deadline, in working hours; suspensions told within a working day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete

from contracts.base.errors import Failure
from contracts.base.times import moment
from contracts.base.words import Words
from gateway.cases import reading
from gateway.cases.reading import Asked
from gateway.cases.reminding import Reminding
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.notices import store as notices_store
from gateway.notices.mail import MailServer
from gateway.notices.sending import KINDS, Mailing
from gateway.registry.changes import contacting, suspending
from gateway.registry.changes.notices import Notice
from gateway.registry.contacts import Contact
from gateway.registry.registry import Registry
from gateway.registry.seals.sealing import changing
from gateway.transfer.lease import KEEPER, Lease, take
from security.grants.windows import VIETNAM
from tests.cases.making import BUILD, CENTRE, DAY, FINANCE, HEALTH, MONDAY, Office, mails, office

HOUR = 3600.0


@pytest.fixture
def here(database: Engine, tmp_path: Path) -> Office:
    made = office(database, tmp_path)
    made.mails = True
    return made


def keeper(here: Office) -> Callable[[], int]:
    """Runs the task until nothing is due; returns how many steps it took."""
    with writing(here.engine) as connection:
        lease = take(connection, "test", here.now)
    assert lease is not None

    registry = Registry(here.engine)

    def run() -> int:
        with here.engine.connect() as connection:
            registry.refresh(connection)
        task, steps = Reminding(here.acting, registry), 0
        while more := task.run(lease):
            steps += more
        return steps

    return run


def test_receivers_are_reminded_before_and_after_in_working_hours(here: Office) -> None:
    run = keeper(here)
    case = here.open(CENTRE, "information", HEALTH, BUILD)  # five working days: Monday morning to Monday morning
    here.answer(BUILD, case)
    with writing(here.engine) as connection:
        connection.execute(delete(tables.mail))
    told = []
    while here.now < MONDAY + 25 * DAY:
        for _ in range(run()):
            told.append((here.now, mails(here.engine)))
            with writing(here.engine) as connection:
                connection.execute(delete(tables.mail))
        here.now += HOUR
    kinds = [[kind for kind, _agency in sent] for _at, sent in told]
    assert kinds == [["case-due"], *[["case-overdue"]] * 5], "once before, and five times after"
    assert {agency for _at, sent in told for _kind, agency in sent} == {HEALTH}, "who has answered is left alone"
    due = moment(case.due) or 0
    assert told[0][0] < due <= told[1][0]
    for at, _sent in told:
        local = datetime.fromtimestamp(at, VIETNAM)
        assert local.weekday() < 5 and 7 <= local.hour < 17
    assert here.wrong() == []


def test_an_answer_ends_the_reminders(here: Office) -> None:
    run = keeper(here)
    case = here.open(CENTRE, "information", HEALTH, days=1)
    here.answer(HEALTH, case)
    here.now += 3 * DAY
    assert run() == 0


@pytest.mark.parametrize(("what", "receiver"), [(("system", "y-te"), HEALTH), (("agency", FINANCE), FINANCE)])
def test_a_suspension_is_told_with_the_violation_and_the_way_back(
    here: Office, what: tuple[str, str], receiver: str
) -> None:
    run = keeper(here)
    assert run() == 0
    with changing(here.engine, None) as act:
        notice = Notice(Words("Gửi sai định dạng", "Sends a wrong format"), here.now, None)
        suspending.suspend(act, what, notice, "test")  # type: ignore[arg-type]
    assert run() == 1 and run() == 0, "told once"
    assert mails(here.engine) == [("case-opened", receiver)]
    (seen,) = listed(here, receiver)
    assert seen.case.kind == "suspension" and seen.case.sender == "gateway"
    for text in ("Gửi sai định dạng", "Sends a wrong format", "way back"):
        assert text in seen.opening.text
    here.answer(receiver, seen.case)
    with changing(here.engine, None) as act:
        suspending.resume(act, what, ("test", None), here.now)  # type: ignore[arg-type]
    assert run() == 1 and listed(here, receiver) == []
    with changing(here.engine, None) as act:
        suspending.suspend(act, what, notice, "test")  # type: ignore[arg-type]
    assert run() == 1, "another suspension is told anew"
    assert here.wrong() == []


def test_a_keeper_that_was_overtaken_writes_nothing(here: Office) -> None:
    keeper(here)
    here.open(CENTRE, "information", HEALTH, days=1)
    here.now += 3 * DAY
    with pytest.raises(Failure) as refused:
        Reminding(here.acting, Registry(here.engine)).run(Lease(KEEPER, "old", 0))
    assert refused.value.code == "audit.lease-lost"
    (seen,) = listed(here, HEALTH)
    assert seen.case.steps == 1


def test_a_mail_goes_to_the_contact_of_the_agency_in_force(here: Office, tmp_path: Path) -> None:
    with changing(here.engine, None) as act:
        old = Contact(office="A", phone="1", email="cu@yte.example", valid_until=datetime(2026, 11, 1).date())
        new = Contact(office="B", phone="2", email="moi@yte.example")
        contacting.set_contacts(act, HEALTH, [old, new], ("test", "a new contact"), here.now)
    case = here.open(CENTRE, "guidance", HEALTH)
    with here.engine.connect() as connection:
        (waiting,) = notices_store.due(connection, here.now, 9)
    mailing = Mailing(
        engine=here.engine, lock=None, registry=Registry(here.engine),
        server=MailServer("smtp+clear", "127.0.0.1", 1, "a@b.vn"), name="tinh", clock=lambda: here.now,
    )  # fmt: skip
    letter = mailing.letter(waiting)
    assert letter.to == "moi@yte.example" and case.id in letter.text
    assert "Hướng dẫn" in letter.subject and "Guidance" in letter.subject
    for kind in KINDS.keys() - {"push-paused"}:
        made = mailing.letter(waiting._replace(kind=kind))
        assert "{" not in made.subject + made.text


def listed(here: Office, agency: str) -> list[reading.Seen]:
    with here.engine.connect() as connection:
        return list(reading.listed(connection, here.vault, Asked(agency), here.now).cases)
