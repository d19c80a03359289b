"""Errors of reading feeds."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

FEED_BAD_CURSOR = _errors.theirs("feed.bad-cursor", 400)
FEED_NO_VALUE = _errors.theirs("feed.no-value", 404)
FEED_NO_HISTORY = _errors.theirs("feed.no-history", 410)
FEED_NO_STATE = _errors.theirs("feed.no-state", 404)
FEED_OTHER_LOG = _errors.theirs("feed.other-log", 410)
FEED_RESTORED = _errors.theirs("feed.restored", 410)
MESSAGE_KEY_TAKEN = _errors.theirs("message.key-taken", 409)
MESSAGE_REFERENCE = _errors.theirs("message.reference", 422)
