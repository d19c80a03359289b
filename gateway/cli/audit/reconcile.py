"""`lgsp audit reconcile`: an agency's counts of a day, from a file, against the log."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.common import name_checks, statement_file
from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, Day, load_instance
from gateway.cli.common.output import Exit, emit, fail

commands = typer.Typer()


@commands.command("reconcile")
def audit_reconcile(
    file: Annotated[Path, typer.Argument(help="What the agency counted: CSV, or JSON as in openapi/audit.yaml.")],
    agency: Annotated[str, typer.Option("--agency", help="Code of the agency.")],
    data: Data = None,
    day: Day = None,
    as_json: AsJson = False,
) -> None:
    """Compare an agency's own counts of a day with the log: its numbers in, differences out. That it was done is
    logged."""
    from sqlalchemy import select

    from gateway.audit.search.reconcile import Claimant, compare
    from gateway.audit.search.search import reading
    from gateway.journal.append import append
    from gateway.journal.database import open_engine, writing
    from gateway.journal.schema import tables
    from gateway.keys.keyring import Keyring
    from gateway.transfer import entries
    from security.transparency.entry import keyed

    # `ok` where no line differs; that it was compared is logged first.
    settings = load_instance(data, as_json)
    statement = statement_file.read(file, day, agency, as_json)
    engine = open_engine(settings.database_url)
    table, now = tables.system.c, time.time()
    with reading(engine) as connection:
        own = sorted(connection.execute(select(table.id).where(table.agency == agency)).scalars())
        if not own:
            if agency not in (names := name_checks.names(connection, "agency")):
                name_checks.refuse("agency", agency, names, as_json)
            what = f"agency {agency} has no systems / cơ quan không có hệ thống nào"
            then = (
                "`lgsp registry show` lists agencies and systems."
                " / Xem các cơ quan và hệ thống bằng `lgsp registry show`."
            )
            fail(Exit.NO, "no-systems", what, then, as_json)
        foreign = next((key.system for key in statement.claims if key.system not in own), None)
        if foreign is not None:
            from gateway.audit.search.errors import RECONCILIATION_NOT_YOURS

            raise RECONCILIATION_NOT_YOURS(agency=agency, named=foreign)
        comparison = compare(
            connection, Claimant(agency, own), statement, partial(keyed, Keyring(settings).hash_key()), now
        )
    with writing(engine) as connection:
        append(connection, [entries.note("reconciliation", comparison.noted(), now, actor=actor())])
    result = comparison.to_json()
    emit({"ok": not comparison.differences, **result}, as_json, statement_file.text_of(result))
