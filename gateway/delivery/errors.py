"""Errors of delivery. `adapters.errors` has those of the provider."""

from __future__ import annotations

from adapters.errors import ProviderFailure
from contracts.base.errors import Errors

_errors = Errors(__file__)

DELIVERY_CANCELLED = _errors.ours("delivery.cancelled", 502)
DELIVERY_DISCARDED = _errors.ours("delivery.discarded", 502)
DELIVERY_FAULT = _errors.of(ProviderFailure, "delivery.fault", 500)
DELIVERY_GIVEN_UP = _errors.ours("delivery.given-up", 502)
DELIVERY_NOT_DONE = _errors.ours("delivery.not-done", 502)
PROVIDER_NO_CALLBACK = _errors.of(ProviderFailure, "provider.no-callback", 502)
PROVIDER_NO_ENDPOINT = _errors.of(ProviderFailure, "provider.no-endpoint", 502)
PROVIDER_NO_FORMAT = _errors.of(ProviderFailure, "provider.no-format", 502)
PROVIDER_NO_OPERATION = _errors.of(ProviderFailure, "provider.no-operation", 502)
PROVIDER_RESTING = _errors.of(ProviderFailure, "provider.resting", 503)
QUEUE_CHANGED = _errors.theirs("queue.changed", 409)
QUEUE_ENDED = _errors.theirs("queue.ended", 409)
QUEUE_JOB_ALTERED = _errors.ours("queue.job-altered", 409)
QUEUE_NO_JOB = _errors.theirs("queue.no-job", 404)
QUEUE_NOT_REPEATABLE = _errors.theirs("queue.not-repeatable", 409)
QUEUE_OTHER_STATE = _errors.theirs("queue.other-state", 409)
QUEUE_UNCONFIRMED = _errors.theirs("queue.unconfirmed", 409)
QUEUE_UNDER_WAY = _errors.theirs("queue.under-way", 409)
QUEUE_UNKNOWN = _errors.theirs("queue.unknown", 404)
SANDBOX_BUSY = _errors.of(ProviderFailure, "sandbox.busy", 503)
