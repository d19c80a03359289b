"""`lgsp audit`: verify, show, export."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from sqlalchemy import Engine, func, select

from contracts.base.times import rfc3339
from gateway.audit import origins
from gateway.audit.tiles import read_path, size_of_log
from gateway.audit.verify import verify_log
from gateway.commands.output import Exit, emit, fail
from gateway.exchange import entries
from gateway.journal import tables
from gateway.journal.append import append
from gateway.journal.database import open_engine, writing
from gateway.keyring import Keyring
from gateway.settings import Settings
from security import tiles
from security.checkpoint import NoteKey

_ROWS = 5_000


def verify(settings: Settings, vkey: str | None, origin: str | None, checkpoint: Path | None, as_json: bool) -> None:
    """Re-derive the tree. Without `--vkey` the instance's own copy is used, and the result says so: that proves only consistency."""
    trusted = vkey is not None
    engine = open_engine(settings.database_url)
    past = _past(engine, settings, origin)
    key = _key(vkey if vkey is not None else str(Keyring(settings).log_vkey) if past is None else past.vkey, as_json)
    kept = _kept(checkpoint, as_json) if checkpoint is not None else None
    newest = settings.checkpoint_file.read_text("utf-8") if settings.checkpoint_file.exists() else None
    if past is not None:
        newest = past.note
    with origins.within(engine, past.origin if past is not None else None) as connection, _progress(as_json) as progress:
        total = connection.scalar(select(func.count()).select_from(tables.log_entry)) or 0
        task = progress.add_task("entries", total=total)
        report = verify_log(
            connection,
            key,
            origin=origin or settings.origin,
            newest=newest,
            kept=kept,
            on_progress=lambda done: progress.update(task, completed=done),
        )
    result: dict[str, Any] = {
        "ok": report.ok,
        "size": report.size,
        "root": report.root,
        "checked": report.checked,
        "first_wrong": report.first_wrong,
        "trusted_key": "given" if trusted else "from the instance itself",
    }
    lines = [
        f"log of {origin or settings.origin}: {report.size} entries, root {report.root}",
        *(f"  {name}: {count}" for name, count in report.checked.items()),
        "all agree with the signed checkpoint" if report.ok else f"FIRST WRONG: {report.first_wrong}",
    ]
    if not trusted:
        lines.append("note: checked with the key that lies in the instance; give --vkey with one kept outside to trust the result")
    emit(result, as_json, "\n".join(lines))


def origins_of(settings: Settings, as_json: bool) -> None:
    """The log that goes on, and those that ended by a restore."""
    with open_engine(settings.database_url).connect() as connection:
        past = origins.ended(connection)
    logs = [{"origin": each.origin, "vkey": each.vkey, "size": each.size, "ended": rfc3339(each.ended)} for each in past]
    logs.append({"origin": settings.origin, "vkey": Keyring(settings).log_vkey.read_text("ascii").strip(), "size": None, "ended": None})
    lines = [f"{each['origin']}: " + (f"ended {each['ended']}, {each['size']} entries" if each["ended"] else "goes on") for each in logs]
    emit({"ok": True, "logs": logs}, as_json, "\n".join(lines))


def _past(engine: Engine, settings: Settings, origin: str | None) -> origins.Ended | None:
    """The log that ended under this origin; None for the one that goes on."""
    if origin is None or origin == settings.origin:
        return None
    with engine.connect() as connection:
        return origins.ended_as(connection, origin)


def show(settings: Settings, transfers: list[str], as_json: bool) -> None:
    """The entries of transfers, in the order given, sequenced ones with their index; those of a log that ended with its origin."""
    engine = open_engine(settings.database_url)
    entry, pending, past = tables.log_entry, tables.log_pending, tables.past_entry
    entries: list[dict[str, Any]] = []
    missing: list[str] = []
    with engine.connect() as connection:
        for transfer in transfers:
            sequenced = select(entry.c.idx, entry.c.entry).where(entry.c.transfer == transfer).order_by(entry.c.idx)
            waiting = select(pending.c.entry).where(pending.c.transfer == transfer).order_by(pending.c.id)
            before = select(past.c.origin, past.c.idx, past.c.entry).where(past.c.transfer == transfer).order_by(past.c.origin, past.c.idx)
            found = [{"origin": row.origin, "index": row.idx, **json.loads(row.entry)} for row in connection.execute(before)]
            found += [{"index": row.idx, **json.loads(row.entry)} for row in connection.execute(sequenced)]
            found += [{"index": None, **json.loads(row.entry)} for row in connection.execute(waiting)]
            entries += found
            if not found:
                missing.append(transfer)
    if missing:
        what = f"the log holds nothing of {', '.join(missing)}"
        fail(Exit.NO, "no-such-transfer", what, "Transfer ids stand in answers as Lgsp-Transfer.", as_json)
    emit({"ok": True, "entries": entries}, as_json, "\n".join(json.dumps(each, ensure_ascii=False) for each in entries))


def export(settings: Settings, folder: Path, as_json: bool, origin: str | None = None) -> None:
    """`checkpoint`, `log.vkey`, `tile/…` hash tiles and `entries.ndjson` (one raw entry a line): what an outside tool needs, and no bodies."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as trouble:
        fail(Exit.USAGE, "no-folder", f"{folder} cannot be made: {trouble.strerror}", "Name an empty or missing folder.", as_json)
    if any(folder.iterdir()):
        fail(Exit.USAGE, "not-empty", f"{folder} is not empty", "Name an empty or missing folder.", as_json)
    engine = open_engine(settings.database_url)
    table, past = tables.log_entry, _past(engine, settings, origin)
    with origins.within(engine, origin if past is not None or origin != settings.origin else None) as connection:
        size = size_of_log(connection)
        note = connection.scalar(select(tables.checkpoint.c.note).where(tables.checkpoint.c.size == size))
        if note is None:
            fail(
                Exit.OURS,
                "no-checkpoint",
                "the newest entries have no checkpoint yet",
                "Is the keeper running? Try again in a second.",
                as_json,
            )
        (folder / "checkpoint").write_text(note, "utf-8")
        vkey = Keyring(settings).log_vkey.read_text("ascii") if past is None else f"{past.vkey}\n"
        (folder / "log.vkey").write_text(vkey, "ascii")
        for path in (tiles.tile_path(*tile) for tile in tiles.tiles_of(size)):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(read_path(connection, path))
        with (folder / "entries.ndjson").open("wb") as out:
            for start in range(0, size, _ROWS):
                query = select(table.c.entry).where(table.c.idx >= start, table.c.idx < min(size, start + _ROWS)).order_by(table.c.idx)
                for row in connection.execute(query):
                    out.write(row.entry + b"\n")
    with writing(engine) as connection:
        append(
            connection, [entries.note("export", {"entries": size, "origin": origin or settings.origin}, time.time(), actor="command line")]
        )
    emit({"ok": True, "folder": str(folder), "entries": size}, as_json, f"{size} entries exported to {folder}")


def _key(text: str, as_json: bool) -> NoteKey:
    """The verifier key that `text` is, or that stands in the file it names."""
    path = Path(text)
    try:
        return NoteKey.from_text(path.read_text("utf-8").strip() if path.is_file() else text)
    except (OSError, ValueError) as trouble:
        what = f"{text} is neither a verifier key nor a file that holds one ({trouble})"
        fail(Exit.USAGE, "bad-key", what, "A key is one line like NAME+HASH+BASE64, as in log/log.vkey.", as_json)


def _kept(path: Path, as_json: bool) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as trouble:
        what = f"the checkpoint {path} cannot be read ({trouble})"
        fail(Exit.USAGE, "no-file", what, "Name a file that holds a checkpoint as /audit/checkpoint gives it.", as_json)


def _progress(as_json: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, disable=as_json or not sys.stderr.isatty(), transient=True)
