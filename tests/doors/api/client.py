"""A small ASGI client, and one that signs as a component system does; and the APIs over a real database, journal and
registry."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from sqlalchemy import Engine, select

from contracts.base.times import rfc3339
from gateway.audit.log.checkpoints import CheckpointFile, NewestCheckpoint
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.delivery.forwarder import Forwarder
from gateway.doors.api.apis import ApiApp, build_apis
from gateway.doors.api.services import Services
from gateway.doors.health import Health, Vitals
from gateway.doors.http.costs import Budgets
from gateway.doors.http.shell import Shell
from gateway.doors.rest import RestDoor, TokenKeeper
from gateway.exchange.exchange import Exchange
from gateway.journal.append import append
from gateway.journal.database import lock_of, open_engine, writing
from gateway.journal.schema import tables
from gateway.journal.write import FeedRow, LogRow, TransferRow, Write
from gateway.journal.writer import Journal
from gateway.keys.keyring import Keyring
from gateway.registry.registry import Registry
from gateway.settings import Settings
from gateway.transfer import lease as leases
from gateway.vault.vault import Vault
from security.http_signatures import HttpRequest, sign_request, verify_response
from security.jose import Opener
from security.tokens import make_assertion
from security.transparency.entry import SALT, Caller, Intent, Note, freeze, salted
from tests.registry.making import PROVINCE, House, Identity, filled, new_database, province

BASE = "https://gateway.example:8443"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    app: Any,
    method: str,
    target: str,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    *,
    certificate: bytes | None = None,
    chunks: int = 0,
    extensions: dict[str, Any] | None = None,
    stays: bool = False,
) -> Answer:
    """One request, as a server would hand it over. `stays`: the caller waits for the end of a stream."""
    parts = urlsplit(target)
    size = max(1, len(body) // chunks + 1) if chunks else max(1, len(body))
    pieces = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    named = {**(headers or {}), **({} if chunks or not body else {"content-length": str(len(body))})}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "client": ("192.0.2.7", 4711),
        "server": ("gateway.example", 8443),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in named.items()],
        "extensions": {"tls": {"client_cert_der": certificate}} if extensions is None else extensions,
    }
    sent: list[dict[str, Any]] = []
    ended = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not pieces:
            if stays:
                await ended.wait()
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            ended.set()

    await app(scope, receive, send)
    start = sent[0]
    answered = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return Answer(start["status"], answered, b"".join(message.get("body", b"") for message in sent[1:]))


@dataclass
class World:
    """The exchange listener's APIs and what stands behind them."""

    app: Any
    services: Services
    engine: Engine
    journal: Journal
    vault: Vault
    identities: dict[str, Identity]
    gateway: Identity
    sequencer: Sequencer
    lease: leases.Lease
    tokens: dict[str, tuple[str, float]] = field(default_factory=dict)  # and when each came

    async def public(self, method: str, target: str, headers: dict[str, str] | None = None, **options: Any) -> Answer:
        return await ask(self.app, method, target, headers, **options)

    def form(self, system: str, **changes: str) -> dict[str, str]:
        identity = self.identities[system]
        audience = changes.pop("audience", f"{BASE}/oauth/token")
        signer = self.identities[changes.pop("signer", system)]
        assertion = make_assertion(signer.system, signer.sign, time.time(), audience, jti=changes.pop("jti", None))
        assert identity is not None
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
            **changes,
        }

    async def token(self, system: str, form: dict[str, str] | None = None, **options: Any) -> Answer:
        body = urlencode(self.form(system) if form is None else form).encode()
        options.setdefault("certificate", self.identities[system].tls_der)
        return await ask(
            self.app, "POST", "/oauth/token", {"content-type": "application/x-www-form-urlencoded"}, body, **options
        )

    async def bearer(self, system: str) -> str:
        """An access token with half of its life left at least."""
        token, came = self.tokens.get(system, ("", -math.inf))
        if time.monotonic() - came > self.services.settings.token_seconds / 2:
            token = (await self.token(system)).json["access_token"]
            self.tokens[system] = token, time.monotonic()
        return token

    async def signed_headers(self, system: str, method: str, target: str) -> dict[str, str]:
        headers = {"authorization": f"Bearer {await self.bearer(system)}", "accept-language": "en"}
        request = HttpRequest(method, BASE + target, headers, b"")
        return headers | sign_request(
            request, self.identities[system].sign, time.time(), nonce=secrets.token_urlsafe(18)
        )

    async def signed(self, system: str, target: str, method: str = "GET") -> Answer:
        """A signed request; the answer's signature is verified."""
        headers = await self.signed_headers(system, method, target)
        answer = await ask(self.app, method, target, headers, certificate=self.identities[system].tls_der)
        if "signature" in answer.headers:
            verify_response(
                answer.status, answer.headers, answer.body, headers, self.gateway.sign.verify_key(), time.time()
            )
        return answer

    # --- what is in the log and in the feeds --------------------------------------------------------------------------

    def sequence(self) -> None:
        for _ in range(3):  # the first run of a new log only signs the empty tree
            self.sequencer.run_once(self.lease)

    async def hand_in(
        self,
        transfer: str,
        message: dict[str, Any],
        *,
        state: str = "accepted",
        provider: str | None = None,
        type: str = "submitAlert",
        contract: str = "incident-alert/v1",
    ) -> None:
        """A transfer of canh-bao, with its event in the feed."""
        now = time.time()
        row = TransferRow(
            transfer,
            state,
            "submit",
            "canh-bao",
            "H14.2",
            contract,
            "sha256:00",
            "submitAlert",
            transfer,
            b"0" * 32,
            "G-0001",
            provider,
            self.journal.process_id,
            False,
            now,
            now,
        )
        event = {
            "specversion": "1.0",
            "id": transfer,
            "source": "urn:lgsp:system:canh-bao",
            "type": f"urn:lgsp:contract:{contract.replace('/', ':')}:{type}",
            "time": rfc3339(now),
            "datacontenttype": "application/json",
            "subject": message.get("identifier", "—"),
            "lgspagency": row.caller_agency,
        }
        body = self.vault.seal(transfer, "canonical", json.dumps(message).encode(), now)
        caller = Caller(row.caller_agency, row.caller_system)
        facts = (row.contract, row.operation, row.bundle, "m" * 64, row.grant_id, provider)
        frozen = freeze(Intent(transfer, now, "rest", caller, *facts, salted(bytes(SALT), b"{}")))
        feed = FeedRow(contract, transfer, json.dumps(event), body.id)
        log = (LogRow(frozen.transfer, frozen.phase, frozen.entry, frozen.leaf),)
        await self.journal.commit(Write(transfer=row, log=log, vault=(body,), feed=(feed,)))

    def logged(self, what: str) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            rows = connection.execute(select(tables.log_pending.c.entry).where(tables.log_pending.c.phase == what))
            return [json.loads(bytes(row.entry)) for row in rows]

    def note(self, count: int) -> None:
        now = time.time()
        with writing(self.engine) as connection:
            frozen = [freeze(Note(f"n{number}-{now}", now, "test", "gateway")) for number in range(count)]
            append(connection, [LogRow(each.transfer, each.phase, each.entry, each.leaf) for each in frozen])


def served(apis: ApiApp, services: Services) -> Shell:
    """As the exchange listener serves them."""
    settings = services.settings
    return Shell(
        app=apis,
        registry=services.registry,
        base=settings.base,
        body_seconds=settings.body_seconds,
        clock=services.clock,
        health=Health(Vitals(services.engine, services.registry, services.clock, settings.drop_root)),
        budgets=Budgets(1.0),
    )


class Filled(NamedTuple):
    """A database with a province in it, to be copied: making it takes longer than most tests."""

    file: Path
    identities: dict[str, Identity]
    gateway: Identity


@cache
def _filled(folder: Path, text: str, house: House) -> Filled:
    now = time.time()
    place = folder / f"filled-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    place.mkdir()
    engine = new_database(place)
    identities = {name: house.identity(name, now) for name in ("canh-bao", "dieu-hanh", "thuc-phan", "do-thi")}
    filled(engine, province(text), list(identities.values()), now)
    engine.dispose()
    return Filled(place / "lgsp.db", identities, house.identity("gateway", now))


@asynccontextmanager
async def opened(folder: Path, house: House, text: str = PROVINCE) -> AsyncIterator[World]:
    now = time.time()
    folder.mkdir(exist_ok=True)
    made = _filled(house.folder, text, house)
    shutil.copy(made.file, folder / "lgsp.db")
    engine, identities, gateway = open_engine(f"sqlite:///{folder / 'lgsp.db'}"), dict(made.identities), made.gateway
    settings = Settings(folder, public_base=BASE, body_limit=20_000, origin="localhost/lgsp-test")
    journal = Journal(engine, lock_of(engine), "door-test")
    journal.start()
    with writing(engine) as connection:
        lease = leases.take(connection, "keeper-test", now, seconds=86_400)
    assert lease is not None
    log_key = LogKey.open(folder / "log.key", settings.origin)
    sequencer = Sequencer(engine, lock_of(engine), log_key, CheckpointFile(settings.checkpoint_file))
    newest = NewestCheckpoint(settings.checkpoint_file)
    registry, vault = Registry(engine), Vault(folder / "vault")
    registry.start()  # as a door has it: a snapshot that nobody confirms is refused after a minute
    exchange = Exchange(
        journal, vault, Forwarder({}, time.time), engine, "door-test", lambda text: text, time.time, 1.0
    )
    signing = gateway.sign
    rest = RestDoor(
        TokenKeeper(signing.verify_key(), settings.base),
        signing,
        Opener([]),
        settings.token_endpoint,
        newest.base64,
        time.time,
    )
    services = Services(
        engine=engine,
        registry=registry,
        journal=journal,
        vault=vault,
        newest_checkpoint=newest,
        token_key=signing,
        settings=settings,
        rest=rest,
        exchange=exchange,
        keyring=Keyring(settings),
        clock=time.time,
    )
    try:
        yield World(
            served(build_apis(services), services),
            services,
            engine,
            journal,
            vault,
            identities,
            gateway,
            sequencer,
            lease,
        )
    finally:
        registry.stop()
        journal.stop()
        engine.dispose()
