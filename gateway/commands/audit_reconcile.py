"""`lgsp audit reconcile`: an agency's counts of a day, from a file, against the log."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from sqlalchemy import select

from gateway.audit.search.errors import RECONCILIATION_NOT_YOURS
from gateway.audit.search.reconcile import compare
from gateway.audit.search.search import reading
from gateway.commands import known, statement_file
from gateway.commands.output import Exit, emit, fail
from gateway.journal.append import append
from gateway.journal.database import open_engine, writing
from gateway.journal.schema import tables
from gateway.keys.keyring import Keyring
from gateway.settings import Settings
from gateway.transfer import entries
from security.transparency.entry import keyed


def reconcile(settings: Settings, file: Path, agency: str, day: str | None, as_json: bool) -> None:
    """`ok` where no line differs; that it was compared is logged first."""
    said = statement_file.read(file, day, agency, as_json)
    engine = open_engine(settings.database_url)
    table, now = tables.system.c, time.time()
    with reading(engine) as connection:
        own = sorted(connection.execute(select(table.id).where(table.agency == agency)).scalars())
        if not own:
            if agency not in (names := known.names(connection, "agency")):
                known.refuse("agency", agency, names, as_json)
            what = f"agency {agency} has no systems / cơ quan không có hệ thống nào"
            then = "`lgsp registry show` lists agencies and systems. / Xem các cơ quan và hệ thống bằng `lgsp registry show`."
            fail(Exit.NO, "no-systems", what, then, as_json)
        foreign = next((key.system for key in said.claims if key.system not in own), None)
        if foreign is not None:
            raise RECONCILIATION_NOT_YOURS(agency=agency, named=foreign)
        found = compare(connection, agency, own, said, partial(keyed, Keyring(settings).hash_key()), now)
    with writing(engine) as connection:
        append(connection, [entries.note("reconciliation", found.noted(), now, actor="command line")])
    result = found.to_json()
    emit({"ok": not found.differences, **result}, as_json, statement_file.text_of(result))
