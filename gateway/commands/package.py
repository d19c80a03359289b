"""`lgsp audit package`: the evidence of one transfer, for somebody who has nothing of the gateway."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from contracts.base.errors import Theirs
from gateway.audit.errors import AUDIT_NOT_LOGGED
from gateway.audit.evidence import package as packages
from gateway.audit.evidence.reading import LEAST_REASON
from gateway.audit.log import origins
from gateway.audit.log.proofs import inclusions
from gateway.commands import given
from gateway.commands.actor import actor
from gateway.commands.output import Exit, emit, fail, not_written
from gateway.journal.append import append
from gateway.journal.database import open_engine, writing
from gateway.keys.key_encryption import write_secret
from gateway.keys.keyring import Keyring
from gateway.settings import Settings
from gateway.transfer import entries
from gateway.vault.errors import VAULT_NO_REASON
from gateway.vault.vault import Vault
from security.transparency.entry import Json

_OUT_NEXT: Final = "Name a folder or a .zip file that is not there yet. / Chọn thư mục hoặc tệp .zip chưa có."


def make(settings: Settings, transfer: str, out: Path, reason: str, as_json: bool) -> None:
    """Noted in the log first, then written; whole or not at all."""
    if len(reason.strip()) < LEAST_REASON:
        raise VAULT_NO_REASON(length=len(reason.strip()), least=LEAST_REASON)
    if out.exists():
        fail(Exit.USAGE, "there-already", f"{out} is there already / đã có sẵn", _OUT_NEXT, as_json)
    transfer = given.transfer_id(transfer, as_json)
    keyring, engine = Keyring(settings), open_engine(settings.database_url)
    asked = packages.Asked(actor(), reason.strip(), time.time())
    past = _log_of(engine, transfer)
    facts: dict[str, Json] = {"transfer": transfer, "reason": asked.reason}
    with writing(
        engine
    ) as connection:  # before a body is opened: whatever becomes of the package, it is known that it was asked for
        append(connection, [entries.note("package", facts, asked.at, actor=asked.actor)])
    vault = Vault(settings.vault_keys, at_rest=keyring.at_rest)
    with origins.within(engine, past.origin if past is not None else None) as connection:
        vkey = past.vkey if past is not None else keyring.log_vkey.read_text("ascii")
        made = packages.make(connection, vault, keyring, transfer, asked, vkey)
    draft = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _write(made, draft, out)
        draft.rename(out)
    except OSError as trouble:
        not_written(out, trouble, as_json)
    finally:
        _remove(draft)
    checker = hashlib.sha256(made.files["check.pyz"]).hexdigest()
    result = {
        "ok": True,
        "package": str(out),
        "transfer": transfer,
        "entries": made.entries,
        "files": len(made.files),
        "missing": dict(made.missing),
        "checker": checker,
    }
    lines = [
        f"{out}: {made.entries} entries with their proofs, {len(made.files)} files in all"
        f" / {made.entries} mục kèm bằng chứng, tổng cộng {len(made.files)} tệp",
        *(f"  missing / còn thiếu: {part}: {why}" for part, why in made.missing.items()),
        f"  check.pyz: sha256 {checker}",
        "Whoever gets it needs the log's key, the authorities and that sum from elsewhere; its README says how to check it.",
        "Người nhận cần khóa nhật ký, các cơ quan chứng thực và mã băm trên từ nơi khác; README.vi.md hướng dẫn cách kiểm tra.",
    ]
    emit(result, as_json, "\n".join(lines))


def _log_of(engine: Engine, transfer: str) -> origins.Ended | None:
    """The log that ended by a restore in which this transfer stands; None for the one that goes on. `audit.not-logged` if it stands in none."""
    with engine.connect() as connection:
        past = origins.ended(connection)
    for each in (None, *reversed(past)):
        with suppress(Theirs), origins.within(engine, each.origin if each is not None else None) as connection:
            inclusions(connection, transfer)
            return each
    raise AUDIT_NOT_LOGGED(transfer=transfer)


def _write(made: packages.Package, draft: Path, out: Path) -> None:
    """Bodies are personal: for their owner alone."""
    if out.suffix == ".zip":
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(packages.as_zip(made, out.stem))
            file.flush()
            os.fsync(file.fileno())
        return
    draft.mkdir(mode=0o700)
    for name, data in made.files.items():
        target = draft / name
        if not target.parent.exists():
            target.parent.mkdir(mode=0o700)
        write_secret(target, data)


def _remove(draft: Path) -> None:
    if draft.is_dir():
        shutil.rmtree(draft, ignore_errors=True)
    else:
        with suppress(OSError):  # what could not be written is not there
            draft.unlink(missing_ok=True)
