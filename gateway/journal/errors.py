"""Errors of the journal and the database below it."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from contracts.base.errors import Errors, Ours
from gateway.journal.limits import RETRY_SECONDS

_errors = Errors(__file__)

JOURNAL_ALTERED = _errors.ours("journal.altered", 503)
JOURNAL_BUSY = _errors.ours("journal.busy", 503)
JOURNAL_FENCED = _errors.ours("journal.fenced", 503)
JOURNAL_ROW_REFUSED = _errors.ours("journal.row-refused", 500)
JOURNAL_SCHEMA = _errors.ours("journal.schema", 500)
JOURNAL_SCHEMA_ALTERED = _errors.ours("journal.schema-altered", 503)
JOURNAL_UNAVAILABLE = _errors.ours("journal.unavailable", 503)


def unavailable(error: Exception) -> Ours | None:
    """The failure for callers, if `error` says that the database is away; else None."""
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if lost or isinstance(error, OperationalError | InterfaceError | PoolTimeout):
        return JOURNAL_UNAVAILABLE(retry_after=RETRY_SECONDS, reason=type(error).__name__)
    return None
