"""Calls a REST component system: JSON over HTTP (`docs/wire.md`, "When the gateway calls").

Standards: RFC 9421 (HTTP message signatures), RFC 9530 (digests); JWS in JWE where the contract demands encrypted
bodies. The gateway signs with its own key; the signed header `Lgsp-Caller` names the real caller.
Invariant: an answer is decoded only after that very system's signature over status, type, digest and our request's
signature was verified. Of an encrypted answer, the signature of its JWS is verified too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from adapters.errors import (
    PROVIDER_BAD_ANSWER,
    PROVIDER_BAD_SIGNATURE,
    PROVIDER_FAULT,
    PROVIDER_NO_ENCRYPTION_KEY,
    PROVIDER_NOT_FOUND,
    PROVIDER_REFUSED,
    Acted,
    ProviderFailure,
    ProviderMissing,
)
from adapters.http import ANSWER_LIMIT, Call, HttpAnswer, beside, large_of, off_loop, send
from adapters.model import FAULT_HEADER, AdapterServices, Endpoint, Incoming, Outgoing
from contracts.base.errors import Failure
from contracts.wire.headers import media_type
from security import jose
from security.encryption_keys import EncryptKey, newest
from security.http_signatures import HttpRequest, sign_request, verify_response
from security.keys import SigningKey
from security.large_jose import seal_large
from security.signature_hints import answer_hints

JSON: Final = "application/json"


@dataclass(slots=True)
class RestAdapter:
    """Stateless except for the shared session. `clock` gives Unix seconds."""

    session: aiohttp.ClientSession
    key: SigningKey
    opener: jose.Opener
    clock: Callable[[], float]
    answer_limit: int = ANSWER_LIMIT

    async def call(self, endpoint: Endpoint, outgoing: Outgoing) -> Incoming:
        operation = outgoing.operation
        at = outgoing.codec.rest[operation.name]
        url = endpoint.url.rstrip("/") + at.path
        media, opened = (jose.MEDIA_TYPE if outgoing.encrypted else JSON), b""
        headers = {
            "accept": media,
            "accept-encoding": "identity",
            "lgsp-transfer": outgoing.transfer,
            "lgsp-caller": outgoing.caller,
        }
        body = b""
        if at.method == "GET":
            query = outgoing.codec.write_query(operation.request, outgoing.message)
            if query:
                url = f"{url}?{query}"
        else:
            body = await beside(outgoing.heavy, lambda: outgoing.codec.write_json(operation.request, outgoing.message))
            if outgoing.encrypted:
                kind = outgoing.codec.json_type(operation.request)
                receiver, spool, plain = _receiver(endpoint, self.clock() + endpoint.ahead), outgoing.spool, body
                if spool is not None and spool.size(plain) != len(plain):
                    body, opened = await beside(True, lambda: seal_large(plain, kind, self.key, receiver, spool))
                else:
                    body, opened = jose.seal(plain, kind, self.key, receiver)
            headers["content-type"] = media if outgoing.encrypted else outgoing.codec.json_type(operation.request)
            headers["idempotency-key"] = f'"{outgoing.transfer}"'
        large = await large_of(outgoing.spool, body)
        if large is not None:
            headers["content-digest"] = large.content_digest
        if outgoing.fault:
            headers[FAULT_HEADER] = outgoing.fault
        request = HttpRequest(at.method, url, headers, body)
        headers.update(sign_request(request, self.key, self.clock() + endpoint.ahead))
        headers.update(outgoing.trace)
        call = Call(request, outgoing.timeout, self.answer_limit, large)
        try:
            answer = await send(self.session, endpoint.system, call)
        except ProviderFailure as failure:
            failure.opened_out = opened
            raise
        answer = answer._replace(opened_out=opened)
        return await off_loop(answer, self.read, endpoint, outgoing, answer, headers, media)

    def read(
        self, endpoint: Endpoint, outgoing: Outgoing, answer: HttpAnswer, headers: Mapping[str, str], media: str
    ) -> Incoming:
        """The verified answer to a request with these headers."""
        operation = outgoing.operation
        key_id, trouble, why = self._verify(endpoint, answer, headers)
        if key_id is None:
            answer = answer.unsigned()
        if not 200 <= answer.status < 300:
            raise _failure(endpoint.system, answer, signed=key_id is not None)
        if key_id is None:
            raise _unproven(endpoint, answer, why, trouble)
        if media_type(answer.headers) != media or "content-encoding" in answer.headers:
            raise answer.failed(PROVIDER_BAD_ANSWER, endpoint.system, reason=f"not {media}")
        content = answer.body
        if outgoing.encrypted:
            answer, content = self._decrypted(endpoint, answer)
        try:
            message = outgoing.codec.read_json(operation.answer, content)
        except Failure as trouble:
            raise answer.failed(
                PROVIDER_BAD_ANSWER, endpoint.system, reason=trouble.code, findings=trouble.findings
            ) from trouble
        return answer.incoming(message, key_id)

    def _decrypted(self, endpoint: Endpoint, answer: HttpAnswer) -> tuple[HttpAnswer, bytes]:
        """Decrypts the body, and verifies the JWS in it."""
        try:
            opened = self.opener.open(answer.body, endpoint.keys_by_id.get, self.clock() + endpoint.ahead)
        except Failure as trouble:
            raise answer.failed(PROVIDER_BAD_ANSWER, endpoint.system, reason=trouble.code) from trouble
        if opened.media_type != JSON:
            raise answer.failed(PROVIDER_BAD_ANSWER, endpoint.system, reason=f"not {JSON} in the JWS")
        return answer._replace(opened_in=opened.jws), opened.payload

    def _verify(
        self, endpoint: Endpoint, answer: HttpAnswer, sent_headers: Mapping[str, str]
    ) -> tuple[str | None, Failure | None, str]:
        """The id of the system's key that signed this answer; or None, what was wrong with the signature, and why."""
        signature_input = answer.headers.get("signature-input")
        if not signature_input:
            return None, None, "not signed"
        now = self.clock() + endpoint.ahead
        for key_id, key in endpoint.keys_by_id.items():
            if f'keyid="{key_id}"' in signature_input:
                try:
                    verify_response(answer.status, answer.headers, answer.body, sent_headers, key, now)
                except Failure as trouble:
                    place = trouble.facts.get("where") or trouble.facts.get("missing")
                    return None, trouble, f"{trouble.code}: {place}" if place else trouble.code
                return key_id, None, ""
        return None, None, "unknown key"


def _unproven(endpoint: Endpoint, answer: HttpAnswer, why: str, trouble: Failure | None) -> ProviderFailure:
    """What is wrong with the signature is told as precisely as of a request: what to do, and what was signed."""
    hints = () if trouble is None else answer_hints(trouble, answer.headers, answer.body, endpoint.keys_by_id)
    failure = answer.failed(PROVIDER_BAD_SIGNATURE, endpoint.system, reason=why, findings=hints)
    if trouble is not None:
        failure.advice = trouble.type.next
    return failure


def _receiver(endpoint: Endpoint, now: float) -> EncryptKey:
    key = newest(endpoint.encrypt_keys, now)
    if key is None:
        raise PROVIDER_NO_ENCRYPTION_KEY(acted=Acted.NO, system=endpoint.system, kind="RSA, EC P-256")
    return key


def _failure(system: str, answer: HttpAnswer, *, signed: bool) -> ProviderFailure | ProviderMissing:
    """For a status other than 2xx. Only a signed answer proves that the system did not act."""
    evidence: dict[str, Any] = {
        "evidence_out": answer.evidence_out,
        "evidence_in": answer.evidence_in,
        "system": system,
    }
    if answer.status == 404 and signed:
        return PROVIDER_NOT_FOUND(**evidence)
    evidence["provider_status"] = answer.status
    if 400 <= answer.status < 500 and answer.status != 429:
        return PROVIDER_REFUSED(acted=Acted.NO if signed else Acted.MAYBE, **evidence)
    if answer.status >= 500 or answer.status == 429:
        after = answer.headers.get("retry-after", "")
        return PROVIDER_FAULT(
            acted=Acted.NO if signed and answer.status in (429, 503) else Acted.MAYBE,
            retry_after=int(after) if after.isdecimal() and len(after) < 6 else None,
            **evidence,
        )
    return PROVIDER_BAD_ANSWER(acted=Acted.MAYBE, reason=f"status {answer.status}", **evidence)


def make(services: AdapterServices) -> RestAdapter:
    return RestAdapter(services.session, services.key, jose.Opener(services.decrypt_keys), services.clock)
