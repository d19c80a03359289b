"""Signs and verifies by the new algorithm as HTTP signatures and JOSE do, and by PyJWT. Runs in the changed tree."""

from __future__ import annotations

from typing import Any

import jwt

from contracts.base.errors import Theirs
from security import algorithms, jws
from security.http_signatures import HttpRequest, sign_request, verify_request
from security.keys import SigningKey
from security.pki.authority import issue_signing, make_issuer, make_root

NOW = 1_795_503_600.0
NEW: Any = "P-384"

private = algorithms.new_private(NEW)
issuer = make_issuer(make_root("Root", NOW - 86_400), "Signing", NOW - 86_400)
certificate = issue_signing(issuer, "canh-bao", private.public_key(), NOW - 3600)
key = SigningKey.make("canh-bao.sign-1", private, certificate, system="canh-bao")
public = key.verify_key()
assert public.algorithm == "ecdsa-p384-sha384"

request = HttpRequest("POST", "https://localhost/x", {"content-type": "application/json"}, b"{}")
signed = request._replace(headers={**request.headers, **sign_request(request, key, NOW)})
keys = {public.key_id: public}
verify_request(signed, keys.get, NOW, need=())
try:
    verify_request(signed._replace(target_uri="https://localhost/y"), keys.get, NOW, need=())
except Theirs as refusal:
    assert refusal.code == "signature.wrong"
else:
    raise AssertionError("a request for another address was accepted")

token = jws.sign(b'{"a":1}', key)
jws.verify(jws.split(token), public)
assert jwt.decode(token, public.public, algorithms=["ES384"]) == {"a": 1}
