"""Steps of persons and agencies: what the table permits, once, logged, told in the feed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import update

from contracts.base.errors import Failure
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.journal.write import HandlingRow
from gateway.registry.own_feed import HANDLING
from gateway.workflow import reading
from gateway.workflow.reading import Sought
from gateway.workflow.records import Actor
from security.transparency.entry import keyed
from tests.registry.making import contracts
from tests.workflow.desks import BUILDERS, CENTRE, SENDER, Town


def opened(town: Town) -> str:
    report = town.report()
    town.follow()
    return town.of(report).id


def test_the_agency_the_sender_and_the_centre_take_their_steps(town: Town) -> None:
    id = opened(town)
    town.act(id, "accept")
    town.gateway.now += 600
    town.act(id, "ask", reason="Cột đèn số mấy?")
    assert town.seen(id).terms.due is None and town.seen(id).row.whole_due is None  # paused
    town.gateway.now += 3600
    town.act(id, "answer", SENDER)
    town.act(id, "finish", reason="Đã thay bóng.")
    town.act(id, "reopen", CENTRE, "Vẫn tối.")
    row = town.act(id, "finish", reason="Đã thay dây.")
    assert (row.state, row.ended, row.version) == ("done", True, 7)
    town.sequence()
    seen = town.seen(id)
    assert [(each.step.step, each.step.party, each.reason) for each in seen.steps] == [
        ("@open", "gateway", None),
        ("accept", "agency", None),
        ("ask", "agency", "Cột đèn số mấy?"),
        ("answer", "sender", None),
        ("finish", "agency", "Đã thay bóng."),
        ("reopen", "centre", "Vẫn tối."),
        ("finish", "agency", "Đã thay dây."),
    ]
    events = town.events()
    assert [each["data"]["state"] for each in events] == [
        "sent", "accepted", "waiting-for-reporter", "in-progress", "done", "in-progress", "done",
    ]  # fmt: skip
    for each in events:
        assert contracts()[HANDLING].validate("HandlingStep", each["data"]) == []
    assert town.wrong() == ()


def test_a_reason_is_in_no_table_in_clear(town: Town) -> None:
    report, said = town.report(), "Ông Nguyễn Văn A ở nhà bên"
    town.office = replace(town.office, hash_id=partial(keyed, b"k" * 32))
    town.follow()
    id = town.of(report).id
    town.act(id, "refuse", reason=said)
    town.sequence()
    with town.gateway.engine.connect() as connection:
        for table in tables.metadata.tables.values():
            assert said not in str([tuple(row) for row in connection.execute(table.select())]), table.name
    assert town.seen(id).steps[-1].reason == said


@pytest.mark.parametrize(
    ("step", "actor", "reason", "more", "code"),
    [
        ("finish", BUILDERS, "x", {}, "workflow.not-now"),
        ("fly", BUILDERS, "x", {}, "workflow.no-step"),
        ("accept", SENDER, "", {}, "workflow.other-party"),
        ("accept", Actor("H14.7/y-te", "H14.7"), "", {}, "handling.unknown"),
        ("refuse", BUILDERS, " ", {}, "handling.no-reason"),
        ("refuse", BUILDERS, "x" * 2001, {}, "handling.no-reason"),
        ("forward", BUILDERS, "x", {}, "handling.no-target"),
        ("forward", BUILDERS, "x", {"to": "H14.99"}, "handling.no-target"),
        ("forward", BUILDERS, "x", {"to": "H14.3"}, "handling.no-target"),
        ("accept", BUILDERS, "", {"to": "H14.2"}, "handling.no-target"),
        ("merge", BUILDERS, "x", {"into": "nothing"}, "handling.unknown"),
    ],
)
def test_a_step_that_is_not_permitted_is_refused_and_changes_nothing(
    town: Town, step: str, actor: Actor, reason: str, more: dict[str, str], code: str
) -> None:
    id = opened(town)
    with pytest.raises(Failure) as refused:
        town.act(id, step, actor, reason, **more)
    assert refused.value.code == code
    assert town.seen(id).row.version == 1 and town.wrong() == ()


def test_forward_moves_it_to_another_agency_and_begins_its_deadline_anew(town: Town) -> None:
    id = opened(town)
    town.gateway.now += 3600
    row = town.act(id, "forward", reason="Không phải đèn đường", to="H14.2")
    assert (row.agency, row.system, row.state, row.entered) == ("H14.2", None, "sent", town.gateway.now)
    with pytest.raises(Failure):
        town.act(id, "accept")
    town.act(id, "accept", Actor("H14.2/canh-bao", "H14.2"))
    town.sequence()
    assert town.wrong() == ()


def test_a_duplicate_is_merged_into_the_other_one(town: Town) -> None:
    first, second = opened(town), opened(town)
    row = town.act(second, "merge", reason="Trùng", into=first)
    assert (row.ended, row.merged_into) == (True, first)
    with pytest.raises(Failure) as refused:
        town.act(first, "merge", reason="Trùng", into=second)
    assert refused.value.code == "handling.no-target"
    town.sequence()
    assert town.wrong() == ()


def test_of_two_steps_at_once_one_is_taken(town: Town) -> None:
    id = opened(town)

    def take(step: str) -> str:
        try:
            town.act(id, step, reason="x")
        except Failure as failure:
            return failure.code
        return "taken"

    with ThreadPoolExecutor(4) as several:
        results = list(several.map(take, ["accept", "refuse", "accept", "accept"]))
    town.sequence()
    seen = town.seen(id)
    assert results.count("taken") == seen.row.version - 1 and town.wrong() == ()
    assert set(results) <= {"taken", "workflow.not-now"}


def test_a_row_that_was_changed_in_the_database_takes_no_step(town: Town) -> None:
    id = opened(town)
    with writing(town.gateway.engine) as connection:
        connection.execute(update(tables.handling).values(agency="H14.7"))
    with pytest.raises(Failure) as refused:
        town.act(id, "accept", Actor("H14.7/y-te", "H14.7"))
    assert refused.value.code == "transfer.tampered" and not town.seen(id).sound


def test_pages_go_on_where_the_last_one_ended(town: Town) -> None:
    for number in range(7):
        town.alert(f"a-{number}")
        town.gateway.now += 60
        town.follow()
    ids: list[str] = []
    after, rows = None, list[HandlingRow]()
    with town.gateway.engine.connect() as connection:
        while True:
            page = reading.page(connection, Sought(agency="H14.0"), after, 2)
            rows += page.handlings
            after = page.next
            if after is None:
                break
        counts = reading.counts(connection, town.gateway.now + 3600)
        with pytest.raises(Failure) as refused:
            reading.page(connection, Sought(), "x")
    ids = [row.id for row in rows]
    assert len(ids) == len(set(ids)) == 7 and [row.nearest for row in rows] == sorted(row.nearest for row in rows)
    assert counts == (("H14.0", 7, 7),) and refused.value.code == "handling.bad-cursor"
