"""A small OpenID provider of our own on the loopback, which does as it is told: what a good one does, or not."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "lgsp console", "s3cret / of the client"


@dataclass
class OpenId:
    """`claims` and `header` change what the next ID token says; `metadata` changes the description."""

    issuer: str = ""
    key: Any = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k-1", "use": "sig"}))
    published: Any = None  # keys; None: that of `key`
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    user: str = "lan"
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    token: str | None = None  # instead of a signed one
    silent: bool = False

    def authorize(self, address: str) -> dict[str, str]:
        """What a browser brings back after its user signed in there."""
        query = dict(parse_qsl(urlsplit(address).query))
        assert query["response_type"] == "code" and query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        return {"code": code, "state": query["state"], "iss": self.issuer}

    async def sign_in(self, request: web.Request) -> web.Response:
        """Its page for a browser: `user` is signed in there already, and is sent back."""
        self.asked.append("authorize")
        back = self.authorize(str(request.url))
        raise web.HTTPFound(f"{request.query['redirect_uri']}?{urlencode(back)}")

    async def describe(self, request: web.Request) -> web.Response:
        self.asked.append("metadata")
        if self.silent:
            raise web.HTTPFound(f"{self.issuer}/elsewhere")
        return web.json_response(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "authorization_response_iss_parameter_supported": True,
                **self.metadata,
            }
        )

    async def keys(self, request: web.Request) -> web.Response:
        self.asked.append("keys")
        keys = [self.key.as_dict(private=False)] if self.published is None else self.published
        return web.json_response({"keys": keys})

    async def exchange(self, request: web.Request) -> web.Response:
        self.asked.append("token")
        form = await request.post()
        basic = base64.b64encode(b"lgsp+console:s3cret+%2F+of+the+client").decode()
        query = self.codes.pop(str(form["code"]), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(str(form["code_verifier"]).encode()).digest()).rstrip(b"=")
        if (
            query is None
            or request.headers.get("authorization") != f"Basic {basic}"
            or query["code_challenge"] != challenge.decode()
            or query["redirect_uri"] != form["redirect_uri"]
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response(
            {"access_token": "a", "token_type": "Bearer", "id_token": self.token or self.signed(query["nonce"])}
        )

    def signed(self, nonce: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": "0001",
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": nonce,
            "preferred_username": self.user,
            **self.claims,
        }
        header = {"alg": "RS256", "kid": "k-1", **self.header}
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(header, claims, self.key, algorithms=[header["alg"]])


@asynccontextmanager
async def running() -> AsyncIterator[OpenId]:
    provider, app = OpenId(), web.Application()
    app.router.add_get("/.well-known/openid-configuration", provider.describe)
    app.router.add_get("/authorize", provider.sign_in)
    app.router.add_get("/keys", provider.keys)
    app.router.add_post("/token", provider.exchange)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    provider.issuer = f"http://127.0.0.1:{port}"
    try:
        yield provider
    finally:
        await runner.cleanup()
