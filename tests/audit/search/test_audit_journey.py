"""One transfer whole: every entry that tells of it, in order, and where it stands."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, insert

from contracts.base.ids import new_id
from gateway.audit.search import journey
from gateway.audit.search.index import Indexer
from gateway.audit.search.journey import Journey, entries_of, of_message, of_transfer
from gateway.audit.search.search import reading
from gateway.audit.search.steps import queue_words
from gateway.delivery import queue
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.journal.write import LogRow
from security.transparency import entry as form
from tests.audit import making
from tests.journal.databases import transfer_row

START = making.START
CALLER = form.Caller("H14.5", "phan-anh")
MESSAGE = form.keyed(making.KEY, "PA-1")
ONE, AGAIN, VIEW, REFUSED, OTHER = (new_id(int(START * 1000) + number) for number in range(5))


def story() -> list[form.Entry]:
    digest = form.Digest(bytes(32), 9)

    def refusal(id: str, at: float, message: str, caller: form.Caller = CALLER) -> form.Refusal:
        return form.Refusal(
            id, at, "rest", "body.invalid", 400, caller, None, "field-report/v1", "createRequest", message
        )

    return [
        refusal(REFUSED, START, MESSAGE),
        form.Intent(
            ONE,
            START + 1,
            "rest",
            CALLER,
            "field-report/v1",
            "createRequest",
            "sha256:0",
            MESSAGE,
            "G-1",
            "do-thi",
            digest,
        ),
        refusal(
            OTHER, START + 2, MESSAGE, form.Caller("H14.2", "canh-bao")
        ),  # of another system: its id is its own affair
        form.Note(ONE, START + 3, "queued", "gateway", {"failure": "provider.down", "provider": "do-thi"}),
        form.Note(new_id(), START + 4, "export", "command line", {"entries": 3}),
        form.Outcome(ONE, START + 5, 200, "do-thi", sent=digest, came_back=digest, answered=digest),
        form.Repeat(AGAIN, START + 6, "soap", CALLER, ONE, 200),
        form.Note(VIEW, START + 7, "body-view", "can-bo-1", {"transfer": ONE, "reason": "khiếu nại"}),
    ]


@pytest.fixture(params=[0, 4, 7])
def told(kept_database: Engine, request: pytest.FixtureRequest) -> Engine:
    """The story in the log, its last entry still pending; the index goes as far as the parameter says."""
    frozen = [form.freeze(each) for each in story()]
    with writing(kept_database) as connection:
        making.clear(connection)
        for table in (tables.log_pending, tables.transfer, tables.feed_event, tables.vault):
            connection.execute(table.delete())
        making.write(connection, [(START + at, each) for at, each in enumerate(frozen[:-1])])
        append(connection, [LogRow(*frozen[-1])])
        row = transfer_row("door-1", id=ONE, message="PA-1", state="answered")._asdict() | {
            "receipt": '{"intent": "AA=="}'
        }
        connection.execute(insert(tables.transfer).values(row))
        connection.execute(
            insert(tables.queue).values(
                transfer=ONE, provider="do-thi", body_ref="b", state="done", tries=2, next_at=START, last_failure=None
            )
        )
        for part in ("answer", "request"):
            connection.execute(
                insert(tables.vault).values(id=f"{ONE}/{part}", key_id="2026-11-24.standard", size=7, sealed=b"sealed")
            )
        connection.execute(
            insert(tables.feed_event).values(
                contract="field-report/v1", offset=5, transfer=ONE, event="{}", body_ref="b", sequenced=START
            )
        )
    Indexer(kept_database, None).step(None)
    if request.param:
        Indexer(kept_database, None, limit=request.param).step(None)
    return kept_database


def kinds(journey: Journey) -> list[tuple[int | None, str]]:
    return [(step.index, step.facts.kind) for step in journey.steps]


def test_a_transfer_by_any_of_its_ids(told: Engine) -> None:
    with reading(told) as connection:
        whole = of_transfer(connection, ONE)
        assert kinds(whole) == [
            (0, "refusal"),
            (1, "intent"),
            (3, "queued"),
            (5, "outcome"),
            (6, "repeat"),
            (None, "body-view"),
        ]
        assert whole.row is not None and whole.row["state"] == "answered"
        assert whole.queue is not None and whole.queue["tries"] == 2
        assert [each["part"] for each in whole.vault] == ["answer", "request"] and all(
            "sealed" not in each for each in whole.vault
        )
        assert [(each["contract"], each["offset"]) for each in whole.feed] == [("field-report/v1", 5)]
        assert of_transfer(connection, AGAIN) == whole  # the id of its repeat
        assert of_message(connection, MESSAGE, "phan-anh") == [whole] == of_message(connection, MESSAGE, None)


@pytest.mark.parametrize("ends", [1, 2])
def test_of_what_is_repeated_without_end_the_journey_has_both_ends(
    told: Engine, ends: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the four entries of the transfer itself; the refusal of its message stands apart."""
    monkeypatch.setattr(journey, "ENDS", ends)
    with reading(told) as connection:
        found = of_transfer(connection, ONE)
        assert [index for index, _ in kinds(found)] == {1: [0, 1, 6, None], 2: [0, 1, 3, 5, 6, None]}[ends]
        assert found.left_out == (ends == 1)
        assert of_transfer(connection, AGAIN) == found and of_message(connection, MESSAGE, "phan-anh") == [found]


def test_what_was_only_refused_and_what_is_not_there(told: Engine) -> None:
    with reading(told) as connection:
        refused = of_transfer(connection, OTHER)
        assert kinds(refused) == [(2, "refusal")] and refused.row is None
        (by_message,) = of_message(connection, MESSAGE, "canh-bao")
        assert kinds(by_message) == [(2, "refusal")]
        assert of_transfer(connection, new_id()).steps == () and of_message(connection, MESSAGE, "y-te") == []


def test_show_has_the_repeats_and_notes_that_the_journey_has(told: Engine) -> None:
    with reading(told) as connection:
        shown = [(each["index"], each["kind"]) for each in entries_of(connection, ONE)]
        assert shown == [(1, "intent"), (3, "note"), (5, "outcome"), (6, "repeat"), (None, "note")]
        assert [each["kind"] for each in entries_of(connection, AGAIN)] == ["repeat"] and entries_of(
            connection, new_id()
        ) == []


@pytest.mark.parametrize("state", [queue.WAITING, queue.LEASED, queue.HELD, queue.DONE, queue.DEAD])
def test_each_state_of_the_queue_has_words(state: str) -> None:
    said = queue_words({"state": state, "tries": 3, "next_at": 0.0, "last_failure": None})
    assert "3" in said.vi and "3" in said.en and said.vi != said.en
