"""Errors of importing a foreign interface file."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

IMPORT_NOTHING = _errors.theirs("import.nothing", 422)
IMPORT_TOO_LARGE = _errors.theirs("import.too-large", 413)
IMPORT_UNREADABLE = _errors.theirs("import.unreadable", 422)
