"""`lgsp audit show`, and what the commands of the audit log share: trusted keys, kept checkpoints, progress."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from sqlalchemy import Engine, select

from contracts.base.times import rfc3339
from gateway.audit import origins
from gateway.commands import known
from gateway.commands.output import Exit, emit, fail
from gateway.journal import tables
from gateway.journal.database import open_engine
from gateway.keyring import Keyring
from gateway.settings import Settings
from security.checkpoint import Checkpoint, NoteKey, split_note


def origins_of(settings: Settings, as_json: bool) -> None:
    """The log that goes on, and those that ended by a restore."""
    with open_engine(settings.database_url).connect() as connection:
        past = origins.ended(connection)
    logs = [{"origin": each.origin, "vkey": each.vkey, "size": each.size, "ended": rfc3339(each.ended)} for each in past]
    logs.append({"origin": settings.origin, "vkey": Keyring(settings).log_vkey.read_text("ascii").strip(), "size": None, "ended": None})
    lines = [f"{each['origin']}: " + (f"ended {each['ended']}, {each['size']} entries" if each["ended"] else "goes on") for each in logs]
    emit({"ok": True, "logs": logs}, as_json, "\n".join(lines))


def past_log(engine: Engine, settings: Settings, origin: str | None) -> origins.Ended | None:
    """The log that ended under this origin; None for the one that goes on."""
    if origin is None or origin == settings.origin:
        return None
    with engine.connect() as connection:
        return origins.ended_as(connection, origin)


def show(settings: Settings, transfers: list[str], as_json: bool) -> None:
    """The entries of transfers, in the order given, sequenced ones with their index; those of a log that ended with its origin."""
    transfers = [known.transfer_id(each, as_json) for each in transfers]
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
        what = f"the log holds nothing of {', '.join(missing)} / nhật ký không có gì về các giao dịch này"
        then = "Transfer ids stand in answers as Lgsp-Transfer. / Mã giao dịch nằm trong trường Lgsp-Transfer của trả lời."
        fail(Exit.NO, "no-such-transfer", what, then, as_json)
    emit({"ok": True, "entries": entries}, as_json, "\n".join(json.dumps(each, ensure_ascii=False) for each in entries))


def trusted_key(text: str, as_json: bool) -> NoteKey:
    """The verifier key that `text` is, or that stands in the file it names."""
    path = Path(text)
    try:
        return NoteKey.from_text(path.read_text("utf-8").strip() if path.is_file() else text)
    except (OSError, ValueError) as trouble:
        what = f"{text} is neither a verifier key nor a file that holds one ({trouble}) / không phải khóa kiểm tra, cũng không phải tệp chứa khóa"
        then = "A key is one line like NAME+HASH+BASE64, as in log.vkey. / Khóa là một dòng dạng NAME+HASH+BASE64, như trong log.vkey."
        fail(Exit.USAGE, "bad-key", what, then, as_json)


def kept_note(path: Path, as_json: bool) -> str:
    try:
        note = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as trouble:
        what = f"the checkpoint {path} cannot be read ({trouble}) / không đọc được điểm kiểm tra này"
        then = (
            "Name a file that holds a checkpoint as /audit/checkpoint gives it. / Chỉ tệp chứa điểm kiểm tra như /audit/checkpoint trả về."
        )
        fail(Exit.USAGE, "no-file", what, then, as_json)
    try:
        Checkpoint.from_text(split_note(note)[0])
    except ValueError as trouble:  # whoever signed it: that is looked at later, and tells of the log
        what = f"{path} holds no signed checkpoint ({trouble}) / không phải điểm kiểm tra đã ký"
        then = "Name a file that holds one as /audit/checkpoint gives it. / Chỉ tệp chứa điểm kiểm tra như /audit/checkpoint trả về."
        fail(Exit.USAGE, "no-checkpoint", what, then, as_json)
    return note


def progress_bar(as_json: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, disable=as_json or not sys.stderr.isatty(), transient=True)
