"""Errors of the audit log."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

AUDIT_INCONSISTENT = _errors.ours("audit.inconsistent", 500)
AUDIT_NO_ORIGIN = _errors.theirs("audit.no-origin", 404)
AUDIT_NO_TILE = _errors.theirs("audit.no-tile", 404)
AUDIT_NOT_LOGGED = _errors.theirs("audit.not-logged", 404)
AUDIT_UNWITNESSED = _errors.ours("audit.unwitnessed", 503)
