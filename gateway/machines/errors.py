"""Errors of machines: why one may not join, work, or be changed."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

INSTANCE_SETTINGS_DIFFER = _errors.ours("instance.settings-differ", 500)
MACHINE_BUNDLE = _errors.ours("machine.bundle", 500)
MACHINE_DRAINING = _errors.ours("machine.draining", 503)
MACHINE_INVITATION = _errors.theirs("machine.invitation", 422)
MACHINE_INVITATION_EXPIRED = _errors.policy("machine.invitation-expired", 403)
MACHINE_INVITATION_UNKNOWN = _errors.policy("machine.invitation-unknown", 403)
MACHINE_INVITATION_USED = _errors.policy("machine.invitation-used", 409)
MACHINE_INVITATION_WITHDRAWN = _errors.policy("machine.invitation-withdrawn", 403)
MACHINE_JOIN_UNREADABLE = _errors.theirs("machine.join-unreadable", 422)
MACHINE_LAST = _errors.policy("machine.last", 409)
MACHINE_NAME = _errors.theirs("machine.name", 422)
MACHINE_NAME_TAKEN = _errors.theirs("machine.name-taken", 409)
MACHINE_NOT_REACHED = _errors.ours("machine.not-reached", 502)
MACHINE_NO_SECRET = _errors.policy("machine.no-secret", 409)
MACHINE_ONE_DATABASE = _errors.theirs("machine.one-database", 409)
MACHINE_OTHER_STATE = _errors.theirs("machine.other-state", 409)
MACHINE_REFUSED = _errors.theirs("machine.refused", 409)
MACHINE_REMOVED = _errors.policy("machine.removed", 403)
MACHINE_UNKNOWN = _errors.theirs("machine.unknown", 404)
MACHINE_VAULT_FOLDER = _errors.theirs("machine.vault-folder", 409)
