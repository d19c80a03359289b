"""Errors of reading contracts and messages."""

from __future__ import annotations

from contracts.base.errors import Errors

_errors = Errors(__file__)

CONTRACT_INVALID = _errors.theirs("contract.invalid", 422)
MESSAGE_CHARACTER = _errors.theirs("message.character", 422)
MESSAGE_INVALID = _errors.theirs("message.invalid", 422)
MESSAGE_NOT_EXPRESSIBLE = _errors.theirs("message.not-expressible", 422)
MESSAGE_NOT_JSON = _errors.theirs("message.not-json", 400)
MESSAGE_NOT_QUERY = _errors.theirs("message.not-query", 400)
MESSAGE_OTHER_FORMAT = _errors.theirs("message.other-format", 422)
MESSAGE_WRONG_MEDIA = _errors.theirs("message.wrong-media", 415)
MESSAGE_WRONG_ROOT = _errors.theirs("message.wrong-root", 422)
MTOM_MALFORMED = _errors.theirs("mtom.malformed", 400)
SOAP_MALFORMED = _errors.theirs("soap.malformed", 400)
SOAP_NOT_UNDERSTOOD = _errors.theirs("soap.not-understood", 400)
SOAP_VERSION = _errors.theirs("soap.version", 400)
WORKFLOW_NOT_NOW = _errors.theirs("workflow.not-now", 409)
WORKFLOW_NO_STEP = _errors.theirs("workflow.no-step", 422)
WORKFLOW_OTHER_PARTY = _errors.theirs("workflow.other-party", 403)
XML_DOCTYPE = _errors.theirs("xml.doctype", 400)
XML_INSTRUCTION = _errors.theirs("xml.instruction", 400)
XML_MALFORMED = _errors.theirs("xml.malformed", 400)
XML_TOO_DEEP = _errors.theirs("xml.too-deep", 400)
XML_TOO_LARGE = _errors.theirs("xml.too-large", 413)
XML_TOO_MANY_NAMESPACES = _errors.theirs("xml.too-many-namespaces", 400)
XML_TOO_MANY_TAGS = _errors.theirs("xml.too-many-tags", 413)
