"""`lgsp catalogue`: the data catalogue of the instance."""

from __future__ import annotations

import time
from typing import Annotated, Literal

import typer

from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import emit

top = typer.Typer()


@top.command("catalogue")
def catalogue(
    form: Annotated[
        Literal["text", "turtle", "json-ld", "rdf-xml", "json"],
        typer.Option("--format", help="text: a list; json: as --json; the others are DCAT-AP 3 with DQV."),
    ] = "text",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """The data catalogue: every data set with its owner, sources, doors, grants and quality."""
    from gateway.console.work.catalogue import Sees, stated
    from gateway.console.work.catalogue import catalogue as read
    from gateway.journal.database import open_engine, snapshot
    from gateway.registry.snapshot import load_snapshot

    settings = load_instance(data, as_json)
    with snapshot(open_engine(settings.database_url)) as connection:
        known = read(connection, load_snapshot(connection), settings.base, Sees(), time.time())
    if form != "text" and form != "json" and not as_json:
        emit({"ok": True}, False, known.written(form).decode().rstrip())
    lines = []
    for each in known.sets:
        contract, facts = each.entry.compiled.contract, each.entry.facts
        sources = ", ".join(sorted({origin.system for origin in facts.origins})) or "–"
        head = f"{each.name:<22} {contract.version:<8} {each.entry.owner.code:<8} "
        title = f"{contract.title.vi} / {contract.title.en}"
        lines.append(f"{head}{contract.catalogue.frequency or '–':<12} {sources}  {title}")
    nothing = "no contract is in force / chưa có hợp đồng dữ liệu nào"
    emit({"ok": True, **stated(known)}, as_json or form == "json", "\n".join(lines) or nothing)
