"""Errors of the gateway's own keys."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

AUTHORITY_NO_ISSUER = _errors.theirs("authority.no-issuer", 404)
AUTHORITY_ROOT_OFFLINE = _errors.theirs("authority.root-offline", 409)
KEYS_LOCKED = _errors.ours("keys.locked", 500)
KEYS_MISSING = _errors.ours("keys.missing", 500)
KEYS_NO_SECRET = _errors.ours("keys.no-secret", 500)
KEYS_TOKEN = _errors.ours("keys.token", 500)
