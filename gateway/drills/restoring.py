"""The restore drill: restores a backup beside the running instance, verifies it, measures, and removes it again.

Bodies are opened with the instance's own vault keys, which are not copied; nobody sees what is in them.
Invariants:
- A drill never confirms a restore, and starts no process: nothing is accepted or sent from it.
- The instance gets one entry, `backup-drill`, whether the drill went well or not.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, func, select

from contracts.base.errors import Failure
from gateway.audit.log import origins
from gateway.audit.verify.verify import Report, verify_log
from gateway.backup import manifest, take
from gateway.backup import restore as restores
from gateway.backup.errors import BACKUP_BROKEN, BACKUP_DISK_FULL, BACKUP_NONE
from gateway.backup.manifest import LAST, Manifest, Tick
from gateway.drills import places
from gateway.drills.errors import DRILL_BACKUP_GONE
from gateway.journal import drills
from gateway.journal.append import append
from gateway.journal.database import open_engine, writing
from gateway.journal.schema import tables
from gateway.journal.values import value_of
from gateway.keys.keyring import Keyring
from gateway.settings import Settings, load
from gateway.transfer import entries
from gateway.vault.stores import open_vault
from security.grants.windows import civil
from security.transparency.checkpoint import NoteKey

_MIB: Final = 1 << 20
_KEPT_FREE: Final = 1024  # MiB that the instance keeps; the doctor names less
_SAMPLES: Final = 10  # bodies of the oldest, and as many of the newest
_SAMPLE_BYTES: Final = 5_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """`backup`: None for the newest, or one made for the drill. `vkey`: None for that of the running instance."""

    backup: Path | None = None
    database: str = ""
    vkey: NoteKey | None = None
    keys: Path | None = None
    work: Path | None = None
    actor: str = "command line"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """All values can be written as JSON; times are in seconds. `lost`: entries that were signed after the backup, and
    would be lost with the machine; `trouble` is a code, or empty."""

    ok: bool
    trouble: str
    backup: str
    made: str = ""
    age: float = 0.0
    entries: int = 0
    lost: int = 0
    root: str = ""
    trusted_key: str = ""
    transfers: int = 0
    bodies: dict[str, int] = field(default_factory=dict)
    missing_keys: list[str] = field(default_factory=list)
    first_wrong: str | None = None
    seconds: float = 0.0
    restore_seconds: float = 0.0
    verify_seconds: float = 0.0


def drill(settings: Settings, wanted: Wanted, clock: Callable[[], float], tick: Tick) -> Result:
    """Raises a `drill.…` failure if there is no place for it, and `backup.none` if the named folder has no backup; any
    other failure is its result."""
    began = time.monotonic()
    with places.working(settings, wanted.work) as place, places.database_for(settings, wanted.database) as address:
        found = wanted.backup
        try:
            found = found or _newest(settings)
            if wanted.backup is None and found is not None and not (found / manifest.NAME).is_file():
                raise DRILL_BACKUP_GONE(folder=found)  # one that is made now would hide that
            folder = found or _made(settings, place, clock(), tick)
            result = _drilled(settings, replace(wanted, database=address), folder, place, clock, tick)
        except Failure as failure:
            if wanted.backup is not None and failure.code == BACKUP_NONE.code:  # named by mistake: nothing was tried
                raise
            result = Result(ok=False, trouble=failure.code, backup=str(found or "-"), first_wrong=_said(failure))
        result = replace(result, backup=str(found or "made for the drill"))
    result = replace(result, seconds=round(time.monotonic() - began, 1))
    _record(settings, result, clock(), wanted.actor)
    return result


def _said(failure: Failure) -> str:
    return f"{failure.what('en')} {failure.next('en')} / {failure.what('vi')} {failure.next('vi')}"


def _newest(settings: Settings) -> Path | None:
    """The folder of the last backup; None if none was made yet."""
    engine = open_engine(settings.database_url)
    try:
        with engine.connect() as connection:
            text = value_of(connection, LAST)
    finally:
        engine.dispose()
    try:
        return None if text is None else Path(json.loads(text)["folder"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BACKUP_BROKEN(folder=LAST, reason="it does not name its folder") from None


def _made(settings: Settings, place: Path, now: float, tick: Tick) -> Path:
    """A backup for this drill alone: neither logged nor counted as the last one, since it goes with the drill."""
    folder, engine = place / "backup", open_engine(settings.database_url)
    try:
        _room(2 * take.needed_for(engine), place)
    finally:
        engine.dispose()
    take.take(settings, folder, take.Wanted(plain_keys=True, counts=False), now, tick)
    return folder


def _drilled(
    settings: Settings, wanted: Wanted, folder: Path, place: Path, clock: Callable[[], float], tick: Tick
) -> Result:
    trusted, whose = _trusted(settings, folder, wanted.vkey)
    backup = manifest.read(folder, trusted, tick)
    _room(2 * sum(each.size for each in backup.files.values()) // _MIB, place)
    began = time.monotonic()
    asked = restores.Asked(place / "instance", database=wanted.database, vkey=trusted, keys=wanted.keys)
    restored = restores.restore(folder, asked, clock(), tick)
    done = time.monotonic()
    there = replace(load(asked.data, {}), database=wanted.database)
    engine = open_engine(there.database_url)
    try:
        report = _verified(engine, backup, restored, trusted, tick)
        verified = time.monotonic()
        with engine.connect() as connection:
            transfers = int(connection.scalar(select(func.count()).select_from(tables.transfer)) or 0)
            bodies = _opened(settings, connection)
    finally:
        engine.dispose()
    whole = report.ok and report.size == backup.size
    trouble = (
        "backup.wrong-log"
        if not whole
        else "vault.broken"
        if bodies["broken"]
        else "backup.without-keys"
        if restored.missing_keys
        else ""
    )
    return Result(
        ok=not trouble,
        trouble=trouble,
        backup=str(folder),
        made=civil(backup.made),
        age=round(clock() - backup.made, 1),
        entries=report.size,
        lost=max(0, restored.signed - restored.held),
        root=report.root,
        trusted_key=whose,
        transfers=transfers,
        bodies=bodies,
        missing_keys=restored.missing_keys,
        first_wrong=report.first_wrong,
        restore_seconds=round(done - began, 1),
        verify_seconds=round(verified - done, 1),
    )


def _trusted(settings: Settings, folder: Path, given: NoteKey | None) -> tuple[NoteKey, str]:
    """The key that the log in the backup is verified with, never the one in the backup; and whose it is."""
    if given is not None:
        return given, "given"
    origin = manifest.stated(folder).origin
    if origin != settings.origin:
        engine = open_engine(settings.database_url)
        try:
            with engine.connect() as connection:
                old = origins.ended_as(connection, origin)
        finally:
            engine.dispose()
        if old is not None:
            return NoteKey.from_text(old.vkey), "the instance's, of the ended log"
    return NoteKey.from_text(Keyring(settings).log_vkey.read_text("ascii").strip()), "the instance's"


def _room(needed: int, place: Path) -> None:
    """The instance must not run out of room by its drill. `needed` is in MiB."""
    free = shutil.disk_usage(place).free // _MIB
    if _KEPT_FREE + needed > free:
        raise BACKUP_DISK_FULL(path=place, needed=_KEPT_FREE + needed, free=free)


def _verified(engine: Engine, backup: Manifest, restored: restores.Restored, trusted: NoteKey, tick: Tick) -> Report:
    """Derives the log anew from what was committed. Where a new log would begin, it is the ended one."""
    with origins.within(engine, None if restored.reason is None else backup.origin) as connection:
        return verify_log(
            connection,
            trusted,
            origin=backup.origin,
            newest=backup.checkpoint,
            on_progress=lambda count: tick("verified", count, backup.size),
        )


def _opened(settings: Settings, connection: Connection) -> dict[str, int]:
    """Opens some bodies with the running instance's keys, where they are; counts, and discloses nothing."""
    vault, table = open_vault(settings, None), tables.vault.c
    small = select(table.id).where(table.size <= _SAMPLE_BYTES)
    ids = {
        str(id)
        for order in (table.id, table.id.desc())
        for id in connection.execute(small.order_by(order).limit(_SAMPLES)).scalars()
    }
    counted = {"opened": 0, "broken": 0, "without_key": 0}
    for found in vault.open_many(connection, sorted(ids)).values():
        what = "without_key" if found is None else "broken" if isinstance(found, Failure) else "opened"
        counted[what] += 1
    return counted


def _record(settings: Settings, result: Result, now: float, actor: str) -> None:
    told: dict[str, Any] = {name: value for name, value in asdict(result).items() if value not in ("", None, [])}
    facts = {"kind": "restore", "day": civil(now)[:10], **told, "by": "lgsp drill restore"}
    engine = open_engine(settings.database_url)
    try:
        with writing(engine) as connection:
            append(connection, [entries.note(drills.RESTORE, _frozen(facts), now, actor=actor)])
            drills.remember(connection, drills.RESTORE, drills.Last(now, result.ok))
    finally:
        engine.dispose()


def _frozen(facts: dict[str, Any]) -> dict[str, Any]:
    """Entries have no fractions: seconds as text."""
    return {name: f"{value:.1f}" if isinstance(value, float) else value for name, value in facts.items()}
