"""Errors of backup and restore."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

BACKUP_OTHERS_RUN = _errors.theirs("backup.others-run", 409)
BACKUP_BROKEN = _errors.theirs("backup.broken", 400)
BACKUP_DISK_FULL = _errors.ours("backup.disk-full", 500)
BACKUP_FORKED = _errors.theirs("backup.forked", 400)
BACKUP_KIND = _errors.theirs("backup.kind", 400)
BACKUP_MOVED = _errors.theirs("backup.moved", 400)
BACKUP_NEWER = _errors.theirs("backup.newer", 400)
BACKUP_NONE = _errors.theirs("backup.none", 400)
BACKUP_NOT_HELD = _errors.theirs("backup.not-held", 400)
BACKUP_OLD_KEY = _errors.theirs("backup.old-key", 400)
BACKUP_OLD_RUNS = _errors.theirs("backup.old-runs", 400)
BACKUP_PRACTICE = _errors.theirs("backup.practice", 409)
BACKUP_PLAIN_KEYS = _errors.theirs("backup.plain-keys", 400)
BACKUP_TAKEN = _errors.theirs("backup.taken", 400)
BACKUP_UNREADABLE = _errors.ours("backup.unreadable", 500)
BACKUP_UNWRITABLE = _errors.ours("backup.unwritable", 500)
BACKUP_VAULT_DATABASE = _errors.theirs("backup.vault-database", 409)
BACKUP_WRONG_LOG = _errors.theirs("backup.wrong-log", 400)
