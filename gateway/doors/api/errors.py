"""Errors of the gateway's own HTTP interfaces."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

API_INVALID = _errors.theirs("api.invalid", 400)
API_REPLAYED = _errors.theirs("api.replayed", 409)
AUDIT_NO_CHECKPOINT = _errors.ours("audit.no-checkpoint", 503)
AUDIT_NOT_YOURS = _errors.policy("audit.not-yours", 403)
BODY_NO_LENGTH = _errors.theirs("body.no-length", 411)
BODY_RANGE = _errors.theirs("body.range", 416)
BODY_UNKNOWN = _errors.theirs("body.unknown", 404)
FEED_NO_EXPORT = _errors.theirs("feed.no-export", 409)
FEED_NO_FORM = _errors.theirs("feed.no-form", 415)
FEED_NO_MESSAGE = _errors.theirs("feed.no-message", 404)
FEED_UNKNOWN = _errors.theirs("feed.unknown", 404)
TOKEN_ASSERTION_TYPE = _errors.theirs("token.assertion-type", 400)
TOKEN_ASSERTION_USED = _errors.theirs("token.assertion-used", 400)
TOKEN_GRANT_TYPE = _errors.theirs("token.grant-type", 400)
TOKEN_OTHER_SYSTEM = _errors.policy("token.other-system", 403)
TRANSFER_BAD_CURSOR = _errors.theirs("transfer.bad-cursor", 400)
TRANSFER_UNKNOWN = _errors.theirs("transfer.unknown", 404)
UPLOAD_FORM = _errors.theirs("upload.form", 400)
