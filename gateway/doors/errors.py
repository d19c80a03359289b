"""Errors of requests to the doors: addresses, media types, headers, SOAP addressing."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

ADDRESS_METHOD = _errors.theirs("address.method", 405)
ADDRESS_UNKNOWN = _errors.theirs("address.unknown", 404)
BODY_MEDIA_TYPE = _errors.theirs("body.media-type", 415)
BODY_UNEXPECTED = _errors.theirs("body.unexpected", 400)
CHANNEL_MISMATCH = _errors.policy("channel.mismatch", 403)
QUERY_UNEXPECTED = _errors.theirs("query.unexpected", 400)
REQUEST_NO_MESSAGE_ID = _errors.theirs("request.no-message-id", 400)
REQUEST_NO_TOKEN = _errors.theirs("request.no-token", 401)
SOAP_ACTION = _errors.theirs("soap.action", 400)
SOAP_NOT_FOR_US = _errors.theirs("soap.not-for-us", 400)
SOAP_REPLY_ELSEWHERE = _errors.theirs("soap.reply-elsewhere", 400)
SOAP_UNKNOWN_BODY = _errors.theirs("soap.unknown-body", 400)
