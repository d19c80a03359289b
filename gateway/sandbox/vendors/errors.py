"""Errors of enrolling in a sandbox."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

SANDBOX_ATTEMPTS = _errors.policy("sandbox.attempts", 429)
SANDBOX_CLOSED = _errors.policy("sandbox.closed", 403)
SANDBOX_FORM = _errors.theirs("sandbox.form", 400)
SANDBOX_FULL = _errors.policy("sandbox.full", 409)
SANDBOX_INVITATION = _errors.policy("sandbox.invitation", 403)
SANDBOX_NOT_ISSUED = _errors.ours("sandbox.not-issued", 503)
SANDBOX_UNKNOWN = _errors.theirs("sandbox.unknown", 404)
