"""Errors of cases."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

CASE_ALTERED = _errors.ours("case.altered", 500)
CASE_DECISION = _errors.theirs("case.decision", 422)
CASE_KEY = _errors.theirs("case.key", 409)
CASE_KIND = _errors.theirs("case.kind", 422)
CASE_LINK = _errors.theirs("case.link", 422)
CASE_NOT_NOW = _errors.theirs("case.not-now", 409)
CASE_NOTICE = _errors.theirs("case.notice", 422)
CASE_OTHER_PARTY = _errors.policy("case.other-party", 403)
CASE_RECEIVER = _errors.theirs("case.receiver", 422)
CASE_REFERENCE = _errors.theirs("case.reference", 422)
CASE_SENDER = _errors.policy("case.sender", 403)
CASE_TEXT = _errors.theirs("case.text", 422)
CASE_UNKNOWN = _errors.theirs("case.unknown", 404)
