"""Compares an agency's own counts of a day with the log, as `lgsp audit reconcile` does.

The statement may list message ids, of which the log keeps digests only: so nothing of it is stored here.
Invariant: who sees one agency compares the counts of that agency only.
Invariant: one comparison runs at a time. It rests as long as it works, and ends after a minute.
Invariant: that it was compared is logged, with numbers alone, before the result is shown.
"""

from __future__ import annotations

import threading
from datetime import date
from functools import partial
from typing import Final

from contracts.base.errors import Finding, Theirs
from contracts.wire.jsontext import read_json
from gateway.audit.search.errors import RECONCILIATION_BUSY, RECONCILIATION_INVALID, RECONCILIATION_NOT_YOURS
from gateway.audit.search.reconcile import Comparison, compare
from gateway.audit.search.search import reading
from gateway.client.audit.reconciliation import BadStatement, Statement, decoded, from_csv, from_json
from gateway.console.accounts import store
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORM
from gateway.console.site.desk import Desk
from gateway.doors.api.reconciliation import BUSY_SECONDS, Unhurried, claimant_of
from security.transparency.entry import keyed

MOST: Final = 4_000_000  # bytes of a statement
_turn: Final = threading.Lock()


def compared(desk: Desk, viewer: Viewer, agency: str, day: str, content: bytes) -> Comparison:
    """`content` is CSV, which needs the day, or JSON as in openapi/audit.yaml.

    Raises an error of `reconciliation.`, `console.form`.
    """
    snapshot, scope = desk.services.registry.snapshot, viewer.account.scope
    if scope is not None and agency != scope:
        raise RECONCILIATION_NOT_YOURS(agency=scope, named=agency[:80])
    if agency not in snapshot.agencies:
        raise CONSOLE_FORM(field="agency", why="no code of an agency")
    stated = statement(agency, day, content)
    claimant = claimant_of(snapshot, agency, stated)
    if not claimant.systems:
        raise CONSOLE_FORM(field="agency", why="an agency without systems")
    if not _turn.acquire(blocking=False):
        raise RECONCILIATION_BUSY(retry_after=BUSY_SECONDS)
    try:
        with reading(desk.services.engine) as connection:
            hashed = partial(keyed, desk.hash_key)
            comparison = compare(connection, claimant, stated, hashed, desk.now(), Unhurried())
    finally:
        _turn.release()
    with desk.writing() as connection:
        store.note(connection, "reconciliation", comparison.noted(), desk.now(), viewer.actor)
    return comparison


def statement(agency: str, day: str, content: bytes) -> Statement:
    """Raises `reconciliation.invalid` with each place that cannot be read, and `console.form`."""
    if not content.strip() or len(content) > MOST:
        raise CONSOLE_FORM(field="counts", why="missing" if not content.strip() else f"more than {MOST} bytes")
    try:
        named = date.fromisoformat(day) if day else None
    except ValueError:
        raise CONSOLE_FORM(field="day", why="2026-11-24") from None
    try:
        text = decoded(content)
        if not text.lstrip().startswith("{"):
            return from_csv(text, named, agency)
        stated = from_json(read_json(text.encode()))
    except BadStatement as bad:
        raise RECONCILIATION_INVALID(count=len(bad.findings), findings=bad.findings[:20]) from None
    except Theirs as bad:
        wrong = [Finding("counts", "", bad.code, "type", "JSON")]
        raise RECONCILIATION_INVALID(count=1, findings=wrong) from None
    if named not in (None, stated.day):
        raise CONSOLE_FORM(field="day", why=f"the file is of {stated.day}")
    return stated
