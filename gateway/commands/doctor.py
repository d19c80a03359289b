"""`lgsp doctor`: look at an instance without changing it, and say what is wrong and what to do."""

from __future__ import annotations

import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import text

from contracts.base.times import rfc3339
from gateway.commands.output import emit
from gateway.journal.database import open_engine
from gateway.keyring import Keyring
from gateway.registry.snapshot import load_snapshot
from gateway.settings import Settings
from security.keys import load_certificate

_DAY = 86_400.0
_SOON = 14 * _DAY
_SPACE = 1 << 30


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    ok: bool
    what: str
    next: str = ""


def doctor(settings: Settings, as_json: bool) -> None:
    checks = [*_files(settings), *_certificates(settings), *_database(settings)]
    lines = [f"{'ok ' if each.ok else 'NO '} {each.name}: {each.what}" + (f"\n      {each.next}" if not each.ok else "") for each in checks]
    result = {
        "ok": all(each.ok for each in checks),
        "checks": [{"name": each.name, "ok": each.ok, "what": each.what, "next": each.next} for each in checks],
    }
    emit(result, as_json, "\n".join(lines))


def _files(settings: Settings) -> Iterator[Check]:
    keys = [path for folder in (settings.keys, settings.authority) for path in folder.rglob("*.key")]
    loose = [path for path in keys if stat.S_IMODE(path.stat().st_mode) & 0o077]
    yield Check(
        "key files",
        not loose,
        f"{len(keys)} key files"
        + (f", readable by others: {', '.join(str(path) for path in loose)}" if loose else ", readable by their owner alone"),
        "chmod 600 these files, and think about replacing the keys.",
    )
    offline = not (settings.authority / "root.key").exists()
    yield Check(
        "root key",
        offline or settings.kind == "sandbox",
        "the authority's root key is offline" if offline else "the authority's root key lies on this machine",
        "Move ca/root.key to offline storage; the issuers go on without it.",
    )
    free = shutil.disk_usage(settings.data).free
    yield Check("disk", free > _SPACE, f"{free / _SPACE:.1f} GiB free", "Make room: what cannot be journalled is not accepted.")


def _certificates(settings: Settings) -> Iterator[Check]:
    now = time.time()
    keyring = Keyring(settings)
    for path in (keyring.server_certificate, keyring.client_certificate, keyring.sign_certificate):
        yield _lifetime(path.name, load_certificate(path.read_bytes()).not_valid_after_utc.timestamp(), now)
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        snapshot = load_snapshot(connection)
    ending = sorted(key.key_id for key in snapshot.keys.values() if key.state == "active" and key.valid_until < now + _SOON)
    yield Check(
        "systems' certificates",
        not ending,
        f"{len(snapshot.keys)} registered" + (f", ending within 14 days: {', '.join(ending)}" if ending else ""),
        "Ask these systems' contacts to enrol new ones.",
    )


def _lifetime(name: str, until: float, now: float) -> Check:
    return Check(f"certificate {name}", until > now + _SOON, f"valid until {rfc3339(until)}", "Renew it before it ends.")


def _database(settings: Settings) -> Iterator[Check]:
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            word = str(connection.scalar(text("PRAGMA quick_check(1)")))
            yield Check("database", word == "ok", word, "Restore the last backup beside it and compare with `lgsp audit verify`.")
        waiting = int(connection.scalar(text("SELECT COUNT(*) FROM log_pending")) or 0)
    yield Check("log", waiting < 10_000, f"{waiting} entries wait for the keeper", "Is the instance running? `lgsp up` starts its keeper.")
