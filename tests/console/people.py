"""A desk over a real database, and people who sign in to it as a browser does, without one."""

from __future__ import annotations

import os
import re
import threading
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pyotp

from gateway.console.accounts import secrets, store
from gateway.console.accounts.records import Account
from gateway.console.app import build_desk
from gateway.console.roles import Role
from gateway.console.site import desk as site
from gateway.console.work.integrity import THREAD
from gateway.doors.api.services import DeskServices
from gateway.doors.health import Vitals
from gateway.registry.seals.account_rows import Change, SealedRows, changing, reading
from gateway.registry.seals.accounts import Seal
from tests.doors.api.client import Answer, World, ask

HOST = "localhost"  # of an instance without `desk_base`
PASSWORD = "mot hai ba bon nam"


@dataclass
class Person:
    """Somebody with a browser's cookie, who follows no link by himself."""

    desk: Desk
    account: str
    cookie: str = ""
    language: str = "en"

    async def get(self, target: str, **headers: str) -> Answer:
        return await ask(self.desk.app, "GET", target, self._headers(headers))

    async def post(self, target: str, **form: Any) -> Answer:
        """With the origin and the token of the form, as a page sends them."""
        fields = {"csrf": secrets.csrf_of(self.cookie.partition("=")[2]), **form}
        return await self.send(target, fields)

    async def send(self, target: str, fields: dict[str, Any], **headers: str) -> Answer:
        return await self._send(target, fields, headers)

    async def taken(self, target: str, **form: Any) -> Answer:
        """A form whose answer is streamed; he stays until its end."""
        return await self._send(
            target, {"csrf": secrets.csrf_of(self.cookie.partition("=")[2]), **form}, {}, stays=True
        )

    async def _send(
        self, target: str, fields: dict[str, Any], headers: dict[str, str], *, stays: bool = False
    ) -> Answer:
        own = {"origin": f"https://{HOST}", "content-type": "application/x-www-form-urlencoded", **headers}
        body = urlencode(fields, doseq=True).encode()
        return await ask(self.desk.app, "POST", target, self._headers(own), body, stays=stays)

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        named = {name.replace("_", "-"): value for name, value in more.items()}
        cookie = {"cookie": self.cookie} if self.cookie else {}
        return {"host": HOST, "accept-language": self.language, **cookie, **named}


@dataclass
class Desk:
    """The desk of a world. `clock` may be moved."""

    world: World
    app: Any = None
    moved: float = 0.0
    secrets: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)  # of those who act in several steps of a test

    def __post_init__(self) -> None:
        services = self.world.services
        key = services.settings.data / "keys" / "hash.key"
        if not key.exists():
            key.parent.mkdir(parents=True, exist_ok=True)
            key.write_bytes(os.urandom(32))
            key.chmod(0o600)
        if (sequencer := getattr(self.world, "sequencer", None)) is not None:
            vkey = services.settings.data / "log" / "log.vkey"
            vkey.parent.mkdir(exist_ok=True)
            vkey.write_text(sequencer._key.vkey + "\n")
        self.services = DeskServices(
            services.engine, services.registry, services.newest_checkpoint, services.settings, self.now
        )
        self.app = build_desk(self.services)

    def desk(self) -> site.Desk:
        """What the functions behind the pages take."""
        settings = self.services.settings
        vitals = Vitals(self.world.engine, self.services.registry, self.now, settings.drop_root)
        return site.Desk(self.services, vitals)

    def now(self) -> float:
        return time.time() + self.moved

    @property
    def seal(self) -> Seal:
        """As a process that starts now reads it."""
        return Seal.of(self.services.settings)

    def changing(self, now: float | None = None) -> AbstractContextManager[Change]:
        """A change of accounts by the command line."""
        return changing(self.world.engine, self.seal, self.now() if now is None else now, "test")

    def rows(self) -> AbstractContextManager[SealedRows]:
        return reading(self.world.engine, self.seal)

    def add(self, id: str, *roles: Role, agency: str = "H14.0") -> None:
        """An account with password and codes."""
        sealer = secrets.Sealer(self.world.services.keyring.hash_key())
        self.secrets[id] = secrets.new_secret()
        with self.changing() as change:
            store.add(change, Account(id, agency, f"Name of {id}", roles, True))
            hashed, sealed = secrets.hash_password(id, PASSWORD), sealer.seal(id, self.secrets[id])
            store.set_factors(change, id, hashed, sealed)

    def code(self, id: str) -> str:
        return pyotp.TOTP(self.secrets[id]).at(int(self.now()))

    async def signed_in(self, id: str, *roles: Role, agency: str = "H14.0") -> Person:
        """Adds the account, and signs in by its form."""
        self.add(id, *roles, agency=agency)
        return await self.sign_in(id)

    async def sign_in_anew(self, id: str) -> Person:
        """Another session of the same account: the next code, since one works once."""
        self.moved += 31.0
        return await self.sign_in(id)

    async def sign_in(self, id: str) -> Person:
        person = Person(self, id)
        answer = await person.send(
            "/console/sign-in", {"name": id, "password": PASSWORD, "code": self.code(id), "next": "/console"}
        )
        assert answer.status == 303, answer.body.decode()
        person.cookie = answer.headers["set-cookie"].partition(";")[0]
        return person


def checks_ended() -> None:
    """Waits for verifications of the log that pages began."""
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join(60)


class Reader(HTMLParser):
    """The text of a page, its links and forms."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[str] = []
        self._texts: list[str] = []
        self._skip = 0
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag == "a":
            self.links.append(known.get("href") or "")
        if tag == "form":
            self.forms.append(known.get("action") or "")
        self._skip += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._skip -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._skip:
            self._texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self._texts))
