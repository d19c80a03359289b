"""A caller that is good by default, and does wrong in one way when it is told to (`faults.yaml`).

`Caller.run` hands one message in and repeats it once, as after a lost answer. It fetches a token, signs, verifies the
answer, waits as `Retry-After` says, and asks again where an answer does not prove itself. Written from docs/wire.md.

    python -m tests.conformance.bad.caller --identity DIR [--fault ID] PATH BODY.json
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import secrets
import ssl
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from tests.conformance.bad import wire
from tests.conformance.bad.wire import Keys, Unproven

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MOST_TRIES = 4
STORM_TRIES = 20


@dataclass(frozen=True, slots=True)
class Answered:
    """The end of one message: its last status, whether its answer was accepted, and the body as text."""

    status: int
    accepted: bool
    text: str


@dataclass(slots=True)
class Caller:
    """One system that sends by REST. `pause` waits, in seconds; a test gives one that only counts."""

    keys: Keys
    context: ssl.SSLContext | None = None  # None: plain HTTP, in tests of the wire
    fault: str | None = None
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.time
    _token: str = ""
    _nonce: str = field(default_factory=lambda: secrets.token_urlsafe(18))

    def run(self, path: str, message: dict[str, Any]) -> list[Answered]:
        """Hand the message in, then once more under the same id."""
        body = json.dumps(self._spoilt(message), ensure_ascii=False).encode()
        message_id = str(uuid.uuid4())
        return [self._deliver(path, body, message_id), self._deliver(path, body, self._again(message_id))]

    def ask(self, path: str) -> Answered:
        """A question: GET, without a message id."""
        return self._deliver(path, b"", "")

    def _again(self, message_id: str) -> str:
        return str(uuid.uuid4()) if self.fault == "new-id-on-repeat" else message_id

    def _spoilt(self, message: dict[str, Any]) -> dict[str, Any]:
        """The faults of content, for both contracts: a fault of the other contract leaves the message as it is."""
        changed = dict(message)
        if self.fault == "sends-unknown-field":
            changed["urgency"] = "cao"
        elif self.fault == "sends-wrong-code":
            changed["service_code"] = "khac"
        elif self.fault == "sends-number-as-text":
            changed["lat"] = str(message["lat"])
        elif self.fault == "water-station-code":
            changed["station"] = "BG-01"
        elif self.fault == "water-level-as-text":
            changed["level"] = str(message["level"]).replace(".", ",")
        elif self.fault == "water-time-without-zone":
            changed["measured"] = str(message["measured"])[:19]
        elif self.fault == "water-trend-missing":
            del changed["trend"]
        return changed

    def _deliver(self, path: str, body: bytes, message_id: str) -> Answered:
        tries = STORM_TRIES if self.fault == "retry-storm" else MOST_TRIES
        status, text = 0, ""
        for _ in range(tries):
            sent = self._prepare(path, body, message_id)
            status, fields, content = self._send(path, sent, body)
            text = content.decode("utf-8", "replace")
            if status == 409 and self.fault == "conflict-as-success":
                return Answered(status, True, text)
            try:
                self._judge(status, fields, content, sent)
            except Unproven:
                continue
            wait = fields.get("retry-after", "")
            if status not in {409, 429, 503} or not wait.isdigit():
                return Answered(status, 200 <= status < 300, text)
            if self.fault != "retry-storm" and not (self.fault == "429-without-waiting" and status == 429):
                self.pause(float(wait))
            if self.fault == "new-id-after-429" and status == 429:
                message_id = str(uuid.uuid4())
        return Answered(status, False, text)

    def _judge(self, status: int, fields: dict[str, str], content: bytes, sent: dict[str, str]) -> None:
        if self.fault == "unsigned-answer-accepted" and "signature" not in fields:
            return
        try:
            digests = self.fault != "answer-digest-ignored"
            wire.check_answer(self.keys, status, fields, content, sent, digests=digests)
        except Unproven as wrong:
            if not (self.fault == "foreign-signature-accepted" and str(wrong) in {"unknown key", "wrong signature"}):
                raise

    def _prepare(self, path: str, body: bytes, message_id: str) -> dict[str, str]:
        sent = {"authorization": f"Bearer {self.token()}", "accept": "application/json, application/problem+json"}
        if body:
            sent |= {"content-type": "application/json", "content-digest": wire.digest(body)}
        if message_id and self.fault != "no-message-id":
            sent["idempotency-key"] = f'"{message_id}"'
        created = int(self.clock()) - (600 if self.fault == "clock-off" else 0)
        nonce = self._nonce if self.fault == "nonce-reused" else secrets.token_urlsafe(18)
        without = "content-digest" if self.fault == "digest-not-covered" else ""
        target = self.keys.gateway + path
        method = "POST" if body else "GET"
        return sent | wire.sign_request(self.keys, method, target, sent, created=created, nonce=nonce, without=without)

    def token(self) -> str:
        """The access token, fetched once (RFC 7523). Raises `Unproven` where the gateway refuses one."""
        if not self._token:
            form = {
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION,
                "client_assertion": self._assertion(),
            }
            kind = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
            status, _, content = self._send("/oauth/token", kind, urlencode(form).encode())
            if status != 200:
                raise Unproven(f"no token: {status} {content[:300]!r}")
            self._token = str(json.loads(content)["access_token"])
        return self._token

    def _assertion(self) -> str:
        """The signed assertion of RFC 7523, for a key on P-256 or an Ed25519 key."""
        now = int(self.clock())
        algorithm = "ES256" if isinstance(self.keys.private, ec.EllipticCurvePrivateKey) else "EdDSA"
        claims = {
            "iss": self.keys.ours,
            "sub": self.keys.ours,
            "aud": self.keys.gateway + "/oauth/token",
            "iat": now,
            "exp": now + 60,
            "jti": str(uuid.uuid4()),
        }
        head = {"alg": algorithm, "kid": self.keys.key_id}
        text = ".".join(_base64url(json.dumps(part).encode()) for part in (head, claims))
        return f"{text}.{_base64url(wire.raw_sign(self.keys.private, text.encode()))}"

    def _send(self, path: str, fields: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        to = urlsplit(self.keys.gateway)
        connection = (
            http.client.HTTPConnection(to.netloc, timeout=30)
            if self.context is None
            else http.client.HTTPSConnection(to.netloc, timeout=30, context=self.context)
        )
        try:
            connection.request("POST" if body else "GET", path, body or None, fields)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def channel(folder: Path) -> ssl.SSLContext:
    """TLS with the system's client certificate; only `ca.crt` is trusted."""
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context


def main() -> None:
    parser = argparse.ArgumentParser(description="A caller with one seeded fault.")
    parser.add_argument("--identity", type=Path, required=True)
    parser.add_argument("--fault")
    parser.add_argument("path")
    parser.add_argument("body", type=Path)
    options = parser.parse_args()
    caller = Caller(Keys.load(options.identity), channel(options.identity), options.fault)
    for answered in caller.run(options.path, json.loads(options.body.read_text("utf-8"))):
        print(answered.status, "accepted" if answered.accepted else "not accepted", answered.text)


if __name__ == "__main__":
    main()
