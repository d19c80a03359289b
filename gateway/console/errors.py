"""Errors of the console: signing in, roles, forms."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

ACCOUNT_LOCKED = _errors.policy("account.locked", 429)
ACCOUNT_NOT_OFFICER = _errors.theirs("account.not-officer", 409)
ACCOUNT_OWN = _errors.policy("account.own", 403)
ACCOUNT_PASSWORD_WEAK = _errors.theirs("account.password-weak", 400)
ACCOUNT_ROLE_UNKNOWN = _errors.theirs("account.role-unknown", 400)
ACCOUNT_TAKEN = _errors.theirs("account.taken", 409)
ACCOUNT_UNKNOWN = _errors.theirs("account.unknown", 404)
CONSOLE_BODY_CLOSED = _errors.policy("console.body-closed", 403)
CONSOLE_EXPORT_LARGE = _errors.theirs("console.export-large", 400)
CONSOLE_FORBIDDEN = _errors.policy("console.forbidden", 403)
CONSOLE_FORM = _errors.theirs("console.form", 400)
CONSOLE_NAME_TAKEN = _errors.theirs("console.name-taken", 409)
CONSOLE_NO_PAGE = _errors.theirs("console.no-page", 404)
CONSOLE_ORIGIN = _errors.policy("console.origin", 403)
CONSOLE_REASON = _errors.theirs("console.reason", 400)
LOGIN_FAILED = _errors.policy("login.failed", 401)
LOGIN_LINK = _errors.policy("login.link", 401)
LOGIN_NEEDED = _errors.policy("login.needed", 401)
LOGIN_PROVIDER = _errors.ours("login.provider", 503)
PASSKEY_FAILED = _errors.policy("passkey.failed", 403)
PASSKEY_MANY = _errors.theirs("passkey.many", 409)
PASSKEY_UNKNOWN = _errors.theirs("passkey.unknown", 404)
PASSKEY_UNUSABLE = _errors.theirs("passkey.unusable", 409)
TOKEN_UNKNOWN = _errors.theirs("token.unknown", 404)
