"""The REST door: HTTP to a message and back (docs/wire.md, REST).

Checks run from cheap to costly: channel, token (cached by digest), signature over the raw bytes, then decryption and
decoding. If the contract demands it, bodies are encrypted both ways (JWS in JWE). A repeat is compared by its decrypted
body, since encryption is randomised.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from contracts.base.errors import Failure, Theirs
from contracts.canonical.model import Pattern
from contracts.wire import problems
from contracts.wire.headers import RESPOND_ASYNC, media_type, prefers
from contracts.wire.lifting import lift_json
from gateway.doors import other_format
from gateway.doors.errors import (
    BODY_MEDIA_TYPE,
    BODY_UNEXPECTED,
    CHANNEL_MISMATCH,
    QUERY_UNEXPECTED,
    REQUEST_NO_MESSAGE_ID,
    REQUEST_NO_TOKEN,
)
from gateway.doors.http.errors import BODY_TOO_LARGE
from gateway.doors.http.reader import Job
from gateway.doors.own_clock import advised
from gateway.doors.reply import Reply
from gateway.doors.signature_hints import explained
from gateway.exchange.answer_keys import answers_for, demand_key
from gateway.journal.write import ReplayKey
from gateway.transfer.large_body import LargeBody, NotLifted
from gateway.transfer.stages import (
    Addressed,
    Answered,
    Authenticated,
    Authorised,
    Channel,
    Message,
    Receipt,
    Received,
    Refused,
    Requested,
)
from security import http_signatures, jose, tokens
from security.encryption_keys import EncryptKey
from security.errors import BODY_ENCRYPTION_UNEXPECTED, BODY_NOT_ENCRYPTED, TOKEN_UNKNOWN_KEY
from security.freshness import SKEW
from security.keys import SigningKey, VerifyKey
from security.large_jose import LargeOpened, open_large
from security.signature_hints import http_hints

JSON: Final = "application/json"
_ID_MAX: Final = 128
_KEPT_TOKENS: Final = 10_000


@dataclass(slots=True)
class TokenKeeper:
    """Caches verified tokens by digest until they expire. The registry is still checked for each request."""

    key: VerifyKey
    audience: str
    # the previous and the next key: a rotation may be in progress
    others: Callable[[str, float], VerifyKey | None] = lambda _key_id, _now: None
    kept: dict[bytes, tokens.Token] = field(default_factory=dict)

    def verify(self, text: str, now: float) -> tokens.Token:
        digest = hashlib.sha256(text.encode("latin-1", "replace")).digest()
        token = self.kept.get(digest)
        if token is None or not token.issued - SKEW <= now < token.expires:  # a clock may have been set back
            token = self._verified(text, now)
            if len(self.kept) >= _KEPT_TOKENS:
                self.kept = {kept: value for kept, value in self.kept.items() if value.expires > now}
                if len(self.kept) >= _KEPT_TOKENS:
                    self.kept.clear()
            self.kept[digest] = token
        return token

    def _verified(self, text: str, now: float) -> tokens.Token:
        try:
            return tokens.verify_token(text, self.key, now, self.audience)
        except Theirs as failure:
            if failure.code != TOKEN_UNKNOWN_KEY.code:
                raise
            other = self.others(str(failure.facts["key"]), now)
            if other is None:
                raise
            return tokens.verify_token(text, other, now, self.audience)


@dataclass(slots=True)
class RestDoor:
    """Authenticates, decodes and renders. One for each process, without state of a transfer."""

    keeper: TokenKeeper
    signing_key: SigningKey
    opener: jose.Opener
    token_endpoint: str
    checkpoint: Callable[[], str]  # base64 of the newest signed note
    clock: Callable[[], float]
    explains: bool = False  # a sandbox tells why a signature is wrong
    body_limit: int = 5_000_000  # bytes of a large body without its contents

    # --- in -----------------------------------------------------------------------------------------------------------

    def prove(
        self, received: Received, channel: Channel, stated: Mapping[str, bytes] | None = None
    ) -> http_signatures.Verified:
        """Verifies token and signature, both of the channel's system. `stated` are the digests of a body that was not
        read yet: whoever reads it compares them.
        """
        token = self._token(received, channel)
        if token.system != channel.system.id:
            raise CHANNEL_MISMATCH(channel=channel.system.id, other=token.system, other_kind="token")
        digests = stated if received.large is None else received.large.digests
        request = http_signatures.HttpRequest(
            received.method, received.target_uri, received.headers, received.body, digests
        )
        try:
            signature = http_signatures.verify_request(request, received.snapshot.key, received.theirs)
        except Theirs as failure:
            if not self.explains:
                raise
            raise explained(
                failure, received.snapshot, channel.system.id, lambda wrong, keys: http_hints(wrong, request, keys)
            ) from None
        if signature.key.system != channel.system.id:
            raise CHANNEL_MISMATCH(channel=channel.system.id, other=signature.key.system, other_kind="signature")
        if received.ahead:
            signature.key.check_time(received.at)  # no key begins earlier
        return signature

    def _token(self, received: Received, channel: Channel) -> tokens.Token:
        scheme, _, text = received.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not text:
            raise REQUEST_NO_TOKEN(endpoint=self.token_endpoint)
        try:
            token = self.keeper.verify(text.strip(), received.theirs)
        except Theirs as failure:
            raise advised(failure, received.ahead) from None
        token.check_certificate(channel.thumbprint or "")
        return token

    def authenticate(self, addressed: Addressed) -> Authenticated:
        received = addressed.received
        signature = self.prove(received, addressed.channel)
        return Authenticated(
            addressed=addressed,
            key=signature.key,
            replay=ReplayKey(signature.replay_key, signature.expires),
            payload_digest=_payload_digest(received, signature.payload_digest),
            proof=signature,
        )

    def request(self, authenticated: Authenticated) -> Requested:
        received, operation = authenticated.received, authenticated.addressed.operation
        assert operation is not None  # a REST address names its operation
        if received.large is not None and authenticated.addressed.contract.contract.protection == "signed":
            authenticated = self._lifted(authenticated, received.large)
        if operation.method == "GET" and received.body:
            raise BODY_UNEXPECTED(method=received.method, path=received.path)
        if operation.method == "POST" and received.query:  # it would be signed, but not read
            raise QUERY_UNEXPECTED(path=received.path)
        signature: http_signatures.Verified = authenticated.proof
        message_id = _message_id(received, operation.pattern, operation.name) or signature.nonce or received.transfer
        opened, content = self._opened(authenticated)
        later = prefers(received.headers, RESPOND_ASYNC)
        return Requested(opened, message_id, operation, operation.request, content, respond_async=later)

    def _lifted(self, authenticated: Authenticated, large: LargeBody) -> Authenticated:
        """With the large contents beside the body. The signature is verified: nobody else's body is taken apart."""
        self._check_media(authenticated.received, JSON)
        return authenticated.with_body(self._rest_of(large))

    def _rest_of(self, large: LargeBody) -> bytes:
        try:
            return large.lift(lift_json, self.body_limit)
        except NotLifted:
            raise BODY_TOO_LARGE(limit=self.body_limit) from None

    def _opened(self, authenticated: Authenticated) -> tuple[Authenticated, bytes]:
        """The decrypted body. It must be encrypted exactly if the contract says so, and signed by the caller."""
        received, contract, snapshot = (
            authenticated.received,
            authenticated.addressed.contract.contract,
            authenticated.snapshot,
        )
        media = media_type(received.headers)
        if contract.protection == "signed":
            if media == jose.MEDIA_TYPE:
                raise BODY_ENCRYPTION_UNEXPECTED(contract=contract.name, got=media)
            return authenticated, received.body
        if media != jose.MEDIA_TYPE:
            raise BODY_NOT_ENCRYPTED(contract=contract.name, expected=jose.MEDIA_TYPE, got=media or "—")
        demand_key(contract, snapshot, authenticated.caller, received.theirs)
        if received.large is not None:
            return self._opened_large(authenticated, received.large)
        opened = self.opener.open(received.body, snapshot.key, received.theirs)
        _check_opened(authenticated, opened)
        payload = _payload_digest(received, hashlib.sha256(opened.payload).digest())
        return authenticated._replace(payload_digest=payload, opened=opened.jws), opened.payload

    def _opened_large(self, authenticated: Authenticated, large: LargeBody) -> tuple[Authenticated, bytes]:
        """The same of a large body: its contents stay beside it, and the layers of JWE and JWS around what is left."""
        received, find_key, limit = authenticated.received, authenticated.snapshot.key, self.body_limit
        opened = large.decrypt(
            lambda source, write: open_large(source, self.opener, write, find_key, received.theirs, limit=limit),
            lambda opened: opened.envelope.around,
        )
        _check_opened(authenticated, opened)
        content, spool = self._rest_of(large), large.spool
        assert spool is not None
        body, signed = opened.envelope.around(content, spool), opened.envelope.signed(content, spool)
        payload = _payload_digest(received, opened.sha256)
        return authenticated.with_body(body)._replace(payload_digest=payload, opened=signed), content

    def job(self, authorised: Authorised) -> Job | None:
        """The work of `decode` for the reader process; None for a query, or if the contract is no longer loaded."""
        requested = authorised.requested
        if requested.operation.method == "GET":
            return None
        self._check_body(requested)
        contract, codec = requested.contract, requested.codec
        if codec.contract is not contract.contract:  # the codec of an older minor version
            contract = next(
                (each for each in requested.snapshot.compiled.values() if each.contract is codec.contract), contract
            )
            if codec.contract is not contract.contract:
                return None
        return Job(requested.content, contract.digest, codec.name, requested.request, requested.received.theirs)

    def decode(self, authorised: Authorised) -> Message:
        requested = authorised.requested
        if requested.operation.method == "GET":
            return requested.codec.read_query(requested.request, requested.received.query, requested.received.theirs)
        self._check_body(requested)
        message, content, at = requested.request, requested.content, requested.received.theirs
        return other_format.read(requested, lambda codec: codec.read_json(message, content, at))

    def here(self, requested: Requested, paths: Sequence[str]) -> str:
        return requested.codec.here(requested.request, paths)

    def _check_body(self, requested: Requested) -> None:
        if not requested.authenticated.opened:
            self._check_media(requested.received, requested.codec.json_type(requested.request))

    def _check_media(self, received: Received, expected: str) -> None:
        if media_type(received.headers) != expected:
            raise BODY_MEDIA_TYPE(got=media_type(received.headers) or "—", expected=expected)

    # --- out ----------------------------------------------------------------------------------------------------------

    def render(self, ended: Answered | Refused) -> Reply:
        if isinstance(ended, Refused):
            return self._failure(ended.failure, ended.received, ended.receipt, ended.authenticated)
        requested = ended.requested
        received, proof = requested.received, requested.authenticated.proof
        if ended.failure is not None:
            return self._failure(ended.failure, received, ended.receipt, requested.authenticated)
        receiver = _receiver(requested.authenticated)
        if ended.queued or ended.kept:
            state = {
                "transfer": ended.receipt.transfer,
                "state": "queued" if ended.queued else "accepted",
                "status": f"/transfers/{ended.receipt.transfer}",
            }
            reply = Reply(202, {"content-type": JSON, "location": state["status"]}, json.dumps(state).encode())
            if requested.respond_async and requested.later:
                reply.headers["preference-applied"] = RESPOND_ASYNC
            return self.signed(reply, received, ended.receipt, proof, receiver)
        assert ended.answer is not None
        body = requested.codec.write_json(requested.operation.answer, ended.answer)
        return self.rendered(ended, Reply(200, {"content-type": JSON}, body))

    def rendered(self, ended: Answered, reply: Reply) -> Reply:
        """The written answer, signed, and encrypted if the contract asks for it."""
        if ended.as_of is not None:
            reply.headers["lgsp-as-of"] = ended.as_of
        authenticated = ended.requested.authenticated
        return self.signed(reply, authenticated.received, ended.receipt, authenticated.proof, _receiver(authenticated))

    def _failure(
        self, failure: Failure, received: Received, receipt: Receipt, authenticated: Authenticated | None
    ) -> Reply:
        reply = Reply(
            *problems.render(
                failure, transfer=receipt.transfer, accept_language=received.headers.get("accept-language")
            )
        )
        if authenticated is not None:
            return self.signed(reply, received, receipt, receiver=_receiver(authenticated))
        reply.headers["lgsp-transfer"] = receipt.transfer
        return reply

    def signed(
        self,
        reply: Reply,
        received: Received,
        receipt: Receipt | None,
        proof: http_signatures.Verified | None = None,
        receiver: EncryptKey | None = None,
    ) -> Reply:
        """Signs the reply with receipt, newest checkpoint and the request's signature (`proof`, if known). Encrypts its
        body for `receiver`. A streamed body is not covered: its parts prove themselves.
        """
        headers, body = reply.headers, reply.body
        if receiver is not None:
            body, _ = jose.seal(body, headers["content-type"], self.signing_key, receiver)
            headers["content-type"] = jose.MEDIA_TYPE
        if receipt is not None:
            headers["lgsp-transfer"] = receipt.transfer
            if leaves := receipt_header(receipt):  # an empty dictionary has no field (RFC 9651 section 3.2)
                headers["lgsp-receipt"] = leaves
        note = self.checkpoint()
        if note:
            headers["lgsp-checkpoint"] = f":{note}:"
        headers.update(
            http_signatures.sign_response(
                reply.status,
                headers,
                body if reply.parts is None else None,
                proof or received.headers,
                self.signing_key,
                self.clock() + received.ahead,
            )
        )
        return reply if body is reply.body else Reply(reply.status, headers, body)


def _receiver(authenticated: Authenticated) -> EncryptKey | None:
    return answers_for(
        authenticated.addressed.contract.contract,
        authenticated.snapshot,
        authenticated.caller,
        authenticated.received.theirs,
    )


def _check_opened(authenticated: Authenticated, opened: jose.Opened | LargeOpened) -> None:
    if opened.key.system != authenticated.caller.id:
        raise CHANNEL_MISMATCH(channel=authenticated.caller.id, other=opened.key.system, other_kind="JWS")
    if opened.media_type != JSON:
        raise BODY_MEDIA_TYPE(got=opened.media_type[:80], expected=f"{jose.MEDIA_TYPE}, cty: {JSON}")


def _payload_digest(received: Received, content: bytes) -> bytes:
    """Covers the request target too: the same id at another address is another message."""
    return hashlib.sha256(received.target_uri.encode() + b"\n" + content).digest()


def receipt_header(receipt: Receipt) -> str:
    """A structured-field dictionary (RFC 9651) of leaf hashes."""
    leaves = (("intent", receipt.intent), ("outcome", receipt.outcome), ("refusal", receipt.refusal))
    return ", ".join(f"{name}=:{base64.b64encode(leaf).decode('ascii')}:" for name, leaf in leaves if leaf is not None)


def _message_id(received: Received, pattern: Pattern, operation: str) -> str | None:
    """The `Idempotency-Key`, a structured-field string. Required for a submission or dispatch."""
    text = received.headers.get("idempotency-key")
    if text is None:
        if pattern is Pattern.QUERY:
            return None
        raise REQUEST_NO_MESSAGE_ID(operation=operation, header="Idempotency-Key")
    plain = text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else ""
    if (
        not 1 <= len(plain) <= _ID_MAX
        or not plain.isascii()
        or not plain.isprintable()
        or any(c in '"\\ ' for c in plain)
    ):
        raise REQUEST_NO_MESSAGE_ID(operation=operation, header='Idempotency-Key: "…" (1–128, ASCII)')
    return plain
