"""Errors of the journal and the database below it."""

from __future__ import annotations

from typing import Final

from contracts.base.errors import Errors

_errors = Errors(__file__)

JOURNAL_ALTERED = _errors.ours("journal.altered", 503, passing=True)
JOURNAL_BUSY = _errors.ours("journal.busy", 503, passing=True)
JOURNAL_FENCED = _errors.ours("journal.fenced", 503)
JOURNAL_NEWER_RUNS = _errors.ours("journal.newer-runs", 500)
JOURNAL_NO_STANDBY = _errors.ours("journal.no-standby", 503, passing=True)
JOURNAL_OLDER_RUNS = _errors.ours("journal.older-runs", 500)
JOURNAL_OLD_PRIMARY = _errors.ours("journal.old-primary", 503, passing=True)
JOURNAL_ROW_REFUSED = _errors.ours("journal.row-refused", 500)
JOURNAL_SCHEMA = _errors.ours("journal.schema", 500)
JOURNAL_SCHEMA_ALTERED = _errors.ours("journal.schema-altered", 503)
JOURNAL_UNAVAILABLE = _errors.ours("journal.unavailable", 503, passing=True)

# The database takes nothing now.
AWAY: Final = frozenset(each.code for each in (JOURNAL_NO_STANDBY, JOURNAL_OLD_PRIMARY, JOURNAL_UNAVAILABLE))
