"""Checks all tables around the log, for `lgsp audit verify`.

Invariant: all reads see the one moment of the caller's `gateway.journal.database.snapshot`. Every finding is an error,
whatever happens meanwhile.
"""

from __future__ import annotations

import time

from sqlalchemy import Connection

from gateway.audit.verify.complete import Completeness
from gateway.audit.verify.findings import Findings, Progress
from gateway.audit.verify.rows.acts import check_acts
from gateway.audit.verify.rows.alarms import check_alarms
from gateway.audit.verify.rows.approvals import check_approvals
from gateway.audit.verify.rows.cases import check_cases
from gateway.audit.verify.rows.digests import check_digests
from gateway.audit.verify.rows.index import check_index
from gateway.audit.verify.rows.kept import check_kept
from gateway.audit.verify.rows.lists import Issuers, check_lists
from gateway.audit.verify.rows.machines import check_machines
from gateway.audit.verify.rows.pending import check_pending
from gateway.audit.verify.rows.pieces import Files, check_pieces
from gateway.audit.verify.rows.policies import check_policies
from gateway.audit.verify.rows.quotas import check_quotas
from gateway.audit.verify.rows.reviews import check_reviews
from gateway.audit.verify.rows.signed import check_signed
from gateway.audit.verify.rows.vendors import check_vendors
from security.transparency.checkpoint import NoteKey


def check_tables(
    connection: Connection,
    vkey: str | NoteKey,
    *,
    issuers: Issuers | None = None,
    files: Files | None = None,
    now: float | None = None,
    on_progress: Progress | None = None,
) -> Completeness:
    """`vkey` is the trusted key of the current log, `issuers` the certificates of the embedded authority, `files` the
    vault, if its keys can be read.

    `now` (Unix seconds) selects the current windows of quotas.
    """
    wrong, moment = Findings(), time.time() if now is None else now
    key = NoteKey.from_text(vkey) if isinstance(vkey, str) else vkey
    check_pending(connection, wrong)
    check_acts(connection, wrong)
    check_approvals(connection, wrong)
    check_policies(connection, wrong)
    check_reviews(connection, wrong)
    check_signed(connection, key, wrong)
    check_kept(connection, wrong)
    check_cases(connection, wrong)
    check_alarms(connection, moment, wrong)
    check_digests(connection, wrong)
    check_pieces(connection, wrong, files)
    check_lists(connection, issuers, wrong)
    check_quotas(connection, moment, wrong)
    check_vendors(connection, moment, wrong)
    check_machines(connection, wrong)
    check_index(connection, wrong, on_progress)
    return Completeness(not wrong.wrong, wrong.checked, tuple(wrong.wrong))
