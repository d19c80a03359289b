"""Errors of moving the clock of a tenant."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

SANDBOX_CLOCK_BACK = _errors.policy("sandbox.clock-back", 409)
SANDBOX_CLOCK_FAR = _errors.policy("sandbox.clock-far", 409)
SANDBOX_CLOCK_OFTEN = _errors.policy("sandbox.clock-often", 429)
SANDBOX_CLOCK_NONE = _errors.policy("sandbox.clock-none", 403)
