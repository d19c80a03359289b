"""`lgsp audit body`: one body out of the vault, after the reading was logged."""

from __future__ import annotations

import base64
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gateway.cli.common import arguments
from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import Exit, emit, fail, say

if TYPE_CHECKING:
    from gateway.audit.evidence.reading import View

commands = typer.Typer()
_RANGE: Final = re.compile(r"(\d+)-(\d*)")
_IN_JSON: Final = 1 << 20


@commands.command("body")
def audit_body(
    transfer: str,
    reason: Annotated[
        str,
        typer.Option(
            "--reason", help="Why it is read, 10 characters or more; it stays in the log, so no personal data."
        ),
    ],
    part: Annotated[
        str, typer.Option("--part", help="request, canonical, answer, forwarded, provider-answer, …")
    ] = "request",
    out: Annotated[
        Path | None, typer.Option("--out", help="A new file to write it to; else it goes to standard output.")
    ] = None,
    range_: Annotated[
        str | None, typer.Option("--range", help="Bytes a-b of it, both counted from 0 and included.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Read a body. Who read it and why is in the log before the first byte is shown."""
    from gateway.audit.evidence.reading import Reading, view_body
    from gateway.journal.database import open_engine
    from gateway.vault.stores import open_vault

    settings = load_instance(data, as_json)
    transfer = arguments.transfer_id(transfer, as_json)
    start, stop = _span(range_, as_json)
    if out is not None:
        arguments.new_file(out, as_json)
    engine = open_engine(settings.database_url)
    vault = open_vault(settings, engine)

    def ready(meta: Any) -> None:
        if start and start >= meta.size:
            what = (
                f"{range_} begins beyond the body, which has {meta.size} bytes"
                f" / vượt quá nội dung, chỉ có {meta.size} byte"
            )
            then = (
                f"Name bytes of 0-{max(meta.size - 1, 0)}. Nothing was read."
                f" / Chọn trong khoảng 0-{max(meta.size - 1, 0)}; chưa đọc gì."
            )
            fail(Exit.USAGE, "bad-range", what, then, as_json)
        most = (meta.size if stop is None else min(stop, meta.size)) - start
        if as_json and out is None and most > _IN_JSON:
            what = f"{most} bytes are too many for one JSON object / quá lớn cho một đối tượng JSON"
            fail(
                Exit.USAGE,
                "too-large",
                what,
                "Give --out, or a --range. Nothing was read. / Dùng --out hoặc --range.",
                as_json,
            )

    reading = Reading(
        transfer=transfer, part=part, reason=reason, actor=actor(), now=time.time(), start=start, stop=stop
    )
    with view_body(engine, vault, reading, ready) as view:
        answer = {
            "ok": True,
            "transfer": transfer,
            "part": part,
            "size": view.size,
            "range": [view.start, view.stop],
            "note": view.note,
        }
        if out is not None:
            _write(out, view)
            emit({**answer, "file": str(out)}, as_json, f"{out}: {_read(view)}")
        if as_json:
            content = b"".join(view.pieces)
            try:
                emit({**answer, "text": content.decode("utf-8")}, as_json, "")
            except UnicodeDecodeError:
                emit({**answer, "base64": base64.b64encode(content).decode("ascii")}, as_json, "")
        if sys.stdout.isatty():
            say(b"".join(view.pieces).decode("utf-8", "replace"))
        else:
            for piece in view.pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        say(_read(view), to=sys.stderr)
    raise SystemExit(Exit.WELL)


def _read(view: View) -> str:
    count = view.stop - view.start
    return (
        f"{count} of {view.size} bytes; logged as {view.note}"
        f" / {count} trên {view.size} byte; việc đọc đã ghi vào nhật ký"
    )


def _write(out: Path, view: View) -> None:
    """For its owner alone; nothing half-written stays under that name."""
    draft = out.with_name(f".{out.name}.part")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(file, "wb") as target:
            for piece in view.pieces:
                target.write(piece)
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)


def _span(text: str | None, as_json: bool) -> tuple[int, int | None]:
    if text is None:
        return 0, None
    match = _RANGE.fullmatch(text)
    if match is None or match[2] and int(match[2]) < int(match[1]):
        fail(
            Exit.USAGE,
            "bad-range",
            f"{text} is no range of bytes / không phải khoảng byte",
            "Write 0-999, or 1000-. / Viết như 0-999, hoặc 1000-.",
            as_json,
        )
    return int(match[1]), int(match[2]) + 1 if match[2] else None
