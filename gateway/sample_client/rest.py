"""A REST caller of the gateway, after `docs/wire.md`: token, signature, verified answer.

    client = RestClient(Identity.load("identities/phan-anh"))
    answer = client.call("POST", "/field-report/v1/requests", {"service_code": "…"})

From a shell: `python -m gateway.sample_client.rest --identity DIR GET '/indicator/v1/values?indicator=…'`.
Exit code 0: answered; 1: refused; 2: not carried out (usage, no connection, an answer without valid proof).

`prepare` and `send` are separate, so that tests can alter or replay a request and see the refusal.
Invariant: an answer with an invalid signature, digest or binding to the request, or an unsigned success, raises
`WrongAnswer`.
"""

from __future__ import annotations

import argparse
import base64
import re
import secrets
import sys
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, TypedDict, Unpack
from urllib.parse import quote, urlencode

import jwt

from gateway.sample_client.audit import Checkpoint, Keeper, ProvedEntry, Receipt, check_proof
from gateway.sample_client.errors import ClientError, LogError, NoProof, WrongAnswer
from gateway.sample_client.feeds import refuse_parts
from gateway.sample_client.fields import write_bare
from gateway.sample_client.httpsig import Message, digest_header, sign_request, verify_answer
from gateway.sample_client.identity import Identity, encryption_of
from gateway.sample_client.jose import MEDIA_TYPE as JOSE
from gateway.sample_client.jose import seal, unseal
from gateway.sample_client.jsontext import dump_json, in_words, load_json
from gateway.sample_client.transport import RawAnswer, Transport

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN_PATH: Final = "/oauth/token"
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{1,8000}=*")  # RFC 6750 §2.1
# unescaped characters of an address; letters outside ASCII are percent-encoded
_PATH_MARKS: Final = "/?&=%:;,+@!$'()*~-._"


class _Own(Enum):
    OWN = "own"


OWN: Final = _Own.OWN
Tls = Identity | None | Literal[_Own.OWN]
Body = bytes | Mapping[str, Any] | None
Mutate = Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A signed request. Sending it twice is a replay."""

    method: str
    path: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    encrypted: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The gateway's answer. Of an encrypted body: its content and media type.

    `verified` is false only for a refusal of an unauthenticated caller.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    receipt: Receipt | None
    checkpoint: str | None
    verified: bool

    def json(self) -> Any:
        """The body, decimals as `Decimal`. `WrongAnswer` if it is not JSON."""
        return load_json(self.body)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def problem(self) -> dict[str, Any] | None:
        """The problem document of a refusal (RFC 9457)."""
        if not self.headers.get("content-type", "").startswith("application/problem+json"):
            return None
        content = self.json()
        if not isinstance(content, dict):
            raise WrongAnswer("a problem document that is no object")
        return content


@dataclass(slots=True)
class _TokenCache:
    value: str = ""
    until: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class How(TypedDict, total=False):
    """What a request may have beside method, path and body.

    `created` is an offset in seconds to our clock. `leave_out` names components that the signature omits. `mutate`
    may alter the finished headers and body. `token=""` and `message_id=""` send none. `encrypt_it`: for contracts
    whose bodies are encrypted.
    """

    message_id: str | None
    accept_language: str
    created: float
    lifetime: int
    leave_out: Collection[str]
    mutate: Mutate | None
    token: str | None
    headers: Mapping[str, str] | None
    nonce: str | None
    sign: bool
    content_type: str
    encrypt_it: bool


class RestClient:
    """One system's REST client. Threads may share it; each keeps its own connection."""

    def __init__(
        self, identity: Identity, *, base: str | None = None, keeper: Keeper | None = None,
        clock: Callable[[], float] = time.time, timeout: float = 30.0,
    ) -> None:  # fmt: skip
        self.identity = identity
        self.base = (base or identity.gateway).rstrip("/")
        self.keeper = keeper if keeper is not None else (Keeper(identity.log_vkey) if identity.log_vkey else None)
        self._clock, self._timeout = clock, timeout
        self._token = _TokenCache()
        self._transports: dict[str | None, Transport] = {}

    # --- preparing -----------------------------------------------------------------------------------------------

    def assertion(self, **changes: Any) -> str:
        """The signed assertion that requests a token (RFC 7523). `changes` alter its claims on purpose."""
        now = int(self._clock())
        claims = {
            "iss": self.identity.system, "sub": self.identity.system, "aud": self.base + TOKEN_PATH,
            "iat": now, "exp": now + 60, "jti": str(uuid.uuid4()),
        }  # fmt: skip
        signer = self.identity.signer
        key: Any = signer.key
        return jwt.encode(claims | changes, key, algorithm=signer.jose_algorithm, headers={"kid": signer.key_id})

    def token_request(self, **changes: Any) -> Prepared:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion(**changes),
        }
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        return Prepared("POST", TOKEN_PATH, self.base + TOKEN_PATH, headers, urlencode(form).encode())

    def keep_token(self, raw: RawAnswer) -> str:
        if raw.status != 200:
            raise TokenRefused(raw)
        try:
            content = load_json(raw.body)
            token, lives = content["access_token"], float(content["expires_in"])
            if not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
                raise ValueError("a token that no header can hold")
        except (ValueError, KeyError, TypeError, OverflowError) as wrong:
            raise WrongAnswer(f"the token answer cannot be read: {wrong}") from wrong
        # renew early: a token that expires under way causes a refusal
        self._token.value, self._token.until = token, self._clock() + max(lives - 30, lives / 2)
        return token

    @property
    def cached_token(self) -> str | None:
        return self._token.value if self._clock() < self._token.until else None

    def token(self, *, fresh: bool = False) -> str:
        with self._token.lock:
            cached = None if fresh else self.cached_token
            return cached if cached is not None else self.keep_token(self.exchange(self.token_request()))

    def prepare(self, method: str, path: str, body: Body = None, **how: Unpack[How]) -> Prepared:
        """Make and sign a request."""
        content = body if isinstance(body, bytes) else b"" if body is None else dump_json(body)
        content_type, encrypt_it = how.get("content_type", "application/json"), how.get("encrypt_it", False)
        if encrypt_it and body is not None:
            keys = encryption_of(self.identity)
            content, content_type = (
                seal(content, content_type, self.identity.signer, keys.gateway_key_id, keys.gateway),
                JOSE,
            )
        token, message_id = how.get("token"), how.get("message_id")
        bearer = self.token() if token is None else token
        sent: dict[str, str] = {
            "accept": "application/json, application/problem+json",
            "accept-language": how.get("accept_language", "vi"),
        }
        if bearer:
            sent["authorization"] = f"Bearer {bearer}"
        if body is not None:
            sent |= {"content-type": content_type, "content-digest": digest_header(content)}
        if message_id or (message_id is None and method == "POST"):
            sent["idempotency-key"] = write_bare(message_id or str(uuid.uuid4()))
        sent |= {name.lower(): value for name, value in (how.get("headers") or {}).items()}
        target = self.base + path
        if how.get("sign", True):
            moment = int(self._clock() + how.get("created", 0.0))
            sent |= sign_request(
                Message(sent, method, target), self.identity.signer, created=moment,
                expires=moment + how.get("lifetime", 60), nonce=how.get("nonce") or secrets.token_urlsafe(18),
                leave_out=how.get("leave_out", ()),
            )  # fmt: skip
        mutate = how.get("mutate")
        if mutate is not None:
            sent, content = mutate(sent, content)
        return Prepared(method, path, target, sent, content, encrypt_it)

    # --- sending ---------------------------------------------------------------------------------------------------

    def exchange(self, prepared: Prepared, *, tls: Tls = OWN) -> RawAnswer:
        """Send under our own client certificate, another's, or none. The answer is not verified."""
        identity = self.identity if tls is OWN else tls
        name = None if identity is None else str(identity.folder)
        if name not in self._transports:
            context = (
                self.identity.client_context(with_certificate=False) if identity is None else identity.client_context()
            )
            self._transports[name] = Transport(self.base, context, self._timeout)
        return self._transports[name].send(prepared.method, prepared.path, prepared.headers, prepared.body)

    def send(self, prepared: Prepared, *, tls: Tls = OWN, need_signature: bool = True) -> Answer:
        return self.judge(prepared, self.exchange(prepared, tls=tls), need_signature=need_signature)

    def call(
        self,
        method: str,
        path: str,
        body: Body = None,
        message_id: str | None = None,
        accept_language: str = "vi",
        **how: Any,
    ) -> Answer:
        """Prepare and send. `how` goes to `prepare`, but `tls` and `need_signature` to `send`."""
        refuse_parts(method, path)
        sending = {name: how.pop(name) for name in ("tls", "need_signature") if name in how}
        return self.send(
            self.prepare(method, path, body, message_id=message_id, accept_language=accept_language, **how), **sending
        )

    def judge(self, prepared: Prepared, raw: RawAnswer, *, need_signature: bool = True) -> Answer:
        """Verify an answer against its request. Raises `WrongAnswer`."""
        signed = "signature" in raw.headers or "signature-input" in raw.headers
        if signed:
            message = Message(
                raw.headers, status=raw.status, request=Message(prepared.headers, prepared.method, prepared.target)
            )
            verify_answer(message, raw.body, self.identity.keys.by_id, self._clock())
        elif need_signature and raw.status < 400:
            raise WrongAnswer(f"an answer of status {raw.status} that the gateway did not sign")
        headers, body = raw.headers, raw.body
        if signed and raw.headers.get("content-type") == JOSE:
            keys = encryption_of(self.identity)
            body, media_type = unseal(body, keys.key_id, keys.key, self.identity.keys.by_id, self._clock())
            headers = {**headers, "content-type": media_type}
        elif prepared.encrypted and raw.status < 400:
            raise WrongAnswer("an answer in clear to an encrypted request")
        note = _note(raw.headers.get("lgsp-checkpoint")) if signed else None
        if note is not None and self.keeper is not None:
            self.keeper.keep(note)
        receipt = Receipt.from_headers(raw.headers) if signed else None
        return Answer(raw.status, headers, body, receipt, note, signed)

    # --- the audit log ---------------------------------------------------------------------------------------------

    def prove(self, receipt: Receipt) -> tuple[Checkpoint, list[ProvedEntry]]:
        """Exchange a receipt for proofs that its entries are in the log."""
        if self.keeper is None:
            raise LogError("this identity has no log.vkey, so nothing of the log can be checked")
        answer = self.call("GET", f"/audit/proof/{receipt.transfer}", need_signature=False)
        if not answer.ok:
            raise NoProof(f"no proof of {receipt.transfer}: status {answer.status}")
        checkpoint, entries = check_proof(answer.body, self.keeper.key, receipt)
        self.keeper.keep(checkpoint.note)
        return checkpoint, entries

    def witness(self) -> Checkpoint | None:
        """Check that the log only grew, over all checkpoints that answers brought."""

        def fetch(older: int, newer: int) -> list[bytes]:
            answer = self.call("GET", f"/audit/consistency?from={older}&to={newer}", need_signature=False)
            if not answer.ok:
                raise NoProof(f"no consistency proof from {older} to {newer}: status {answer.status}")
            try:
                return [base64.b64decode(step, validate=True) for step in answer.json()["proof"]]
            except (ValueError, KeyError, TypeError, WrongAnswer) as wrong:
                raise LogError(f"the consistency proof cannot be read: {wrong}") from wrong

        return None if self.keeper is None else self.keeper.check(fetch)


class TokenRefused(ClientError):
    """The token endpoint refused; `raw` is its answer."""

    def __init__(self, raw: RawAnswer) -> None:
        super().__init__(f"no token: status {raw.status}: {in_words(raw.body)}")
        self.raw = raw


def _note(header: str | None) -> str | None:
    if header is None:
        return None
    text = header.strip()
    try:
        if len(text) < 2 or text[0] != ":" or text[-1] != ":":
            raise ValueError("no structured-field bytes")
        return base64.b64decode(text[1:-1], validate=True).decode("utf-8")
    except ValueError as wrong:
        raise WrongAnswer(f"Lgsp-Checkpoint cannot be read: {wrong}") from wrong


def receipt_lines(receipt: Receipt | None, checkpoint: str | None) -> list[str]:
    """A receipt as the commands print it."""
    lines = [] if receipt is None else [f"transfer   {receipt.transfer}"]
    lines += [] if receipt is None else [f"{phase:<10} {leaf.hex()}" for phase, leaf in receipt.leaves.items()]
    if checkpoint is not None:
        origin, size, *_ = [*checkpoint.splitlines(), "?", "?"]
        lines.append(f"checkpoint {origin} size {size}")
    return lines


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m gateway.sample_client.rest", description="One signed REST call through the gateway."
    )
    parser.add_argument("--identity", required=True, type=Path, metavar="DIR", help="the system's identity folder")
    parser.add_argument("--body", metavar="FILE", help="file with the JSON body, or - for standard input")
    parser.add_argument("--id", metavar="ID", help="id of the message; give it again to repeat the message")
    parser.add_argument("--language", choices=("vi", "en"), default="vi", help="language of refusals")
    parser.add_argument(
        "--prove", action="store_true", help="afterwards exchange the receipt for a proof from the audit log"
    )
    parser.add_argument("--encrypt", action="store_true", help="encrypt the body, where the contract demands it")
    parser.add_argument("method", choices=("GET", "POST"))
    parser.add_argument("path", help="like /indicator/v1/values?indicator=…&area=…&period=…")
    options = parser.parse_args(arguments)
    try:
        if not options.path.startswith("/"):
            parser.error("the path starts with /")
        body = (
            None
            if options.body is None
            else sys.stdin.buffer.read()
            if options.body == "-"
            else Path(options.body).read_bytes()
        )
        client = RestClient(Identity.load(options.identity))
        answer = client.call(
            options.method,
            quote(options.path, safe=_PATH_MARKS),
            body,
            options.id,
            options.language,
            encrypt_it=options.encrypt,
        )
        print(
            "status     "
            f"{answer.status}{'' if answer.verified else ' (not signed: the gateway did not know who called)'}"
        )
        print("\n".join(receipt_lines(answer.receipt, answer.checkpoint)))
        print(answer.body.decode("utf-8", "replace"))
        if options.prove and answer.receipt is not None:
            time.sleep(2)  # a checkpoint comes at least once a second
            checkpoint, entries = client.prove(answer.receipt)
            print(
                "\n".join(f"proved     {entry.phase} is entry {entry.index} of {checkpoint.size}" for entry in entries)
            )
        return 0 if answer.ok else 1
    except TokenRefused as refused:
        print(refused, file=sys.stderr)
        return 1
    except (ClientError, OSError, UnicodeError) as wrong:
        print(f"{type(wrong).__name__}: {wrong}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
