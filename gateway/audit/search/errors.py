"""Errors of searching the audit log and of comparing counts."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

AUDIT_BAD_CURSOR = _errors.theirs("audit.bad-cursor", 400)
RECONCILIATION_BUSY = _errors.ours("reconciliation.busy", 503)
RECONCILIATION_DAY_OPEN = _errors.theirs("reconciliation.day-open", 400)
RECONCILIATION_INVALID = _errors.theirs("reconciliation.invalid", 400)
RECONCILIATION_NOT_YOURS = _errors.policy("reconciliation.not-yours", 403)
RECONCILIATION_TOO_LONG = _errors.ours("reconciliation.too-long", 503)
