"""The access token of one system, fetched with a signed assertion and renewed before it ends (RFC 7523).

The token is bound to the client certificate (RFC 8705).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

from contracts.base.words import Language
from gateway.client import rest
from gateway.client.answers import Answer, Problem, read_json
from gateway.client.errors import refused
from gateway.client.identities.identity import Identity
from gateway.client.tenant_time import TenantTime
from gateway.client.transport import RawAnswer, Transport
from security.errors import TOKEN_EXPIRED, TOKEN_OTHER_CERTIFICATE, TOKEN_UNKNOWN_KEY, TOKEN_WRONG
from security.tokens import make_assertion

TOKEN_PATH: Final = "/oauth/token"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# Refusals after which a new token is worth one more try.
ENDED: Final = frozenset({TOKEN_EXPIRED.code, TOKEN_OTHER_CERTIFICATE.code, TOKEN_UNKNOWN_KEY.code, TOKEN_WRONG.code})


class AccessToken:
    def __init__(
        self, identity: Identity, transport: Transport, clock: Callable[[], float], language: Language
    ) -> None:
        self._identity = identity
        self._transport = transport
        self._clock = clock
        self._language = language
        self._token: tuple[str, float] | None = None  # the token, and when to renew it
        self._lock = asyncio.Lock()

    async def get(self) -> str:
        """The current token; fetches one where there is none or it is near its end."""
        async with self._lock:
            if self._token is None or self._token[1] <= self._clock():
                self._token = await self._fetch()
            return self._token[0]

    def discard(self) -> None:
        """Fetch a new token at the next call."""
        self._token = None

    async def _fetch(self) -> tuple[str, float]:
        """A token. Where the clock follows the gateway's answers, a first refusal may tell what time it is."""
        raw, now = await self._asked()
        follows = isinstance(self._clock, TenantTime) and self._clock.heard(raw.headers)
        if follows and raw.status != 200:
            raw, now = await self._asked()
        if raw.status != 200:
            answer = Answer(raw.status, raw.headers, raw.body, raw.body, False)
            raise refused(Problem.from_rest(raw.status, raw.headers, raw.body), answer)
        try:
            content = read_json(raw.body)
            token, lives = str(content["access_token"]), float(content["expires_in"])
        except (ValueError, KeyError, TypeError) as wrong:
            url = self._identity.gateway + TOKEN_PATH
            raise rest.not_proven("POST", url, raw.status, f"{type(wrong).__name__}: {wrong}") from None
        return token, now + max(lives - 60, lives / 2)  # renewed early: a token that ends on the way is refused

    async def _asked(self) -> tuple[RawAnswer, float]:
        url, now = self._identity.gateway + TOKEN_PATH, self._clock()
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": make_assertion(self._identity.system, self._identity.sign_key, now, url),
        }
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "accept": "application/json",
            "accept-language": self._language,
        }
        return await self._transport.send("POST", url, headers, urlencode(form).encode()), now
