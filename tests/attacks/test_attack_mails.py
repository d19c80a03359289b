"""Mails under attack: names that would add a header or a recipient, rows of which no mail can be made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.notices import store
from gateway.notices.mail import Letter
from gateway.notices.sending import Mailing
from gateway.registry.parts.contacts import StatedContacts
from gateway.registry.registry import Registry
from gateway.transfer import lease as leases
from tests.notices.test_mails import Box, mail_server
from tests.registry.making import filled, province
from tests.watch.test_probes import NOON

HOSTILE = (
    "x\r\nBcc: thief@example.org\r\n\r\nnot the text",
    "x\nTo: thief@example.org",
    "x\rFrom: thief@example.org",
    "\u2028x\x85Bcc: thief@example.org",
    "a\x00b\x1b[31m\ud800",
    "=?utf-8?q?=0D=0ABcc:_thief@example.org?=",
    "\u202egnp.exe" + "Ệ" * 10_000,
    "x\r\n.\r\nRCPT TO:<thief@example.org>\r\n",
)


@pytest.mark.attack("mails: headers and recipients by names")
@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_adds_a_header_or_a_recipient(text: str) -> None:
    box = Box()
    with mail_server(box) as server:
        server.send(Letter("0193", "an@example.gov.vn", text, f"{text}\n", NOON))
        sender = server.sender
    (letter,) = box.letters
    assert box.recipients == ["an@example.gov.vn"]
    assert (letter["To"], letter["From"], letter["Bcc"]) == ("an@example.gov.vn", sender, None)
    assert len(letter.get_all("Subject") or ()) == 1 and "\n" not in letter["Subject"]
    names = {"message-id", "date", "from", "to", "subject", "auto-submitted", "mime-version", "content-type"}
    assert {each.lower() for each in letter.keys()} - {"content-transfer-encoding", "x-peer", "x-mailfrom"} <= (
        names | {"x-rcptto"}
    )


@pytest.fixture
def mailing(database: Engine) -> Iterator[tuple[Mailing, Box]]:
    filled(database, province(), [], NOON)
    box = Box()
    with mail_server(box) as server:
        yield (
            Mailing(
                engine=database, lock=lock_of(database), registry=Registry(database), server=server,
                name="LGSP\r\nBcc: thief@example.org", clock=lambda: NOON + 60,
            ),
            box,
        )  # fmt: skip


@pytest.mark.parametrize(
    "values",
    [{"kind": "x"}, {"facts": "{"}, {"facts": "[]"}, {"facts": '{"lines": [{}]}'}, {"facts": '{"kind": {"x": 1}}'}],
)
async def test_a_row_of_which_no_mail_can_be_made_holds_up_no_others(
    mailing: tuple[Mailing, Box], values: dict[str, Any]
) -> None:
    task, box = mailing
    with writing(task.engine) as connection:
        lease = leases.take(connection, "keeper-1", NOON, seconds=10**9)
        facts = {"case": "0193", "kind": {"vi": "Yêu cầu", "en": "A request"}, "sender": "H14.0", "due": "–"}
        for number in range(3):
            store.put(connection, "case-opened", f"{number}", "H14.3", {**facts, "agency": "H14.3"}, NOON + number)
        connection.execute(update(tables.mail).where(tables.mail.c.about == "0").values(values))
    assert lease is not None
    assert await task.run_once(lease) == 3 and await task.run_once(lease) == 0
    assert len(box.letters) == 2 and {each["Bcc"] for each in box.letters} == {None}
    with task.engine.connect() as connection:
        rows = connection.execute(select(tables.mail.c.about, tables.mail.c.state, tables.mail.c.failure))
        assert sorted(map(tuple, rows)) == [("0", "failed", "mail.broken"), ("1", "sent", None), ("2", "sent", None)]


@pytest.mark.attack("mails: headers and recipients by names")
@pytest.mark.parametrize("field", ["office", "phone", "email", "name", "address"])
@pytest.mark.parametrize("end", ["\r\nBcc: thief@example.org", "\nx", "\rx", "\u2028x", "\x85x"])
def test_no_contact_has_a_second_line(field: str, end: str) -> None:
    contact = {
        "office": "Phòng trực",
        "phone": "0206 000 0077",
        "email": "truc@example.vn",
        field: f"truc@example.vn{end}",
    }
    reader = StatedContacts()
    reader._several("contacts", [contact])
    assert {each.here for each in reader.findings} == {f"contacts[0].{field}"}


@pytest.mark.attack("mails: headers and recipients by names")
@pytest.mark.parametrize("email", ["a@x.vn, b@y.vn", "<a@x.vn>", "a@x.vn b", "a", "a@", "a@b@c", '"a b"@x.vn'])
def test_a_contact_has_one_address(email: str) -> None:
    reader = StatedContacts()
    reader._several("contacts", [{"office": "Phòng trực", "phone": "0206 000 0077", "email": email}])
    assert [each.here for each in reader.findings] == ["contacts[0].email"]
