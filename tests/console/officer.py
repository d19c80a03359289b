"""Transfers and refusals in the log of a desk's world, written as doors write them."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import insert

from contracts.base.ids import new_id
from gateway.audit.log.transfer_proofs import text
from gateway.audit.search.index import Indexer
from gateway.journal.append import append
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.journal.write import LogRow
from gateway.keys.keyring import NAMES
from gateway.transfer import entries
from gateway.vault.salting import pack
from gateway.vault.vault import Vault
from security.transparency import entry as form
from security.transparency.entry import keyed
from tests.console.people import Desk

ALERTS, SUBMIT = "incident-alert/v1", "submitAlert"
INDICATOR, ASK = "indicator/v1", "getValue"
ANSWER = {"indicator": "YT-02", "value": 94.44, "responsible": {"name": "Lan", "phone": "0206 000 0822"}}
CALLER = form.Caller("H14.6", "bao-chay", "c" * 43, "bao-chay.sign-1", "s" * 43)
STRANGER = form.Caller("H14.7", "y-te")
SALT = bytes(16)
SECRET = "0912 345 678"  # what a closed page must not show
REQUEST = {"maCanhBao": "BC-1", "chiTiet": [{"ngonNgu": "vi-VN", "lienHe": SECRET, "nhom": [6, 3]}]}
CANONICAL = {"identifier": "BC-1", "info": [{"language": "vi-VN", "contact": SECRET, "category": ["Fire", "Safety"]}]}
HEAD = b"POST https://gateway.example/incident-alert/v1/alerts HTTP/1.1\r\nauthorization: Bearer geheim\r\n\r\n"


class Story:
    """`now` is the desk's clock; entries get an index by `settle`."""

    def __init__(self, people: Desk) -> None:
        self.people = people
        self.vault = Vault(people.world.services.settings.vault_keys)

    @property
    def revision(self) -> int:
        return self.people.world.services.registry.snapshot.revision

    def alert(self, message: str = "BC-1", *, ago: float = 60.0, failure: str | None = None, **parts: bytes) -> str:
        """An accepted alert of `bao-chay`, with its parts in the vault. Its id."""
        at = self.people.now() - ago
        id = new_id(int(at * 1000))
        contract = self.people.world.services.registry.snapshot.contracts[ALERTS]
        digest = form.Digest(bytes(32), 9)
        entries: list[form.Entry] = [
            form.Intent(
                transfer=id,
                at=at,
                door="rest",
                caller=CALLER,
                contract=ALERTS,
                operation=SUBMIT,
                bundle=contract.digest,
                message=keyed(self.key, message),
                grant="G-0002",
                provider=None,
                came_in=digest,
                registry=self.revision,
            ),
            form.Outcome(id, at + 0.1, 502 if failure else 200, None, failure, None, None, digest),
        ]
        kept = {
            "request": pack(SALT, HEAD + json.dumps(REQUEST, ensure_ascii=False).encode()),
            "canonical": json.dumps(CANONICAL, ensure_ascii=False).encode(),
            "answer": b'{"transfer":"x"}',
            **{name.replace("_", "-"): data for name, data in parts.items()},
        }
        rows = [self.vault.seal(id, part, data, at) for part, data in kept.items()]
        frozen = [form.freeze(each) for each in entries]
        leaves = {each.phase: text(each.leaf) for each in frozen}
        with writing(self.people.world.engine) as connection:
            connection.execute(
                insert(tables.transfer).values(
                    id=id,
                    state="failed" if failure else "accepted",
                    pattern="submit",
                    caller_system="bao-chay",
                    caller_agency="H14.6",
                    contract=ALERTS,
                    bundle=contract.digest,
                    operation=SUBMIT,
                    message_id=message,
                    payload_digest=bytes(32),
                    grant_id="G-0002",
                    idempotent=True,
                    received=at,
                    committed=at,
                    finished=at + 0.1,
                    status=200,
                    failure=failure,
                    receipt=json.dumps(leaves),
                )
            )
            for row in rows:
                connection.execute(insert(tables.vault).values(row._asdict()))
            self._append(connection, frozen)
        return id

    def value(self, message: str = "CT-1", *, ago: float = 60.0) -> str:
        """An answered question of `y-te` for an indicator, whose grant hides who is responsible. Its id."""
        at = self.people.now() - ago
        id, contract = new_id(int(at * 1000)), self.people.world.services.registry.snapshot.contracts[INDICATOR]
        digest = form.Digest(bytes(32), 9)
        intent = form.Intent(
            transfer=id,
            at=at,
            door="rest",
            caller=STRANGER,
            contract=INDICATOR,
            operation=ASK,
            bundle=contract.digest,
            message=keyed(self.key, message),
            grant="G-0006",
            provider="kinh-te",
            came_in=digest,
            registry=self.revision,
            provider_agency="H14.4",
        )
        outcome = form.Outcome(id, at + 0.1, 200, "kinh-te", None, None, None, digest)
        rows = [self.vault.seal(id, "answer", json.dumps(ANSWER, ensure_ascii=False).encode(), at)]
        frozen = [form.freeze(each) for each in (intent, outcome)]
        kept = {
            "id": id, "state": "answered", "pattern": "query", "caller_system": "y-te", "caller_agency": "H14.7",
            "contract": INDICATOR, "bundle": contract.digest, "operation": ASK, "message_id": message,
            "payload_digest": bytes(32), "grant_id": "G-0006", "idempotent": True, "received": at, "committed": at,
            "finished": at + 0.1, "status": 200, "provider": "kinh-te",
        }  # fmt: skip
        with writing(self.people.world.engine) as connection:
            connection.execute(insert(tables.transfer).values(**kept))
            for row in rows:
                connection.execute(insert(tables.vault).values(row._asdict()))
            self._append(connection, frozen)
        return id

    def refused(self, failure: str = "access.no-contract", *, ago: float = 60.0, **facts: Any) -> str:
        """A refusal of `y-te`, which may not hand in alerts, unless `facts` say otherwise."""
        at = self.people.now() - ago
        id = new_id(int(at * 1000))
        given = {"caller": STRANGER, "contract": ALERTS, "operation": SUBMIT, "registry": self.revision, **facts}
        entry = form.Refusal(transfer=id, at=at, door="rest", failure=failure, status=403, **given)
        with writing(self.people.world.engine) as connection:
            self._append(connection, [form.freeze(entry)])
        return id

    def note(self, what: str, facts: dict[str, Any], actor: str, about: str | None = None) -> None:
        """A note of the log, now."""
        row = entries.note(what, facts, self.people.now(), actor=actor, about=about)
        with writing(self.people.world.engine) as connection:
            append(connection, [row])

    def settle(self) -> None:
        """Indexes for all entries, a checkpoint, and the index of the search."""
        world = self.people.world
        world.sequence()
        own = {"log/log.vkey": world.sequencer._key.vkey.encode() + b"\n"}
        own |= {"ca/anchors.pem": world.gateway.tls_certificate}
        own |= {f"keys/{name}.crt": world.gateway.sign_certificate for name in NAMES}
        own |= {f"keys/{name}.key": b"" for name in NAMES}  # only that there is one is asked
        for name, content in own.items():
            file = world.services.settings.data / name
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
        for _ in Indexer(world.engine, lock_of(world.engine)).remake():
            pass

    @property
    def key(self) -> bytes:
        return self.people.world.services.keyring.hash_key()

    @staticmethod
    def _append(connection: Any, frozen: list[form.FrozenEntry]) -> None:
        append(connection, [LogRow(each.transfer, each.phase, each.entry, each.leaf) for each in frozen])
