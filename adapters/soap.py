"""Calls a SOAP component system, in SOAP 1.1 or 1.2 (`docs/wire.md`, "When the gateway calls a SOAP system").

Standards: WS-Security signed envelopes over HTTP, encrypted where the contract demands it. `wsa:MessageID` is the
transfer's id, `lgsp:Caller` names the real caller; both are signed.
Invariant: only the verified Body of an envelope that is signed by that very system, and that relates to our message, is
decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import aiohttp
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree

from adapters.errors import (
    PROVIDER_BAD_ANSWER,
    PROVIDER_BAD_SIGNATURE,
    PROVIDER_FAULT,
    PROVIDER_NO_ENCRYPTION_KEY,
    PROVIDER_REFUSED,
    Acted,
    ProviderFailure,
)
from adapters.http import ANSWER_LIMIT, Call, HttpAnswer, beside, large_digest, large_of, off_loop, send
from adapters.model import FAULT_HEADER, AdapterServices, Endpoint, Incoming, Outgoing
from contracts.base.errors import Failure
from contracts.wire import soap
from contracts.wire.headers import media_type
from contracts.wire.mtom import package_of
from security.encryption_keys import EncryptKey, newest
from security.errors import BODY_NOT_ENCRYPTED
from security.http_signatures import HttpRequest
from security.keys import SigningKey
from security.wssec.decrypt import BodyKeys, decrypt_envelope, is_encrypted
from security.wssec.encrypt import blinded, encrypt_envelope
from security.wssec.fast_path import FastEnvelope, verify_fast
from security.wssec.sign import EnvelopeHeaders
from security.wssec.verify import VerifiedEnvelope, caller_block, sign_envelope, verify_envelope

_VERSIONS: Final = {version.number: version for version in soap.VERSIONS.values()}
_MEDIA: Final = {soap.V11: frozenset({"text/xml", "application/xml"}), soap.V12: frozenset({"application/soap+xml"})}
# Fault codes that blame the message: SOAP 1.1 §4.4.1, SOAP 1.2 Part 1 §5.4.6.
_REFUSALS: Final = frozenset({"Client", "Sender", "VersionMismatch", "MustUnderstand", "DataEncodingUnknown"})


@dataclass(slots=True)
class SoapAdapter:
    """Stateless except for the shared session. `clock` gives Unix seconds."""

    session: aiohttp.ClientSession
    key: SigningKey
    body_keys: BodyKeys
    clock: Callable[[], float]
    answer_limit: int = ANSWER_LIMIT

    async def call(self, endpoint: Endpoint, outgoing: Outgoing) -> Incoming:
        operation, codec = outgoing.operation, outgoing.codec
        message_id = f"urn:uuid:{outgoing.transfer}"
        action = codec.soap_action(operation.name)
        content = await beside(
            outgoing.heavy, lambda: codec.write_xml(operation.request, outgoing.message, operation.name)
        )
        agency, _, system = outgoing.caller.partition("/")
        now, version = self.clock() + endpoint.ahead, _version(endpoint)
        receiver = _receiver(endpoint, now) if outgoing.encrypted else None
        addressed = EnvelopeHeaders(action=action, message_id=message_id, to=endpoint.url)
        blocks = [caller_block(agency, system)]
        content = content if receiver is None else blinded(content)
        digest = partial(large_digest, outgoing.spool)
        signed = await beside(
            outgoing.heavy,
            lambda: sign_envelope(
                content, self.key, now, addressed, blocks=blocks, version=version, digest_body=digest
            ),
        )
        body, opened = signed, b""
        if receiver is not None:
            spool = outgoing.spool
            marks = spool.marks if spool is not None and spool.size(signed) != len(signed) else None
            body, opened = encrypt_envelope(signed, receiver, version, marks), signed
        if version is soap.V11:
            headers = {"content-type": soap.MEDIA_TYPE, "soapaction": f'"{action}"'}
        else:
            headers = {"content-type": f'{version.media_type}; charset=utf-8; action="{action}"'}
        headers |= {"accept": version.media_type, "accept-encoding": "identity", "lgsp-transfer": outgoing.transfer}
        headers |= outgoing.trace
        if outgoing.fault:
            headers[FAULT_HEADER] = outgoing.fault
        if outgoing.spool is not None and receiver is None and endpoint.options.get("attachments") == "mtom":
            headers["content-type"], body = package_of(body, outgoing.spool, version)
            if version is not soap.V11:
                headers["content-type"] += f'; action="{action}"'
        request = HttpRequest("POST", endpoint.url, headers, body)
        large = await large_of(outgoing.spool, body)
        call = Call(request, outgoing.timeout, self.answer_limit, large)
        try:
            answer = await send(self.session, endpoint.system, call)
        except ProviderFailure as failure:
            failure.opened_out = opened
            raise
        return await off_loop(answer, self.read, endpoint, outgoing, answer, opened, message_id)

    def read(
        self, endpoint: Endpoint, outgoing: Outgoing, answer: HttpAnswer, opened: bytes, message_id: str
    ) -> Incoming:
        """The verified answer to the request `message_id`."""
        operation, codec = outgoing.operation, outgoing.codec
        fast = None if outgoing.encrypted else self._verified_fast(endpoint, answer, message_id)
        if fast is not None and (message := codec.read_canonical_xml(operation.answer, fast.content)) is not None:
            return answer.incoming(message, fast.key.key_id)
        answer, envelope, element = self._verified(
            endpoint, answer._replace(opened_out=opened), message_id, outgoing.encrypted
        )
        try:
            message = codec.read_xml(operation.answer, element)
        except Failure as trouble:
            raise answer.failed(
                PROVIDER_BAD_ANSWER, endpoint.system, reason=trouble.code, findings=trouble.findings
            ) from trouble
        return answer.incoming(message, envelope.key.key_id)

    def _verified_fast(self, endpoint: Endpoint, answer: HttpAnswer, message_id: str) -> FastEnvelope | None:
        """The verified envelope of an ordinary answer; None leaves the answer to `_verified`."""
        version = _version(endpoint)
        if (
            answer.status != 200
            or media_type(answer.headers) not in _MEDIA[version]
            or "content-encoding" in answer.headers
        ):
            return None
        envelope = verify_fast(answer.body, version, endpoint.keys_by_thumbprint.get, self.clock() + endpoint.ahead)
        return envelope if envelope is not None and envelope.relates_to == message_id else None

    def _verified(
        self, endpoint: Endpoint, answer: HttpAnswer, message_id: str, encrypted: bool
    ) -> tuple[HttpAnswer, VerifiedEnvelope, etree._Element]:
        """The envelope and the element in its verified Body; anything else is a failure."""
        version = _version(endpoint)
        media = media_type(answer.headers)
        if media not in _MEDIA[version] or "content-encoding" in answer.headers:
            raise _plain_failure(endpoint, answer, f"not {version.media_type}")
        try:
            root = soap.parse_envelope(answer.body, version)
        except Failure as trouble:
            raise _plain_failure(endpoint, answer, trouble.code) from trouble
        try:
            if encrypted:
                raw, root = self._decrypted(root)
                answer = answer._replace(opened_in=raw)
            envelope = verify_envelope(root, endpoint.keys_by_thumbprint.get, self.clock() + endpoint.ahead)
            if envelope.relates_to != message_id:
                raise answer.failed(PROVIDER_BAD_SIGNATURE, endpoint.system, reason="wsa:RelatesTo")
        except Failure as trouble:
            if isinstance(trouble, ProviderFailure):
                raise
            answer = answer.unsigned()
            # An unproven fault only says that something went wrong.
            fault = root.find(f"{version.body}/{version.fault}")
            if fault is not None:
                raise _faulted(endpoint, answer, fault, signed=False) from trouble
            wrong = PROVIDER_BAD_SIGNATURE if trouble.code.startswith("signature.") else PROVIDER_BAD_ANSWER
            failure = answer.failed(wrong, endpoint.system, reason=trouble.code)
            if wrong is PROVIDER_BAD_SIGNATURE:
                failure.advice = trouble.type.next
            raise failure from trouble
        children = [child for child in envelope.body if isinstance(child.tag, str)]
        if len(children) == 1 and children[0].tag == version.fault:
            raise _faulted(endpoint, answer, children[0], signed=True)
        if len(children) != 1 or answer.status != 200:
            raise answer.failed(
                PROVIDER_BAD_ANSWER,
                endpoint.system,
                reason=f"status {answer.status}, {len(children)} elements in the Body",
            )
        return answer, envelope, children[0]

    def _decrypted(self, root: etree._Element) -> tuple[bytes, etree._Element]:
        if not is_encrypted(root):
            raise BODY_NOT_ENCRYPTED(contract="–", expected="xenc:EncryptedData", got="soap:Body")
        return decrypt_envelope(root, self.body_keys)


def _version(endpoint: Endpoint) -> soap.Version:
    return _VERSIONS[endpoint.options.get("version", soap.V11.number)]


def _receiver(endpoint: Endpoint, now: float) -> EncryptKey:
    key = newest(endpoint.encrypt_keys, now, rsa.RSAPublicKey)
    if key is None:
        raise PROVIDER_NO_ENCRYPTION_KEY(acted=Acted.NO, system=endpoint.system, kind="RSA")
    return key


def _faulted(endpoint: Endpoint, answer: HttpAnswer, fault: etree._Element, *, signed: bool) -> ProviderFailure:
    """`soap:Client` and `soap:Sender` mean a refusal; only a signed fault proves that nothing was done."""
    text = fault.findtext("faultcode") or fault.findtext(f"{{{soap.SOAP12}}}Code/{{{soap.SOAP12}}}Value") or ""
    code = text.strip().rpartition(":")[2].partition(".")[0]
    if code in _REFUSALS:
        acted = Acted.NO if signed else Acted.MAYBE
        return answer.failed(PROVIDER_REFUSED, endpoint.system, acted=acted, provider_status=f"soap:{code}")
    return answer.failed(PROVIDER_FAULT, endpoint.system, provider_status=f"soap:{code or 'Fault'}")


def _plain_failure(endpoint: Endpoint, answer: HttpAnswer, reason: str) -> ProviderFailure:
    """For an answer that is no envelope, such as an error page of a proxy."""
    answer = answer.unsigned()
    if answer.status >= 500:
        return answer.failed(PROVIDER_FAULT, endpoint.system, provider_status=answer.status)
    if 400 <= answer.status < 500:
        return answer.failed(PROVIDER_REFUSED, endpoint.system, provider_status=answer.status)
    return answer.failed(PROVIDER_BAD_ANSWER, endpoint.system, reason=reason)


def make(services: AdapterServices) -> SoapAdapter:
    return SoapAdapter(services.session, services.key, BodyKeys(services.decrypt_keys), services.clock)
