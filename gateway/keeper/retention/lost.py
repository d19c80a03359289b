"""States that a key of the vault is lost on all machines, so that sealing goes on with another of its day and class.

Where machines share a database, nobody seals with a key that differs from the recorded one. A recorded key that is
nowhere any more would stop sealing until the next day. A person who knows that it is gone says so, in the log. What it
sealed stays unreadable, and is named so; the next key of that day and class is `<id>~2`.
"""

from __future__ import annotations

from sqlalchemy import Engine, select, update

from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keeper.retention import rows
from gateway.keeper.retention.holds import LEAST_REASON
from gateway.transfer import entries
from gateway.vault.errors import VAULT_EXPIRED, VAULT_KEY_STANDS, VAULT_KEY_UNKNOWN, VAULT_NO_REASON
from gateway.vault.keys import Keys
from security.transparency.entry import Json

NOTE = "vault-lost"


def state_lost(engine: Engine, keys: Keys, key_id: str, reason: str, actor: str, now: float) -> int:
    """Returns how many bodies are unreadable by it. A second time it changes nothing.

    Raises `vault.no-reason`, `vault.key-unknown`, `vault.key-stands`, `vault.expired`.
    """
    if len(reason.strip()) < LEAST_REASON:
        raise VAULT_NO_REASON(length=len(reason.strip()), least=LEAST_REASON)
    table = tables.vault_key_digest
    with engine.connect() as connection:
        row = connection.execute(select(table.c.lost).where(table.c.id == key_id)).first()
    if row is None:
        raise VAULT_KEY_UNKNOWN(key_id=key_id)
    if (ended := keys.ended(key_id)) is not None:
        raise VAULT_EXPIRED(id="-", key_id=key_id, date=ended)
    if keys.stands(key_id):
        raise VAULT_KEY_STANDS(key_id=key_id, where=keys.where(key_id))
    with writing(engine) as connection:
        bodies, size = rows.counted(connection, key_id)
        step = update(table).where(table.c.id == key_id, table.c.lost.is_(None)).values(lost=now)
        if connection.execute(step).rowcount:
            facts: dict[str, Json] = {"key": key_id, "bodies": bodies, "bytes": size, "reason": reason.strip()}
            append(connection, [entries.note(NOTE, facts, now, actor=actor)])
    return bodies
