"""Real TLS servers that play a component system, with scripted behaviour, for the tests of adapters and delivery."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from adapters.http import client_context
from adapters.opening import Peers, open_session
from contracts.wire import soap
from security.http_signatures import HttpRequest, sign_response, verify_request
from security.keys import SigningKey
from security.wssec.sign import EnvelopeHeaders
from security.wssec.verify import sign_envelope, verify_envelope
from tests.registry.making import House, Identity

Script = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]
JSON = "application/json"


@dataclass
class Seen:
    """What a server received, as it came."""

    method: str
    path_qs: str
    raw_headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def header(self, name: str) -> str:
        return next(value.decode() for each, value in self.raw_headers if each.decode().lower() == name)


@dataclass
class Provider:
    """One server; `script` answers. `signer` signs its answers, normally its own key."""

    identity: Identity
    gateway: SigningKey
    signer: SigningKey
    script: Script | None = None
    seen: list[Seen] = field(default_factory=list)
    url: str = ""
    port: int = 0
    runner: web.AppRunner | None = None

    async def start(self, house: House, port: int = 0) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.identity.tls_files)
        context.load_verify_locations(house.anchors)
        context.verify_mode = ssl.CERT_REQUIRED
        app = web.Application(client_max_size=10_000_000)
        app.router.add_route("*", "/{rest:.*}", self._handle)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", port, ssl_context=context)
        await site.start()
        self.port = self.runner.addresses[0][1]
        self.url = f"https://localhost:{self.port}/base"

    async def stop(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(Seen(request.method, request.path_qs, request.raw_headers, body))
        assert self.script is not None
        return await self.script(request, body)

    # --- REST ---------------------------------------------------------------------------------------------------------

    def verified(self, request: web.Request, body: bytes) -> None:
        """The gateway's request is signed, and covers transfer and caller."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        uri = self.url.removesuffix("/base") + request.raw_path
        check = HttpRequest(request.method, uri, headers, body)
        verify_request(
            check,
            {self.gateway.key_id: self.gateway.verify_key()}.get,
            time.time(),
            need=("lgsp-transfer", "lgsp-caller"),
        )

    def json(
        self, request: web.Request, value: Any, status: int = 200, headers: dict[str, str] | None = None
    ) -> web.Response:
        return self.signed(
            request, json.dumps(value, ensure_ascii=False).encode(), status, {"content-type": JSON, **(headers or {})}
        )

    def signed(self, request: web.Request, body: bytes, status: int, headers: dict[str, str]) -> web.Response:
        asked = {name.lower(): value for name, value in request.headers.items()}
        headers = headers | sign_response(status, headers, body, asked, self.signer, time.time())
        return web.Response(body=body, status=status, headers=headers)

    # --- SOAP ---------------------------------------------------------------------------------------------------------

    def envelope(
        self, body: bytes, content: bytes, *, status: int = 200, relates_to: str | None = None
    ) -> web.Response:
        """A signed answer to the envelope in `body`."""
        asked = verify_envelope(
            soap.parse_xml(body), {self.gateway.thumbprint: self.gateway.verify_key()}.get, time.time()
        )
        addressed = EnvelopeHeaders(f"{asked.action}Response", "urn:uuid:answer", None, relates_to or asked.message_id)
        raw = sign_envelope(content, self.signer, time.time(), addressed, version=asked.version)
        return web.Response(body=raw, status=status, content_type=asked.version.media_type)


def session_of(house: House, gateway: Identity) -> aiohttp.ClientSession:
    return open_session(Peers(tls_of(house, gateway)))


def tls_of(house: House, gateway: Identity) -> ssl.SSLContext:
    return client_context(house.anchors, *gateway.tls_files)


async def never(request: web.Request, body: bytes) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


async def drop(request: web.Request, body: bytes) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
