"""Rows in front that nobody can go on with hold up no others: handlings, alarms, reminders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, insert, select, update

from gateway.cases.reminding import Reminding
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.registry.registry import Registry
from gateway.registry.snapshot import load_snapshot
from gateway.transfer import lease as leases
from gateway.transfer.handling_events import FAR, seal_of
from gateway.watch import alarms, telling
from gateway.watch.alarms import Condition, Kind, Look
from gateway.workflow import rerouting, watching
from gateway.workflow.rerouting import Rerouting
from tests.cases.making import BUILD, DAY, FINANCE, HEALTH, office
from tests.registry.making import filled, province
from tests.watch.test_probes import NOON
from tests.workflow.conftest import town as _town
from tests.workflow.desks import CENTRE, Town, nothing

town = _town


def rows(engine: Engine, table: Any, **wanted: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(table).filter_by(**wanted)))


def test_handlings_that_were_changed_hold_up_no_rerouting(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rerouting, "PAGE", 3)
    reports = [town.report() for _ in range(5)]
    town.follow()
    last = max(town.of(each).id for each in reports)
    town.act(last, "forward", CENTRE, "x", to="H14.2")
    merged = town.seen(last).row._replace(agency="H14.12")  # as before the merger
    with writing(town.gateway.engine) as connection:
        connection.execute(update(tables.handling).values(agency="H14.12", bundle="x"))
        values = {"bundle": merged.bundle, "seal": seal_of(merged, str)}
        connection.execute(update(tables.handling).where(tables.handling.c.id == last).values(values))
    task = Rerouting(town.office)
    assert [task.step(nothing) for _ in range(4)] == [0, 1, 0, 0]
    assert town.seen(last).row.agency == "H14.3"


def test_whoever_puts_off_a_deadline_in_the_database_is_seen(town: Town) -> None:
    report = town.report()
    town.follow()
    row, table = town.of(report), tables.handling
    for values in ({"next_at": FAR}, {"told": 9}):
        with writing(town.gateway.engine) as connection:
            connection.execute(update(table).where(table.c.id == row.id).values(values))
        assert any(row.id in each for each in town.wrong())
        with writing(town.gateway.engine) as connection:
            connection.execute(update(table).where(table.c.id == row.id).values(next_at=row.next_at, told=row.told))
    assert town.wrong() == ()
    with writing(town.gateway.engine) as connection:  # no look at the row gives it a seal that it had not
        connection.execute(update(table).where(table.c.id == row.id).values(next_at=1))
    assert watching.Watching(town.office, True).step(nothing) == 1
    assert any(row.id in each for each in town.wrong())


def test_alarms_without_a_contact_hold_up_no_others(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "SHOWN", 4)
    filled(database, province(), [], NOON)
    with writing(database) as connection:
        snapshot = load_snapshot(connection)
        nobody = [Condition(f"no-such-{number}", "", NOON, {}) for number in range(9)]
        alarms.settle(connection, Kind.DOWN, nobody, Look(snapshot, NOON))
        away = [*nobody, Condition("do-thi", "", NOON, {})]
        alarms.settle(connection, Kind.DOWN, away, Look(snapshot, NOON + 1))
        assert len(alarms.systems_of(connection, Kind.DOWN)) == 10
        assert telling.tell(connection, snapshot, NOON + 60) == 1
        assert telling.tell(connection, snapshot, NOON + 61) == 0
    assert [each.told for each in rows(database, tables.alarm, system="do-thi")] == [NOON + 60]


def test_an_alarm_that_was_put_into_the_future_is_raised(database: Engine) -> None:
    filled(database, province(), [], NOON)
    down = [Condition("do-thi", "", NOON, {})]
    with writing(database) as connection:
        snapshot = load_snapshot(connection)
        alarms.settle(connection, Kind.DOWN, down, Look(snapshot, NOON, 100.0))
        connection.execute(update(tables.alarm).values(seen=NOON + 10 * DAY))
        alarms.settle(connection, Kind.DOWN, down, Look(snapshot, NOON + 10, 100.0))
        assert len(alarms.raised(connection)) == 1


def test_cases_whose_steps_are_gone_hold_up_no_reminders(
    database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.cases.reminding.AT_ONCE", 2)
    here = office(database, tmp_path)
    here.mails = True
    gone = [here.open(FINANCE, "complaint", HEALTH) for _ in range(5)]
    left = here.open(FINANCE, "complaint", BUILD)
    with writing(database) as connection:
        step = tables.agency_case_step
        connection.execute(delete(step).where(step.c.case_id.in_([each.id for each in gone])))
        lease = leases.take(connection, "keeper-1", here.now, seconds=10**9)
    assert lease is not None
    here.now += 400 * DAY
    while here.now % DAY != 2 * 3600 or (int(here.now) // 86_400 + 3) % 7 > 4:  # nine o'clock of a working day
        here.now += 3600
    assert Reminding(here.acting, Registry(database)).run(lease) == 1
    assert [each.about for each in rows(database, tables.mail, kind="case-overdue")] == [left.id]


@pytest.mark.parametrize("put_off", [None, 9_999_999_999.0])
def test_whoever_puts_off_a_reminder_in_the_database_is_seen(
    database: Engine, tmp_path: Path, put_off: float | None
) -> None:
    here = office(database, tmp_path)
    case = here.open(FINANCE, "complaint", HEALTH)
    assert here.wrong() == []
    with writing(database) as connection:
        connection.execute(update(tables.agency_case).values(remind_at=put_off))
    assert any(case.id in each and "remind_at" in each for each in here.wrong())


def test_a_lease_and_an_alarm_made_by_hand_are_told_apart(database: Engine) -> None:
    """An alarm that somebody put there, as acknowledged, silences the true one: verification names it."""
    from gateway.audit.verify.findings import Findings
    from gateway.audit.verify.rows.alarms import check_alarms

    filled(database, province(), [], NOON)
    forged = alarms._of_condition(Kind.DOWN, Condition("do-thi", "", NOON, {}), NOON)
    with writing(database, lock_of(database)) as connection:
        values = {**forged._asdict(), "facts": "{}", "raised": NOON, "told": NOON}
        connection.execute(insert(tables.alarm).values(values))
        found = Findings()
        check_alarms(connection, NOON, found)
    assert any(forged.id in each and "raised" in each for each in found.wrong)
