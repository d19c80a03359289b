"""All tables around the log, in one look: what `lgsp audit verify` says beside the log itself and the rows of transfers.

Invariant: it reads in the one moment of the database in which its caller looks (`gateway.journal.database.snapshot`); what is found is wrong, whatever goes
on meanwhile.
"""

from __future__ import annotations

import time

from sqlalchemy import Connection

from gateway.audit.verify.complete import Completeness
from gateway.audit.verify.rows.findings import Findings, Progress
from gateway.audit.verify.rows.index import check_index
from gateway.audit.verify.rows.kept import check_kept
from gateway.audit.verify.rows.lists import Issuers, check_lists
from gateway.audit.verify.rows.pending import check_pending
from gateway.audit.verify.rows.quotas import check_quotas
from gateway.audit.verify.rows.signed import check_signed
from security.transparency.checkpoint import NoteKey


def check_tables(
    connection: Connection,
    vkey: str | NoteKey,
    *,
    issuers: Issuers | None = None,
    now: float | None = None,
    on_progress: Progress | None = None,
) -> Completeness:
    """`vkey` is the trusted key of the log that goes on, `issuers` are the certificates of the embedded authority; `now` decides which windows of quotas
    run."""
    wrong = Findings()
    key = NoteKey.from_text(vkey) if isinstance(vkey, str) else vkey
    check_pending(connection, wrong)
    check_signed(connection, key, wrong)
    check_kept(connection, wrong)
    check_lists(connection, issuers, wrong)
    check_quotas(connection, time.time() if now is None else now, wrong)
    check_index(connection, wrong, on_progress)
    return Completeness(not wrong.wrong, wrong.checked, tuple(wrong.wrong))
