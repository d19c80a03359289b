"""The keys that sign webhooks (Ed25519): the first is made with the first subscription, all are kept sealed.

The newest key signs. The one before it signs too until the newer one is OVERLAP old, so that receivers have time to
take the new public key. The sealing key is derived from the instance's hash key, which is in a file.
Invariant: a row that was edited, or moved to another number, does not open, and signs nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, insert, select

from contracts.base.errors import Failure
from gateway.journal.append import append
from gateway.journal.schema.push_tables import push_key
from gateway.push.records import HashId
from gateway.transfer import entries
from security import webhooks
from security.seal import seal, unseal

OVERLAP: Final = 7 * 86_400.0  # seconds
NOTE: Final = "push-key"
_logger: Final = logging.getLogger("lgsp.push")


class PushKey(NamedTuple):
    """A key with the time that it was made at."""

    number: int
    made: float
    private: Ed25519PrivateKey

    @property
    def public(self) -> str:
        """As receivers get it: `whpk_…`."""
        return webhooks.public_text(self.private.public_key())


def in_force(connection: Connection, hash_id: HashId, now: float) -> tuple[PushKey, ...]:
    """The keys that sign now, newest first; none before the keeper made the first one."""
    kept: list[PushKey] = []
    for row in connection.execute(select(push_key).order_by(push_key.c.number.desc()).limit(3)):
        key = _opened(row.number, row.made, bytes(row.sealed), hash_id)
        if key is not None:
            kept.append(key)
        if kept and kept[-1].made <= now - OVERLAP:  # the ones before it have had their time
            break
    return tuple(kept)


def make(connection: Connection, hash_id: HashId, now: float, actor: str = "gateway", reason: str = "") -> PushKey:
    """A new key, which signs from now on; an entry of the log tells of it."""
    newest = connection.scalar(select(push_key.c.number).order_by(push_key.c.number.desc()).limit(1)) or 0
    seed = os.urandom(32)
    key = PushKey(newest + 1, now, Ed25519PrivateKey.from_private_bytes(seed))
    plain = json.dumps([now, seed.hex()]).encode()
    sealed = seal(_sealing_key(hash_id), _context(key.number), plain)
    connection.execute(insert(push_key).values(number=key.number, made=now, sealed=sealed))
    facts: dict[str, str | int] = {"number": key.number, "public": key.public}
    append(connection, [entries.note(NOTE, facts | ({"reason": reason} if reason else {}), now, actor=actor)])
    return key


def _opened(number: int, made: float, sealed: bytes, hash_id: HashId) -> PushKey | None:
    try:
        at, seed = json.loads(unseal(_sealing_key(hash_id), _context(number), sealed))
        if at == made:
            return PushKey(number, made, Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed)))
    except (Failure, ValueError):
        pass
    _logger.critical("the key %d of webhooks was changed in the database; it signs nothing", number)
    return None


def _sealing_key(hash_id: HashId) -> bytes:
    return hashlib.sha256(hash_id("push key seal\n").encode()).digest()


def _context(number: int) -> bytes:
    return f"push key {number}".encode()
