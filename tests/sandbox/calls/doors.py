"""A sandbox's exchange listener beside the desk that vendors join, and a vendor who calls it with her own keys."""

from __future__ import annotations

import copy
import json
import secrets
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from contracts.wire.jsontext import pretty, read_json
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.audit.search.index import Indexer
from gateway.console.accounts.records import Account, Viewer
from gateway.console.roles import Role
from gateway.console.site import guard
from gateway.doors.exchange_app import ExchangeApp
from gateway.doors.http.shell import Shell
from gateway.doors.rest import RestDoor, TokenKeeper
from gateway.doors.soap import SoapDoor
from gateway.exchange.exchange import Exchange
from gateway.journal.database import lock_of
from gateway.keys.keyring import Keyring
from gateway.sandbox.calls.recorder import Recorder
from gateway.sandbox.vendors import joining
from gateway.vault.vault import Vault
from security import algorithms
from security.http_signatures import HttpRequest, sign_request
from security.jose import Opener
from security.keys import SigningKey, thumbprint
from security.pki import authority
from security.tokens import Holder, issue_token
from security.transparency.entry import keyed
from security.wssec.decrypt import BodyKeys
from security.wssec.sign import EnvelopeHeaders
from security.wssec.verify import sign_envelope
from tests.console.people import Person
from tests.doors.api.client import Answer, ask
from tests.registry.making import Identity, contracts
from tests.sandbox.vendors.desks import Vendor, VendorDesk

BASE = "https://gateway.example:8443"
CONTRACT = "incident-alert/v1"
PATH = f"/{CONTRACT}/alerts"
ACTION = "urn:lgsp:contract:incident-alert:v1:submitAlert"
API = "/sandbox/api/calls"


def alert(**changes: Any) -> bytes:
    sample = next(each for each in contracts()[CONTRACT].samples if each.message == "Alert")
    value: dict[str, Any] = copy.deepcopy(read_json(sample.canonical))
    value |= {"identifier": secrets.token_hex(8)} | changes
    return pretty({name: each for name, each in value.items() if each is not None}).encode()


@dataclass
class Caller:
    """A vendor's system with the keys that she made."""

    doors: Doors
    vendor: Vendor
    sign: SigningKey
    tls_der: bytes

    async def call(
        self,
        body: bytes | None = None,
        *,
        target: str = PATH,
        signed_for: str | None = None,
        sent: bytes | None = None,
        more: Mapping[str, str] | None = None,
        key: SigningKey | None = None,
        message_id: str | None = None,
        ahead: float = 0.0,
        ahead_of_signature: float | None = None,
    ) -> Answer:
        """`signed_for`: another address than the one that is called. `sent`: other bytes than those that are signed.
        `ahead`: seconds by which the token and the signature are ahead of real time.
        """
        body, now = alert() if body is None else body, time.time() + ahead
        holder = Holder(self.vendor.system, self.vendor.agency, thumbprint(self.tls_der))
        token = issue_token(holder, self.doors.gateway.sign, now, BASE)
        headers = {
            "authorization": f"Bearer {token}",
            "accept-language": "en",
            "content-type": "application/json",
            "idempotency-key": f'"{message_id or secrets.token_hex(8)}"',
        }
        request = HttpRequest("POST", BASE + (signed_for or target), headers, body)
        signed_at = now if ahead_of_signature is None else time.time() + ahead_of_signature
        headers |= sign_request(request, key or self.sign, signed_at) | dict(more or {})
        return await self.send(target, headers, body if sent is None else sent)

    async def soap(self, body: bytes, message_id: str = "urn:uuid:1", **changes: Any) -> Answer:
        named = EnvelopeHeaders(action=ACTION, message_id=message_id)
        envelope = sign_envelope(body, changes.get("key", self.sign), time.time(), named)
        text = changes.get("alter", lambda each: each)(envelope)
        return await self.send(f"/soap/{CONTRACT}", {"content-type": "text/xml; charset=utf-8"}, text)

    async def send(self, target: str, headers: dict[str, str], body: bytes) -> Answer:
        answer = await ask(self.doors.app, "POST", target, headers, body, certificate=self.tls_der)
        self.doors.sequence()
        return answer


@dataclass
class Doors:
    """The listener. Nothing is delivered to a provider: what is called is handed in."""

    vendors: VendorDesk
    gateway: Identity
    app: Any = None
    recorder: Recorder | None = None
    _sequencer: Any = field(init=False)

    def __post_init__(self) -> None:
        post, settings = self.vendors.post, self.vendors.settings
        keyring = Keyring(settings)
        hash_key, vault = keyring.hash_key(), Vault(settings.vault_keys, at_rest=keyring.at_rest)
        exchange = Exchange(
            post.journal, vault, post.deliverer.forwarder, post.engine, "door-test",
            lambda text: keyed(hash_key, text), time.time, 1.0,
        )  # fmt: skip
        signing = self.gateway.sign
        rest = RestDoor(
            TokenKeeper(signing.verify_key(), BASE), signing, Opener([]), BASE, lambda: "", time.time, explains=True
        )
        soap = SoapDoor(signing, BodyKeys([]), lambda: "note", time.time, True)
        self.recorder = Recorder(post.journal, vault, time.time)
        nothing: Any = None
        app = ExchangeApp(exchange, rest, soap, nothing, BASE, 100_000, time.time, record=self.recorder)
        self.app = Shell(app=app, registry=post.registry, base=BASE, body_seconds=10.0, clock=time.time)
        settings.checkpoint_file.parent.mkdir(exist_ok=True)
        log_key, shown = LogKey.open(settings.data / "log" / "log.key", settings.origin), settings.checkpoint_file
        self._sequencer = Sequencer(post.engine, lock_of(post.engine), log_key, CheckpointFile(shown))

    def sequence(self, *, indexed: bool = True) -> None:
        post = self.vendors.post
        for _ in range(3):
            self._sequencer.run_once(post.lease)
        if indexed:
            Indexer(post.engine, lock_of(post.engine)).step(None)

    async def caller(self, name: str = "Công ty Mẫu", **changes: Any) -> Caller:
        vendor = await self.vendors.join(name=name, contracts=[CONTRACT], **changes)
        keys = {use: algorithms.new_private("P-256") for use in ("tls", "sign")}
        texts = {use: authority.make_request(vendor.system, key).decode() for use, key in keys.items()}
        answer = await vendor.certify(**texts)
        assert answer.status == 201, answer.body
        files = answer.json["files"]
        with self.vendors.reading() as connection:
            self.vendors.post.registry.refresh(connection)
        key_id = json.loads(files["system.json"])["sign_key_id"]
        sign = SigningKey.make(key_id, keys["sign"], files["sign.crt"].encode(), system=vendor.system)
        pem = files["tls.crt"].partition("-----END CERTIFICATE-----")
        return Caller(self, vendor, sign, ssl.PEM_cert_to_DER_cert(pem[0] + pem[1] + "\n"))

    def viewer(self, caller: Caller) -> Viewer:
        return Viewer(Account(caller.vendor.account, caller.vendor.agency, "x", (Role.VENDOR,), True), "totp", "x")

    def person(self, caller: Caller) -> Person:
        """The vendor's person at the pages, signed in as she was by the join."""
        with self.vendors.desk.changing() as change:
            session = joining.session("192.0.2.7")(change, caller.vendor.account)
        return Person(self.vendors.desk, caller.vendor.account, guard.set_cookie(session, True).partition(";")[0])
