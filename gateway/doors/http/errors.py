"""Errors of the HTTP server: certificates of connections, bodies, framing, limits."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

BODY_ENCODED = _errors.theirs("body.encoded", 415)
BODY_TOO_COSTLY = _errors.theirs("body.too-costly", 413)
BODY_TOO_LARGE = _errors.theirs("body.too-large", 413)
BODY_TOO_SLOW = _errors.theirs("body.too-slow", 408)
CHANNEL_CERTIFICATE_UNREADABLE = _errors.theirs("channel.certificate-unreadable", 400)
CHANNEL_EXPIRED = _errors.policy("channel.expired", 403)
CHANNEL_NO_CERTIFICATE = _errors.theirs("channel.no-certificate", 401)
CHANNEL_REVOKED = _errors.policy("channel.revoked", 403)
CHANNEL_STATUS_UNKNOWN = _errors.policy("channel.status-unknown", 403)
CHANNEL_UNKNOWN_SYSTEM = _errors.policy("channel.unknown-system", 403)
HTTP_HEAD_TOO_LARGE = _errors.theirs("http.head-too-large", 431)
HTTP_MALFORMED = _errors.theirs("http.malformed", 400)
HTTP_TRANSFER_CODING = _errors.theirs("http.transfer-coding", 501)
LIMIT_AGENCY = _errors.policy("limit.agency", 429)
LIMIT_CONNECTIONS = _errors.theirs("limit.connections", 429)
LIMIT_COST = _errors.policy("limit.cost", 429)
LIMIT_DOOR_STREAMS = _errors.ours("limit.door-streams", 503)
LIMIT_SOURCE = _errors.theirs("limit.source", 429)
LIMIT_STREAMS = _errors.policy("limit.streams", 429)
REQUEST_HEADER_TWICE = _errors.theirs("request.header-twice", 400)
REQUEST_TOO_MANY_HEADERS = _errors.theirs("request.too-many-headers", 431)
