"""Errors of push: what a subscriber may not do, and why a delivery was not taken."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

SUBSCRIPTION_ALTERED = _errors.ours("subscription.altered", 500)
SUBSCRIPTION_ENDED = _errors.theirs("subscription.ended", 409)
SUBSCRIPTION_FROM = _errors.theirs("subscription.from", 422)
SUBSCRIPTION_OTHER_STATE = _errors.theirs("subscription.other-state", 409)
SUBSCRIPTION_TOO_MANY = _errors.theirs("subscription.too-many", 409)
SUBSCRIPTION_UNKNOWN = _errors.theirs("subscription.unknown", 404)
SUBSCRIPTION_URL = _errors.theirs("subscription.url", 422)
PUSH_ADDRESS = _errors.ours("push.address", 502)
PUSH_ANSWER = _errors.ours("push.answer", 502)
PUSH_CERTIFICATE = _errors.ours("push.certificate", 502)
PUSH_CHALLENGE = _errors.ours("push.challenge", 502)
PUSH_DROPPED = _errors.ours("push.dropped", 502)
PUSH_GONE = _errors.ours("push.gone", 502)
PUSH_NO_FEED = _errors.ours("push.no-feed", 502)
PUSH_NOT_TAKEN = _errors.ours("push.not-taken", 502)
PUSH_REDIRECT = _errors.ours("push.redirect", 502)
PUSH_TIMEOUT = _errors.ours("push.timeout", 502)
PUSH_UNREACHABLE = _errors.ours("push.unreachable", 502)
