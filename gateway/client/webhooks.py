"""Feeds that are pushed: what a receiver does with a webhook, and the blocking client's calls about subscriptions.

    trust = Trust(url="https://receiver.example/hook", keys=subscription["keys"])

    def hook(headers, body):                    # in any web framework
        delivery = receive(headers, body, trust, time.time())
        store(delivery.events)                  # those whose id is not stored yet: a delivery may come twice
        return delivery.status, delivery.answer

Invariant: `receive` returns events only after the gateway's signature over the very bytes was verified.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from contracts.base.errors import Failure
from contracts.wire.headers import media_type
from contracts.wire.jsontext import read_json
from gateway.client.errors import CLIENT_WEBHOOK, NotProven
from gateway.client.sync import Client
from security import jose, webhooks
from security.http_signatures import HttpRequest, verify_request
from security.keys import VerifyKey

ONE: Final = "application/cloudevents+json"
SEVERAL: Final = "application/cloudevents-batch+json"
CHALLENGE: Final = "urn:lgsp:push:challenge"


@dataclass(frozen=True, slots=True)
class Trust:
    """By what a delivery is judged: `keys` of the subscription (`whpk_…`) for Standard Webhooks, or `find_key`, which
    finds a signing key of the gateway by its id, for RFC 9421. `opener` opens bodies of encrypted contracts; that needs
    `find_key` too. `url` is the subscription's.
    """

    url: str
    keys: Sequence[str] = ()
    find_key: Callable[[str], VerifyKey | None] | None = None
    opener: jose.Opener | None = None


class Delivery(NamedTuple):
    """A proven delivery. `id` is the same for each try. `challenge`: no event, but a question whether the URL is ours.
    Answer with `status`, and `answer` as application/json, once the events are stored.
    """

    id: str
    events: tuple[dict[str, Any], ...]
    challenge: str | None = None

    @property
    def status(self) -> int:
        return 204 if self.challenge is None else 200

    @property
    def answer(self) -> bytes:
        return b"" if self.challenge is None else json.dumps({"challenge": self.challenge}).encode()


def receive(headers: Mapping[str, str], body: bytes, trust: Trust, now: float) -> Delivery:
    """`now` is Unix time. `NotProven` for anything that the gateway did not sign, or not now: answer it with 401."""
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        id = _signed(lower, body, trust, now)
        kind = media_type(lower)
        if kind == jose.MEDIA_TYPE and trust.opener is not None and trust.find_key is not None:
            opened = trust.opener.open(body, trust.find_key, now)
            body, kind = opened.payload, opened.media_type
        content = read_json(body)
    except (Failure, ValueError) as wrong:
        raise _not_proven(trust, wrong.code if isinstance(wrong, Failure) else "not JSON") from None
    events = content if kind == SEVERAL else [content]
    if kind not in (ONE, SEVERAL) or not isinstance(events, list) or not all(isinstance(each, dict) for each in events):
        raise _not_proven(trust, f"not {ONE} or {SEVERAL}")
    if len(events) == 1 and events[0].get("type") == CHALLENGE:
        data = events[0].get("data")
        word = data.get("challenge") if isinstance(data, dict) else None
        return Delivery(id, (), str(word))
    return Delivery(id, tuple(events))


def _signed(headers: Mapping[str, str], body: bytes, trust: Trust, now: float) -> str:
    if webhooks.SIGNATURE in headers or trust.find_key is None:
        return webhooks.verify(headers, body, [webhooks.public_key(each) for each in trust.keys], now)
    request = HttpRequest("POST", trust.url, headers, body)
    verify_request(request, trust.find_key, now, need=("idempotency-key", "lgsp-caller"))
    return headers["idempotency-key"].strip('"')


def _not_proven(trust: Trust, why: str) -> NotProven:
    return CLIENT_WEBHOOK(url=trust.url, reason=why)


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """A system's subscriptions (`Subscription` of openapi/subscriptions.yaml). Each call raises `ClientError`."""

    client: Client

    def subscribe(self, feed: str, url: str, **more: Any) -> dict[str, Any]:
        """`more`: `form`, `most`, and one of `start` (`now`, `start`), `after` (a cursor), `since` (a time)."""
        if "start" in more:
            more["from"] = more.pop("start")
        return self._call("POST", "", {"feed": feed, "url": url, **more})

    def all(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self._call("GET", "")["subscriptions"]
        return listed

    def one(self, id: str) -> dict[str, Any]:
        return self._call("GET", f"/{quote(id, safe='')}")

    def pause(self, id: str) -> dict[str, Any]:
        return self._call("POST", f"/{quote(id, safe='')}/pause")

    def resume(self, id: str) -> dict[str, Any]:
        return self._call("POST", f"/{quote(id, safe='')}/resume")

    def end(self, id: str) -> dict[str, Any]:
        return self._call("DELETE", f"/{quote(id, safe='')}")

    def move(self, id: str, url: str) -> dict[str, Any]:
        """Another URL, which answers a challenge before anything goes there."""
        return self._call("POST", f"/{quote(id, safe='')}/url", {"url": url})

    def replay(self, id: str, **place: str) -> dict[str, Any]:
        """Once more from a place: `since` (a time), `after` (a cursor), or nothing, which is the start of the feed."""
        return self._call("POST", f"/{quote(id, safe='')}/replay", place or {"from": "start"})

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        content: dict[str, Any] = self.client.rest(method, f"/subscriptions{path}", body).json()
        return content
