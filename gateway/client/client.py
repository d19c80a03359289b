"""`AsyncClient`: one system's calls to the gateway, for programs that run on asyncio. `gateway.client.sync.Client` is the same without it.

A message is repeated only under its own id and with a fresh signature, and only where a repeat is safe: no answer came, the gateway asked
to wait (429, 503, `Retry-After`), or the token had ended. Invariant: a checkpoint that comes with an answer is looked at before the answer
is handed on; what an unproven answer carries is not looked at.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

from lxml import etree
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from contracts.base.words import Language
from gateway.client import rest, soap
from gateway.client.answers import Answer, Problem, Receipt, hashes_of, read_json
from gateway.client.audit import proofs, reconciliation
from gateway.client.audit.checkpoint_monitor import CheckpointMonitor
from gateway.client.audit.proofs import Proof
from gateway.client.audit.reconciliation import Statement
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
from gateway.client.feeds import FeedPage
from gateway.client.identities.identity import Identity
from gateway.client.identities.trusted import TrustedKeys
from gateway.client.transport import HttpTransport, Transport
from security import jose
from security.encryption_keys import EncryptKey
from security.errors import (
    BODY_DECRYPTION,
    BODY_NOT_ENCRYPTED,
    TOKEN_EXPIRED,
    TOKEN_OTHER_CERTIFICATE,
    TOKEN_UNKNOWN_KEY,
    TOKEN_WRONG,
)
from security.tokens import make_assertion
from security.transparency.checkpoint import Checkpoint
from security.wssec.decrypt import BodyKeys

TOKEN_PATH: Final = "/oauth/token"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TRIES: Final = 4
LONGEST_WAIT: Final = 30  # seconds; a gateway that asks for more is reported, not waited for
_TOKEN_ENDED: Final = frozenset(
    {TOKEN_EXPIRED.code, TOKEN_OTHER_CERTIFICATE.code, TOKEN_UNKNOWN_KEY.code, TOKEN_WRONG.code}
)
_NOT_YET: Final = frozenset({"audit.not-logged", "transfer.unknown"})
_ASK_KEYS_AGAIN: Final = 1.0  # second: whoever can name a key that nobody knows must not make us ask without end
_CONTRACT: Final = re.compile(r"/([a-z0-9]+(?:-[a-z0-9]+)*/v[1-9][0-9]{0,2})/")
T = TypeVar("T")


class AsyncClient:
    """One system towards the gateway. Used with `async with`, or closed by `close()`.

    `state` is the folder in which checkpoints are kept (default: `checkpoints` in the identity folder). `language` is that of the words
    in a problem document that people read first; both languages come in any case. `tries` counts all sendings of one message. `encrypted`
    names contracts whose bodies are encrypted whatever the gateway publishes of them, for whoever trusts no proxy that ends TLS.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        state: Path | None = None,
        language: Language = "vi",
        seconds: float = 30.0,
        tries: int = TRIES,
        connections: int = 32,
        encrypted: Collection[str] = (),
        transport: Transport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        identity.check_time(clock())
        self.identity: Final = identity
        self.witness: Final = CheckpointMonitor(identity.log_key, state or identity.folder / "checkpoints", clock)
        self._language: Language = language
        self._tries = tries
        self._clock = clock
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
        self._token: tuple[str, float] | None = None
        self._token_lock = asyncio.Lock()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, trouble: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._transport.close()

    # --- calls ---------------------------------------------------------------------------------------------------------

    async def rest(
        self,
        method: str,
        path: str,
        body: rest.Body | None = None,
        message_id: str | None = None,
        *,
        content_type: str = rest.JSON,
        language: Language | None = None,
    ) -> Answer:
        """Call a REST operation. `path` holds the query. A POST without `message_id` gets a new one; `Answer.message_id` tells it."""
        url, content = rest.url_of(self.identity.gateway, path), rest.content_of(body)
        known_as = message_id or (rest.new_message_id() if method == "POST" else None)
        named = _CONTRACT.match(path)
        contract = named[1] if named is not None and content is not None else None

        async def once() -> Answer:
            prepared = rest.prepare(
                method,
                url,
                content,
                known_as,
                await self.token(),
                self.identity.sign_key,
                self._clock(),
                content_type=content_type,
                language=language or self._language,
                encrypt_for=await self._encrypt_for(contract),
            )
            raw = await self._transport.send(method, url, prepared.headers, prepared.body)
            answer = await self._judged(
                lambda: rest.judge(prepared, raw, self._trusted.by_id, self._clock(), self._opener)
            )
            failed = None if 200 <= answer.status < 300 else Problem.from_rest(raw.status, raw.headers, answer.body)
            return await self._looked_at(answer, failed)

        return await self._repeated(once, contract)

    async def soap(
        self,
        contract: str,
        content: bytes | etree._Element,
        message_id: str | None = None,
        *,
        action: str | None = None,
        version: str = "1.1",
    ) -> Answer:
        """Call a SOAP operation of `contract` (`incident-alert/v1`): `content` is the one element of the Body, in the system's own format or in
        the wrapper of the canonical WSDL. `action` is that of the WSDL in use; without it, the canonical one."""
        element = soap.content_of(content) if isinstance(content, bytes) else content
        url = rest.url_of(self.identity.gateway, f"/soap/{contract}")
        known_as = message_id or soap.new_message_id()
        named = action or soap.action_of(contract, element)

        async def once() -> Answer:
            prepared = soap.prepare(
                url,
                element,
                named,
                known_as,
                self.identity.sign_key,
                self._clock(),
                soap.version_of(version),
                await self._encrypt_for(contract),
            )
            raw = await self._transport.send("POST", url, prepared.headers, prepared.body)
            answer, failed = await self._judged(
                lambda: soap.judge(prepared, raw, self._trusted.by_thumbprint, self._clock(), self._body_keys)
            )
            return await self._looked_at(answer, failed)

        return await self._repeated(once, contract)

    async def token(self) -> str:
        """The access token, renewed before it ends (RFC 7523, bound to our client certificate by RFC 8705)."""
        async with self._token_lock:
            if self._token is None or self._token[1] <= self._clock():
                self._token = await self._new_token()
            return self._token[0]

    async def _new_token(self) -> tuple[str, float]:
        url, now = self.identity.gateway + TOKEN_PATH, self._clock()
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": make_assertion(self.identity.system, self.identity.sign_key, now, url),
        }
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "accept": "application/json",
            "accept-language": self._language,
        }
        raw = await self._transport.send("POST", url, headers, urlencode(form).encode())
        if raw.status != 200:
            answer = Answer(raw.status, raw.headers, raw.body, raw.body, False)
            raise refused(Problem.from_rest(raw.status, raw.headers, raw.body), answer)
        try:
            content = read_json(raw.body)
            token, lives = str(content["access_token"]), float(content["expires_in"])
        except (ValueError, KeyError, TypeError) as wrong:
            raise rest.not_proven("POST", url, raw.status, f"{type(wrong).__name__}: {wrong}") from None
        return token, now + max(lives - 60, lives / 2)  # a token that ends under way is a refusal for nothing

    # --- feeds, transfers ----------------------------------------------------------------------------------------------

    async def feed(self, contract: str, after: str | None = None, limit: int = 100) -> FeedPage:
        """One page of a contract's feed, after a cursor."""
        query = {"limit": str(limit)} | ({"after": after} if after else {})
        return await self._read("GET", f"/feeds/{contract}?{urlencode(query)}", FeedPage.read)

    async def pages(self, contract: str, after: str | None = None, limit: int = 100) -> AsyncIterator[FeedPage]:
        """Page after page until there is nothing more for now. Store the events of a page, then keep its `next`: so nothing is left out."""
        more = True
        while more:
            page = await self.feed(contract, after, limit)
            yield page
            after, more = page.next, page.more

    async def transfer(self, transfer: str) -> dict[str, Any]:
        """Where a transfer of ours stands."""
        content: dict[str, Any] = await self._read(
            "GET", f"/transfers/{quote(transfer, safe='')}", lambda answer: answer.json()
        )
        return content

    async def reconcile(self, said: Statement) -> dict[str, Any]:
        """Our agency's own counts of a day, compared with the gateway's log (openapi/audit.yaml)."""
        return await self._read("POST", reconciliation.PATH, reconciliation.comparison, said.to_json())

    async def _read(self, method: str, path: str, read: Callable[[Answer], T], body: dict[str, Any] | None = None) -> T:
        answer = await self.rest(method, path, body)
        try:
            return read(answer)
        except ValueError as wrong:
            raise rest.not_proven(method, self.identity.gateway + path, answer.status, str(wrong)) from None

    async def document(self, path: str) -> bytes:
        """What the gateway publishes for everybody: `/contracts/…`, `…?wsdl`, `/keys`. Proved by nothing but TLS."""
        headers = {"accept": "application/json, text/xml, */*;q=0.5", "accept-language": self._language}
        raw = await self._transport.send("GET", rest.url_of(self.identity.gateway, path), headers, None)
        if raw.status != 200:
            answer = Answer(raw.status, raw.headers, raw.body, raw.body, False)
            raise refused(Problem.from_rest(raw.status, raw.headers, raw.body), answer)
        return raw.body

    # --- the audit log -------------------------------------------------------------------------------------------------

    async def prove(self, of: Receipt | str, *, seconds: float = 10.0) -> Proof:
        """Exchange a receipt (or the id of a transfer) for proofs that its entries stand in the log; they do within some seconds."""
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
                # a receipt is a promise: its second entry may come a checkpoint later than its first
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
        """Fetch the newest checkpoint and look at it; what is kept then. `LogObjection` where the log takes something back."""
        note = await self.document("/audit/checkpoint")
        await self.witness.see(note.decode("utf-8", "replace"), self._consistency)
        return self.witness.kept

    async def _consistency(self, older: int, newer: int) -> Sequence[bytes] | None:
        """Open to everybody, and its own proof: neither token nor signature is needed."""
        url = f"{self.identity.gateway}/audit/consistency?from={older}&to={newer}"
        try:
            raw = await self._transport.send("GET", url, {"accept": "application/json"}, None)
            content = read_json(raw.body)
            if raw.status == 404:
                raise LookupError(newer)
            return hashes_of(content.get("proof"), "proof") if raw.status == 200 and isinstance(content, dict) else None
        except (NoConnection, ValueError, TypeError):
            return None

    # --- what every call shares ----------------------------------------------------------------------------------------

    async def _judged(self, judge: Callable[[], T]) -> T:
        """Judge an answer; once more, where it named a newer key of the gateway that could be learnt."""
        self._trusted.missed = False
        try:
            return judge()
        except NotProven:
            if not self._trusted.missed:
                raise
        await self._learn()
        return judge()

    async def _learn(self) -> None:
        """Ask for newer keys of the gateway; what does not come now, comes with a later answer."""
        async with self._keys_lock:
            now = self._clock()
            if 0 <= now - self._asked_keys < _ASK_KEYS_AGAIN:  # a clock that was put back counts as none
                return
            self._asked_keys = now
            try:
                self._trusted.learn(await self.document("/keys"), now)
            except (NoConnection, Refused):
                return

    async def _looked_at(self, answer: Answer, failed: Problem | None) -> Answer:
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
        """The gateway's key where the contract's bodies are encrypted, as the gateway publishes it; None where they are signed only."""
        if contract is None:
            return None
        if contract not in self._encrypted:
            try:
                summary = await self.document(f"/contracts/{contract}")
            except Refused as no:
                if no.status != 404:  # not known is not signed: nothing goes out in clear for want of an answer
                    raise
                return None  # there is no such contract: the call itself is told so
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
        """Once more where the refusal tells that what we went by has changed: the token, the contract's protection, the gateway's key."""
        try:
            return await once()
        except Refused as no:
            if no.code in _TOKEN_ENDED:
                self._token = None
            elif (
                no.code == BODY_NOT_ENCRYPTED.code and contract is not None
            ):  # whoever says it: encrypting does no harm
                self._encrypted[contract] = True
            else:
                before = self._trusted.encrypt
                if no.code == BODY_DECRYPTION.code:
                    await self._learn()
                if self._trusted.encrypt is before:
                    raise
        return await once()

    async def _repeated(self, once: Callable[[], Awaitable[Answer]], contract: str | None) -> Answer:
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._tries),
            wait=_wait,
            retry=retry_if_exception(_may_repeat),
            sleep=asyncio.sleep,
            reraise=True,
        )
        answer: Answer = await retrying(self._adapted, once, contract)
        return answer


def published_protection(summary: bytes) -> str | None:
    """What `GET /contracts/{name}` says of the contract's bodies: signed or encrypted."""
    try:
        found = read_json(summary).get("protection")
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None


_GROWING: Final = wait_exponential_jitter(multiplier=0.3, max=5.0)


def _wait(state: RetryCallState) -> float:
    trouble = state.outcome.exception() if state.outcome is not None else None
    asked = trouble.retry_after if isinstance(trouble, Refused) else None
    return max(float(asked or 0), _GROWING(state))


def _may_repeat(trouble: BaseException) -> bool:
    if isinstance(trouble, NoConnection):
        return True
    if not isinstance(trouble, Refused) or (trouble.retry_after or 0) > LONGEST_WAIT:
        return False
    return trouble.status in (429, 503) or trouble.retry_after is not None
