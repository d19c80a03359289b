"""Notes changes of an instance's settings in the log, at the next start.

The settings of the last start are kept in the database, by machine. Values that may be secret (an address with a
password, the place of a secret) are kept as salted digests: the log only says that they changed. Each note, the first
start's too, bears the digest of the kept values (`seen`), so that `lgsp audit verify` finds kept values that were
changed.

Invariant: the kept values and the note change in one transaction, so that each change is noted exactly once.
"""

from __future__ import annotations

import hashlib
import json
import platform
import secrets
from dataclasses import fields
from typing import Any, Final

from sqlalchemy import Connection

from gateway.journal.append import append
from gateway.journal.values import keep, keep_first, value_of
from gateway.settings import Settings
from gateway.transfer import entries
from security.transparency import entry as form

NOTE: Final = "settings"
SEEN: Final = "settings.seen "
_SECRET: Final = ("database", "secret", "pin", "password", "token_file", "credential")


def note_changes(connection: Connection, settings: Settings, now: float) -> list[str]:
    """Compares with the last start on this machine, within a writing transaction; returns the names that changed.

    The first start is noted without a change. `now` is in Unix seconds.
    """
    machine = settings.machine or platform.node()
    key = f"{SEEN}{machine}"
    text = value_of(connection, key)
    before: dict[str, Any] = {} if text is None else json.loads(text)
    salt = str(before.get("salt") or secrets.token_hex(16))
    present, defaults = _values(settings, salt), _values(Settings(settings.data), salt)
    seen: dict[str, Any] = defaults | before.get("values", {})  # a setting new to this release had its default
    changed = [name for name, value in present.items() if value != seen[name]]
    if text is not None and not changed and before.get("values", {}).keys() == present.keys():
        return []
    kept = _text(salt, present)
    if text is None:
        changed = []
        if not keep_first(connection, key, kept):
            return []  # another process of this machine noted its start at this moment
    else:
        keep(connection, key, kept)
    changes: form.Json = [_change(name, seen[name], present[name]) for name in changed]
    facts: dict[str, form.Json] = {"changed": changes, "seen": digest_of(kept)}
    append(connection, [entries.note(NOTE, facts, now, actor=machine)])
    return changed


def values_of(kept: str) -> dict[str, Any]:
    """The values of the last start; none of a text that is not one that was kept."""
    try:
        values = json.loads(kept)["values"]
    except (ValueError, LookupError, TypeError):
        return {}
    return values if isinstance(values, dict) else {}


def digest_of(value: str) -> str:
    """Hex SHA-256 of the kept text, which contains a random salt."""
    return hashlib.sha256(value.encode()).hexdigest()


def _values(settings: Settings, salt: str) -> dict[str, Any]:
    names = (each.name for each in fields(Settings) if each.name != "data")
    return {name: _kept(name, getattr(settings, name), salt) for name in names}


def _text(salt: str, values: dict[str, Any]) -> str:
    return json.dumps({"salt": salt, "values": values}, ensure_ascii=False, sort_keys=True)


def _kept(name: str, value: object, salt: str) -> str | int | bool | dict[str, str]:
    if isinstance(value, (bool, int)):
        return value
    text = str(value)
    if text and (any(word in name for word in _SECRET) or "@" in text):
        return {"digest": hashlib.sha256(f"{salt}{name}\0{text}".encode()).hexdigest()}
    return text


def _change(name: str, before: Any, now: Any) -> dict[str, form.Json]:
    """The old and the new value; of a value that may be secret only its name."""
    if isinstance(before, dict) or isinstance(now, dict):
        return {"name": name}
    return {"name": name, "from": before, "to": now}
