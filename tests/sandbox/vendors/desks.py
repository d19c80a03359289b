"""A desk of a sandbox that vendors join, beside a keeper that issues certificates."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from gateway.console.app import build_desk
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.keeper.tasks.enrolments import Enrolments
from gateway.keys.authority import EmbeddedAuthority
from gateway.registry.changes.orders import Orders
from gateway.registry.seals.sealing import Seal
from gateway.sandbox.vendors import invitations
from gateway.sandbox.vendors.web import BESIDE
from gateway.settings import Settings
from security import algorithms
from security.algorithms import KeyType
from security.pki import authority
from tests.console.people import HOST, Desk, Person
from tests.delivery.posting import Post
from tests.doors.api.client import Answer, ask

JOIN = "/sandbox/join"
API = "/sandbox/api/systems"
SYSTEM: dict[str, Any] = {"contracts": ["field-report/v1"], "role": "caller"}
CALLER: dict[str, Any] = {"name": "Công ty Mẫu", "contact": "ky-thuat@mau.example", **SYSTEM}
KINDS: dict[str, KeyType] = {"tls": "P-256", "sign": "P-256", "encrypt": "RSA-3072"}


@dataclass(frozen=True)
class Vendor:
    """A program of a vendor who joined."""

    desk: VendorDesk
    agency: str
    system: str
    account: str
    token: str

    async def get(self, target: str = API) -> Answer:
        return await ask(self.desk.desk.app, "GET", target, self._headers())

    async def send(self, target: str, content: Any, method: str = "POST", **headers: str) -> Answer:
        own = {"content-type": "application/json", **self._headers(), **headers}
        return await ask(self.desk.desk.app, method, target, own, json.dumps(content).encode())

    async def certify(self, system: str | None = None, **texts: str) -> Answer:
        """Sends requests, with a keeper that carries the order out meanwhile."""
        of = system or self.system
        content = texts or {use: request(of, kind) for use, kind in KINDS.items()}
        call = asyncio.create_task(self.send(f"{API}/{of}/certificates", content, accept="application/json"))
        while not call.done():
            await asyncio.sleep(0.05)
            await self.desk.keeper().run_once(self.desk.post.lease)
        return await call

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}", "host": HOST}


@dataclass
class VendorDesk:
    desk: Desk
    post: Post

    def set(self, **changes: Any) -> None:
        """The same desk, started again with other settings."""
        services: Any = self.desk.services
        self.desk.services = replace(services, settings=replace(services.settings, **changes))
        self.start()

    def start(self) -> None:
        kind = self.desk.services.settings.kind
        self.desk.app = build_desk(self.desk.services, BESIDE if kind == "sandbox" else None)

    @property
    def settings(self) -> Settings:
        return self.desk.services.settings

    def keeper(self) -> Enrolments:
        hash_key = (self.settings.data / "keys" / "hash.key").read_bytes()
        engine, orders = self.post.engine, Orders(hash_key)
        known = EmbeddedAuthority(self.settings)
        return Enrolments(engine, lock_of(engine), known, orders, Seal.of(self.settings), self.desk.now)

    async def ask(self, content: Any, **headers: str) -> Answer:
        own = {"content-type": "application/json", "host": HOST, **headers}
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return await ask(self.desk.app, "POST", JOIN, own, body)

    async def join(self, **changes: Any) -> Vendor:
        answer = await self.ask({**CALLER, **changes})
        assert answer.status == 201, answer.body.decode()
        told = answer.json
        return Vendor(self, told["tenant"], told["system"], told["account"], told["token"])

    async def form(self, **fields: Any) -> tuple[Answer, Person]:
        """The form of the page, as a browser sends it."""
        person = Person(self.desk, "")
        answer = await person.send(JOIN, fields)
        if answer.status == 303:
            person.cookie = answer.headers["set-cookie"].partition(";")[0]
        return answer, person

    def invite(self, uses: int = 1, days: int = 1) -> str:
        with writing(self.post.engine) as connection:
            return invitations.invite(connection, "Công ty Mẫu", uses, days, ("test", self.desk.now()))[0]

    def entries(self, phase: str) -> list[dict[str, Any]]:
        """The log's notes of a kind, oldest first."""
        table = tables.log_pending.c
        with self.post.engine.connect() as connection:
            rows = connection.scalars(select(table.entry).where(table.phase == phase).order_by(table.id))
            return [json.loads(bytes(each)) for each in rows]

    @contextmanager
    def reading(self) -> Iterator[Any]:
        with self.post.engine.connect() as connection:
            yield connection


def request(system: str, kind: KeyType = "P-256", hosts: tuple[str, ...] = ()) -> str:
    return authority.make_request(system, algorithms.new_private(kind), hosts=hosts).decode()


def unpacked(body: bytes) -> dict[str, bytes]:
    archive = zipfile.ZipFile(io.BytesIO(body))
    return {name: archive.read(name) for name in archive.namelist()}
