"""Errors of reading feeds."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

FEED_BAD_CURSOR = _errors.theirs("feed.bad-cursor", 400)
FEED_RESTORED = _errors.theirs("feed.restored", 410)
