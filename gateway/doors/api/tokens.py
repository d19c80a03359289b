"""Issues tokens: OAuth 2 client credentials with a signed assertion, bound to the client certificate.

RFC 6749 §4.4, RFC 7523 §2.2, RFC 8705.
Invariant: the certificate of the connection and the key of the assertion belong to one system in force.
Invariant: an assertion serves once: its `jti` is a replay key, on disk before the token leaves.
Invariant: the issue of each token is in the audit log.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import Any, Final

from contracts.base.errors import Failure, Ours, Policy, Theirs
from gateway.doors.api.errors import TOKEN_ASSERTION_TYPE, TOKEN_ASSERTION_USED, TOKEN_GRANT_TYPE, TOKEN_OTHER_SYSTEM
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.own_clock import advised
from gateway.doors.reply import Reply
from gateway.journal.write import ReplayKey, Write
from gateway.transfer import entries
from security import tokens
from security.algorithms import JOSE_NAMES
from security.keys import VerifyKey

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
GRANT_TYPE: Final = "client_credentials"
_NOT_DESCRIPTION: Final = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")  # RFC 6749 §5.2
_NO_STORE: Final = {"content-type": "application/json", "cache-control": "no-store", "pragma": "no-cache"}


async def issue_token(services: Services, request: ApiRequest) -> Reply:
    received, form, settings, channel = request.received, request.form, services.settings, request.call.channel()
    if form["grant_type"] != GRANT_TYPE:
        raise TOKEN_GRANT_TYPE()
    if form["client_assertion_type"] != ASSERTION_TYPE:
        raise TOKEN_ASSERTION_TYPE(expected=ASSERTION_TYPE)

    def find_key(key_id: str) -> VerifyKey | None:
        return received.snapshot.key(key_id)

    try:
        given = form["client_assertion"]
        assertion = tokens.verify_assertion(given, find_key, received.theirs, settings.token_endpoint)
    except Theirs as failure:
        raise advised(failure, received.ahead) from None
    if received.ahead:
        assertion.key.check_time(received.at)  # no key begins earlier
    if assertion.system != channel.system.id:
        raise TOKEN_OTHER_SYSTEM(channel=channel.system.id, other=assertion.system)
    used = hashlib.sha256(f"{assertion.key.key_id}\njti\n{assertion.jti}".encode()).digest()
    facts = {"system": channel.system.id, "key": assertion.key.key_id}
    entry = entries.note("token", facts, received.at, actor=channel.system.name, ahead=received.ahead)
    write = Write(replay=ReplayKey(used, assertion.exp + tokens.SKEW), log=(entry,))
    await services.record(write, replayed=TOKEN_ASSERTION_USED)
    token = tokens.issue_token(
        tokens.Holder(system=channel.system.id, agency=channel.system.agency, thumbprint=channel.thumbprint or ""),
        services.token_key,
        received.theirs,
        settings.base,
        settings.token_seconds,
    )
    answer = {"access_token": token, "token_type": "Bearer", "expires_in": settings.token_seconds}
    return Reply(200, dict(_NO_STORE), json.dumps(answer).encode())


async def read_metadata(services: Services, request: ApiRequest) -> Reply:
    """RFC 8414; the issuer is the gateway's base address."""
    base = services.settings.base
    metadata = {
        "issuer": base,
        "token_endpoint": services.settings.token_endpoint,
        "grant_types_supported": [GRANT_TYPE],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(JOSE_NAMES),
        "tls_client_certificate_bound_access_tokens": True,
        "service_documentation": f"{base}/contracts",
    }
    return Reply(
        200, {"content-type": "application/json", "cache-control": "max-age=300"}, json.dumps(metadata).encode()
    )


def as_oauth(failure: Failure, reply: Reply) -> Reply:
    """A refusal as OAuth error (RFC 6749 §5.2), with the members of the problem document."""
    headers = {name: value for name, value in reply.headers.items() if name != "www-authenticate"} | _NO_STORE
    if not reply.body:  # of a HEAD
        return replace(reply, headers=headers)
    document: dict[str, Any] = json.loads(reply.body)
    document["error"] = _error(failure)
    document["error_description"] = _NOT_DESCRIPTION.sub("'", f"{failure.what('en')} {failure.next('en')}")
    return replace(reply, headers=headers, body=json.dumps(document, ensure_ascii=False).encode())


def _error(failure: Failure) -> str:
    if failure.code == TOKEN_GRANT_TYPE.code:
        return "unsupported_grant_type"
    if isinstance(failure, Ours):
        return "server_error"
    if isinstance(failure, Policy) or failure.code.startswith(("channel.", "signature.", "key.")):
        return "invalid_client"
    if failure.code.startswith("token.") and failure.code != TOKEN_ASSERTION_TYPE.code:
        return "invalid_client"
    return "invalid_request"
