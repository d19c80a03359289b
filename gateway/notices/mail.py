"""Sends one mail by SMTP (RFC 5321), over TLS (RFC 8314) or after STARTTLS (RFC 3207).

Invariant: name and password never leave without TLS. Only a server on the loopback is spoken to in the clear.
Invariant: an address that could add a header or a second recipient is refused.
"""

from __future__ import annotations

import ipaddress
import re
import smtplib
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from gateway.notices.errors import MAIL_NO_ADDRESS, MAIL_REFUSED, MAIL_SETTINGS, MAIL_UNREACHABLE
from gateway.settings import Settings

SECONDS: Final = 20.0  # for each answer of the server
_PORTS: Final = {"smtps": 465, "smtp": 587, "smtp+clear": 25}
_UNSEEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_ADDRESS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_{|}~.-]{1,64}@[A-Za-z0-9.-]{1,253}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail. `id` makes its Message-ID, so a repeat is recognised by the receiver's program."""

    id: str
    to: str
    subject: str
    text: str
    made: float


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails are handed over. `user` is empty if the server asks for no name."""

    scheme: str
    host: str
    port: int
    sender: str
    user: str = ""
    password: str = ""
    anchors: str = ""  # file (PEM); empty: those of the operating system

    @classmethod
    def of(cls, settings: Settings) -> MailServer | None:
        """The server of the settings; None if no mail is sent. Raises: mail.settings."""
        if not settings.mail_server:
            return None
        try:
            url = urlsplit(settings.mail_server)
            port = url.port or _PORTS.get(url.scheme, 0)
        except ValueError:
            raise MAIL_SETTINGS(reason="mail_server: no address") from None
        if url.scheme not in _PORTS or not url.hostname or url.username or url.path.strip("/"):
            raise MAIL_SETTINGS(reason="mail_server: smtps://host, smtp://host or smtp+clear://127.0.0.1")
        if url.scheme == "smtp+clear" and (not _loopback(url.hostname) or settings.mail_user):
            raise MAIL_SETTINGS(reason="mail_server: smtp+clear is for the loopback, without a name")
        if not is_address(settings.mail_from):
            raise MAIL_SETTINGS(reason="mail_from: no e-mail address")
        return cls(
            url.scheme, url.hostname, port, settings.mail_from, settings.mail_user, _password(settings),
            settings.mail_anchors,
        )  # fmt: skip

    def send(self, letter: Letter) -> None:
        """Hands one mail over. It blocks. Raises: mail.no-address, mail.refused, mail.unreachable."""
        if not is_address(letter.to):
            raise MAIL_NO_ADDRESS(system=letter.to[:80])
        message = EmailMessage(policy=SMTP)
        message["Message-ID"] = f"<{letter.id}@{self.sender.partition('@')[2]}>"
        message["Date"] = format_datetime(datetime.fromtimestamp(letter.made, UTC))
        message["From"], message["To"] = self.sender, letter.to
        subject = " ".join(_whole(letter.subject).split())  # a line end would begin another header
        message["Subject"] = subject.replace("=?", "= ?")  # nor is it written in code (RFC 2047)
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no absence note comes back
        message.set_content(_whole(letter.text))
        try:
            with self._session() as session:
                session.send_message(message)
        except smtplib.SMTPResponseException as refused:
            raise MAIL_REFUSED(code=refused.smtp_code) from None
        except smtplib.SMTPRecipientsRefused as refused:
            raise MAIL_REFUSED(code=min(code for code, _ in refused.recipients.values())) from None
        except (OSError, smtplib.SMTPException) as trouble:
            name = type(trouble).__name__
            raise MAIL_UNREACHABLE(server=f"{self.host}:{self.port}", reason=name) from None

    def _session(self) -> smtplib.SMTP:
        if self.scheme == "smtp+clear":
            return smtplib.SMTP(self.host, self.port, timeout=SECONDS)
        context = ssl.create_default_context(cafile=self.anchors or None)
        if self.scheme == "smtps":
            session: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=SECONDS, context=context)
        else:
            session = smtplib.SMTP(self.host, self.port, timeout=SECONDS)
        try:
            if self.scheme == "smtp":
                session.starttls(context=context)  # raises if the server offers none
            if self.user:
                session.login(self.user, self.password)
        except BaseException:
            session.close()
            raise
        return session


def _whole(text: str) -> str:
    """Without controls but line ends and tabs, and without halves of characters."""
    return _UNSEEN.sub(" ", text)


def is_address(text: str) -> bool:
    """Whether it is one plain address (a part of RFC 5321 §4.1.2: no quotes, no comments, no literals)."""
    return len(text) <= 254 and _ADDRESS.fullmatch(text) is not None


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _password(settings: Settings) -> str:
    if not settings.mail_password_file:
        return ""
    path = Path(settings.mail_password_file)
    try:
        if path.stat().st_mode & 0o077:
            raise MAIL_SETTINGS(reason="mail_password_file: others may read it")
        return path.read_text("utf-8").strip()
    except OSError:
        raise MAIL_SETTINGS(reason="mail_password_file: it cannot be read") from None
