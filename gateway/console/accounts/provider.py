"""Signs people in by the organisation's OpenID provider: code flow with PKCE (OpenID Connect Core 1.0, RFC 7636).

    start     a state, a nonce and a verifier of this browser; it keeps them sealed in a cookie
    callback  state and issuer fit (RFC 9207); the code is exchanged; the ID token is checked (Authlib)

The provider says who somebody is. Accounts and roles stay ours: no account is made by signing in.
Invariant: an answer counts once, in the browser that asked, and of the one provider that is configured.
Invariant: the provider is asked over TLS, or on the loopback, with a time-out, and its redirects are not followed.
Invariant: an ID token counts with a signature of the provider's key by an asymmetric algorithm only.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import ssl
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import aiohttp
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from contracts.base.errors import Failure
from gateway.console.accounts import secrets
from gateway.console.errors import LOGIN_FAILED, LOGIN_PROVIDER
from gateway.doors.http.desk_transport import is_safe
from gateway.settings import Settings

CALLBACK: Final = "/console/oidc/callback"
FLOW_SECONDS: Final = 600.0
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
_SECONDS: Final = 5.0
_LONGEST: Final = 1 << 20  # bytes of an answer
_FRESH: Final = 3600.0  # of metadata and keys
_AGAIN: Final = 60.0  # keys are not fetched more often for unknown ids
_PAUSE: Final = 5.0  # after it did not answer
_AT_ONCE: Final = 8  # calls, so that strangers cannot make us flood it
_LEEWAY: Final = 60
_USED: Final = 10_000
_BOUND: Final = "openid flow"  # no account has a blank in its id


@dataclass(slots=True)
class Provider:
    """The provider of an instance, as far as it is known."""

    settings: Settings
    _metadata: dict[str, Any] = field(default_factory=dict)
    _keys: list[dict[str, Any]] = field(default_factory=list)
    _read_at: float = float("-inf")
    _failed_at: float = float("-inf")
    _keys_at: float = float("-inf")
    _used: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    @property
    def redirect(self) -> str:
        return f"{self.settings.desk}{CALLBACK}"

    async def start(self, sealer: secrets.Sealer, next: str, now: float, former: str = "") -> tuple[str, str]:
        """The provider's address for this browser, and the value of its cookie. `former`: the session that it has now.
        Raises `login.provider`."""
        metadata = await self._described(now)
        state, nonce, verifier = secrets.new_token(), secrets.new_token(), secrets.new_token()
        query = {
            "response_type": "code",
            "client_id": self.settings.oidc_client,
            "redirect_uri": self.redirect,
            "scope": self.settings.oidc_scope,
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        endpoint = str(metadata["authorization_endpoint"])
        begun = {"state": state, "nonce": nonce, "verifier": verifier, "next": next, "at": now, "former": former}
        flow = json.dumps(begun, ensure_ascii=False)
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}", sealer.seal(_BOUND, flow).hex()

    async def finish(
        self, sealer: secrets.Sealer, cookie: str, query: Mapping[str, str], now: float
    ) -> tuple[str, str, str]:
        """The account that the provider names, where the browser wanted to go, and the session that it had. Raises
        `login.failed`, `login.provider`.
        """
        flow = self._flow(sealer, cookie, query.get("state", ""), now)
        metadata = await self._described(now)
        issuer = query.get("iss")
        if issuer != metadata["issuer"] if issuer is not None else metadata.get(_ISS_PARAMETER) is True:
            raise LOGIN_FAILED()  # another provider's answer, or one that does not say whose it is
        if "error" in query or not query.get("code"):
            raise LOGIN_FAILED()
        token = await self._exchanged(metadata, query["code"], str(flow["verifier"]))
        claims = await self._checked(metadata, token, str(flow["nonce"]), now)
        account = claims.get(self.settings.oidc_claim)
        if not isinstance(account, str):
            raise LOGIN_FAILED()
        return account, str(flow["next"]), str(flow.get("former", ""))

    def _flow(self, sealer: secrets.Sealer, cookie: str, state: str, now: float) -> Mapping[str, Any]:
        """What this browser began; it is used up."""
        try:
            opened = sealer.open(_BOUND, bytes.fromhex(cookie))
        except ValueError:
            opened = None
        flow: dict[str, Any] = {} if opened is None else json.loads(opened)
        if not flow or not hmac.compare_digest(flow["state"].encode(), state.encode()):
            raise LOGIN_FAILED()
        mark = secrets.digest(state)
        if not 0 <= now - flow["at"] <= FLOW_SECONDS or mark in self._used:
            raise LOGIN_FAILED()
        self._used[mark] = None
        while len(self._used) > _USED:
            self._used.popitem(last=False)
        return flow

    async def _exchanged(self, metadata: Mapping[str, Any], code: str, verifier: str) -> str:
        """The ID token for a code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect,
            "code_verifier": verifier,
        }
        settings, headers = self.settings, dict[str, str]()
        if settings.oidc_secret_file:
            secret = (await asyncio.to_thread(Path(settings.oidc_secret_file).read_text, "utf-8")).strip()
            # RFC 6749, 2.3.1: both parts are encoded as in a form
            pair = f"{quote_plus(settings.oidc_client)}:{quote_plus(secret)}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form["client_id"] = settings.oidc_client
        status, answer = await self._asked("POST", str(metadata["token_endpoint"]), data=form, headers=headers)
        if status != 200:
            raise LOGIN_FAILED()
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise LOGIN_PROVIDER(reason="id_token")
        return token

    async def _checked(self, metadata: Mapping[str, Any], token: str, nonce: str, now: float) -> Mapping[str, Any]:
        """The claims of an ID token that fits (OpenID Connect Core, 3.1.3.7)."""
        try:
            key_id = jws.extract_compact(token.encode()).headers().get("kid")
            decoded = jwt.decode(token, KeySet.import_key_set(await self._fitting(metadata, key_id, now)), ALGORITHMS)
            options: Any = {
                "iss": {"essential": True, "value": metadata["issuer"]},
                "aud": {"essential": True, "value": self.settings.oidc_client},
                "exp": {"essential": True},
                "nonce": {"essential": True, "value": nonce},
            }
            params = {"nonce": nonce, "client_id": self.settings.oidc_client}
            claims = CodeIDToken(decoded.claims, decoded.header, options, params)
            claims.validate(now=int(now), leeway=_LEEWAY)
            checked: Mapping[str, Any] = claims
        except (JoseError, ValueError, TypeError, KeyError):
            raise LOGIN_FAILED() from None
        return checked

    async def _described(self, now: float) -> Mapping[str, Any]:
        """The provider's metadata (OpenID Connect Discovery 1.0)."""
        if now - self._read_at > _FRESH or now < self._read_at:
            issuer = self.settings.oidc_issuer
            if 0 <= now - self._failed_at < _PAUSE:
                raise LOGIN_PROVIDER(reason="openid-configuration")
            try:
                status, found = await self._asked("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
                places = [found.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
                if status != 200 or found.get("issuer") != issuer or not all(map(is_safe, places)):
                    raise LOGIN_PROVIDER(reason="openid-configuration")
            except Failure:
                self._failed_at = now
                raise
            self._metadata, self._read_at = found, now
        return self._metadata

    async def _fitting(self, metadata: Mapping[str, Any], key_id: Any, now: float) -> Any:
        """The provider's keys with this id; read again if they are old, or if a new one signed."""
        known = any(each.get("kid") == key_id for each in self._keys)
        age = now - self._keys_at
        if not 0 <= age <= _FRESH or (not known and age > _AGAIN):
            status, found = await self._asked("GET", str(metadata["jwks_uri"]))
            if status != 200 or not isinstance(keys := found.get("keys"), list):
                raise LOGIN_PROVIDER(reason="jwks_uri")
            self._keys, self._keys_at = [each for each in keys if isinstance(each, dict)], now
        return {"keys": [each for each in self._keys if each.get("kid") == key_id and each.get("use", "sig") == "sig"]}

    async def _asked(
        self, method: str, address: str, data: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of an answer. Raises `login.provider`."""
        if not is_safe(address):
            raise LOGIN_PROVIDER(reason="https")
        anchors = self.settings.oidc_anchors
        try:
            context = ssl.create_default_context(cafile=anchors or None)
            async with (
                self._places,
                aiohttp.ClientSession(
                    timeout=aiohttp.ClientTimeout(total=_SECONDS), connector=aiohttp.TCPConnector(ssl=context)
                ) as session,
                session.request(
                    method,
                    address,
                    data=data,
                    headers={"accept": "application/json", **(headers or {})},
                    allow_redirects=False,
                ) as answer,
            ):
                body = bytearray()
                async for piece in answer.content.iter_chunked(65_536):
                    body += piece
                    if len(body) > _LONGEST:
                        raise LOGIN_PROVIDER(reason="size")
                found = json.loads(body)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as trouble:
            raise LOGIN_PROVIDER(reason=type(trouble).__name__) from None
        if not isinstance(found, dict):
            raise LOGIN_PROVIDER(reason="JSON")
        return answer.status, found


_ISS_PARAMETER: Final = "authorization_response_iss_parameter_supported"
