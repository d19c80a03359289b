"""`lgsp audit`: verify, show, export."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from sqlalchemy import func, select

from gateway.audit.complete import check_complete
from gateway.audit.tiles import read_path, size_of_log
from gateway.audit.verify import verify_log
from gateway.commands.output import Exit, emit, fail
from gateway.exchange import entries
from gateway.journal import tables
from gateway.journal.append import append
from gateway.journal.database import open_engine, snapshot, writing
from gateway.keyring import Keyring
from gateway.settings import Settings
from security import tiles
from security.checkpoint import NoteKey

_ROWS = 5_000


def verify(settings: Settings, vkey: str | None, origin: str | None, checkpoint: Path | None, as_json: bool) -> None:
    """Re-derive the tree. Without `--vkey` the instance's own copy is used, and the result says so: that proves only consistency."""
    trusted = vkey is not None
    key = _key(vkey if vkey is not None else str(Keyring(settings).log_vkey), as_json)
    kept = _kept(checkpoint, as_json) if checkpoint is not None else None
    newest = settings.checkpoint_file.read_text("utf-8") if settings.checkpoint_file.exists() else None
    engine = open_engine(settings.database_url)
    with snapshot(engine) as connection, _progress(as_json) as progress:
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
        held = progress.add_task("rows", total=None)
        rows = check_complete(connection, on_progress=lambda done: progress.update(held, completed=done))
    first_wrong = report.first_wrong or next(iter(rows.wrong), None)
    result: dict[str, Any] = {
        "ok": report.ok and rows.ok,
        "size": report.size,
        "root": report.root,
        "checked": report.checked,
        "rows": {"ok": rows.ok, "checked": rows.checked, "wrong": rows.wrong},
        "first_wrong": first_wrong,
        "trusted_key": "given" if trusted else "from the instance itself",
    }
    lines = [
        f"log of {origin or settings.origin}: {report.size} entries, root {report.root}",
        *(f"  {name}: {count}" for name, count in report.checked.items()),
        "rows held against the log: " + ", ".join(f"{count} {name}" for name, count in rows.checked.items()),
        "all agree with the signed checkpoint and with each other" if result["ok"] else f"FIRST WRONG: {first_wrong}",
    ]
    if not trusted:
        lines.append("note: checked with the key that lies in the instance; give --vkey with one kept outside to trust the result")
    emit(result, as_json, "\n".join(lines))


def show(settings: Settings, transfers: list[str], as_json: bool) -> None:
    """The entries of transfers, in the order given, sequenced ones with their index."""
    engine = open_engine(settings.database_url)
    entry, pending = tables.log_entry, tables.log_pending
    entries: list[dict[str, Any]] = []
    missing: list[str] = []
    with engine.connect() as connection:
        for transfer in transfers:
            sequenced = select(entry.c.idx, entry.c.entry).where(entry.c.transfer == transfer).order_by(entry.c.idx)
            waiting = select(pending.c.entry).where(pending.c.transfer == transfer).order_by(pending.c.id)
            found = [{"index": row.idx, **json.loads(row.entry)} for row in connection.execute(sequenced)]
            found += [{"index": None, **json.loads(row.entry)} for row in connection.execute(waiting)]
            entries += found
            if not found:
                missing.append(transfer)
    if missing:
        what = f"the log holds nothing of {', '.join(missing)}"
        fail(Exit.NO, "no-such-transfer", what, "Transfer ids stand in answers as Lgsp-Transfer.", as_json)
    emit({"ok": True, "entries": entries}, as_json, "\n".join(json.dumps(each, ensure_ascii=False) for each in entries))


def export(settings: Settings, folder: Path, as_json: bool) -> None:
    """`checkpoint`, `log.vkey`, `tile/…` hash tiles and `entries.ndjson` (one raw entry a line): what an outside tool needs, and no bodies."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as trouble:
        fail(Exit.USAGE, "no-folder", f"{folder} cannot be made: {trouble.strerror}", "Name an empty or missing folder.", as_json)
    if any(folder.iterdir()):
        fail(Exit.USAGE, "not-empty", f"{folder} is not empty", "Name an empty or missing folder.", as_json)
    engine = open_engine(settings.database_url)
    table = tables.log_entry
    with engine.connect() as connection:
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
        (folder / "log.vkey").write_text(Keyring(settings).log_vkey.read_text("ascii"), "ascii")
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
        append(connection, [entries.note("export", {"entries": size}, time.time(), actor="command line")])
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
