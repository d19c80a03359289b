"""A REST caller of the gateway, as `docs/wire.md` has it: token, signature, checked answer.

    client = RestClient(Identity.load("identities/phan-anh"))
    answer = client.call("POST", "/field-report/v1/requests", {"service_code": "…"})

From a shell: `python -m gateway.sample_client.rest --identity DIR GET '/indicator/v1/values?indicator=…'`; exit code 0 when it
was answered, 1 when it was refused, 2 when it could not be carried out (usage, no connection, an answer that does not prove itself).

`prepare` and `send` are apart so that a request can be altered, replayed, or sent under another certificate, to see it
refused. Invariant: a signed answer whose signature, digest or binding to the request fails is raised as `WrongAnswer`,
and so is any success that is not signed at all.
"""

from __future__ import annotations

import argparse
import base64
import re
import secrets
import ssl
import sys
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote, urlencode

import aiohttp
import jwt
from yarl import URL

from gateway.sample_client.audit import Checkpoint, Keeper, ProvedEntry, Receipt, check_proof
from gateway.sample_client.errors import ClientError, LogError, NoAnswer, NoProof, WrongAnswer
from gateway.sample_client.fields import write_bare
from gateway.sample_client.httpsig import Message, digest_header, sign_request, verify_answer
from gateway.sample_client.identity import Identity, encryption_of
from gateway.sample_client.jose import MEDIA_TYPE as JOSE
from gateway.sample_client.jose import seal, unseal
from gateway.sample_client.jsontext import dump_json, in_words, load_json
from gateway.sample_client.transport import MOST_BYTES, RawAnswer, Transport

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN_PATH: Final = "/oauth/token"
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{1,8000}=*")  # RFC 6750 §2.1
# what a typed address may hold as it is; letters outside ASCII are percent-encoded
_PATH_MARKS: Final = "/?&=%:;,+@!$'()*~-._"


class _Own(Enum):
    OWN = "own"


OWN: Final = _Own.OWN
Tls = Identity | None | Literal[_Own.OWN]
Body = bytes | Mapping[str, Any] | None
Mutate = Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request ready to go, signature and all. Sent twice it is a replay."""

    method: str
    path: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    encrypted: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gateway said; of an encrypted body, what was in it and its media type. `verified` is false only for a refusal of a caller who had proved nothing."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    receipt: Receipt | None
    checkpoint: str | None
    verified: bool

    def json(self) -> Any:
        """The body as exact values: decimals stay decimals. `WrongAnswer` where it is no JSON."""
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


class RestClient:
    """One system's REST side. May be shared by threads; each keeps a connection of its own."""

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
        """The signed assertion that asks for a token (RFC 7523); `changes` alter its claims on purpose."""
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
        # a token that dies under way is a refusal for nothing: renew early
        self._token.value, self._token.until = token, self._clock() + max(lives - 30, lives / 2)
        return token

    @property
    def cached_token(self) -> str | None:
        return self._token.value if self._clock() < self._token.until else None

    def token(self, *, fresh: bool = False) -> str:
        with self._token.lock:
            cached = None if fresh else self.cached_token
            return cached if cached is not None else self.keep_token(self.exchange(self.token_request()))

    def prepare(
        self, method: str, path: str, body: Body = None, *, message_id: str | None = None, accept_language: str = "vi",
        created: float = 0.0, lifetime: int = 60, leave_out: Collection[str] = (), mutate: Mutate | None = None,
        token: str | None = None, headers: Mapping[str, str] | None = None, nonce: str | None = None, sign: bool = True,
        content_type: str = "application/json", encrypt_it: bool = False,
    ) -> Prepared:  # fmt: skip
        """Make and sign a request.

        `created` is an offset in seconds to our clock; `leave_out` names components that the signature forgets; `mutate`
        gets the finished headers and body and may spoil them; `token=""` sends none; `message_id=""` sends no Idempotency-Key; `encrypt_it` is for
        contracts whose bodies are encrypted.
        """
        content = body if isinstance(body, bytes) else b"" if body is None else dump_json(body)
        if encrypt_it and body is not None:
            keys = encryption_of(self.identity)
            content, content_type = (
                seal(content, content_type, self.identity.signer, keys.gateway_key_id, keys.gateway),
                JOSE,
            )
        bearer = self.token() if token is None else token
        made: dict[str, str] = {
            "accept": "application/json, application/problem+json",
            "accept-language": accept_language,
        }
        if bearer:
            made["authorization"] = f"Bearer {bearer}"
        if body is not None:
            made |= {"content-type": content_type, "content-digest": digest_header(content)}
        if message_id or (message_id is None and method == "POST"):
            made["idempotency-key"] = write_bare(message_id or str(uuid.uuid4()))
        made |= {name.lower(): value for name, value in (headers or {}).items()}
        target = self.base + path
        if sign:
            moment = int(self._clock() + created)
            made |= sign_request(
                Message(made, method, target), self.identity.signer, created=moment, expires=moment + lifetime,
                nonce=nonce or secrets.token_urlsafe(18), leave_out=leave_out,
            )  # fmt: skip
        if mutate is not None:
            made, content = mutate(made, content)
        return Prepared(method, path, target, made, content, encrypt_it)

    # --- sending ---------------------------------------------------------------------------------------------------

    def exchange(self, prepared: Prepared, *, tls: Tls = OWN) -> RawAnswer:
        """Send under our own client certificate, another's, or none; the answer is not looked at."""
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
        """Prepare and send; `how` goes to `prepare`, but `tls` and `need_signature` to `send`."""
        sending = {name: how.pop(name) for name in ("tls", "need_signature") if name in how}
        return self.send(
            self.prepare(method, path, body, message_id=message_id, accept_language=accept_language, **how), **sending
        )

    def judge(self, prepared: Prepared, raw: RawAnswer, *, need_signature: bool = True) -> Answer:
        """Check an answer against its request; this is where a wrong one is raised."""
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
        """Exchange a receipt for proofs that its entries stand in the log."""
        if self.keeper is None:
            raise LogError("this identity has no log.vkey, so nothing of the log can be checked")
        answer = self.call("GET", f"/audit/proof/{receipt.transfer}", need_signature=False)
        if not answer.ok:
            raise NoProof(f"no proof of {receipt.transfer}: status {answer.status}")
        checkpoint, entries = check_proof(answer.body, self.keeper.key, receipt)
        self.keeper.keep(checkpoint.note)
        return checkpoint, entries

    def witness(self) -> Checkpoint | None:
        """Check that the log only ever grew, over all checkpoints that answers brought."""

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
    """The token endpoint said no; `raw` is what it said."""

    def __init__(self, raw: RawAnswer) -> None:
        super().__init__(f"no token: status {raw.status}: {in_words(raw.body)}")
        self.raw = raw


class AsyncRestClient:
    """The same client for many calls at once: preparing and judging are shared, only the sending is aiohttp's."""

    def __init__(self, client: RestClient, *, connections: int = 32, timeout: float = 30.0) -> None:
        self.client = client
        self._context: ssl.SSLContext = client.identity.client_context()
        self._connections, self._timeout = connections, timeout
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> AsyncRestClient:
        connector = aiohttp.TCPConnector(limit=self._connections, ssl=self._context)
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        # no compression, no redirects, no retries: what was signed is what goes out, once
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def token(self) -> str:
        cached = self.client.cached_token
        return (
            cached if cached is not None else self.client.keep_token(await self.exchange(self.client.token_request()))
        )

    async def exchange(self, prepared: Prepared) -> RawAnswer:
        if self._session is None:
            raise NoAnswer("the client is used outside `async with`")
        try:
            async with self._session.request(
                prepared.method, URL(prepared.target, encoded=True), data=prepared.body or None, headers=dict(prepared.headers),
                allow_redirects=False, skip_auto_headers=("User-Agent", "Accept-Encoding", "Content-Type"),
            ) as answer:  # fmt: skip
                joined: dict[str, str] = {}
                for name, value in answer.headers.items():
                    name = name.lower()
                    joined[name] = f"{joined[name]}, {value}" if name in joined else value
                content = bytearray()
                async for piece in answer.content.iter_chunked(65_536):
                    content += piece
                    if len(content) > MOST_BYTES:
                        raise NoAnswer(f"{prepared.target} answered with more than {MOST_BYTES} bytes")
                return RawAnswer(answer.status, joined, bytes(content))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as broken:
            raise NoAnswer(f"{prepared.target} did not answer: {type(broken).__name__}: {broken}") from broken

    async def send(self, prepared: Prepared) -> Answer:
        return self.client.judge(prepared, await self.exchange(prepared))

    async def call(
        self, method: str, path: str, body: Body = None, message_id: str | None = None, **how: Any
    ) -> Answer:
        token = how.pop("token", None)
        token = await self.token() if token is None else token
        return await self.send(self.client.prepare(method, path, body, message_id=message_id, token=token, **how))


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
    """What the command lines print of a receipt."""
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
    given = parser.parse_args(arguments)
    try:
        if not given.path.startswith("/"):
            parser.error("the path starts with /")
        body = (
            None
            if given.body is None
            else sys.stdin.buffer.read()
            if given.body == "-"
            else Path(given.body).read_bytes()
        )
        client = RestClient(Identity.load(given.identity))
        answer = client.call(
            given.method, quote(given.path, safe=_PATH_MARKS), body, given.id, given.language, encrypt_it=given.encrypt
        )
        print(
            f"status     {answer.status}{'' if answer.verified else ' (not signed: the gateway did not know who called)'}"
        )
        print("\n".join(receipt_lines(answer.receipt, answer.checkpoint)))
        print(answer.body.decode("utf-8", "replace"))
        if given.prove and answer.receipt is not None:
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
