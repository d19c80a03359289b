"""Checks all tables around the log, for `lgsp audit verify`.

Invariant: all reads see the one moment of the caller's `gateway.journal.database.snapshot`. Every finding is an error,
whatever happens meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from gateway.audit.verify.complete import Completeness
from gateway.audit.verify.findings import Findings, Progress
from gateway.audit.verify.forms import guarded
from gateway.audit.verify.rows.acts import check_acts
from gateway.audit.verify.rows.alarms import check_alarms
from gateway.audit.verify.rows.approvals import check_approvals
from gateway.audit.verify.rows.cases import check_cases
from gateway.audit.verify.rows.digests import check_digests
from gateway.audit.verify.rows.index import check_index
from gateway.audit.verify.rows.instance import check_instance
from gateway.audit.verify.rows.invitations import check_invitations
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
    checks: Mapping[str, Callable[[], object]] = {
        "pending entries": lambda: check_pending(connection, wrong),
        "acts of persons": lambda: check_acts(connection, wrong),
        "approvals": lambda: check_approvals(connection, wrong),
        "policies": lambda: check_policies(connection, wrong),
        "reviews of access": lambda: check_reviews(connection, wrong),
        "signed notes": lambda: check_signed(connection, key, wrong),
        "what is kept": lambda: check_kept(connection, wrong),
        "keys of the instance": lambda: check_instance(connection, wrong),
        "cases": lambda: check_cases(connection, wrong),
        "alarms": lambda: check_alarms(connection, moment, wrong),
        "digests": lambda: check_digests(connection, wrong),
        "large files": lambda: check_pieces(connection, wrong, files),
        "revocation lists": lambda: check_lists(connection, issuers, wrong),
        "quotas": lambda: check_quotas(connection, moment, wrong),
        "counts of vendors": lambda: check_vendors(connection, moment, wrong),
        "invitations": lambda: check_invitations(connection, wrong),
        "machines": lambda: check_machines(connection, wrong),
        "the index": lambda: check_index(connection, wrong, on_progress),
    }
    for what, check in checks.items():
        guarded(connection, what, wrong.add, check, None)
    return Completeness(not wrong.wrong, wrong.checked, tuple(wrong.wrong))
