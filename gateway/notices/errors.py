"""Errors of notices: why a mail did not leave."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

MAIL_BROKEN = _errors.ours("mail.broken", 500)
MAIL_NO_ADDRESS = _errors.ours("mail.no-address", 502)
MAIL_REFUSED = _errors.ours("mail.refused", 502)
MAIL_SETTINGS = _errors.ours("mail.settings", 500)
MAIL_UNREACHABLE = _errors.ours("mail.unreachable", 502)
