"""Readers of webhooks: what a receiver verifies, and what it takes out of a delivery."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.base.errors import Failure
from gateway.client.webhooks import ONE, SEVERAL, Trust, receive
from security import webhooks
from tests.attacks.reading import Try, reader

NOW = float(int(time.time()))
KEY = Ed25519PrivateKey.generate()
TRUST = Trust("https://receiver.example/hook", [webhooks.public_text(KEY.public_key())])


def _quietly(given: tuple[dict[str, str], bytes]) -> object:
    try:
        return receive(*given, TRUST, NOW)
    except Failure:
        return None


@reader("security.webhooks:verify", "security.webhooks:signed", "gateway.client.webhooks:receive")
def deliveries() -> Iterable[Try]:
    def signed(body: bytes, kind: str) -> tuple[dict[str, str], bytes]:
        return {"content-type": kind, **webhooks.signed("a", int(NOW), body, [KEY])}, body

    def with_signature(text: str) -> tuple[dict[str, str], bytes]:
        return {webhooks.ID: "a", webhooks.TIMESTAMP: str(int(NOW)), webhooks.SIGNATURE: text}, b"{}"

    def signatures(text: str) -> Callable[[int], tuple[dict[str, str], bytes]]:
        return lambda n: with_signature(text * n)

    wrong = "v1a," + base64.b64encode(bytes(64)).decode()
    for name, text in (("signatures", f"{wrong} "), ("blanks", " "), ("letters", "a"), ("versions", "v1a, ")):
        yield Try(f"signature: {name}", _quietly, signatures(text))
    yield Try("id", _quietly, lambda n: ({**signed(b"{}", ONE)[0], webhooks.ID: "a" * n}, b"{}"))
    members = {"an event of many members": lambda n: signed(json.dumps({f"a{at}": 1 for at in range(n)}).encode(), ONE)}
    events = {"many events": lambda n: signed(json.dumps([{"id": "a"}] * n).encode(), SEVERAL)}
    for name, make in (members | events).items():
        yield Try(name, _quietly, make, 100_000)
