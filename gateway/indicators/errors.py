"""Errors of indicators."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

INDICATOR_INVALID = _errors.theirs("indicator.invalid", 422)
INDICATOR_NO_CONTRACT = _errors.ours("indicator.no-contract", 503)
INDICATOR_PERIOD = _errors.theirs("indicator.period", 400)
INDICATOR_TOO_MANY = _errors.theirs("indicator.too-many", 400)
INDICATOR_UNKNOWN = _errors.theirs("indicator.unknown", 404)
