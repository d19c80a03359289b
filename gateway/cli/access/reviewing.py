"""`lgsp access review`: the half-yearly review of access, as an officer signs it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.access.signing import Signer, read
from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, grouped, load_instance
from gateway.cli.common.output import Exit, emit, say

commands = typer.Typer()


@commands.command("review")
@grouped
def access_review(
    officer: Annotated[str | None, typer.Option("--officer", help="Id of the officer who signs.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="The officer's private key.")] = None,
    statement: Annotated[
        Path | None, typer.Option("--statement", help="What was printed before, and signed elsewhere.")
    ] = None,
    signature: Annotated[str | None, typer.Option("--signature", help="Its signature by `lgsp access sign`.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Print the statement of a review of access as it is now: revision, time, digest of the matrix. With --officer
    record it, signed."""
    from gateway.journal.database import open_engine, snapshot
    from gateway.registry import reviews
    from gateway.registry.seals.sealing import Seal, changing
    from gateway.registry.snapshot import load_snapshot

    settings = load_instance(data, as_json)
    engine, now = open_engine(settings.database_url), time.time()
    with snapshot(engine) as connection:
        present = reviews.stated(connection, load_snapshot(connection), settings.origin, now).content()
    if officer is None:
        if not as_json:
            say(present.decode(), end="")
            raise SystemExit(Exit.WELL)
        emit({"ok": True, "statement": present.decode()}, as_json, "")
    content = present if statement is None else read(statement, "a statement of a review", as_json).strip()
    mark = signature or Signer(officer, key, as_json).sign(content)
    with changing(engine, Seal.of(settings)) as act:
        reviewed = reviews.take(act.connection, content, officer, mark, settings.origin, now)
        act.note(reviews.KIND, reviewed.facts(officer, mark), now, actor=actor())
    text = f"review of revision {reviewed.registry} recorded / đã ghi biên bản rà soát bản {reviewed.registry}"
    emit({"ok": True, "officer": officer, "registry": reviewed.registry, "matrix": reviewed.matrix}, as_json, text)
