"""`lgsp feed`: the centre's feeds."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer

from contracts.wire.jsontext import text_of
from gateway.cli import subscriptions
from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import emit, say

commands = typer.Typer(no_args_is_help=True, help="The centre's feeds.")
commands.add_typer(subscriptions.commands, name="subscriptions")
commands.command("rotate-key")(subscriptions.rotate_key)


@commands.command("read")
def feed_read(
    contract: Annotated[str, typer.Argument(help="Such as incident-alert/v1.")],
    data: Data = None,
    after: Annotated[str | None, typer.Option("--after", help="Cursor of the last event read.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many events.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Events of a feed, oldest first, with every field, whatever grants hide. Reading bodies is logged."""
    from gateway.feeds import read
    from gateway.feeds.sessions import NOTE
    from gateway.journal.append import append
    from gateway.journal.database import open_engine, writing
    from gateway.registry.snapshot import load_snapshot
    from gateway.transfer import entries
    from gateway.vault.stores import open_vault

    # Reading bodies at the command line is logged like any other reading, before anything is printed.
    settings = load_instance(data, as_json)
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        known = load_snapshot(connection).contract(contract)
    if known is None or not known.contract.fed:
        from gateway.doors.api.errors import FEED_UNKNOWN

        raise FEED_UNKNOWN(contract=contract)
    with engine.connect() as connection:
        page = read(connection, contract, after, limit, vault=open_vault(settings, engine))
    facts: dict[str, Any] = {"contract": contract, "events": len(page.events)}
    if page.span is not None:
        facts |= {"read": [[page.span.first, page.span.last]], "owners": sorted(page.span.owners)}
    with writing(engine) as connection:
        append(connection, [entries.note(NOTE, facts, time.time(), actor=actor())])
    text = "\n".join(map(text_of, page.events))
    if not as_json and page.events:
        say(f"next: --after {page.next}", to=sys.stderr)
    emit({"ok": True, "events": page.events, "next": page.next, "more": page.more}, as_json, text or "no events")


@commands.command("readers")
def feed_readers(
    data: Data = None,
    agency: Annotated[str | None, typer.Option("--agency", help="Only systems of this agency.")] = None,
    as_json: AsJson = False,
) -> None:
    """Which systems read which feed, how far, and how far behind the newest event, by the readings in the log."""
    from contracts.base.times import rfc3339
    from gateway.exchange.feed_readers import readers
    from gateway.journal.database import open_engine
    from gateway.registry.snapshot import load_snapshot

    settings = load_instance(data, as_json)
    with open_engine(settings.database_url).connect() as connection:
        found = readers(connection, load_snapshot(connection), time.time(), agency=agency)
    rows = [
        {
            "contract": each.contract,
            "agency": each.agency,
            "system": each.system,
            "offset": each.position,
            "newest": each.head,
            "read_at": None if each.read_at is None else rfc3339(each.read_at),
            "behind": each.behind,
            "behind_seconds": each.behind_seconds,
        }
        for each in found
    ]
    lines = [
        f"{each['contract']}  {each['agency']}/{each['system']}  {each['offset']} of {each['newest']}"
        f"  behind {each['behind']} ({each['behind_seconds']:.0f} s)  read {each['read_at'] or '–'}"
        for each in rows
    ]
    emit({"ok": True, "readers": rows}, as_json, "\n".join(lines) or "nobody may read a feed")
