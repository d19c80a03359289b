"""What people have done about the log: a time-stamp now, the search's index made anew; and one stamp as files.

Both are orders to the keeper, which talks to the authority and fills the index (`gateway.keeper.tasks`).
Invariant: an order that runs is not given again.
"""

from __future__ import annotations

import io
import zipfile
from typing import Final

from sqlalchemy import select

from gateway.audit.search.index import REINDEX
from gateway.audit.witnessing.verify import stamp_files
from gateway.console.accounts import store
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_NO_PAGE, LOG_NO_STAMPS
from gateway.console.site.desk import Desk
from gateway.journal import jobs
from gateway.journal.jobs import Job
from gateway.journal.schema import tables
from gateway.keeper.witnessing.stamps import ORDER as STAMP

ORDERS: Final = (STAMP, REINDEX)


def newest(desk: Desk) -> dict[str, Job]:
    """The newest order of each kind, by the kind."""
    with desk.reading() as connection:
        found = {kind: jobs.newest(connection, kind, limit=1) for kind in ORDERS}
    return {kind: rows[0] for kind, rows in found.items() if rows}


def stamps(desk: Desk) -> bool:
    """Whether a time-stamp authority is set."""
    return desk.services.settings.stamp_policy != "off"


def ask_stamp(desk: Desk, viewer: Viewer) -> Job:
    """Orders a time-stamp of the newest checkpoint, due or not. Raises `log.no-stamps`."""
    if not stamps(desk):
        raise LOG_NO_STAMPS()
    return _give(desk, viewer, STAMP)


def ask_reindex(desk: Desk, viewer: Viewer) -> Job:
    """Orders that the search's index is made anew from the log."""
    return _give(desk, viewer, REINDEX)


def stamp(desk: Desk, id: str) -> bytes:
    """A stamp as a ZIP of files that `openssl ts -verify` takes. Raises `console.no-page`."""
    table, number = tables.stamp, int(id) if id.isascii() and id.isdecimal() and len(id) <= 18 else None
    with desk.reading() as connection:
        row = None if number is None else connection.execute(select(table).where(table.c.id == number)).first()
    if row is None:
        raise CONSOLE_NO_PAGE(path=id[:60])
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in stamp_files(row).items():
            archive.writestr(name, content)
    return written.getvalue()


def _give(desk: Desk, viewer: Viewer, kind: str) -> Job:
    now = desk.now()
    with desk.writing() as connection:
        for job in jobs.newest(connection, kind, limit=1):
            if job.state == jobs.RUNNING:
                return job
        job = jobs.add(connection, kind, desk.services.settings.origin, (viewer.actor, ""), now)
        store.note(connection, kind, {"job": job.id}, now, viewer.actor)
    return job
