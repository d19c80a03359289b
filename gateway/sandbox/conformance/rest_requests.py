"""Requests by REST as the gateway makes them, and with one thing wrong each (`change` of `rules.yaml`)."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, replace
from typing import Final

from contracts.compiled.contract import Codec
from gateway.sample_client.httpsig import MAX_LIFETIME, Message, digest_header, sign_request
from gateway.sample_client.jose import MEDIA_TYPE, seal
from gateway.sample_client.signing import Signer
from gateway.sandbox.conformance.cases import Case
from gateway.sandbox.conformance.exchange import GatewayKeys, Prepared, Target, foreign_receiver, other_signer
from security.http_signatures import HttpRequest

_HOUR: Final = 3600
_DAY: Final = 86_400
_JSON: Final = "application/json"
_UNCOVERED: Final = {
    "digest-uncovered": ("content-digest",),
    "caller-uncovered": ("lgsp-caller",),
    "target-uncovered": ("@method", "@target-uri"),
}
_TIMES: Final = {"old": (-_HOUR, MAX_LIFETIME), "future": (_HOUR, MAX_LIFETIME), "long-lived": (0, _DAY)}


@dataclass(frozen=True, slots=True)
class Rest:
    """Makes the request of a case. `encrypted`: whether the contract demands encrypted bodies."""

    keys: GatewayKeys
    target: Target
    codec: Codec
    encrypted: bool

    def prepare(self, case: Case, transfer: str, now: float, content: bytes | None = None) -> Prepared:
        """`content` instead of the case's own."""
        change, sent = case.rule.change, case.content if content is None else content
        at = self.codec.rest[case.operation]
        url = self.target.endpoint.url.rstrip("/") + at.path
        signer = self.keys.signer()
        headers = {"accept": _JSON, "accept-encoding": "identity"}
        headers |= {"lgsp-transfer": transfer, "lgsp-caller": self.target.caller}
        body = b""
        if at.method == "GET":
            url = f"{url}?{sent.decode()}" if sent else url
        else:
            body, media = self._body(change, sent, signer)
            headers |= {"content-type": media, "idempotency-key": f'"{transfer}"'}
            digested = body[:-1] + b" }" if change == "digest-wrong" else body
            headers["content-digest"] = digest_header(digested)
            if media == MEDIA_TYPE:
                headers["accept"] = MEDIA_TYPE
        if change != "unsigned":
            headers |= _signature(change, Message(headers, at.method, url), signer, now)
        request = HttpRequest(at.method, url, headers, body)
        return Prepared(_after(change, request), transfer, change == "replayed", change != "no-certificate")

    def _body(self, change: str, content: bytes, signer: Signer) -> tuple[bytes, str]:
        if change == "garbled":
            content = content[: max(1, len(content) // 2)]
        elif change == "empty":
            return b"", _JSON
        wanted = self.encrypted if change != "clear-body" else False
        if not wanted and change != "encrypted-body":
            return content, _JSON
        receiver = self.target.receiver
        key_id = self.target.endpoint.encrypt_keys[0].key_id if receiver is not None else "unknown"
        if receiver is None or change == "foreign-receiver":
            receiver = foreign_receiver()
        by = other_signer(signer) if change == "foreign-signer" else signer
        return seal(content, _JSON, by, key_id, receiver), MEDIA_TYPE


def _signature(change: str, message: Message, signer: Signer, now: float) -> dict[str, str]:
    ahead, life = _TIMES.get(change, (0, MAX_LIFETIME))
    created = int(now) + ahead
    if change in ("other-key", "unknown-key"):
        signer = other_signer(signer)
    if change == "unknown-key":
        signer = replace(signer, key_id="gateway.sign-9999")
    if change == "other-address":
        place = message.target.partition("//")[2].partition("/")[0]
        message = replace(message, target=message.target.replace(place, "khac.example", 1))
    added = sign_request(
        message,
        signer,
        created=created,
        expires=created + life,
        nonce=secrets.token_urlsafe(18),
        leave_out=_UNCOVERED.get(change, ()),
    )
    if change != "wrong-tag":
        return added
    # The base has the tag in it, so the signature is made anew over the changed one.
    return _retagged(message, signer, created)


def _retagged(message: Message, signer: Signer, created: int) -> dict[str, str]:
    names = ["@method", "@target-uri", *(name for name in _COVERED if name in message.headers)]
    covered = " ".join(f'"{name}"' for name in names)
    params = f'({covered});created={created};expires={created + MAX_LIFETIME};nonce="{secrets.token_urlsafe(18)}"'
    params += f';keyid="{signer.key_id}";tag="lgsp-answer"'
    values = {"@method": message.method, "@target-uri": message.target, **message.headers}
    base = "\n".join([*(f'"{name}": {values[name]}' for name in names), f'"@signature-params": {params}'])
    value = base64.b64encode(signer.sign(base.encode("ascii"))).decode()
    return {"signature-input": f"sig1={params}", "signature": f"sig1=:{value}:"}


_COVERED: Final = ("content-type", "content-digest", "idempotency-key", "lgsp-transfer", "lgsp-caller")


def _after(change: str, request: HttpRequest) -> HttpRequest:
    """What is changed after signing."""
    headers, body = dict(request.headers), request.body
    if change == "wrong-signature":
        headers["signature"] = flipped(headers["signature"])
    elif change == "caller-changed":
        headers["lgsp-caller"] += "-khac"
    elif change == "message-id-changed":
        headers["idempotency-key"] = headers["idempotency-key"][:-1] + '-2"'
    elif change == "body-changed":
        body = body[:-1] + b" " + body[-1:] if headers["content-type"] == _JSON else body[:-2] + b"AA"
    return request._replace(headers=headers, body=body)


def flipped(signature: str) -> str:
    """`sig1=:…:` with other bits in the middle of its value."""
    at = len(signature) // 2
    return signature[:at] + ("B" if signature[at] != "B" else "C") + signature[at + 1 :]
