"""Tells a component system something it registered an address for: one signed POST, without an answer of its own.

Standards: RFC 9421 in the profile of `docs/wire.md`, RFC 9530. A status of 2xx means that it was taken; nothing else of
the answer is read.
Invariant: redirects are not followed, and an answer of more than `LIMIT` bytes ends the call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp

from adapters.errors import PROVIDER_FAULT, PROVIDER_REFUSED, Acted
from adapters.http import Call, send
from adapters.model import UNTRACED
from security.http_signatures import HttpRequest, sign_request
from security.keys import SigningKey

LIMIT: Final = 65_536
CALLER: Final = "gateway"  # no system: the gateway speaks for itself
_JSON: Final = "application/json"


@dataclass(slots=True)
class SignedPosts:
    """Over the session of the calls to component systems. `clock` gives Unix seconds."""

    session: aiohttp.ClientSession
    key: SigningKey
    clock: Callable[[], float]

    async def post(
        self, system: str, url: str, transfer: str, body: bytes, seconds: float, trace: Mapping[str, str] = UNTRACED
    ) -> None:
        """Raises `ProviderFailure` unless the system answers 2xx within `seconds`. `trace`: headers, unsigned."""
        headers = {
            "content-type": _JSON,
            "accept-encoding": "identity",
            "lgsp-transfer": transfer,
            "lgsp-caller": CALLER,
            "idempotency-key": f'"{transfer}"',
        }
        request = HttpRequest("POST", url, headers, body)
        headers.update(sign_request(request, self.key, self.clock()))
        headers.update(trace)
        answer = await send(self.session, system, Call(request, seconds, LIMIT))
        if 200 <= answer.status < 300:
            return
        after = answer.headers.get("retry-after", "")
        if 400 <= answer.status < 500 and answer.status != 429:
            raise answer.failed(PROVIDER_REFUSED, system, acted=Acted.NO, provider_status=answer.status)
        raise answer.failed(
            PROVIDER_FAULT,
            system,
            acted=Acted.NO,
            provider_status=answer.status,
            retry_after=int(after) if after.isdecimal() and len(after) < 6 else None,
        )
