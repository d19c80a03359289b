"""Refusals that a run of conformance makes on purpose, and what a page or a program may get wrong about runs."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

CONFORM_QUOTA = _errors.policy("conform.quota", 429)
CONFORM_REFUSED = _errors.theirs("conform.refused", 422)
CONFORM_RUNNING = _errors.policy("conform.running", 409)
CONFORM_UNAVAILABLE = _errors.ours("conform.unavailable", 503)
