"""Mails to contacts: over a real SMTP server that we did not write (aiosmtpd), with TLS, and through its death."""

from __future__ import annotations

import email
import json
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from sqlalchemy import select

from contracts.base.errors import Failure
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.notices import store
from gateway.notices.mail import Letter, MailServer, is_address
from gateway.notices.sending import Mailing
from gateway.settings import Settings
from tests.doors.api.client import World, opened
from tests.push.receiving import allow_loopback, call, filled, pushing, receiving, row, run, subscribed
from tests.registry.making import House

FACTS = {
    "subscription": "0193", "feed": "incident-alert/v1", "host": "hook.example", "since": "2026-11-27T01:00:00.000Z",
    "waiting": 3, "failure": "push.unreachable",
}  # fmt: skip


@dataclass
class Box:
    """What the server took, and how it behaves."""

    letters: list[EmailMessage] = field(default_factory=list)
    answer: str = "250 taken"
    recipients: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    async def handle_RCPT(self, server: SMTP, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.answer.startswith("550"):
            return self.answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        if self.answer.startswith("250"):
            message = email.message_from_bytes(envelope.content, policy=default)
            assert isinstance(message, EmailMessage)
            self.letters.append(message)
            self.recipients += envelope.rcpt_tos
            self.encrypted.append(session.ssl is not None)
        return self.answer


def _right(server: SMTP, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"lgsp", b"secret"), handled=False)


@contextmanager
def mail_server(box: Box, certificate: tuple[Path, Path] | None = None) -> Iterator[MailServer]:
    """A real server on the loopback; with a certificate it demands STARTTLS and a name."""
    options: dict[str, Any] = {}
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        options = {"tls_context": context, "require_starttls": True, "authenticator": _right, "auth_required": True}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port, server_kwargs=options)
    controller.start()
    try:
        yield MailServer("smtp+clear", "127.0.0.1", port, "lgsp@tinh.example")
    finally:
        controller.stop()


@pytest.fixture
def letter() -> Letter:
    return Letter(
        "0193-a", "dau-moi@tinh.example", "Tạm dừng / Paused", "Kính gửi đầu mối\n.\nmột dòng", 1_764_000_000.0
    )


def test_a_letter_arrives_whole_with_all_its_diacritics(letter: Letter) -> None:
    box = Box()
    with mail_server(box) as server:
        server.send(letter)
    (taken,) = box.letters
    assert taken["subject"] == letter.subject and taken["message-id"] == "<0193-a@tinh.example>"
    assert taken.get_content().splitlines() == letter.text.splitlines()
    assert box.recipients == [letter.to] and taken["auto-submitted"] == "auto-generated"


def test_name_and_password_go_over_tls_alone(letter: Letter, keys: House) -> None:
    identity = keys.identity("mail", time.time(), hosts=("localhost",))
    anchors = keys.anchors
    box = Box()
    with mail_server(box, identity.tls_files) as plain:
        server = replace(plain, scheme="smtp", host="localhost", user="lgsp", password="secret", anchors=str(anchors))
        server.send(letter)
        assert box.encrypted == [True]
        for wrong, code in (
            (replace(server, password="other"), "mail.refused"),
            (replace(server, anchors=""), "mail.unreachable"),  # a certificate of nobody that is trusted
            (replace(server, host="127.0.0.1"), "mail.unreachable"),  # not the name in the certificate
        ):
            with pytest.raises(Failure) as failed:
                wrong.send(letter)
            assert failed.value.code == code
    with mail_server(box) as plain, pytest.raises(Failure) as failed:  # a server without STARTTLS
        replace(plain, scheme="smtp", user="lgsp", password="secret").send(letter)
    assert failed.value.code == "mail.unreachable" and len(box.letters) == 1


@pytest.mark.parametrize(
    "to", ["", "a", "a@b\r\nBcc: c@d", "a@b, c@d", "<a@b>", "a b@c", "đầu-mối@tỉnh.vn", "a@" + "b" * 254, "a@b\n"]
)
def test_an_address_that_could_add_a_recipient_is_refused(letter: Letter, to: str) -> None:
    assert not is_address(to)
    box = Box()
    with mail_server(box) as server, pytest.raises(Failure) as refused:
        server.send(replace(letter, to=to))
    assert refused.value.code == "mail.no-address" and box.letters == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"mail_server": "mail.example"}, "mail_server"),
        ({"mail_server": "smtp://a:b@mail.example"}, "mail_server"),
        ({"mail_server": "smtp://mail.example:99999"}, "mail_server"),
        ({"mail_server": "smtp+clear://mail.example"}, "loopback"),
        ({"mail_server": "smtp+clear://127.0.0.1", "mail_user": "lgsp"}, "without a name"),
        ({"mail_from": "nobody"}, "mail_from"),
        ({"mail_password_file": "/nowhere/password"}, "cannot be read"),
    ],
)
def test_settings_that_would_tell_nobody_or_give_the_password_away_are_refused(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    good = Settings(tmp_path, mail_server="smtp://mail.example", mail_from="lgsp@tinh.example")
    assert MailServer.of(good) == MailServer("smtp", "mail.example", 587, "lgsp@tinh.example")
    assert MailServer.of(Settings(tmp_path)) is None
    with pytest.raises(Failure) as refused:
        MailServer.of(replace(good, **change))
    assert refused.value.code == "mail.settings" and reason in str(refused.value.facts["reason"])


def test_a_password_that_others_may_read_is_refused(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o644)
    settings = Settings(
        tmp_path, mail_server="smtps://mail.example", mail_from="a@b.example", mail_password_file=str(password)
    )
    with pytest.raises(Failure) as refused:
        MailServer.of(settings)
    assert "others" in str(refused.value.facts["reason"])
    password.chmod(0o600)
    server = MailServer.of(settings)
    assert server is not None and server.password == "secret"


def _mailing(world: World, server: MailServer, clock: Any = time.time) -> Mailing:
    return Mailing(
        engine=world.engine, lock=lock_of(world.engine), registry=world.services.registry, server=server,
        name="LGSP tỉnh", clock=clock,
    )  # fmt: skip


def _put(world: World, now: float, system: str = "dieu-hanh") -> None:
    with writing(world.engine, lock_of(world.engine)) as connection:
        store.put(connection, "push-paused", "0193", system, FACTS, now)


def _states(world: World) -> list[tuple[str, int, str | None]]:
    with world.engine.connect() as connection:
        query = select(tables.mail.c.state, tables.mail.c.tries, tables.mail.c.failure).order_by(tables.mail.c.made)
        return [tuple(each) for each in connection.execute(query)]


def _noted(world: World) -> list[dict[str, Any]]:
    """The facts of the entries on mails."""
    with world.engine.connect() as connection:
        raw = [each for table in tables.LOGS for each in connection.scalars(select(table.c.entry))]
    entries = [json.loads(bytes(each)) for each in raw]
    return [each["facts"] for each in entries if each.get("what") == "notice"]


async def test_a_notice_waits_for_a_server_that_is_away_and_is_sent_once(tmp_path: Path, keys: House) -> None:
    box, now = Box(), time.time()
    async with opened(tmp_path, keys) as world:
        _put(world, now)
        with mail_server(box) as gone:
            pass
        away = _mailing(world, gone, lambda: now)
        await away.run_once(world.lease)
        assert _states(world) == [("waiting", 1, "mail.unreachable")]
        with mail_server(box) as server:
            later = _mailing(world, server, lambda: now + 3601.0)
            await later.run_once(world.lease)
            assert await later.run_once(world.lease) == 0
        assert _states(world) == [("sent", 2, None)]
        (taken,) = box.letters
        text = taken.get_content()
        assert "LGSP tỉnh" in taken["subject"] and "incident-alert/v1" in text and "3 sự kiện" in text
        assert box.recipients == ["van-hanh@trung-tam.caobang.example"]
        facts = _noted(world)
        assert [(each["reader"], each["agency"], each["failure"]) for each in facts] == [("dieu-hanh", "H14.0", None)]
        assert "example" not in str(facts)


async def test_one_that_is_refused_is_tried_again_and_one_without_an_address_holds_up_nobody(
    tmp_path: Path, keys: House
) -> None:
    box, now = Box(answer="550 no such box"), time.time()
    async with opened(tmp_path, keys) as world:
        _put(world, now - 1, "no-such-system")
        _put(world, now)
        with mail_server(box) as server:
            await _mailing(world, server, lambda: now).run_once(world.lease)
            assert _states(world) == [("failed", 1, "mail.no-address"), ("waiting", 1, "mail.refused")]
            box.answer = "250 taken"
            await _mailing(world, server, lambda: now + 3601.0).run_once(world.lease)
            assert _states(world) == [("failed", 1, "mail.no-address"), ("sent", 2, None)]
            _put(world, now + 1)
            box.answer = "451 later"
            await _mailing(world, server, lambda: now + 4 * 86_400.0).run_once(world.lease)
        assert _states(world)[-1] == ("failed", 1, "mail.refused")


async def test_the_contact_is_told_of_a_paused_webhook_with_what_waits(tmp_path: Path, keys: House) -> None:
    async def fails(_request: web.Request, _body: bytes) -> web.StreamResponse:
        return web.Response(status=500)

    box = Box()
    async with opened(tmp_path, keys) as world, receiving(world.identities["dieu-hanh"]) as receiver:
        allow_loopback(world)
        await filled(world, 3)
        id = await subscribed(world, receiver)
        receiver.behave = fails
        for mails in (False, True):  # without a mail server nothing waits for one
            async with pushing(world, keys, dead=0.2) as pusher:
                pusher.mails = mails
                await run(pusher, world, lambda: row(world, id).state == "paused")
            assert len(_states(world)) == mails
            if not mails:
                await call(world, "dieu-hanh", "POST", f"/subscriptions/{id}/resume")
        with mail_server(box) as server:
            await _mailing(world, server).run_once(world.lease)
    (taken,) = box.letters
    text = taken.get_content()
    assert id in text and "3 sự kiện" in text and "Waiting: 3 events" in text and "localhost" in text
    assert receiver.url not in text  # the path of a receiver may hold a secret
