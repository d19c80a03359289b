"""`AsyncClient`: one system's calls to the gateway on asyncio; `gateway.client.sync.Client` is the blocking form.

A message is repeated only under its own id and with a fresh signature, and only where a repeat is safe: no answer came,
the gateway asked to wait (`gateway.client.retries`), or the token had ended.
Invariant: the checkpoint of a proven answer is checked before the answer is returned.
Invariant: the checkpoint of an unproven answer is ignored.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar
from urllib.parse import quote

from lxml import etree

from contracts.base.words import Language
from gateway.client import access_token, feed_digests, rest, retries, soap
from gateway.client.answers import Answer, Problem, Receipt, hashes_of, read_json
from gateway.client.audit import proofs, reconciliation
from gateway.client.audit.checkpoint_monitor import CheckpointMonitor
from gateway.client.audit.proofs import Proof
from gateway.client.audit.reconciliation import Statement
from gateway.client.casework import Casework
from gateway.client.errors import (
    CLIENT_IDENTITY,
    BadState,
    ClientError,
    LogObjection,
    NoConnection,
    NotProven,
    Refused,
    refused,
)
from gateway.client.feed_calls import FeedCalls
from gateway.client.feed_digests import SealedDigest
from gateway.client.feeds import refuse_parts
from gateway.client.files import Files
from gateway.client.identities.identity import Identity
from gateway.client.identities.trusted import TrustedKeys
from gateway.client.rest import Prepared
from gateway.client.tenant_time import TenantTime
from gateway.client.transfers import Transfers
from gateway.client.transport import HttpTransport, RawAnswer, Transport
from security import jose
from security.encryption_keys import EncryptKey
from security.errors import BODY_DECRYPTION, BODY_NOT_ENCRYPTED
from security.file_encryption import FileKey
from security.http_signatures import HttpRequest, sign_request
from security.transparency.checkpoint import Checkpoint
from security.wssec.decrypt import BodyKeys

_NOT_YET: Final = frozenset({"audit.not-logged", "transfer.unknown"})
_ASK_KEYS_AGAIN: Final = 1.0  # second: bounds the requests that answers with unknown key ids can cause
_CONTRACT: Final = re.compile(r"/([a-z0-9]+(?:-[a-z0-9]+)*/v[1-9][0-9]{0,2})/")
T = TypeVar("T")


class AsyncClient(FeedCalls, Files, Transfers, Casework):
    """One system towards the gateway. Used with `async with`, or closed by `close()`.

    `state` is the folder of the checkpoints (default: `checkpoints` in the identity folder). `language` is the first
    language of problem documents; both languages always come. `seconds` is the limit of one HTTP request, `tries` the
    most sendings of one message. Bodies of the contracts in `encrypted` are encrypted whatever the gateway publishes:
    for systems that do not trust a proxy that ends TLS. `clock` gives the time by which it signs: a `TenantTime`
    follows the clock of a sandbox's vendor.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        state: Path | None = None,
        language: Language = "vi",
        seconds: float = 30.0,
        tries: int = retries.TRIES,
        connections: int = 32,
        encrypted: Collection[str] = (),
        transport: Transport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        identity.check_time(clock())
        self.identity: Final = identity
        real = clock.real if isinstance(clock, TenantTime) else clock
        self.witness: Final = CheckpointMonitor(identity.log_key, state or identity.folder / "checkpoints", real)
        self._language: Language = language
        self._tries = tries
        self._clock = clock
        self._seconds = seconds
        self._transport: Transport = transport or HttpTransport(
            identity.tls(), seconds=seconds, connections=connections
        )
        self._trusted = TrustedKeys(identity)
        self._asked_keys = 0.0
        self._keys_lock = asyncio.Lock()
        own = () if identity.decrypt_key is None else (identity.decrypt_key,)
        self._opener = jose.Opener(own) if own else None
        self._body_keys = BodyKeys(own) if own else None
        self._encrypted = dict.fromkeys(encrypted, True)
        self._token = access_token.AccessToken(identity, self._transport, clock, language)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._transport.close()

    async def rest(
        self,
        method: str,
        path: str,
        body: rest.Body | None = None,
        message_id: str | None = None,
        *,
        content_type: str = rest.JSON,
        language: Language | None = None,
        respond_async: bool = False,
    ) -> Answer:
        """Call a REST operation. Raises `ClientError`.

        `path` includes the query. A POST without `message_id` gets a new id (`Answer.message_id`). `respond_async`: the
        gateway may answer 202 with a receipt; `answer(transfer)` fetches the answer then.
        """
        refuse_parts(method, path)
        url, content = rest.url_of(self.identity.gateway, path), rest.content_of(body)
        message = rest.Message(
            method=method,
            url=url,
            content=content,
            message_id=message_id or (rest.new_message_id() if method == "POST" else None),
            content_type=content_type,
            language=language or self._language,
            respond_async=respond_async,
        )
        named = _CONTRACT.match(path)
        contract = named[1] if named is not None and content is not None else None

        async def once() -> Answer:
            prepared = rest.prepare(
                message,
                await self.token(),
                self.identity.sign_key,
                self._clock(),
                await self._encrypt_for(contract),
            )
            return await self._proven(
                prepared, await self._transport.send(method, url, prepared.headers, prepared.body)
            )

        return await retries.repeated(lambda: self._adapted(once, contract), self._tries)

    async def soap(
        self,
        contract: str,
        content: bytes | etree._Element,
        message_id: str | None = None,
        *,
        action: str | None = None,
        version: str = "1.1",
        respond_async: bool = False,
    ) -> Answer:
        """Call a SOAP operation of `contract` (`incident-alert/v1`). Raises `ClientError`.

        `content` is the one element of the Body, in the system's own format or in the wrapper of the canonical WSDL.
        `action` is the action of the WSDL in use; the default is the canonical one. `respond_async` is that of `rest`.
        """
        element = soap.content_of(content) if isinstance(content, bytes) else content
        url = rest.url_of(self.identity.gateway, f"/soap/{contract}")
        message = soap.Message(
            url=url,
            element=element,
            action=action or soap.action_of(contract, element),
            message_id=message_id or soap.new_message_id(),
            version=soap.version_of(version),
            respond_async=respond_async,
        )

        async def once() -> Answer:
            if isinstance(self._clock, TenantTime) and not self._clock.known:
                await self.token()  # its answer names the time
            prepared = soap.prepare(message, self.identity.sign_key, self._clock(), await self._encrypt_for(contract))
            raw = await self._transport.send("POST", url, prepared.headers, prepared.body)
            answer, failed = await self._judged(
                lambda: soap.judge(prepared, raw, self._trusted.by_thumbprint, self._clock(), self._body_keys)
            )
            return await self._checked(answer, failed)

        return await retries.repeated(lambda: self._adapted(once, contract), self._tries)

    async def token(self) -> str:
        """The access token, renewed before it ends (RFC 7523, bound to our client certificate by RFC 8705)."""
        return await self._token.get()

    async def digests(
        self, contract: str, *, since: datetime | str | None = None, until: datetime | str | None = None
    ) -> tuple[SealedDigest, ...]:
        """The sealed digests of the periods that end after `since`, up to `until`. Each was shown to be in the log."""
        found: list[SealedDigest] = []
        async for page in feed_digests.pages(self._read, self.identity.log_key, contract, since, until):
            if page.note is not None:
                await self.witness.see(page.note, self._consistency)
            found += page.digests
        return tuple(found)

    async def reconcile(self, statement: Statement) -> dict[str, Any]:
        """Compare the agency's own counts of a day with the gateway's log (openapi/audit.yaml)."""
        return await self._read("POST", reconciliation.PATH, reconciliation.comparison, statement.to_json())

    async def _read(self, method: str, path: str, read: Callable[[Answer], T], body: dict[str, Any] | None = None) -> T:
        answer = await self.rest(method, path, body)
        try:
            return read(answer)
        except ValueError as wrong:
            raise rest.not_proven(method, self.identity.gateway + path, answer.status, str(wrong)) from None

    async def document(self, path: str) -> bytes:
        """A public document: `/contracts/…`, `…?wsdl`, `/keys`. Only TLS protects it; it carries no signature."""
        headers = {"accept": "application/json, text/xml, */*;q=0.5", "accept-language": self._language}
        raw = await self._transport.send("GET", rest.url_of(self.identity.gateway, path), headers, None)
        if raw.status != 200:
            answer = Answer(raw.status, raw.headers, raw.body, raw.body, False)
            raise refused(Problem.from_rest(raw.status, raw.headers, raw.body), answer)
        return raw.body

    async def prove(self, of: Receipt | str, *, seconds: float = 10.0) -> Proof:
        """Fetch and check the proofs that the entries of a receipt (or transfer id) are in the log.

        Tries for `seconds`, since entries reach the log some seconds after the answer.
        """
        receipt = of if isinstance(of, Receipt) else None
        transfer = receipt.transfer if receipt is not None else str(of)
        until = self._clock() + seconds
        while True:
            try:
                proof = await self._read(
                    "GET",
                    f"/audit/proof/{quote(transfer, safe='')}",
                    lambda answer: proofs.check(answer.body, self.identity.log_key, transfer, receipt),
                )
                break
            except ClientError as early:
                # the second entry of a receipt may come a checkpoint later than the first
                waits = (
                    isinstance(early, Refused)
                    and early.code in _NOT_YET
                    or isinstance(early, NotProven)
                    and receipt is not None
                )
                if not waits or self._clock() >= until:
                    raise
            await asyncio.sleep(0.5)
        await self.witness.see(proof.note, self._consistency)
        return proof

    async def check_log(self) -> Checkpoint | None:
        """Fetch and check the newest checkpoint; returns the kept one. Raises `LogObjection`."""
        note = await self.document("/audit/checkpoint")
        await self.witness.see(note.decode("utf-8", "replace"), self._consistency)
        return self.witness.kept

    def _sign(self, method: str, path: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
        url = rest.url_of(self.identity.gateway, path)
        request = HttpRequest(method, url, headers, b"")
        return url, {**headers, **sign_request(request, self.identity.sign_key, self._clock())}

    def _sealed_key(self, key: FileKey, receiver: EncryptKey) -> bytes:
        return key.sealed(self.identity.sign_key, receiver)

    async def _opened(self, path: str) -> Prepared:
        message = rest.Message("GET", rest.url_of(self.identity.gateway, path), None, None, language=self._language)
        return rest.prepare(message, await self.token(), self.identity.sign_key, self._clock())

    async def _proven(self, prepared: Prepared, raw: RawAnswer) -> Answer:
        answer = await self._judged(lambda: rest.judge(prepared, raw, self._trusted.by_id, self._clock(), self._opener))
        failed = None if 200 <= answer.status < 300 else Problem.from_rest(raw.status, raw.headers, answer.body)
        return await self._checked(answer, failed)

    async def _consistency(self, older: int, newer: int) -> Sequence[bytes] | None:
        """The hashes between two sizes; None if there was no answer. The answer proves itself."""
        url = f"{self.identity.gateway}/audit/consistency?from={older}&to={newer}"
        try:
            raw = await self._transport.send("GET", url, {"accept": "application/json"}, None)
            content = read_json(raw.body)
            if raw.status == 404:
                raise LookupError(newer)
            return hashes_of(content.get("proof"), "proof") if raw.status == 200 and isinstance(content, dict) else None
        except (NoConnection, ValueError, TypeError):
            return None

    async def _judged(self, judge: Callable[[], T]) -> T:
        """Verify an answer. If it names an unknown key of the gateway, fetch the keys and verify once more."""
        self._trusted.missed = False
        try:
            return judge()
        except NotProven:
            if not self._trusted.missed:
                raise
        await self._learn()
        return judge()

    async def _learn(self) -> None:
        """Fetch newer keys of the gateway. A failure is ignored: a later answer asks again."""
        async with self._keys_lock:
            now = self._clock()
            if 0 <= now - self._asked_keys < _ASK_KEYS_AGAIN:  # negative: the clock was set back
                return
            self._asked_keys = now
            try:
                self._trusted.learn(await self.document("/keys"), now)
            except (NoConnection, Refused):
                return

    async def _checked(self, answer: Answer, failed: Problem | None) -> Answer:
        if answer.checkpoint is not None:
            try:
                await self.witness.see(answer.checkpoint, self._consistency)
            except (LogObjection, BadState) as trouble:
                trouble.answer = answer
                raise
        if failed is not None:
            raise refused(failed, answer)
        return answer

    async def _encrypt_for(self, contract: str | None) -> EncryptKey | None:
        """The key to encrypt bodies of this contract for; None where the contract has signed bodies only."""
        if contract is None:
            return None
        if contract not in self._encrypted:
            try:
                summary = await self.document(f"/contracts/{contract}")
            except Refused as no:
                if no.status != 404:  # protection unknown: send nothing in clear
                    raise
                return None  # unknown contract: the call itself is refused
            self._encrypted[contract] = published_protection(summary) == "encrypted"
        if not self._encrypted[contract]:
            return None
        if self._trusted.encrypt is None or not self._trusted.encrypt.in_time(self._clock()):
            await self._learn()
        if self._trusted.encrypt is None or self._opener is None:
            lacking = "gateway-encrypt.crt" if self._opener is not None else "encrypt.key, encrypt.crt"
            raise CLIENT_IDENTITY(folder=self.identity.folder, reason=f"{lacking} ∄ ({contract}: encrypted)")
        return self._trusted.encrypt

    async def _adapted(self, once: Callable[[], Awaitable[Answer]], contract: str | None) -> Answer:
        """Call again once if the token, the contract's protection or the gateway's key has changed."""
        try:
            return await once()
        except Refused as no:
            if no.code in access_token.ENDED:
                self._token.discard()
            elif no.code == BODY_NOT_ENCRYPTED.code and contract is not None:
                self._encrypted[contract] = True  # safe even if the refusal is not proven
            else:
                before = self._trusted.encrypt
                if no.code == BODY_DECRYPTION.code:
                    await self._learn()
                if self._trusted.encrypt is before:
                    raise
        return await once()


def published_protection(summary: bytes) -> str | None:
    """The protection of bodies in the answer of `GET /contracts/{name}`: `signed`, `encrypted`, or None if absent."""
    try:
        protection = read_json(summary).get("protection")
    except (ValueError, AttributeError):
        return None
    return protection if isinstance(protection, str) else None
