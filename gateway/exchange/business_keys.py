"""Reads and settles the business keys of submitted messages for the doors of one process (`gateway.feeds.keys`).

A message with many keys is worked on in a thread. A message that refers to no other is first taken as new: the journal
says if it is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from contracts.canonical.model import Kind
from gateway.feeds import keys
from gateway.feeds.keys import Claim, Party, Settled
from gateway.journal.write import KeyRow
from gateway.transfer.key_seals import is_sound
from gateway.transfer.large_body import off_loop
from gateway.transfer.stages import Decoded
from gateway.vault.errors import TRANSFER_TAMPERED

TRIES: Final = 8  # of one message whose keys others change at the same time
_MANY: Final = 20  # keys that are sealed in the event loop
_LONG: Final = 4096  # bytes of a body that is not worked on in the event loop


class KeysChanged(Exception):
    """Another transfer changed a business key after it was read."""


@dataclass(slots=True)
class BusinessKeys:
    engine: Engine
    hash_id: Callable[[str], str]

    async def claim(self, decoded: Decoded) -> Claim | None:
        """None if the contract declares no business key."""
        requested = decoded.requested
        operation, caller = requested.operation, requested.caller
        if operation.identity is None:
            return None
        party, at = Party(caller.agency, caller.id), requested.received.at
        what = (requested.contract.contract, operation, decoded.message, party, self.hash_id, at)
        return await off_loop(operation.identity.items or len(requested.received.body) > _LONG, keys.claim, *what)

    async def read(self, claimed: Claim | None) -> Mapping[str, KeyRow]:
        return {} if claimed is None else await asyncio.to_thread(self._read, claimed)

    async def settle(self, claimed: Claim | None, known: Mapping[str, KeyRow], transfer: str) -> Settled:
        if claimed is None:
            return Settled(Kind.SUBMITTED)
        return await off_loop(len(claimed.own) > _MANY, keys.settle, claimed, known, transfer)

    def _read(self, claimed: Claim) -> dict[str, KeyRow]:
        with self.engine.connect() as connection:
            known = keys.read_rows(connection, claimed.keys)
        for row in known.values():
            if not is_sound(row, self.hash_id):
                raise TRANSFER_TAMPERED(transfer=row.transfer, what="feed_key")
        return known
