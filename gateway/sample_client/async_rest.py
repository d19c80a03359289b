"""The REST caller for many concurrent calls, over aiohttp."""

from __future__ import annotations

import ssl
from typing import Any

import aiohttp
from yarl import URL

from gateway.sample_client.errors import NoAnswer
from gateway.sample_client.feeds import refuse_parts
from gateway.sample_client.rest import Answer, Body, Prepared, RestClient
from gateway.sample_client.transport import MOST_BYTES, RawAnswer


class AsyncRestClient:
    """Prepares and verifies as its `RestClient` does; aiohttp sends."""

    def __init__(self, client: RestClient, *, connections: int = 32, timeout: float = 30.0) -> None:
        self.client = client
        self._context: ssl.SSLContext = client.identity.client_context()
        self._connections, self._timeout = connections, timeout
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> AsyncRestClient:
        connector = aiohttp.TCPConnector(limit=self._connections, ssl=self._context)
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        # no compression, redirects or retries: exactly the signed request is sent, once
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )
        self._session._retry_connection = False
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
                prepared.method,
                URL(prepared.target, encoded=True),
                data=prepared.body or None,
                headers=dict(prepared.headers),
                allow_redirects=False,
                skip_auto_headers=("User-Agent", "Accept-Encoding", "Content-Type"),
            ) as answer:
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
        refuse_parts(method, path)
        token = how.pop("token", None)
        token = await self.token() if token is None else token
        return await self.send(self.client.prepare(method, path, body, message_id=message_id, token=token, **how))
