"""`lgsp audit package`: the evidence of one transfer, for somebody who has nothing of the gateway."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.common import arguments
from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import Exit, emit, fail, not_written

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.audit.evidence import package as packages

commands = typer.Typer()
_OUT_NEXT: Final = "Name a folder or a .zip file that is not there yet. / Chọn thư mục hoặc tệp .zip chưa có."


@commands.command("package")
def audit_package(
    transfer: str,
    out: Annotated[Path, typer.Argument(help="Folder, or a file that ends in .zip; it must not be there yet.")],
    reason: Annotated[str, typer.Option("--reason", help="Who wants it and what for; it stands in the log.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """All of one transfer that a stranger needs to check it: messages, certificates, proofs, the checkpoint, and
    how."""
    import hashlib

    from gateway.audit.evidence import package as packages
    from gateway.journal.database import open_engine
    from gateway.keeper.tasks.revocation_lists import renew
    from gateway.keys.authority import EmbeddedAuthority
    from gateway.keys.keyring import Keyring

    # Noted in the log first, then written; whole or not at all.
    settings = load_instance(data, as_json)
    if out.exists():
        fail(Exit.USAGE, "there-already", f"{out} is there already / đã có sẵn", _OUT_NEXT, as_json)
    transfer = arguments.transfer_id(transfer, as_json)
    keyring, engine = Keyring(settings), open_engine(settings.database_url)
    asked = packages.Request(actor(), reason.strip(), time.time())

    def fresh_lists(connection: Connection) -> None:
        """A stored list may be older than the transfer, and then tells nothing about its signers."""
        renew(connection, EmbeddedAuthority(settings), time.time(), all_of_them=True)

    time.sleep(1 - time.time() % 1)  # lists have whole seconds: one of the transfer's own second may precede it
    package = packages.create(engine, keyring, transfer, asked, fresh_lists)
    draft = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _write(package, draft, out)
        draft.rename(out)
    except OSError as trouble:
        not_written(out, trouble, as_json)
    finally:
        _remove(draft)
    checker = hashlib.sha256(package.files["check.pyz"]).hexdigest()
    result = {
        "ok": True,
        "package": str(out),
        "transfer": transfer,
        "entries": package.entries,
        "files": len(package.files),
        "missing": dict(package.missing),
        "checker": checker,
    }
    lines = [
        f"{out}: {package.entries} entries with their proofs, {len(package.files)} files in all"
        f" / {package.entries} mục kèm bằng chứng, tổng cộng {len(package.files)} tệp",
        *(f"  missing / còn thiếu: {part}: {why}" for part, why in package.missing.items()),
        f"  check.pyz: sha256 {checker}",
        "Whoever gets it needs the log's key, the authorities and that sum from elsewhere; its"
        " README says how to check it.",
        "Người nhận cần khóa nhật ký, các cơ quan chứng thực và mã băm trên từ nơi khác;"
        " README.vi.md hướng dẫn cách kiểm tra.",
    ]
    emit(result, as_json, "\n".join(lines))


def _write(package: packages.Package, draft: Path, out: Path) -> None:
    """Bodies are personal: for their owner alone."""
    from gateway.audit.evidence import package as packages
    from gateway.durable import write_new

    if out.suffix == ".zip":
        write_new(draft, packages.as_zip(package, out.stem))
        return
    draft.mkdir(mode=0o700)
    for name, data in package.files.items():
        target = draft / name
        if not target.parent.exists():
            target.parent.mkdir(mode=0o700)
        write_new(target, data)


def _remove(draft: Path) -> None:
    if draft.is_dir():
        shutil.rmtree(draft, ignore_errors=True)
    else:
        with suppress(OSError):  # what could not be written is not there
            draft.unlink(missing_ok=True)
