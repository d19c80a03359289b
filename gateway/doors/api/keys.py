"""Serves `GET /keys`: the gateway's own certificates (docs/wire.md, "Keys of the gateway").

Invariant: a client checks each certificate against an authority that it already trusts.
"""

from __future__ import annotations

import json
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding

from contracts.base.times import rfc3339
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.reply import Reply
from gateway.keys.keyring import Published
from security.keys import thumbprint
from security.pki.authority import certificate_pem

_USES: Final = ("sign", "encrypt", "tls")


async def read_keys(services: Services, request: ApiRequest) -> Reply:
    published = services.keyring.published(request.received.at)
    document = {use: [key_json(each) for each in published if each.use == use] for use in _USES}
    return Reply(
        200, {"content-type": "application/json", "cache-control": "public, max-age=60"}, json.dumps(document).encode()
    )


def key_json(key: Published) -> dict[str, Any]:
    certificate = key.certificate
    return {
        "id": key.key_id,
        "current": key.current,
        "valid_from": rfc3339(certificate.not_valid_before_utc.timestamp()),
        "valid_until": rfc3339(certificate.not_valid_after_utc.timestamp()),
        "thumbprint": thumbprint(certificate.public_bytes(Encoding.DER)),
        "certificate": certificate_pem(certificate).decode("ascii"),
        "chain": [certificate_pem(each).decode("ascii") for each in key.chain],
    }
