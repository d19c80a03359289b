"""Errors of the watch: what cannot be acknowledged."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

ALARM_ACKNOWLEDGED = _errors.theirs("alarm.acknowledged", 409)
ALARM_UNKNOWN = _errors.theirs("alarm.unknown", 404)
