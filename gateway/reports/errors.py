"""Errors of reports."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

REPORT_ALTERED = _errors.ours("report.altered", 500)
REPORT_UNKNOWN = _errors.theirs("report.unknown", 404)
