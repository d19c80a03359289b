"""Errors of dropped files."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

FILE_NO_OPERATION = _errors.ours("file.no-operation", 503)
FILE_NO_RULE = _errors.theirs("file.no-rule", 422)
FILE_QUARANTINED = _errors.theirs("file.quarantined", 422)
FILE_TOO_LARGE = _errors.theirs("file.too-large", 413)
FILE_UNREADABLE = _errors.theirs("file.unreadable", 422)
