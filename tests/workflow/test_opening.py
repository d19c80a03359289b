"""Each message that somebody has to act on has one handling, whatever comes when and whoever dies."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import Connection, delete, select, update

from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry.own_feed import HANDLING
from gateway.transfer.handling_events import NONE_NOTE, OPENED
from gateway.workflow import opening as opening_module
from tests.exchange.house import sample
from tests.registry.making import NOW, contracts
from tests.workflow.desks import ALERTS, CENTRE, Town

ROW, INSTANCE, ENTRY = tables.handling, tables.instance, tables.log_entry


def notes(town: Town) -> list[str]:
    with town.gateway.engine.connect() as connection:
        return list(connection.scalars(select(ENTRY.c.transfer).where(ENTRY.c.phase == NONE_NOTE)))


def test_a_report_goes_to_the_agency_that_got_it_and_an_alert_to_the_duty_desk(town: Town) -> None:
    report, alert = town.report(), town.alert("a-1")
    town.follow()
    town.follow()
    first, second = town.of(report), town.of(alert)
    assert (first.agency, first.system, first.state, first.version) == ("H14.3", "do-thi", "sent", 1)
    assert (first.sender_agency, first.sender_system, first.area) == ("H14.5", "phan-anh", "01273")
    assert (second.agency, second.system, second.contract) == ("H14.0", None, ALERTS)
    assert second.kind and second.due == NOW + 15 * 60 and second.whole_due == NOW + 1440 * 60
    assert [row.id for row in town.handlings()] == [second.id, first.id]  # the nearest deadline first
    events = town.events()
    assert [each["subject"] for each in events] == [second.id, first.id] or len(events) == 2
    for each in events:
        assert contracts()[HANDLING].validate("HandlingStep", each["data"]) == []
        assert (each["data"]["step"], each["data"]["party"]) == ("@open", "gateway")
    assert town.wrong() == ()


@pytest.mark.parametrize("status", ["Exercise", "System", "Test", "Draft"])
def test_a_test_alert_has_no_handling_and_a_note_says_so(town: Town, status: str) -> None:
    transfer = town.alert("a-1", status=status)
    town.follow()
    assert town.handlings() == () and notes(town) == [transfer]
    assert town.wrong() == ()


def test_a_correction_goes_into_the_handling_and_a_recall_cancels_it(town: Town) -> None:
    alert = town.alert("a-1")
    sent = town.gateway.snapshot.contracts[ALERTS].samples
    assert sent
    town.follow()
    reference = f"s@x,a-1,{_sent(town)}"
    update_ = town.alert("a-2", msgType="Update", references=reference)
    town.follow()
    cancel = town.alert("a-3", msgType="Cancel", references=f"s@x,a-2,{_sent(town)}")
    town.follow()
    town.follow()
    row = town.of(alert)
    assert (row.state, row.ended, row.due, row.version) == ("cancelled", True, None, 3)
    steps = town.seen(row.id).steps
    assert [(each.step.step, each.step.transfer) for each in steps] == [
        ("@open", None), ("@update", update_), ("cancel", cancel),
    ]  # fmt: skip
    assert "recalled" in (steps[-1].reason or "") and len(town.handlings()) == 1
    assert town.wrong() == ()


def test_a_correction_of_what_nobody_handles_is_opened(town: Town) -> None:
    town.alert("a-1", status="Test")
    town.follow()
    real = town.alert("a-2", msgType="Update", references=f"s@x,a-1,{_sent(town)}")
    town.follow()
    assert town.of(real).state == "sent" and town.wrong() == ()


def test_what_lay_in_the_feed_before_the_first_look_is_opened(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening_module, "PAGE", 3)
    transfers = [town.alert(f"a-{number}") for number in range(8)]
    town.follow()
    assert {row.transfer for row in town.handlings()} == set(transfers) and town.wrong() == ()


@pytest.mark.parametrize("seed", range(3))
def test_any_death_of_the_keeper_leaves_each_message_with_one_handling(
    town: Town, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies before it writes, or when all is written and not committed."""
    chance, alive = random.Random(seed), [False]

    class Died(Exception):
        pass

    def die(connection: Connection) -> None:
        if not alive[0] and chance.random() < 0.3:
            raise Died

    def move(*of: Any) -> None:
        moved(*of)
        if not alive[0] and chance.random() < 0.4:
            raise Died

    moved = opening_module._move
    monkeypatch.setattr(opening_module, "_move", move)
    transfers = []
    for number in range(10):
        transfers += [town.alert(f"a-{number}-{each}") for each in range(chance.randint(0, 3))]
        if chance.random() < 0.3:
            transfers.append(town.report())
        try:
            town.follow(die)
        except Died:
            continue
    alive[0] = True
    town.follow()
    assert sorted(row.transfer for row in town.handlings()) == sorted(transfers)
    assert len(town.events()) == len(transfers) and town.wrong() == ()


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (update(ROW).values(agency="H14.2"), "says agency H14.2, by the log it is H14.0"),
        (update(ROW).values(due=None), "says due None"),
        (update(ROW).values(seal="x"), "its seal"),
        (delete(ROW), "there is no row of it"),
        (delete(tables.handling_step), "its step 1 is missing"),
        (update(tables.handling_step).values(actor="H14.9/x"), "not as the log says"),
        (delete(tables.feed_event).where(tables.feed_event.c.contract == HANDLING), "stands in no feed"),
        (delete(INSTANCE).where(INSTANCE.c.key.like(f"{OPENED}%")), "how far it was followed"),
    ],
)
def test_what_was_changed_in_the_database_is_found(town: Town, edit: Any, told: str) -> None:
    town.alert("a-1")
    town.follow()
    assert town.wrong() == ()
    with writing(town.gateway.engine) as connection:
        connection.execute(edit)
    assert any(told in each for each in town.wrong()), town.wrong()


def test_a_handling_that_was_removed_with_all_its_entries_is_found(town: Town) -> None:
    alert = town.alert("a-1")
    town.follow()
    id = town.of(alert).id
    with writing(town.gateway.engine) as connection:
        connection.execute(delete(ROW))
        connection.execute(delete(tables.handling_step))
        connection.execute(delete(ENTRY).where(ENTRY.c.transfer == id))
    assert any("has no handling" in each for each in town.wrong())


def test_a_changed_row_takes_no_step_by_a_recall_and_holds_up_nothing(town: Town) -> None:
    town.alert("a-1")
    town.follow()
    with writing(town.gateway.engine) as connection:
        connection.execute(update(ROW).values(state="done"))
    town.alert("a-2", msgType="Cancel", references=f"s@x,a-1,{_sent(town)}")
    other = town.alert("a-9")
    town.follow()
    assert town.of(other).agency == CENTRE.agency


def _sent(town: Town) -> str:
    from tests.exchange.house import sample

    return str(sample(contracts()[ALERTS], "Alert")["sent"])


def test_an_alert_goes_by_its_kind_its_area_and_the_hour(town: Town) -> None:
    """The table of the night: at 02:00 another agency serves than at 14:00."""
    areas = [{"areaDesc": "Phường Thục Phán", "geocode": [{"valueName": "DVHC", "value": "01273"}]}]
    info = {**sample(contracts()[ALERTS], "Alert")["info"][0], "area": areas}

    def sent(name: str, kind: str) -> str:
        message = {**sample(contracts()[ALERTS], "Alert"), "identifier": name, "sender": "s@x"}
        message["info"] = [{**info, "category": [kind]}]
        transfer = town.submit(ALERTS, "submitAlert", message, "canh-bao")
        town.follow()
        return town.of(transfer).agency

    assert (sent("a-1", "Met"), sent("a-2", "Fire"), sent("a-3", "Other")) == ("H14.21", "H14.6", "H14.0")
    town.gateway.now = NOW + 12 * 3600
    assert (sent("b-1", "Met"), sent("b-2", "Fire"), sent("b-3", "Other")) == ("H14.2", "H14.6", "H14.0")
    assert not town.wrong()


@pytest.mark.attack("workflow: how far a feed was followed is changed in the database")
@pytest.mark.parametrize("beyond", [1, 10**12])
def test_a_position_behind_the_end_of_the_feed_leaves_no_message_out(town: Town, beyond: int) -> None:
    handled = town.alert("a-1")
    town.follow()
    with writing(town.gateway.engine) as connection:
        key = f"{OPENED} {ALERTS}"
        value = connection.scalar(select(INSTANCE.c.value).where(INSTANCE.c.key == key))
        operation, _, offset = str(value).rpartition(" ")
        changed = f"{operation} {int(offset) + beyond}"
        connection.execute(update(INSTANCE).where(INSTANCE.c.key == key).values(value=changed))
    later = town.alert("a-2")
    for _ in range(3):
        town.follow()
    assert [town.of(each).version for each in (handled, later)] == [1, 1] and len(town.handlings()) == 2
    assert town.wrong() == ()
