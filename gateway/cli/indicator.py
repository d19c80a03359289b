"""`lgsp indicator`: definitions of indicators, their values, and who owes the missing ones."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common import arguments
from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import emit

if TYPE_CHECKING:
    from gateway.indicators.figures import Figure, Figures, Wanted
    from gateway.settings import Settings

commands = typer.Typer(no_args_is_help=True, help="Indicators of the province: definitions, values, missing ones.")
First = Annotated[str, typer.Option("--from", help="The first period: 2026, 2026-Q3 or 2026-09; last year without it.")]
Last = Annotated[str, typer.Option("--until", help="The last period; up to now without it.")]


@commands.command("define")
def indicator_define(
    file: Path,
    reason: Annotated[str, typer.Option("--reason", help="Why; it goes into the log.")] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Store what is new of a document of definitions. A change is a new version; old periods keep their definition."""
    from gateway.indicators.definitions import known_to, parse
    from gateway.indicators.store import apply
    from gateway.indicators.values import CONTRACT
    from gateway.journal.database import open_engine
    from gateway.registry.changes.deciding import listed
    from gateway.registry.seals.sealing import Seal, changing
    from gateway.registry.snapshot import load_snapshot

    settings = load_instance(data, as_json)
    advice = (
        "Name a document of definitions; docs/indicators.md describes it."
        " / Chỉ tài liệu định nghĩa; xem docs/vi/indicators.md."
    )
    text = arguments.content(file, advice, as_json)
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        snapshot = load_snapshot(connection)
    wanted = parse(text, known_to(snapshot.contract(CONTRACT), snapshot.agencies))
    with changing(engine, Seal.of(settings)) as act:
        changes = listed(apply(act, wanted, time.time(), (actor(), reason)))
    lines = [f"{each['id']}: {', '.join(each['fields']) or 'new'}" for each in changes]
    emit({"ok": True, "changes": changes}, as_json, "\n".join(lines) or "nothing to change / không có gì mới")


@commands.command("list")
def indicator_list(data: Data = None, as_json: AsJson = False) -> None:
    """The definitions with all their versions."""
    from contracts.base.times import rfc3339
    from gateway.indicators import store
    from gateway.journal.database import open_engine

    settings = load_instance(data, as_json)
    with open_engine(settings.database_url).connect() as connection:
        known, stored = store.every(connection), store.defined(connection)
    rows: list[dict[str, Any]] = []
    for each in (version for versions in known.values() for version in versions):
        when = stored.get((each.code, each.version))
        told = {"defined": rfc3339(when.at), "actor": when.actor, "entry": when.entry} if when is not None else {}
        rows.append({"version": each.version, **each.json(), **told})
    lines = [
        f"{row['code']:<8} {row['version']}  {row['from']} – {row.get('until', ''):<8} {row['owner']:<8}"
        f" {row['title']['vi']} ({row['unit']})"
        for row in rows
    ]
    emit({"ok": True, "definitions": rows}, as_json, "\n".join(lines) or "no definitions / chưa có định nghĩa")


@commands.command("show")
def indicator_show(code: str, first: First = "", last: Last = "", data: Data = None, as_json: AsJson = False) -> None:
    """The values of one indicator with their corrections, whatever grants hide. The reading is logged."""
    from gateway.indicators.figures import Wanted

    settings = load_instance(data, as_json)
    found = _read(settings, Wanted.of(time.time(), first, last, [code]))
    figures = [each.json() for each in found.figures]
    emit({"ok": True, "figures": figures}, as_json, "\n".join(map(_line, found.figures)) or "no periods")


@commands.command("missing")
def indicator_missing(first: First = "", last: Last = "", data: Data = None, as_json: AsJson = False) -> None:
    """Values that were due and did not come, or came without a number, with the agency that owes them. The reading is
    logged."""
    from gateway.indicators.figures import Wanted

    settings = load_instance(data, as_json)
    found = _read(settings, Wanted.of(time.time(), first, last))
    figures = [each.json() for each in found.owed]
    emit({"ok": True, "missing": figures}, as_json, "\n".join(map(_line, found.owed)) or "none / không thiếu")


def _read(settings: Settings, wanted: Wanted) -> Figures:
    """With every field. The entry of the log comes before anything is shown."""
    from functools import partial

    from gateway.doors.api.errors import FEED_UNKNOWN
    from gateway.feeds.sessions import NOTE
    from gateway.indicators.figures import figures
    from gateway.indicators.store import every
    from gateway.indicators.values import CONTRACT, Source
    from gateway.journal.append import append
    from gateway.journal.database import open_engine, snapshot, writing
    from gateway.keys.keyring import Keyring
    from gateway.registry.snapshot import load_snapshot
    from gateway.transfer import entries
    from gateway.vault.stores import open_vault
    from security.transparency import entry

    engine, keyring, now = open_engine(settings.database_url), Keyring(settings), time.time()
    with snapshot(engine) as connection:
        contract = load_snapshot(connection).contract(CONTRACT)
        if contract is None:
            raise FEED_UNKNOWN(contract=CONTRACT)
        vault = open_vault(settings, engine, keyring.at_rest)
        source = Source(connection, vault, contract, partial(entry.keyed, keyring.hash_key()))
        found = figures(source, every(connection), wanted, now)
    if (span := found.span) is not None:
        facts: dict[str, Any] = {"contract": CONTRACT, "events": span.events, "read": [[span.first, span.last]]}
        note = entries.note(NOTE, facts | {"owners": sorted(span.owners)}, now, actor=actor())
        with writing(engine) as connection:
            append(connection, [note])
    return found


def _line(each: Figure) -> str:
    from security.grants.windows import civil

    told = each.json()
    value = str(each.value) if each.value is not None else each.state.value
    came = f"  {told['agency']}/{told['system']}" if "agency" in told else ""
    line = f"{told['indicator']:<8} {told['area']:<6} {told['period']:<8} {value:>14}"
    line += f"  {told['owner']}, due {civil(each.due)}{came}"
    return line + "".join(
        f"\n         corrected / đính chính {old.value} → {new.value}  {new.received}  {new.agency}/{new.system}"
        for old, new in each.corrections
    )
