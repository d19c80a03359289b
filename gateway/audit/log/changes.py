"""Changes of an instance's settings, noted in the log at the next start.

What the settings were is kept in the database, by machine, since each machine has its own. Values that may open something (an address with a password in it,
where a secret lies) are kept as salted digests alone: the log tells that they changed, and nothing else of them.
Each note bears the digest of what is remembered (`seen`), the first start's too, so that `lgsp audit verify` finds a memory that was changed.
Invariant: what is remembered and what is noted change in one transaction, so that no change is noted twice or never.
"""

from __future__ import annotations

import hashlib
import json
import platform
import secrets
from dataclasses import fields
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from contracts.base.ids import new_id
from gateway.journal.append import append
from gateway.journal.schema import tables
from gateway.journal.write import LogRow
from gateway.settings import Settings
from security.transparency import entry as form

NOTE: Final = "settings"
SEEN: Final = "settings.seen "
_TELLING: Final = ("database", "secret", "pin", "password", "token_file", "credential")


def note_changes(connection: Connection, settings: Settings, now: float) -> list[str]:
    """Compare with the last start on this machine, within a writing transaction; the names that changed. A first start has nothing to compare with, and
    is noted without a change."""
    key, table = f"{SEEN}{platform.node()}", tables.instance
    text = connection.scalar(select(table.c.value).where(table.c.key == key))
    before: dict[str, Any] = {} if text is None else json.loads(text)
    salt = str(before.get("salt") or secrets.token_hex(16))
    present = {
        each.name: _kept(each.name, getattr(settings, each.name), salt)
        for each in fields(Settings)
        if each.name != "data"
    }
    seen: dict[str, Any] = before.get("values", {})
    plain = {
        each.name: _kept(each.name, getattr(Settings(settings.data), each.name), salt)
        for each in fields(Settings)
        if each.name != "data"
    }
    changed = [
        name for name, value in present.items() if value != seen.get(name, plain[name])
    ]  # one that is new to this release had its default
    if text is not None and not changed and set(seen) == set(present):
        return []
    kept = _text(salt, present)
    if text is None:
        changed = []
        connection.execute(insert(table).values(key=key, value=kept))
    else:
        connection.execute(update(table).where(table.c.key == key).values(value=kept))
    told: form.Json = [_told(name, seen.get(name, plain[name]), present[name]) for name in changed]
    facts: dict[str, form.Json] = {"changed": told, "seen": digest_of(kept)}
    frozen = form.freeze(form.Note(new_id(int(now * 1000)), now, NOTE, platform.node(), facts))
    append(connection, [LogRow(frozen.transfer, frozen.phase, frozen.entry, frozen.leaf)])
    return changed


def digest_of(value: str) -> str:
    """Of what is remembered, as the notes bear it: SHA-256 in hex. The text has a random salt within."""
    return hashlib.sha256(value.encode()).hexdigest()


def _text(salt: str, values: dict[str, Any]) -> str:
    return json.dumps({"salt": salt, "values": values}, ensure_ascii=False, sort_keys=True)


def _kept(name: str, value: object, salt: str) -> str | int | bool | dict[str, str]:
    if isinstance(value, (bool, int)):
        return value
    text = str(value)
    if text and (any(word in name for word in _TELLING) or "@" in text):
        return {"digest": hashlib.sha256(f"{salt}{name}\0{text}".encode()).hexdigest()}
    return text


def _told(name: str, before: Any, now: Any) -> dict[str, form.Json]:
    """From what to what; of a value that may open something only that it changed."""
    if isinstance(before, dict) or isinstance(now, dict):
        return {"name": name}
    return {"name": name, "from": before, "to": now}
