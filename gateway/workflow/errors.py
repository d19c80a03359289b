"""Errors of handlings."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

HANDLING_BAD_CURSOR = _errors.theirs("handling.bad-cursor", 400)
HANDLING_BAD_REASON = _errors.theirs("handling.bad-reason", 422)
HANDLING_BUSY = _errors.ours("handling.busy", 503)
HANDLING_NO_FEED = _errors.ours("handling.no-feed", 503)
HANDLING_NO_REASON = _errors.theirs("handling.no-reason", 422)
HANDLING_NO_TARGET = _errors.theirs("handling.no-target", 422)
HANDLING_TOO_MANY = _errors.theirs("handling.too-many", 422)
HANDLING_TOO_MANY_STEPS = _errors.theirs("handling.too-many-steps", 422)
HANDLING_UNKNOWN = _errors.theirs("handling.unknown", 404)
