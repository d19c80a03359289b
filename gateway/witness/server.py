"""The witness's HTTP interface: `POST /add-checkpoint` (C2SP tlog-witness), with limits of size and time, on plain HTTP or TLS.

Anybody may ask: a checkpoint is judged by its log's signature. Invariant: nothing is read beyond the limit, and an answer tells nothing of other logs.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from aiohttp import web

from gateway.witness.judge import TEXT, Judge, Said
from gateway.witness.state import BadFolder
from security.transparency.cosignature import MAX_REQUEST

BODY_SECONDS: Final = 10.0
HEAD_SECONDS: Final = 20.0
AT_ONCE: Final = 64
PATH: Final = "/add-checkpoint"
log: Final = logging.getLogger("lgsp.witness")
_quoting: Final = logging.getLogger("lgsp.witness.http")  # what the server says of a request that is no HTTP quotes it
_quoting.addHandler(logging.NullHandler())
_quoting.propagate = False


class Server:
    """One witness on one address."""

    def __init__(self, judge: Judge) -> None:
        self._judge: Final = judge
        self._active = 0
        self._threads: Final = ThreadPoolExecutor(4, "witness")
        self._web: web.Server | None = None
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen; the port, which the system chose for 0."""
        self._web = web.Server(
            self._serve,
            access_log=None,
            logger=_quoting,
            auto_decompress=False,
            keepalive_timeout=HEAD_SECONDS,
            lingering_time=1.0,
        )
        self._server = await asyncio.get_running_loop().create_server(self._web, host, port, ssl=tls, backlog=128)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._web is not None:
            self._web.pre_shutdown()
            await self._web.shutdown(2.0)
        self._threads.shutdown()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self._active += 1
        try:
            said = await self._said(request)
        except BadFolder as trouble:
            log.critical("%s", trouble)
            said = Said(500, TEXT, "this witness is in trouble\n", "")
        except ConnectionError:
            raise
        except Exception:
            log.exception("unforeseen fault")
            said = Said(500, TEXT, "this witness is in trouble\n", "")
        finally:
            self._active -= 1
        if said.told:
            log.log(logging.INFO if said.status == 200 else logging.WARNING, "%d %s", said.status, said.told)
        answer = web.Response(
            status=said.status, headers={"server": "lgsp-witness", "content-type": said.kind}, body=said.body.encode()
        )
        if said.status == 405:
            answer.headers["allow"] = "POST"
        if not request.content.is_eof():
            answer.force_close()
        return answer

    async def _said(self, request: web.BaseRequest) -> Said:
        if request.rel_url.raw_path != PATH:
            return Said(404, TEXT, "there is nothing here\n", "")
        if request.method != "POST":
            return Said(405, TEXT, "checkpoints are posted\n", "")
        if self._active > AT_ONCE:
            return Said(503, TEXT, "too much is asked at once\n", "too many requests at once")
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _body(request)
        except TimeoutError:
            return Said(408, TEXT, "the request did not arrive in time\n", "a slow request")
        if body is None:
            return Said(413, TEXT, f"a request has at most {MAX_REQUEST} bytes\n", "a request that is too large")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._judge.add_checkpoint, body)


async def _body(request: web.BaseRequest) -> bytes | None:
    declared = request.content_length
    if declared is not None and declared > MAX_REQUEST:
        return None
    body = bytearray()
    async for part in request.content.iter_any():
        body += part
        if len(body) > MAX_REQUEST:
            return None
    return bytes(body)


async def run(judge: Judge, host: str, port: int, tls: ssl.SSLContext | None, on_ready: Callable[[int], None]) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = Server(judge)
    try:
        on_ready(await server.open(host, port, tls))
        await stopping.wait()
    finally:
        await server.close()
