"""Errors of the vault: bodies, keys, holds, readings without a reason, rows that were changed."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

BODY_NO_ROOM = _errors.ours("body.no-room", 503)
BODY_WAITING = _errors.policy("body.waiting", 429)
TRANSFER_TAMPERED = _errors.ours("transfer.tampered", 500)
UPLOAD_OFFSET = _errors.theirs("upload.offset", 409)
UPLOAD_UNKNOWN = _errors.theirs("upload.unknown", 404)
VAULT_BROKEN = _errors.ours("vault.broken", 500)
VAULT_EXPIRED = _errors.ours("vault.expired", 410)
VAULT_HOLD_STANDS = _errors.theirs("vault.hold-stands", 409)
VAULT_HOLD_TOO_LATE = _errors.theirs("vault.hold-too-late", 409)
VAULT_HOLD_UNKNOWN = _errors.theirs("vault.hold-unknown", 404)
VAULT_HOLD_WRONG = _errors.theirs("vault.hold-wrong", 400)
VAULT_KEY_DIFFERS = _errors.ours("vault.key-differs", 503)
VAULT_KEY_LOST = _errors.ours("vault.key-lost", 410)
VAULT_KEY_STANDS = _errors.theirs("vault.key-stands", 409)
VAULT_KEY_UNKNOWN = _errors.theirs("vault.key-unknown", 404)
VAULT_KEY_MISSING = _errors.ours("vault.key-missing", 500)
VAULT_NO_PART = _errors.theirs("vault.no-part", 404)
VAULT_NO_REASON = _errors.theirs("vault.no-reason", 400)
VAULT_NOT_FOUND = _errors.ours("vault.not-found", 404)
VAULT_SAME_DATABASE = _errors.ours("vault.same-database", 500)
VAULT_STORE_OTHER = _errors.ours("vault.store-other", 500)
VAULT_UNAVAILABLE = _errors.ours("vault.unavailable", 503)
VAULT_NOTHING_OF = _errors.theirs("vault.nothing-of", 404)
