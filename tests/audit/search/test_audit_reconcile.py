"""Daily counts against the log: what is counted where, what explains a difference, and that the very messages are
named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from contracts.base.errors import Failure, Finding
from contracts.base.ids import new_id
from gateway.audit.log import origins
from gateway.audit.search.index import Indexer
from gateway.audit.search.reconcile import Claimant, Comparison, Line, compare
from gateway.audit.search.search import reading
from gateway.cli.common import statement_file
from gateway.cli.common.output import finding_line
from gateway.client.audit.reconciliation import (
    RECEIVED,
    SENT,
    BadStatement,
    Claim,
    Key,
    Statement,
    decoded,
    from_csv,
    from_json,
)
from gateway.journal.database import writing
from gateway.journal.schema import tables
from security.grants.windows import VIETNAM
from security.transparency import entry as form
from tests.audit import making

DAY = date(2026, 11, 24)
HASH: Callable[[str], str] = partial(form.keyed, making.KEY)
SENDER = Key("phan-anh", "field-report/v1", "createRequest", SENT)
RECEIVER = Key("do-thi", "field-report/v1", "createRequest", RECEIVED)
NEXT_WEEK = datetime(2026, 12, 1, tzinfo=VIETNAM).timestamp()


def clock(text: str, day: int = 24) -> float:
    return datetime.fromisoformat(f"2026-11-{day:02}T{text}+07:00").timestamp()


class Book:
    """Entries of a story, written as if by doors and sequencer."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.entries: list[form.Entry] = []
        self.queued: list[str] = []

    def intent(
        self, message: str, at: float, *, agency: str = "H14.5", system: str = "phan-anh", provider: str = "do-thi"
    ) -> str:
        id = new_id(int(at * 1000))
        caller, digest = form.Caller(agency, system), form.Digest(bytes(32), 9)
        contract, operation = SENDER.contract, SENDER.operation
        self.entries.append(
            form.Intent(id, at, "rest", caller, contract, operation, "sha256:0", HASH(message), "G-1", provider, digest)
        )
        return id

    def ended(self, id: str, at: float, failure: str | None = None) -> str:
        self.entries.append(form.Outcome(id, at, 502 if failure else 200, "do-thi", failure))
        return id

    def whole(self, message: str, text: str = "09:00:00") -> str:
        return self.ended(self.intent(message, clock(text)), clock(text) + 0.1)

    def aside(self, id: str, at: float) -> str:
        self.entries.append(form.Note(id, at, "queued", "gateway", {"failure": "provider.down", "provider": "do-thi"}))
        self.queued.append(id)
        return id

    def doubt(self, id: str, at: float) -> str:
        self.entries.append(form.InDoubt(id, at, "door-1", "provider.timeout"))
        return id

    def refused(self, message: str, at: float, times: int = 1) -> None:
        caller = form.Caller("H14.5", "phan-anh")
        contract, operation, hashed = SENDER.contract, SENDER.operation, HASH(message)
        self.entries.append(
            form.Refusal(
                new_id(int(at * 1000)),
                at,
                "rest",
                "body.invalid",
                400,
                caller,
                None,
                contract,
                operation,
                hashed,
                count=times,
            )
        )

    def compare(self, claims: dict[Key, Claim], agency: str = "H14.5", now: float = NEXT_WEEK) -> Comparison:
        rows = sorted(((entry.at + 0.2, form.freeze(entry)) for entry in self.entries), key=lambda row: row[0])
        with writing(self.engine) as connection:
            making.clear(connection)
            making.write(connection, rows)
            for id in self.queued:
                values = {"body_ref": "b", "state": "waiting", "tries": 1, "next_at": 0.0}
                connection.execute(insert(tables.queue).values(transfer=id, provider="do-thi", **values))
        indexer = Indexer(self.engine, None)
        indexer.step(None)
        indexer.step(None)
        systems = {"H14.5": ["phan-anh"], "H14.3": ["do-thi"]}[agency]
        with reading(self.engine) as connection:
            return compare(connection, Claimant(agency, systems), Statement(DAY, claims, agency), HASH, now)

    def line(self, key: Key, claim: Claim) -> Line:
        found = self.compare({key: claim}, "H14.5" if key is SENDER else "H14.3")
        (line,) = found.lines
        return line


@pytest.fixture
def book(kept_database: Engine) -> Book:
    return Book(kept_database)


def listed(*ids: str) -> Claim:
    return Claim(len(ids), ids)


def test_equal_numbers_and_lists_on_both_sides(book: Book) -> None:
    ids = [book.whole(name) for name in ("a", "b", "c")]
    book.whole("other agency's", "10:00:00")
    book.entries.append(form.Repeat(new_id(), clock("11:00:00"), "rest", form.Caller("H14.5", "phan-anh"), ids[0], 200))
    sent = book.line(SENDER, listed("a", "b", "c", "other agency's"))
    assert (sent.ours, sent.verdict, sent.counted.repeats) == (4, "equal", 1)


def test_the_very_messages_are_named(book: Book) -> None:
    book.whole("a")
    lost = book.whole("b")
    book.refused("r", clock("09:30:00"), times=3)
    book.whole("y", "00:00:00")
    failed = book.ended(book.intent("f", clock("12:00:00")), clock("12:00:01"), "provider.refused")
    early = book.ended(book.intent("early", clock("23:59:58", 23)), clock("23:59:59", 23))
    line = book.line(SENDER, listed("a", "r", "y", "f", "never", "early"))
    assert line.verdict == "differs" and line.ours == 3 and line.theirs == 6
    assert dict(line.not_here) == {
        "r": "refused: body.invalid",
        "f": "failed",
        "never": "unknown",
        "early": "on 2026-11-23",
    }
    assert line.not_there == ((lost, ""),)
    told = line.to_json()
    assert told["refused"] == {"body.invalid": 3} and told["failed"] == [failed] and told["numbers"]["not_here"] == 4
    assert early not in line.counted.accepted
    by_number = book.compare({SENDER: Claim(3)})
    assert by_number.differences == 0 and by_number.lines[0].verdict == "equal"
    digests = Claim(3, None, tuple(HASH(each) for each in ("a", "b", "y")))
    assert book.compare({SENDER: digests}).lines[0].verdict == "equal"


def test_a_message_accepted_before_midnight_counts_on_its_day_whenever_it_ended(book: Book) -> None:
    late = book.ended(book.intent("late", clock("23:59:59.900")), clock("00:00:00.500", 25))
    before = book.ended(book.intent("before", clock("23:59:59.900", 23)), clock("00:00:00.500"))
    sent = book.line(SENDER, listed("late"))
    assert sent.verdict == "equal" and sent.counted.over_midnight == [late]
    received = book.line(RECEIVER, Claim(1))
    assert received.verdict == "equal" and list(received.counted.accepted) == [before]
    assert received.counted.over_midnight == [before, late]
    assert book.line(RECEIVER, Claim(2)).verdict == "explained"  # it may have counted the late one on this day, or
    assert book.line(RECEIVER, Claim(0)).verdict == "explained"  # the early one on the day before
    assert book.line(RECEIVER, Claim(3)).verdict == "differs"
    listed_there = book.line(RECEIVER, listed(f"urn:uuid:{before}", late))
    assert listed_there.not_here == ((late, "over-midnight"),) and listed_there.verdict == "explained"


def test_what_is_queued_is_the_senders_from_the_start_and_the_receivers_when_it_arrives(book: Book) -> None:
    waits = book.aside(book.intent("waits", clock("09:00:00")), clock("09:00:01"))
    dead = book.ended(
        book.aside(book.intent("dead", clock("09:10:00")), clock("09:10:01")), clock("20:00:00"), "delivery.given-up"
    )
    arrives = book.ended(
        book.aside(book.intent("arrives", clock("09:20:00")), clock("09:20:01")), clock("03:00:00", 25)
    )
    sent = book.line(SENDER, listed("waits", "dead", "arrives"))
    assert sent.verdict == "equal"
    assert (sent.counted.waiting, sent.counted.given_up, sent.counted.over_midnight) == ([waits], [dead], [arrives])


def test_the_receiver_of_what_was_queued(book: Book) -> None:
    waits = book.aside(book.intent("waits", clock("09:00:00")), clock("09:00:01"))
    came = book.ended(book.aside(book.intent("came", clock("22:00:00", 23)), clock("22:00:01", 23)), clock("01:00:00"))
    received = book.line(RECEIVER, listed(came))
    assert (
        received.verdict == "equal"
        and received.counted.waiting == [waits]
        and list(received.counted.accepted) == [came]
    )


def test_what_is_in_doubt_is_named_and_explains(book: Book) -> None:
    doubt = book.doubt(book.intent("doubt", clock("09:00:00")), clock("09:00:30"))
    for number, verdict in ((0, "equal"), (1, "explained"), (2, "differs")):
        line = book.line(SENDER, Claim(number))
        assert (line.verdict, line.counted.in_doubt) == (verdict, [doubt])
    assert book.line(SENDER, listed("doubt")).not_here == (("doubt", "in-doubt"),)
    assert book.line(RECEIVER, listed(doubt)).verdict == "explained"


def test_what_one_side_does_not_tell_of_is_a_difference(book: Book) -> None:
    book.whole("a")
    found = book.compare({})
    assert [(line.key, line.theirs, line.ours, line.verdict) for line in found.lines] == [(SENDER, 0, 1, "differs")]
    assert found.noted() == {"agency": "H14.5", "day": "2026-11-24", "lines": 1, "theirs": 0, "ours": 1, "differs": 1}
    other = Key("phan-anh", "field-report/v1", "closeRequest", SENT)
    assert {line.key: line.verdict for line in book.compare({other: listed("a")}).lines}[other] == "differs"
    assert ("a", "under field-report/v1 createRequest") in next(
        line for line in book.compare({other: listed("a")}).lines if line.key == other
    ).not_here


def test_nothing_is_told_of_what_is_not_the_receivers(book: Book) -> None:
    foreign = book.intent("x", clock("09:00:00"), provider="kinh-te")
    assert book.line(RECEIVER, listed(foreign, "no id at all")).not_here == (
        (foreign, "unknown"),
        ("no id at all", "unknown"),
    )


def test_a_day_that_is_not_over_is_not_compared(book: Book) -> None:
    with pytest.raises(Failure) as caught:
        book.compare({SENDER: Claim(0)}, now=clock("23:59:59"))
    assert caught.value.code == "reconciliation.day-open"


# --- statements -------------------------------------------------------------------------------------------------------
def test_a_statement_in_every_form() -> None:
    lists = from_csv(
        "system,contract,operation,direction,message\nphan-anh,field-report/v1,createRequest,sent,a\n"
        "phan-anh,field-report/v1,createRequest,sent,a\nphan-anh,field-report/v1,createRequest,sent,b\n",
        DAY,
    )
    assert lists.claims == {SENDER: listed("a", "b")}  # a repeat counts once
    numbers = from_csv(
        "﻿direction,operation,contract,system,accepted\nreceived,createRequest,field-report/v1,do-thi,7\n", DAY
    )
    assert numbers.claims == {RECEIVER: Claim(7)}
    for each in (lists, numbers):
        assert from_json(each.to_json()) == each


@pytest.mark.parametrize(
    ("value", "here"),
    [
        ({"day": "2026-11-24"}, "counts"),
        ({"day": "2026-11-31", "counts": []}, "day"),
        ({"day": "2026-11-24", "counts": [1]}, "counts.0"),
        (
            {"day": "2026-11-24", "counts": [{**SENDER._asdict(), "direction": "up", "accepted": 1}]},
            "counts.0.direction",
        ),
        ({"day": "2026-11-24", "counts": [{**SENDER._asdict(), "accepted": -1}]}, "counts.0.accepted"),
        ({"day": "2026-11-24", "counts": [{**SENDER._asdict(), "accepted": True}]}, "counts.0.accepted"),
        (
            {"day": "2026-11-24", "counts": [{**SENDER._asdict(), "accepted": 2, "messages": ["a", "a"]}]},
            "counts.0.accepted",
        ),
        ({"day": "2026-11-24", "counts": [{**SENDER._asdict(), "digests": ["A" * 64]}]}, "counts.0.digests"),
        ({"day": "2026-11-24", "counts": [{**SENDER._asdict(), "accepted": 1}] * 2}, "counts.1"),
    ],
)
def test_a_statement_that_says_nothing_clear_is_told_where(value: Any, here: str) -> None:
    with pytest.raises(BadStatement) as caught:
        from_json(value)
    assert caught.value.findings[0].here == here


@pytest.mark.parametrize(
    "text",
    [
        "",
        "system,contract\n",
        "system,contract,operation,direction,accepted,message\n",
        "system,contract,operation,direction,accepted\na,b,c,sent,x\n",
        "system,contract,operation,direction,accepted\na,b,c,sent," + "9" * 6000,
        "system,contract,operation,direction,message\na,b,c,sent," + "m" * 140_000,
    ],
)
def test_a_table_that_says_nothing_clear(text: str) -> None:
    with pytest.raises(BadStatement):
        from_csv(text, DAY)


def test_a_log_that_ended_that_day_is_named_and_not_counted(database: Engine) -> None:
    book = Book(database)
    book.whole("PA-1")
    assert book.compare({SENDER: Claim(1)}).notes == ()
    with writing(database) as connection:
        origins.end(connection, "tinh.example/lgsp", "key", clock("20:00:00"))
    said = Statement(DAY, {SENDER: Claim(1)})
    with reading(database) as connection:
        found = compare(connection, Claimant("H14.5", ["phan-anh"]), said, HASH, NEXT_WEEK)
    assert (
        found.differences == 1
        and "the log tinh.example/lgsp, which ended by a restore (0 entries, 2026-11-24T09:00+07:00"
        in found.to_json()["notes"][0]
    )
    with reading(database) as connection:
        for day in (date(2026, 11, 23), date(2026, 11, 25)):
            assert compare(connection, Claimant("H14.5", ["phan-anh"]), Statement(day, {}), HASH, NEXT_WEEK).notes == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be-mark"])
@pytest.mark.parametrize("divider", [",", ";", "\t"])
def test_a_table_as_a_spreadsheet_writes_it(divider: str, encoding: str) -> None:
    rows = (("System", "contract", "operation", "direction", "accepted"), (*RECEIVER, "7"), ("", "", "", "", ""))
    text = "".join(f"{divider.join(row)}\r\n" for row in rows)
    raw = b"\xfe\xff" + text.encode("utf-16-be") if encoding == "utf-16-be-mark" else text.encode(encoding)
    assert from_csv(decoded(raw), DAY).claims == {RECEIVER: Claim(7)}


HEAD = "system;contract;operation;direction;accepted\n"


@pytest.mark.parametrize(
    ("text", "here", "got"),
    [
        ("", "line 1", "nothing"),
        (f"{HEAD}a;b;c;sent\n", "line 2, column accepted", "nothing"),
        (f"{HEAD}a;b;c;sent;1.234\n", "line 2, column accepted", "text of 5 characters"),
        (f"{HEAD}a;b;c;sent;1\n\na;;c;sent;1\n", "line 4, column contract", "nothing"),
        (f"{HEAD}a;b;c;sent;1;5\n", "line 2", "6 cells"),
        (f"{HEAD}a;b;c;up;1\n", "line 2, column direction", "text of 2 characters"),
        ("system,contract,operation,direction,message\na,b,c,sent,\n", "line 2, column message", "nothing"),
        (
            "system,contract,operation,direction,message\na,b,c,sent," + "m" * 301,
            "line 2, column message",
            "text of 301 characters",
        ),
        (
            "system,contract,operation,direction,digest\na,b,c,sent,PA-1\n",
            "line 2, column digest",
            "text of 4 characters",
        ),
        (f"{HEAD[:-1]};accepted\na;b;c;sent;1;2\n", "line 1", f"{HEAD[:-1].replace(';', ', ')}, accepted"),
        (f"{HEAD[:-1]};system\na;b;c;sent;1;d\n", "line 1", f"{HEAD[:-1].replace(';', ', ')}, system"),
    ],
)
def test_what_is_wrong_in_a_table_is_told_by_line_and_column(text: str, here: str, got: str) -> None:
    with pytest.raises(BadStatement) as caught:
        from_csv(text, DAY)
    assert [(each.here, each.got) for each in caught.value.findings] == [(here, got)]


def test_a_table_in_an_encoding_of_old_is_told_where() -> None:
    with pytest.raises(BadStatement, match="line 2: encoding"):
        decoded(b"system,contract\nh\xe0 n\xf4i\n")
    with pytest.raises(BadStatement) as caught:
        from_json({"day": None, "counts": [{**SENDER._asdict(), "accepted": None}]})
    assert [each.got for each in caught.value.findings] == ["nothing", "nothing"]


def test_what_a_statement_names_does_not_speak_to_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file of an agency is a stranger's: its names and ids are shown as text, in the comparison and where they are
    refused."""
    evil, names = "\x1b]0;x\x07\u202e", ("waiting", "given_up", "in_doubt", "failed", "over_midnight")
    at = {
        "system": f"y-te{evil}",
        "contract": "c/v1",
        "operation": "o",
        "direction": "sent",
        "verdict": "differs",
        "theirs": 1,
        "ours": 0,
    }
    lacking = {"not_here": [{"message": f"m{evil}\nALL IS WELL", "reason": "unknown"}], "not_there": [], "refused": {}}
    text = statement_file.text_of(
        {
            "agency": "H14",
            "day": "2026-11-24",
            "differences": 1,
            "lines": [{**at, **lacking, **dict.fromkeys(names, [])}],
        }
    )
    assert len(text.splitlines()) == 3 and "y-te\\u001b]0;x\\u0007\\u202e" in text and "\\u000aALL IS WELL" in text
    file = tmp_path / "counts.csv"
    file.write_text(f"system,contract,operation,direction,accepted\n{evil},c/v1,o,{evil},viele{evil}\n", "utf-8")
    with pytest.raises(SystemExit):
        statement_file.read(file, "2026-11-24", "H14", as_json=False)
    said = capsys.readouterr().err
    assert "counts.csv" in said and not {"\x1b", "\x07", "\u202e"} & set(said)
    assert finding_line(Finding(f"line 2: {evil}", "", evil, "code", "sent or received")).count("\\u001b") == 2
