"""Errors of the agent: towards the old system, towards the gateway as a provider, and in its configuration."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

AGENT_ADDRESS = _errors.theirs("agent.address", 404)
AGENT_BAD_ANSWER = _errors.ours("agent.bad-answer", 502)
AGENT_BODY_ENCODED = _errors.theirs("agent.body-encoded", 415)
AGENT_BODY_TOO_LARGE = _errors.theirs("agent.body-too-large", 413)
AGENT_BODY_TOO_SLOW = _errors.theirs("agent.body-too-slow", 408)
AGENT_BUSY = _errors.ours("agent.busy", 503)
AGENT_CHANNEL = _errors.theirs("agent.channel", 401)
AGENT_CONFIGURATION = _errors.theirs("agent.configuration", 422)
AGENT_ENVELOPE = _errors.theirs("agent.envelope", 400)
AGENT_FAULT = _errors.ours("agent.fault", 500)
AGENT_FILES_FULL = _errors.ours("agent.files-full", 503)
AGENT_FORM = _errors.theirs("agent.form", 400)
AGENT_HOST = _errors.theirs("agent.host", 421)
AGENT_IDENTITY = _errors.ours("agent.identity", 500)
AGENT_IN_DOUBT = _errors.ours("agent.in-doubt", 500)
AGENT_MEDIA_TYPE = _errors.theirs("agent.media-type", 415)
AGENT_MESSAGE_ID = _errors.theirs("agent.message-id", 400)
AGENT_OTHER_BODY = _errors.theirs("agent.other-body", 409)
AGENT_QUEUE_FULL = _errors.ours("agent.queue-full", 503)
AGENT_REFERENCE = _errors.theirs("agent.reference", 400)
AGENT_REPLAYED = _errors.theirs("agent.replayed", 409)
AGENT_REPORT_UNKNOWN = _errors.theirs("agent.report-unknown", 404)
AGENT_SECRET = _errors.theirs("agent.secret", 401)
AGENT_SYSTEM_ANSWER = _errors.ours("agent.system-answer", 502)
AGENT_SYSTEM_DOWN = _errors.ours("agent.system-down", 503)
AGENT_SYSTEM_LATE = _errors.ours("agent.system-late", 504)
AGENT_TIMEOUT = _errors.ours("agent.timeout", 504)
AGENT_TOO_OLD = _errors.ours("agent.too-old", 504)
AGENT_UNREACHABLE = _errors.ours("agent.unreachable", 503)
