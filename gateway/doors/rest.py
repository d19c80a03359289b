"""The REST door: bytes of HTTP to a message and back (docs/wire.md, REST).

Order of checks: cheap before dear. Channel, token (kept by digest once verified), then the signature over the raw bytes, and only then
is anything decoded.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from contracts.base.errors import Failure, Policy, Theirs
from contracts.model import Pattern
from contracts.wire import problems
from gateway.doors.channel import Channel, identify
from gateway.doors.reply import Reply
from gateway.exchange.stages import Addressed, Answered, Authenticated, Authorised, Message, Receipt, Received, Refused, Requested
from gateway.journal.write import ReplayKey
from gateway.registry.snapshot import Snapshot
from security import httpsig, tokens
from security.keys import SigningKey, VerifyKey

JSON: Final = "application/json"
JOSE: Final = "application/jose"
_ID_MAX: Final = 128
_KEPT_TOKENS: Final = 10_000


@dataclass(slots=True)
class TokenKeeper:
    """Verified tokens by digest, until they expire. What is registered and in force is still looked up for each request."""

    key: VerifyKey
    audience: str
    others: Callable[[str, float], VerifyKey | None] = lambda _key_id, _now: (
        None
    )  # keys before ours, and after: a rotation may be under way
    kept: dict[bytes, tokens.Token] = field(default_factory=dict)

    def verify(self, text: str, now: float) -> tokens.Token:
        digest = hashlib.sha256(text.encode("latin-1", "replace")).digest()
        token = self.kept.get(digest)
        if token is None or token.expires <= now:
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
            if failure.code != "token.unknown-key":
                raise
            other = self.others(str(failure.facts["key"]), now)
            if other is None:
                raise
            return tokens.verify_token(text, other, now, self.audience)


class Proof(NamedTuple):
    """A caller who proved by channel, token and signature who it is, and the signature's facts."""

    channel: Channel
    signature: httpsig.Verified


@dataclass(slots=True)
class RestDoor:
    """Authenticates, decodes and renders; one a process, without state of any transfer."""

    keeper: TokenKeeper
    signing_key: SigningKey
    token_endpoint: str
    checkpoint: Callable[[], str]  # base64 of the newest signed note
    clock: Callable[[], float]

    # --- in -----------------------------------------------------------------------------------------------------------

    def prove(self, received: Received, snapshot: Snapshot) -> Proof:
        """Channel, token and signature of one and the same system."""
        channel = identify(received.certificate, snapshot, received.at)
        token = self._token(received, channel)
        if token.system != channel.system.id:
            raise Policy("channel.mismatch", channel=channel.system.id, other=token.system, other_kind="token")
        request = httpsig.HttpRequest(received.method, received.target_uri, received.headers, received.body)
        signature = httpsig.verify_request(request, snapshot.key, received.at)
        if signature.key.system != channel.system.id:
            raise Policy("channel.mismatch", channel=channel.system.id, other=signature.key.system, other_kind="signature")
        return Proof(channel, signature)

    def _token(self, received: Received, channel: Channel) -> tokens.Token:
        scheme, _, text = received.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not text:
            raise Theirs("request.no-token", endpoint=self.token_endpoint)
        token = self.keeper.verify(text.strip(), received.at)
        token.check_certificate(channel.thumbprint)
        return token

    def authenticate(self, addressed: Addressed) -> Authenticated:
        received = addressed.received
        proof = self.prove(received, addressed.snapshot)
        signature = proof.signature
        # What was asked for belongs to the payload too: the same id with another query is another message.
        payload = hashlib.sha256(received.target_uri.encode() + b"\n" + signature.payload_digest).digest()
        return Authenticated(
            addressed,
            proof.channel.system,
            signature.key,
            proof.channel.thumbprint,
            ReplayKey(signature.replay_key, signature.expires),
            payload,
            signature,
        )

    def request(self, authenticated: Authenticated) -> Requested:
        received, operation = authenticated.received, authenticated.addressed.operation
        assert operation is not None  # a REST address names its operation
        if operation.method == "GET" and received.body:
            raise Theirs("body.unexpected", method=received.method, path=received.path)
        signature: httpsig.Verified = authenticated.proof
        contract = authenticated.addressed.contract.contract
        if contract.protection == "encrypted":
            raise Theirs("body.not-encrypted", contract=contract.name, expected=JOSE, got=received.headers.get("content-type") or "—")
        message_id = _message_id(received, operation.pattern, operation.name) or signature.nonce or received.transfer
        return Requested(authenticated, message_id, operation, operation.request, received.body)

    def decode(self, authorised: Authorised) -> Message:
        who = authorised.requested
        received = who.received
        if who.operation.method == "GET":
            return who.codec.read_query(who.request, received.query, received.at)
        media = received.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != JSON:
            raise Theirs("body.media-type", got=media or "—", expected=JSON)
        return who.codec.read_json(who.request, received.body, received.at)

    # --- out ----------------------------------------------------------------------------------------------------------

    def render(self, ended: Answered | Refused) -> Reply:
        if isinstance(ended, Refused):
            received = ended.received
            return self._failure(ended.failure, received, ended.receipt, signed=ended.authenticated is not None)
        who = ended.requested
        received, proof = who.received, who.authenticated.proof
        if ended.failure is not None:
            return self._failure(ended.failure, received, ended.receipt, signed=True)
        if ended.queued:
            state = {"transfer": ended.receipt.transfer, "state": "queued", "status": f"/transfers/{ended.receipt.transfer}"}
            return self.signed(202, {"content-type": JSON}, json.dumps(state).encode(), received, ended.receipt, proof)
        assert ended.answer is not None
        body = who.codec.write_json(who.operation.answer, ended.answer)
        return self.signed(200, {"content-type": JSON}, body, received, ended.receipt, proof)

    def _failure(self, failure: Failure, received: Received, receipt: Receipt, *, signed: bool) -> Reply:
        status, headers, body = problems.render(failure, transfer=receipt.transfer, accept_language=received.headers.get("accept-language"))
        if signed:
            return self.signed(status, headers, body, received, receipt)
        headers["lgsp-transfer"] = receipt.transfer
        return Reply(status, headers, body)

    def signed(
        self,
        status: int,
        headers: dict[str, str],
        body: bytes,
        received: Received,
        receipt: Receipt | None,
        proof: httpsig.Verified | None = None,
    ) -> Reply:
        """An answer with receipt and newest checkpoint, signed together with the request's own signature (`proof`, where that is at hand)."""
        if receipt is not None:
            headers["lgsp-transfer"] = receipt.transfer
            headers["lgsp-receipt"] = receipt_header(receipt)
        note = self.checkpoint()
        if note:
            headers["lgsp-checkpoint"] = f":{note}:"
        headers.update(httpsig.sign_response(status, headers, body, received.headers, self.signing_key, self.clock(), request=proof))
        return Reply(status, headers, body)


def receipt_header(receipt: Receipt) -> str:
    """A structured-field dictionary (RFC 9651) of leaf hashes."""
    leaves = (("intent", receipt.intent), ("outcome", receipt.outcome), ("refusal", receipt.refusal))
    return ", ".join(f"{name}=:{base64.b64encode(leaf).decode('ascii')}:" for name, leaf in leaves if leaf is not None)


def _message_id(received: Received, pattern: Pattern, operation: str) -> str | None:
    """The `Idempotency-Key`, a structured-field string; required where something is handed in."""
    text = received.headers.get("idempotency-key")
    if text is None:
        if pattern is Pattern.QUERY:
            return None
        raise Theirs("request.no-message-id", operation=operation, header="Idempotency-Key")
    plain = text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else ""
    if not 1 <= len(plain) <= _ID_MAX or not plain.isascii() or not plain.isprintable() or any(c in '"\\ ' for c in plain):
        raise Theirs("request.no-message-id", operation=operation, header='Idempotency-Key: "…"')
    return plain
