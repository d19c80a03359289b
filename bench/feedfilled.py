"""Fills a feed of an instance with many events in a short time: their bodies, and the keys that stand.

The events are alerts with one body of the catalogue's samples, each with an identifier of its own.
Invariant: a reader gets these events as if systems had handed them in: bodies are sealed, and bound to their events.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from contracts.base.ids import new_id
from contracts.base.times import rfc3339
from contracts.canonical.model import Kind
from contracts.compiled.contract import CompiledContract
from contracts.folder.bundle import catalogue_folders
from gateway.feeds import keys
from gateway.journal.database import open_engine
from gateway.journal.schema import tables
from gateway.journal.write import KeyRow, VaultRow
from gateway.keys.keyring import Keyring
from gateway.registry.registry import Registry
from gateway.registry.seals.sealing import Seal
from gateway.settings import Settings
from gateway.transfer.transfer_records import NONE, event_type, facts_of
from gateway.vault import binding
from gateway.vault.vault import Vault
from security.transparency.entry import keyed

CONTRACT: Final = "incident-alert/v1"
_OPERATION: Final = "submitAlert"
_APART: Final = 0.05  # seconds between two events
_CHUNK: Final = 20_000
_SAID: Final = 200_000
Say = Callable[[str], None]
_ID, _TIME, _SUBJECT = "@id@", "@time@", "@subject@"
_PARTY: Final = keys.Party("H14.2", "canh-bao")


class Event(NamedTuple):
    transfer: str
    at: float
    text: str
    body: VaultRow
    keys: tuple[KeyRow, ...]


def fill_feed(settings: Settings, number: int, standing: int, until: float, say: Say = lambda _: None) -> None:
    """`number` events up to a time into a database of SQLite that nobody has open; the keys of the last `standing`."""
    engine = open_engine(settings.database_url)
    registry = Registry(engine, Seal.of(settings))
    with engine.connect() as connection:
        registry.refresh(connection)
    engine.dispose()
    contract = registry.snapshot.contracts[CONTRACT]
    hash_id = partial(keyed, Keyring(settings).hash_key())
    vault = Vault(settings.vault_keys)
    events = _events(contract, vault, hash_id, number, standing, until - number * _APART)
    database = sqlite3.connect(str(engine.url.database), isolation_level=None)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "cache_size = -200000"):
        database.execute(f"PRAGMA {pragma}").fetchall()
    offset = 0
    while some := list(islice(events, _CHUNK)):
        database.execute("BEGIN")
        _insert(
            database,
            tables.feed_event,
            [
                (CONTRACT, offset + place, each.transfer, each.text, each.body.id, each.at + 0.2)
                for place, each in enumerate(some, 1)
            ],
        )
        _insert(database, tables.vault, [tuple(each.body) for each in some])
        _insert(database, tables.feed_key, [tuple(key) for each in some for key in each.keys], KeyRow._fields)
        database.execute("COMMIT")
        offset += len(some)
        if offset % _SAID == 0:
            say(f"feeds: {offset:,} of {number:,} events filled")
    database.execute("PRAGMA locking_mode = NORMAL")
    database.execute("PRAGMA journal_mode = WAL").fetchall()
    database.close()


def sample() -> dict[str, Any]:
    """A canonical sample of an alert that hands in something new."""
    folder = next(each for each in catalogue_folders() if Path(each).match("incident-alert/v1"))
    (path,) = Path(folder).glob("samples/canonical/Alert.*.json")
    message: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return message


def _events(
    contract: CompiledContract, vault: Vault, hash_id: Any, number: int, standing: int, start: float
) -> Iterator[Event]:
    operation, base = contract.contract.operations[_OPERATION], sample()
    namespace = contract.contract.namespace
    type = event_type(namespace, _OPERATION, Kind.SUBMITTED)
    # What differs from event to event is put into texts that are written once: an identifier needs no escape.
    attributes = {
        "specversion": "1.0",
        "id": _ID,
        "source": f"urn:lgsp:system:{_PARTY.system}",
        "type": type,
        "time": _TIME,
        "datacontenttype": "application/json",
        "lgspagency": _PARTY.agency,
        "lgspformat": "cap12",
        "lgspbundle": contract.digest,
        **facts_of(contract, operation, base, start),
        "lgspfailedrules": NONE,
        "subject": _SUBJECT,
    }
    event_text = json.dumps(attributes, separators=(",", ":"))
    body_text = json.dumps(base | {"identifier": _SUBJECT}, ensure_ascii=False, separators=(",", ":"))
    for place in range(number):
        at = start + place * _APART
        transfer, subject = new_id(int(at * 1000)), f"CB-{place:08}"
        text = event_text.replace(_ID, transfer).replace(_TIME, rfc3339(at)).replace(_SUBJECT, subject)
        plain = body_text.replace(_SUBJECT, subject).encode()
        row = vault.seal(transfer, "canonical", plain, at, bound=binding.of_event(CONTRACT, text))
        own: tuple[KeyRow, ...] = ()
        if place >= number - standing:
            message = base | {"identifier": subject}
            claim = keys.claim(contract.contract, operation, message, _PARTY, hash_id)
            assert claim is not None
            own = keys.settle(claim, {}, transfer).rows
        yield Event(transfer, at, text, row, own)


def _insert(database: sqlite3.Connection, table: Any, rows: list[tuple[Any, ...]], names: tuple[str, ...] = ()) -> None:
    names = names or tuple(column.name for column in table.columns)
    columns, places = ", ".join(f'"{name}"' for name in names), ", ".join("?" * len(names))
    database.executemany(f"INSERT INTO {table.name} ({columns}) VALUES ({places})", rows)  # noqa: S608
