"""Serves the gateway's calls for the old system as provider: verifies, passes on, signs the answer (docs/wire.md).

Order of checks: channel, signature over the raw bytes, freshness, replay. An encrypted request is decrypted, and its
answer is encrypted for the gateway. A message id reaches the old system once; a repeat gets the first answer, signed
again. If the outcome is unknown (the agent was killed, or the system did not answer), only a system with `knows_ids` is
asked again.
Invariant: no unproven call reaches the old system.
Invariant: a 4xx or 503 is returned only if the system did not act.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

import aiohttp
from yarl import URL

from contracts.base.errors import Failure
from contracts.base.ids import new_id
from contracts.wire import faults, problems, soap
from gateway.agent.config import ProviderSide
from gateway.agent.errors import (
    AGENT_BUSY,
    AGENT_CHANNEL,
    AGENT_ENVELOPE,
    AGENT_IDENTITY,
    AGENT_REPLAYED,
    AGENT_SYSTEM_ANSWER,
    AGENT_SYSTEM_DOWN,
    AGENT_SYSTEM_LATE,
)
from gateway.agent.listener import Body, Head, Reply
from gateway.agent.secret import LocalSecret
from gateway.agent.store import Carried, Store
from gateway.client import Identity
from gateway.client.identities.trusted import TrustedKeys
from security import jose
from security.encryption_keys import EncryptKey
from security.http_signatures import HttpRequest, Verified, sign_response, verify_request
from security.keys import load_certificate
from security.pki.authority import system_of
from security.wssec.decrypt import BodyKeys, decrypt_envelope, is_encrypted
from security.wssec.encrypt import blinded, encrypt_envelope
from security.wssec.sign import EnvelopeHeaders
from security.wssec.verify import VerifiedEnvelope, sign_envelope, verify_envelope

JSON: Final = "application/json"
_ANSWER_MOST: Final = 20_000_000
_CONNECT_SECONDS: Final = 5.0
T = TypeVar("T")
# of the gateway's call to the old system's; the last comes from a sandbox alone, for a simulated system
_PASSED: Final = ("lgsp-transfer", "lgsp-caller", "lgsp-sandbox-fault")
_SKIP: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class Question(NamedTuple):
    """A proven call, in the form for the old system."""

    message_id: str | None
    replay_key: bytes
    until: float
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Silent(Exception):
    """The old system may have acted; its answer is unknown."""

    def __init__(self, failure: Failure) -> None:
        self.failure: Final = failure


@dataclass(slots=True)
class Provider:
    side: ProviderSide
    identity: Identity
    secret: LocalSecret
    keys: TrustedKeys
    store: Store
    session: aiohttp.ClientSession
    clock: Callable[[], float] = time.time
    learn: Callable[[], Awaitable[bool]] | None = None
    _under_way: set[str] = field(default_factory=set)
    _opener: jose.Opener = field(init=False)
    _body_keys: BodyKeys = field(init=False)

    def __post_init__(self) -> None:
        own = () if self.identity.decrypt_key is None else (self.identity.decrypt_key,)
        self._opener, self._body_keys = jose.Opener(own), BodyKeys(own)

    async def handle(self, head: Head, read: Body) -> Reply:
        self._check_channel(head)
        body = await read()
        return await (self._rest if self.side.kind == "rest" else self._soap)(head, body)

    def refuse(self, head: Head, failure: Failure) -> Reply:
        """The unsigned failure for an unproven caller."""
        if self.side.kind == "soap":
            version = soap.V11
            body = soap.plain_envelope(faults.fault(failure, head.headers.get("lgsp-transfer", ""), version), version)
            return Reply(faults.status(failure, version), {"content-type": soap.MEDIA_TYPE}, body)
        status, headers, content = problems.render(
            failure, transfer=head.headers.get("lgsp-transfer"), accept_language=None
        )
        return Reply(status, headers, content)

    def _check_channel(self, head: Head) -> None:
        named = None if head.certificate is None else system_of(load_certificate(head.certificate))
        if named != self.identity.gateway_key.system:
            raise AGENT_CHANNEL(got=named or "—")

    async def _rest(self, head: Head, body: bytes) -> Reply:
        request = HttpRequest(head.method, self.side.base + head.target, head.headers, body)
        proof = await self._proven(
            lambda: verify_request(request, self.keys.by_id, self.clock(), need=("lgsp-transfer", "lgsp-caller"))
        )
        headers = {"content-type": head.headers.get("content-type", JSON), "accept": JSON}
        message_id = _unquoted(head.headers.get("idempotency-key"))
        receiver: EncryptKey | None = None
        try:
            if headers["content-type"] == jose.MEDIA_TYPE:
                opened = await self._proven(lambda: self._opener.open(body, self.keys.by_id, self.clock()))
                receiver, body, headers["content-type"] = await self._receiver(), opened.payload, opened.media_type
            answer = await self._once(
                Question(message_id, *_fresh(proof), head.method, head.target, headers, body), head
            )
        except Failure as failure:
            _not_a_replay(failure)
            answer = Carried(
                *problems.render(failure, transfer=head.headers.get("lgsp-transfer"), accept_language=None)
            )
        if receiver is not None and answer.body:
            media = answer.headers.get("content-type", JSON).partition(";")[0].strip()
            sealed = jose.seal(answer.body, media, self.identity.sign_key, receiver)[0]
            answer = Carried(answer.status, dict(answer.headers) | {"content-type": jose.MEDIA_TYPE}, sealed)
        return self._signed(answer, proof)

    def _signed(self, answer: Carried, proof: Verified) -> Reply:
        headers = dict(answer.headers)
        headers |= sign_response(answer.status, headers, answer.body, proof, self.identity.sign_key, self.clock())
        return Reply(answer.status, headers, answer.body)

    async def _soap(self, head: Head, body: bytes) -> Reply:
        root, receiver = soap.parse_envelope(body), None
        if is_encrypted(root):
            receiver, root = await self._receiver(), decrypt_envelope(root, self._body_keys).root
        envelope = await self._proven(lambda: verify_envelope(root, self.keys.by_thumbprint, self.clock()))
        here = self.side.base + head.target
        if envelope.to not in (None, here, here.rstrip("/")):
            raise AGENT_ENVELOPE(why=f"wsa:To {envelope.to}")
        children = [child for child in envelope.body if isinstance(child.tag, str)]
        if len(children) != 1:
            raise AGENT_ENVELOPE(why=f"{len(children)} elements in the Body")
        plain = soap.plain_envelope(soap.canonical(children[0]))
        headers = {"content-type": soap.MEDIA_TYPE, "soapaction": f'"{envelope.action}"', "accept": "text/xml"}
        question = Question(
            message_id=envelope.message_id,
            replay_key=envelope.replay_key,
            until=envelope.expires,
            method="POST",
            target=head.target,
            headers=headers,
            body=plain,
        )
        try:
            answer = await self._once(question, head)
            content = soap.canonical(soap.body_child(soap.parse_xml(answer.body)))
        except Failure as failure:
            _not_a_replay(failure)
            if not failure.code.startswith("agent."):  # the old system did not answer with an envelope
                failure = AGENT_SYSTEM_ANSWER(reason=failure.code)
            content = faults.fault(failure, head.headers.get("lgsp-transfer", ""))
            answer = Carried(500, {}, b"")
        return self._enveloped(answer.status, content, envelope, receiver)

    def _enveloped(self, status: int, content: bytes, asked: VerifiedEnvelope, receiver: EncryptKey | None) -> Reply:
        body = sign_envelope(
            content if receiver is None else blinded(content),
            self.identity.sign_key,
            self.clock(),
            EnvelopeHeaders(
                action=f"{asked.action}Response", message_id=f"urn:uuid:{new_id()}", relates_to=asked.message_id
            ),
        )
        if receiver is not None:
            body = encrypt_envelope(body, receiver)
        return Reply(status, {"content-type": soap.MEDIA_TYPE}, body)

    async def _proven(self, verify: Callable[[], T]) -> T:
        """Verify a call; once more after fetching the keys if it names an unknown one."""
        self.keys.missed = False
        try:
            return verify()
        except Failure:
            if not self.keys.missed or self.learn is None or not await self.learn():
                raise
        return verify()

    async def _receiver(self) -> EncryptKey:
        """The gateway's encryption key for the answer, fetched before the old system is asked."""
        now = self.clock()
        if (self.keys.encrypt is None or not self.keys.encrypt.in_time(now)) and self.learn is not None:
            await self.learn()
        if self.keys.encrypt is None or not self.keys.encrypt.in_time(now):
            raise AGENT_IDENTITY(reason="gateway-encrypt.crt")
        return self.keys.encrypt

    async def _once(self, question: Question, head: Head) -> Carried:
        """The old system's answer to a message; for a repeat, its first answer."""
        message_id = question.message_id
        if message_id is not None and message_id in self._under_way:
            raise AGENT_BUSY(limit=1, retry_after=2)
        digest = question.target.encode() + b"\n" + question.body
        known = await asyncio.to_thread(
            self.store.begin,
            message_id,
            digest,
            question.replay_key,
            question.until + 5,
            self.clock(),
            again=self.side.knows_ids,
        )
        if known is not None:
            return known
        noted = message_id or ""
        self._under_way.add(noted)
        try:
            answer = await self._asked(question, head)
            if answer.status < 400:
                await asyncio.to_thread(self.store.carried, noted, answer)
            elif self._did_not_act(answer):
                await asyncio.to_thread(self.store.forget, noted)
            return answer
        except Silent as silent:
            raise silent.failure from None
        except Failure:  # nothing was sent
            await asyncio.to_thread(self.store.forget, noted)
            raise
        finally:
            self._under_way.discard(noted)

    def _did_not_act(self, answer: Carried) -> bool:
        """Whether the system refused: a 4xx, or a Fault of the sender (SOAP 1.1 section 4.4.1)."""
        if self.side.kind == "rest":
            return answer.status < 500 or answer.status == 503
        try:
            fault = soap.body_child(soap.parse_xml(answer.body))
        except Failure:
            return False
        code = (fault.findtext("faultcode") or "").strip().rpartition(":")[2].partition(".")[0]
        return fault.tag == soap.FAULT and code in ("Client", "VersionMismatch", "MustUnderstand")

    async def _asked(self, question: Question, head: Head) -> Carried:
        headers = dict(question.headers) | self.secret.headers() | {"accept-encoding": "identity"}
        if question.message_id is not None:
            headers["idempotency-key"] = f'"{question.message_id}"'
        headers |= {name: head.headers[name] for name in _PASSED if name in head.headers}
        target = question.target if question.target != "/" else ""
        url = URL(self.side.system + target, encoded=True)
        limits = aiohttp.ClientTimeout(total=self.side.seconds, connect=min(_CONNECT_SECONDS, self.side.seconds))
        try:
            async with self.session.request(
                question.method,
                url,
                headers=headers,
                data=question.body or None,
                allow_redirects=False,
                skip_auto_headers=_SKIP,
                timeout=limits,
            ) as response:
                body = bytearray()
                async for part in response.content.iter_any():
                    body += part
                    if len(body) > _ANSWER_MOST:
                        raise Silent(AGENT_SYSTEM_ANSWER(reason=f"> {_ANSWER_MOST} bytes"))
                media = response.headers.get("content-type", "")
                if response.status in (401, 403, 407):  # it does not accept the secret; the gateway cannot fix that
                    raise AGENT_SYSTEM_DOWN(reason=f"status {response.status}", retry_after=60)
                if 300 <= response.status < 400 or response.status < 200:
                    raise Silent(AGENT_SYSTEM_ANSWER(reason=f"status {response.status}"))
                answer_headers = {"content-type": media} if media else {}
                if response.headers.get("retry-after", "").isdecimal():
                    answer_headers["retry-after"] = response.headers["retry-after"]
                return Carried(response.status, answer_headers, bytes(body))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as trouble:
            raise AGENT_SYSTEM_DOWN(reason=type(trouble).__name__, retry_after=5) from None
        except TimeoutError:
            raise Silent(AGENT_SYSTEM_LATE(seconds=f"{self.side.seconds:g}")) from None
        except (aiohttp.ClientError, OSError) as trouble:
            raise Silent(AGENT_SYSTEM_ANSWER(reason=type(trouble).__name__)) from None


def _not_a_replay(failure: Failure) -> None:
    """Re-raise for a replay: its refusal stays unsigned, since a signed one would pass for the first call's answer."""
    if failure.code == AGENT_REPLAYED.code:
        raise failure


def _fresh(proof: Verified) -> tuple[bytes, float]:
    return proof.replay_key, float(proof.expires)


def _unquoted(text: str | None) -> str | None:
    return None if text is None else text.strip().strip('"')
