"""Answers a query from a feed: what stands now under a business key (`feed` of an operation).

Invariant: the answer is the acknowledged content of the key, and nothing else. Row, event and sealed body are checked
against each other. What was recalled, or is past its retention, is no answer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from contracts.base.errors import Ours
from contracts.canonical.model import Operation
from contracts.compiled.contract import CompiledContract
from contracts.compiled.identity import item_of, key_from
from contracts.wire.jsontext import read_json
from gateway.feeds import keys
from gateway.feeds.errors import FEED_NO_VALUE
from gateway.journal.schema import tables
from gateway.registry.tenants import is_tenant
from gateway.transfer.key_seals import HashId, is_sound
from gateway.vault import binding
from gateway.vault.errors import VAULT_NOT_FOUND
from gateway.vault.integrity import tampered
from gateway.vault.vault import GONE, Vault


class FeedValue(NamedTuple):
    """`transfer` of the agency `owner` handed the answer in, at the time `at`."""

    answer: dict[str, Any]
    transfer: str
    at: str
    owner: str


def value_of(
    connection: Connection,
    vault: Vault,
    compiled: CompiledContract,
    operation: Operation,
    question: dict[str, Any],
    hash_id: HashId,
    agency: str = "",
) -> FeedValue:
    """What `agency` asks for. A tenant of a sandbox gets what it handed in itself, else what the province has.

    `feed.no-value` if nothing is in force under the key; `transfer.tampered` on any contradiction."""
    contract, feed = compiled.contract, operation.feed
    assert feed is not None
    identity = contract.operations[feed.operation].identity
    assert identity is not None
    hashed = [keys.key_of_query(contract, operation, question, hash_id)]
    if is_tenant(agency):
        hashed.insert(0, keys.key_of_query(contract, operation, question, hash_id, agency))
    rows = keys.read_rows(connection, hashed)
    row = next((rows[each] for each in hashed if each in rows), None)
    if row is None:
        raise FEED_NO_VALUE(contract=contract.name)
    if not is_sound(row, hash_id):
        raise tampered(row.transfer, "feed_key")
    if row.state != keys.LIVE:
        raise FEED_NO_VALUE(contract=contract.name)
    event = _event(connection, row.transfer)
    try:
        opened = vault.open_bound(connection, f"{row.transfer}/canonical")
    except Ours as failure:
        if failure.code in GONE or failure.code == VAULT_NOT_FOUND.code:
            raise FEED_NO_VALUE(contract=contract.name) from None
        raise
    if event is None or opened.binding is not None and opened.binding != binding.of_event(contract.name, event):
        raise tampered(row.transfer, "feed event")
    answer = item_of(identity, read_json(opened.plain), key_from(question, feed.key))
    if answer is None:
        raise tampered(row.transfer, "feed_key")
    attributes = read_json(event.encode())
    return FeedValue(dict(answer), row.transfer, str(attributes["time"]), str(attributes.get("lgspagency", "")))


def _event(connection: Connection, transfer: str) -> str | None:
    """An acknowledged event may not be sequenced yet. It moves from the first table to the second."""
    for table in (tables.feed_pending, tables.feed_event):
        event = connection.scalar(select(table.c.event).where(table.c.transfer == transfer))
        if event is not None:
            return str(event)
    return None
