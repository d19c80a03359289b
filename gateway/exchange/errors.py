"""Errors of the exchange: repeats, replays, routes, doubt."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

BODY_NOT_FOR_OPERATION = _errors.theirs("body.not-for-operation", 409)
BODY_NOT_YOURS = _errors.theirs("body.not-yours", 422)
MESSAGE_ANSWER_GONE = _errors.theirs("message.answer-gone", 410)
MESSAGE_IN_PROGRESS = _errors.theirs("message.in-progress", 409)
MESSAGE_OTHER_BODY = _errors.theirs("message.other-body", 409)
MESSAGE_REPLAYED = _errors.theirs("message.replayed", 409)
OPERATION_NEWER = _errors.theirs("operation.newer", 404)
QUEUE_FULL = _errors.ours("queue.full", 503)
ROUTE_NONE = _errors.ours("route.none", 503)
ROUTE_SUSPENDED = _errors.ours("route.suspended", 503)
SANDBOX_BYTES = _errors.policy("sandbox.bytes", 429)
SANDBOX_QUOTA = _errors.policy("sandbox.quota", 429)
TRANSFER_IN_DOUBT = _errors.ours("transfer.in-doubt", 502)
TRANSFER_OUTCOME_UNWRITTEN = _errors.ours("transfer.outcome-unwritten", 503)
