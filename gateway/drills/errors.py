"""Errors of drills."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

DRILL_BACKUP_GONE = _errors.theirs("drill.backup-gone", 400)
DRILL_DATABASE = _errors.theirs("drill.database", 400)
DRILL_ELSEWHERE = _errors.theirs("drill.elsewhere", 400)
DRILL_NO_ANSWER = _errors.theirs("drill.no-answer", 400)
DRILL_NOT_EMPTY = _errors.theirs("drill.not-empty", 400)
DRILL_RUNS = _errors.theirs("drill.runs", 409)
