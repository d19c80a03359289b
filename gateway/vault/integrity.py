"""Checks that the database's row, the intent in the log and the sealed request of a transfer agree.

Who controls the database can change rows and entries, and cannot seal. A request, and what is dispatched, is sealed
with the leaf of its intent and with the row's fixed columns (`binding.of_transfer`). A request that was sealed before
there were bindings still proves its intent by the salted digest.
Invariant: `transfer.tampered` names the row or entry that differs, and nothing is sent or answered.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection

from contracts.base.errors import Ours
from gateway.journal.logged import Logged, entry_of, intent_columns
from gateway.vault import attachments, binding
from gateway.vault.errors import TRANSFER_TAMPERED, VAULT_BROKEN
from gateway.vault.salting import unpack
from gateway.vault.vault import Opened, Vault
from security.transparency.entry import salted_pieces

_GAP: Final = b"\r\n\r\n"  # between the head of the request and its body


def tampered(transfer: str, what: str) -> Ours:
    return TRANSFER_TAMPERED(transfer=transfer, what=what)


def intent_of(connection: Connection, row: object) -> Logged:
    """The intent of this row's transfer (columns as attributes), if both agree."""
    id: str = row.id  # type: ignore[attr-defined]
    entry = entry_of(connection, id, "intent")
    if entry is None or not entry.sound or entry.value.get("kind") != "intent":
        raise tampered(id, "log: intent")
    for column, value in intent_columns(entry.value).items():
        if getattr(row, column) != value:
            raise tampered(id, f"transfer.{column}")
    return entry


def request_of(connection: Connection, vault: Vault, row: object, intent: Logged) -> tuple[bytes, bytes]:
    """(salt, request as it travelled) from the vault, proved to be that of this row and this intent."""
    id: str = row.id  # type: ignore[attr-defined]
    opened = vault.open_bound(connection, f"{id}/request")
    check_bound(opened, row, intent)
    try:
        salt, request = unpack(opened.plain)
    except ValueError:
        raise VAULT_BROKEN(id=f"{id}/request", key_id="-") from None
    body = request.partition(_GAP)[2]
    pieces = attachments.restored(attachments.of_connection(connection, vault), id, body)
    if body and not matches(intent.value.get("in"), salt, pieces):
        raise tampered(id, "log: intent")
    return salt, request


def check_bound(opened: Opened, row: object, intent: Logged) -> None:
    """For a body that is sealed with its transfer; one without a binding was sealed before there were any."""
    if opened.binding is not None and opened.binding != binding.of_transfer(intent.leaf, row):
        raise tampered(row.id, "transfer, or log: intent")  # type: ignore[attr-defined]


def matches(told: object, salt: bytes, pieces: Iterable[bytes]) -> bool:
    """Whether an entry's digest is that of these bytes."""
    digest = salted_pieces(salt, pieces)
    return told == {"sha256": digest.sha256.hex(), "size": digest.size}
