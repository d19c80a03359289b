"""`lgsp audit export`: the log, a range of it, or the proofs of one transfer, as plain files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.audit.entries import Origin, past_log
from gateway.cli.common import arguments
from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import Exit, emit, fail, not_written
from gateway.cli.common.progress import progress as shown

if TYPE_CHECKING:
    from security.transparency.entry import Json

commands = typer.Typer()


@commands.command("export")
def audit_export(
    folder: Path,
    data: Data = None,
    as_json: AsJson = False,
    first: Annotated[
        int | None, typer.Option("--from", min=0, help="Only from this entry on (rounded to a whole bundle of 256).")
    ] = None,
    last: Annotated[
        int | None, typer.Option("--to", min=0, help="Only up to this entry (rounded to a whole bundle of 256).")
    ] = None,
    transfers: Annotated[
        list[str] | None,
        typer.Option(
            "--transfer",
            help="Proofs of this transfer's entries, beside their bytes; without --from and --to nothing else.",
        ),
    ] = None,
    origin: Origin = None,
) -> None:
    """Write entries, tiles and checkpoint as plain files, in the layout of tlog-tiles."""
    from gateway.audit.log import origins
    from gateway.audit.log.proofs import newest
    from gateway.audit.verify.folder import Wanted, export
    from gateway.audit.verify.sources import paged
    from gateway.journal.append import append
    from gateway.journal.database import open_engine, writing
    from gateway.keys.keyring import Keyring
    from gateway.transfer import entries

    settings = load_instance(data, as_json)
    transfers = transfers or []
    arguments.empty_folder(folder, as_json)
    transfers = [arguments.transfer_id(each, as_json) for each in transfers]
    engine = open_engine(settings.database_url)
    past = past_log(engine, settings, origin)
    with origins.within(engine, origin if origin != settings.origin else None) as connection:
        turn = paged(connection)
        top = newest(connection)
        turn()
        if top is None:
            what = "the log has no checkpoint yet / nhật ký chưa có điểm kiểm tra"
            fail(
                Exit.OURS,
                "no-checkpoint",
                what,
                "Is the keeper running? Try again in a second. / Thử lại sau một giây.",
                as_json,
            )
        try:
            wanted = Wanted.rounded(top[0], first, last, transfers)
        except ValueError as wrong:
            then = "Ask for entries within that. / Hãy chọn trong khoảng đó."
            fail(Exit.USAGE, "bad-range", f"{wrong} / không có khoảng này", then, as_json)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)  # also one that was there: entries name agencies and systems
        except OSError as trouble:
            not_written(folder, trouble, as_json)
        facts: dict[str, Json] = {
            "origin": origin or settings.origin,
            "size": top[0],
            "first": wanted.first,
            "stop": wanted.stop,
            "transfers": transfers,
        }
        with writing(engine) as written:
            append(
                written,
                [
                    entries.note(
                        "export", {name: each for name, each in facts.items() if each}, time.time(), actor=actor()
                    )
                ],
            )
        with shown(as_json) as progress:
            task = progress.add_task("entries", total=(wanted.stop or 0) - (wanted.first or 0))
            vkey = Keyring(settings).log_vkey.read_text("ascii") if past is None else f"{past.vkey}\n"
            manifest = export(connection, folder, top, vkey, wanted, lambda done: progress.update(task, completed=done))
    count, proved = manifest["stop"] - manifest["first"], manifest["proofs"]
    text = f"{count} entries ({manifest['first']} to {manifest['stop'] - 1})" if count else "no entries"
    lines = [
        f"{text} and {proved} proofs of the log of {manifest['origin']}, size {top[0]}, in {folder}",
        f"đã xuất {count} mục và {proved} bằng chứng vào {folder}",
    ]
    if wanted.first is not None and (first or 0, last) != (
        manifest["first"],
        None if last is None else manifest["stop"] - 1,
    ):
        lines.append(
            "(bundles of 256 entries are whole: the range was rounded to them / khoảng được làm tròn theo gói 256 mục)"
        )
    emit({"ok": True, "folder": str(folder), "entries": count, **manifest}, as_json, "\n".join(lines))
