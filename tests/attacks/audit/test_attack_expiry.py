"""An insider makes content of a feed end early, late, or once more, by rows that only say when the keeper looks."""

from __future__ import annotations

import json
import logging

import pytest
from sqlalchemy import delete, insert, select, update

from gateway.audit.verify.complete import check_complete
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.journal.values import keep
from gateway.transfer import entries
from gateway.transfer.key_seals import EXPIRY, EXPIRY_NOTE
from gateway.transfer.transfer_records import expired_event
from tests.feeds.conftest import place  # noqa: F401  the fixture
from tests.feeds.test_feed_expiry import EXPIRING, UNTIL, alert, end, stands, text_of, told, verified
from tests.feeds.test_feed_standing import ALERTS, Place
from tests.registry.making import NOW

KIND = pytest.mark.attack("keeper: a row that says when content of a feed ends")
EVENT, VAULT, DESTROYED = tables.feed_event, tables.vault, tables.vault_destroyed
EARLY = UNTIL - 300


def ends_row(place: Place, **values: object) -> None:  # noqa: F811
    with writing(place.gateway.engine) as connection:
        assert connection.execute(update(EXPIRING).values(values)).rowcount == 1


def rows(place: Place) -> list[float]:  # noqa: F811
    with place.gateway.engine.connect() as connection:
        return list(connection.scalars(select(EXPIRING.c.expires)))


@KIND
def test_an_earlier_row_ends_nothing_and_is_put_right(place: Place, caplog: pytest.LogCaptureFixture) -> None:  # noqa: F811
    alert(place, "A-1", UNTIL)
    end(place, NOW)
    ends_row(place, expires=1.0)
    (finding,) = verified(place)
    assert "the row of its end says 1.0" in finding
    with caplog.at_level(logging.CRITICAL, "lgsp.feeds"):
        end(place, EARLY)
    assert told(place) == [("submitAlert", "A-1")] and stands(place) == ["A-1"] and verified(place) == ()
    assert rows(place) == [UNTIL] and "was to end before its time" in caplog.text
    end(place, UNTIL)
    assert told(place)[1:] == [("expired", "A-1")] and verified(place) == ()


@KIND
def test_a_row_that_is_late_is_noticed(place: Place) -> None:  # noqa: F811
    alert(place, "A-1", UNTIL)
    end(place, NOW)
    ends_row(place, expires=9e12)
    (finding,) = verified(place)
    assert "the row of its end says 9000000000000.0" in finding


@KIND
@pytest.mark.parametrize("body", ["as it was", "gone with its key"])
def test_an_event_changed_with_its_row_ends_nothing(place: Place, body: str) -> None:  # noqa: F811
    """The event is held against the body that was sealed with it; once that is gone, against the digest of its hour."""
    alert(place, "A-1", UNTIL)
    end(place, NOW)
    with writing(place.gateway.engine) as connection:
        row = connection.execute(select(EVENT.c.event, EVENT.c.transfer)).one()
        text = row.event.replace(json.loads(row.event)["lgspexpires"], text_of(EARLY))
        assert text != row.event
        connection.execute(update(EVENT).values(event=text))
        if body != "as it was":
            connection.execute(delete(VAULT).where(VAULT.c.id == f"{row.transfer}/canonical"))
    ends_row(place, expires=EARLY)
    end(place, EARLY)
    with place.gateway.engine.connect() as connection:
        assert connection.scalar(select(EVENT.c.transfer).where(EVENT.c.event.like("%:expired%"))) is None
    assert verified(place) != ()


@KIND
def test_what_has_ended_does_not_end_once_more(place: Place) -> None:  # noqa: F811
    """Its row put back, its feed looked through again: the log has its end."""
    alert(place, "A-1", UNTIL)
    with place.gateway.engine.connect() as connection:
        live = select(tables.feed_key).where(tables.feed_key.c.state == "live")
        before = [dict(each) for each in connection.execute(live).mappings()]
    end(place, UNTIL)
    with writing(place.gateway.engine) as connection:
        keep(connection, f"{EXPIRY} {ALERTS}", "0")
        connection.execute(delete(tables.feed_key))
        connection.execute(insert(tables.feed_key), before)  # as it was sealed then
    end(place, UNTIL + 1)
    assert [each for each, _ in told(place)] == ["submitAlert", "expired"]


@KIND
def test_an_end_that_was_signed_early_is_noticed(place: Place) -> None:  # noqa: F811
    """What a keeper of before did: entry and event are there, and agree with one another."""
    alert(place, "A-1", UNTIL)
    end(place, NOW)
    with writing(place.gateway.engine) as connection:
        handed_in = json.loads(connection.scalar(select(EVENT.c.event)) or "")
        id, text = expired_event(handed_in)
        facts = {"contract": ALERTS, "message": handed_in["id"], "expires": handed_in["lgspexpires"]}
        append(connection, [entries.note(EXPIRY_NOTE, facts, EARLY, actor="keeper", about=id)])
        values = {"contract": ALERTS, "transfer": id, "event": text, "body_ref": f"{handed_in['id']}/canonical"}
        connection.execute(insert(tables.feed_pending).values(values))
    place.sequence()
    with place.gateway.engine.connect() as connection:
        wrong = check_complete(connection, hash_id=str).wrong
    assert any("the content was ended before its time" in each for each in wrong), wrong


@KIND
@pytest.mark.parametrize("event", ["", "[]", '{"type":"x","lgspexpires":"soon"}', 'x,"lgspexpires":"', "null"])
def test_an_event_of_no_form_stops_no_other_end(place: Place, event: str) -> None:  # noqa: F811
    alert(place, "A-1", UNTIL)
    place.sequence()
    with writing(place.gateway.engine) as connection:
        connection.execute(update(EVENT).values(event=event))
    alert(place, "A-2", UNTIL)
    end(place, UNTIL)
    with place.gateway.engine.connect() as connection:
        ended = connection.scalars(select(EVENT.c.event).where(EVENT.c.event.like("%:expired%"))).all()
    assert [json.loads(each)["subject"] for each in ended] == ["A-2"]
