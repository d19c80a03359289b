"""Examines the last backup: its existence, age, place, and exposed keys; and whether a restore was rehearsed."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, select

from contracts.base.times import rfc3339
from gateway.backup.manifest import FORMAT, LAST, NAME
from gateway.doctor.findings import Finding, finding
from gateway.journal import drills
from gateway.journal.schema import tables
from gateway.journal.values import value_of
from gateway.registry.restore_lock import newest_restore
from gateway.settings import Settings
from security.grants.windows import Moment

_DAY: Final = 86_400.0


def _is_backup(manifest: Path) -> bool:
    """Whether a manifest is of a backup; exports and evidence packages use the same name."""
    try:
        content = json.loads(manifest.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT


def backups(settings: Settings, connection: Connection, now: float) -> Iterator[Finding]:
    inside = [
        str(path.parent) for depth in ("*", "*/*") for path in settings.data.glob(f"{depth}/{NAME}") if _is_backup(path)
    ]
    if inside:
        yield finding("backup.inside", paths=", ".join(sorted(inside)))
    restored = newest_restore(connection)
    if restored is not None and not restored["confirmed"]:
        kind = "restore.practice" if restored.get("backup", {}).get("practice") else "restore.held"
        yield finding(kind, at=Moment(rfc3339(restored["at"])))
    yield from _drills(settings, connection, now)
    text = value_of(connection, LAST)
    if text is None:
        if settings.backup_days:
            yield finding("backup.never")
        return
    last: dict[str, Any] = json.loads(text)
    days = (now - last["at"]) / _DAY
    if settings.backup_days and days > settings.backup_days:
        yield finding("backup.old", days=int(days), limit=settings.backup_days)
    folder = Path(last["folder"])
    if last["keys"] == "plain":
        yield finding("backup.plain-keys", path=folder)
    try:
        loose = bool(stat.S_IMODE(folder.stat().st_mode) & 0o077)
        overdue = (
            last["vault_keys_until"] is not None and last["vault_keys_until"] < now and (folder / "vault-keys").exists()
        )
    except OSError:  # moved away, as recommended
        return
    if loose:
        yield finding("backup.modes", path=folder)
    if overdue:
        yield finding("backup.vault-keys", path=folder / "vault-keys")


def _drills(settings: Settings, connection: Connection, now: float) -> Iterator[Finding]:
    last = drills.newest(connection, drills.RESTORE)
    if last is not None and not last.ok:
        yield finding("drill.failed", at=Moment(rfc3339(last.at)))
    entry = tables.log_entry.c
    since = last.at if last is not None else connection.scalar(select(entry.sequenced).where(entry.idx == 0))
    if since is not None and settings.drill_days and (days := (now - since) / _DAY) > settings.drill_days:
        yield finding("drill.due", days=int(days), limit=settings.drill_days)
