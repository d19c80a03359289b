"""Nudged before a deadline, escalated after it: once, together, and not at midnight."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.workflow.points import ESCALATE, NUDGE
from gateway.workflow.watching import HOLD, LISTED, NOTE, Watching
from tests.registry.making import NOW
from tests.workflow.desks import CENTRE, Town, nothing

HOUR, DAY = 3600, 86_400


def watch(town: Town, mails: bool = True) -> None:
    while Watching(town.office, mails).step(nothing):
        pass


def mails(town: Town) -> list[Any]:
    table = tables.mail
    with town.gateway.engine.connect() as connection:
        return list(connection.execute(select(table).order_by(table.c.made, table.c.kind, table.c.system)))


def told(town: Town) -> list[tuple[str, str]]:
    town.sequence()
    table = tables.log_entry.c
    with town.gateway.engine.connect() as connection:
        rows = connection.scalars(select(table.entry).where(table.phase == NOTE).order_by(table.idx))
        facts = [json.loads(bytes(row))["facts"] for row in rows]
    return [(named["handling"], each["subject"]) for each in facts for named in each["handlings"]]


def notes(town: Town) -> int:
    """How many entries say that something was told."""
    town.sequence()
    table = tables.log_entry.c
    with town.gateway.engine.connect() as connection:
        return len(connection.scalars(select(table.idx).where(table.phase.startswith(NOTE, autoescape=True))).all())


def size(town: Town) -> int:
    """How many entries there are in the log, and before it."""
    with town.gateway.engine.connect() as connection:
        return sum(len(connection.execute(select(each.c.transfer)).all()) for each in tables.LOGS)


def test_an_alert_is_nudged_before_and_escalated_after_once(town: Town) -> None:
    alert = town.alert("a-1")
    town.follow()
    id = town.of(alert).id
    for minutes, kinds in ((11, 0), (12, 1), (13, 1), (15, 2), (16, 2), (17, 2)):
        town.gateway.now = NOW + minutes * 60
        watch(town)
        assert len(told(town)) == kinds, minutes
    assert told(town) == [(id, NUDGE), (id, ESCALATE)]
    assert [(each.kind, each.system, each.about) for each in mails(town)] == [
        (NUDGE, "H14.0", "H14.0"), (ESCALATE, "H14.0", "H14.0"),
    ]  # fmt: skip
    assert id in json.loads(mails(town)[0].facts)["list"]
    town.act(id, "accept", CENTRE)
    town.gateway.now += 46 * 60
    watch(town)
    assert told(town)[2:] == [(id, NUDGE)] and town.wrong() == ()


def test_of_what_is_overdue_the_agency_and_the_centre_are_told(town: Town) -> None:
    report = town.report()
    town.follow()
    town.gateway.now = float(town.of(report).due or 0) + 60
    watch(town)
    assert [(each.kind, each.system) for each in mails(town)] == [(ESCALATE, "H14.0"), (ESCALATE, "H14.3")]
    assert json.loads(mails(town)[0].facts)["agency"] == "H14.3"


def test_many_at_once_are_one_mail(town: Town) -> None:
    for number in range(LISTED + 5):
        town.alert(f"a-{number}")
    town.follow()
    town.gateway.now = NOW + 12 * 60
    watch(town)
    (mail,) = mails(town)
    facts = json.loads(mail.facts)
    assert facts["count"] == LISTED + 5 and facts["list"].count("\n") == LISTED
    assert notes(town) == 1 and len(told(town)) == LISTED + 5


def test_nothing_is_written_where_nobody_is_told(town: Town) -> None:
    """An instance without a server for mails: its log does not grow while handlings wait."""
    for number in range(3):
        town.alert(f"a-{number}")
    town.follow()
    before = size(town)
    for minutes in (12, 16, 90):
        town.gateway.now = NOW + minutes * 60
        watch(town, mails=False)
    assert size(town) == before and mails(town) == [] and town.wrong() == ()
    watch(town)  # a server was named since: of several points that are over the last one is told
    assert [subject for _, subject in told(town)] == [ESCALATE] * 3 and notes(town) == 1


def test_the_next_mail_waits_but_not_until_a_deadline_is_over(town: Town) -> None:
    for number in range(2):
        town.alert(f"a-{number}")
        town.follow()
        town.gateway.now += 60
    for seconds, kinds in (
        (730, [NUDGE]),
        (790, [NUDGE]),
        (790 + HOLD / 2, [NUDGE, ESCALATE]),
        (970, [NUDGE, ESCALATE]),
    ):
        town.gateway.now = NOW + seconds
        watch(town)
        assert [each.kind for each in mails(town)] == kinds, seconds
    town.gateway.now = NOW + 790 + 2 * HOLD
    watch(town)
    assert [json.loads(each.facts)["count"] for each in mails(town)] == [1, 1, 1]
    assert len(told(town)) == 3 and town.wrong() == ()


def test_nobody_is_told_at_night_of_a_deadline_of_office_hours(town: Town) -> None:
    report = town.report()
    town.follow()
    due = float(town.of(report).due or 0)
    midnight = due - due % DAY + 17 * HOUR + (0 if due % DAY < 17 * HOUR else DAY)  # 00:00 in Viet Nam
    town.gateway.now = midnight
    watch(town)
    assert mails(town) == []
    town.gateway.now = midnight + 8 * HOUR  # a morning of work
    for _ in range(2):
        watch(town)
        town.gateway.now += HOUR
    assert [each.kind for each in mails(town)] == [ESCALATE, ESCALATE]


def test_a_keeper_that_was_overtaken_tells_nothing(town: Town) -> None:
    town.alert("a-1")
    town.follow()
    town.gateway.now = NOW + 16 * 60

    class Overtaken(Exception):
        pass

    def check(connection: Connection) -> None:
        raise Overtaken

    with pytest.raises(Overtaken):
        Watching(town.office, True).step(check)
    assert mails(town) == []
    watch(town)
    assert len(mails(town)) == len(told(town)) == 1


def test_a_row_that_was_changed_in_the_database_holds_up_nothing(town: Town) -> None:
    first, second = town.alert("a-1"), town.alert("a-2")
    town.follow()
    with writing(town.gateway.engine) as connection:
        changed = tables.handling.c.transfer == first
        connection.execute(update(tables.handling).where(changed).values(agency="H14.7"))
    town.gateway.now = NOW + 16 * 60
    watch(town)
    assert [id for id, _ in told(town)] == [town.of(second).id]
