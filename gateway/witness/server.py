"""Serves the witness's HTTP interface: `POST /add-checkpoint` (C2SP tlog-witness), on plain HTTP or TLS, within limits.

Anybody may ask: a checkpoint is judged by its log's signature.
Invariant: nothing is read beyond the limit, and an answer says nothing of other logs.
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

from gateway.witness.judge import TEXT, Answer, Judge
from gateway.witness.state import BadFolder
from security.transparency.cosignature import MAX_REQUEST

BODY_SECONDS: Final = 10.0
HEAD_SECONDS: Final = 20.0
AT_ONCE: Final = 64
PATH: Final = "/add-checkpoint"
log: Final = logging.getLogger("lgsp.witness")
_quoting: Final = logging.getLogger("lgsp.witness.http")  # the server quotes requests that are no HTTP
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
        """Listens; returns the port, which the system chooses for 0."""
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
            answer = await self._answer(request)
        except BadFolder as trouble:
            log.critical("%s", trouble)
            answer = Answer(500, TEXT, "this witness is in trouble\n", "")
        except ConnectionError:
            raise
        except Exception:
            log.exception("unforeseen fault")
            answer = Answer(500, TEXT, "this witness is in trouble\n", "")
        finally:
            self._active -= 1
        if answer.log_line:
            level = logging.INFO if answer.status == 200 else logging.WARNING
            log.log(level, "%d %s", answer.status, answer.log_line)
        headers = {"server": "lgsp-witness", "content-type": answer.kind}
        response = web.Response(status=answer.status, headers=headers, body=answer.body.encode())
        if answer.status == 405:
            response.headers["allow"] = "POST"
        if not request.content.is_eof():
            response.force_close()
        return response

    async def _answer(self, request: web.BaseRequest) -> Answer:
        if request.rel_url.raw_path != PATH:
            return Answer(404, TEXT, "there is nothing here\n", "")
        if request.method != "POST":
            return Answer(405, TEXT, "checkpoints are posted\n", "")
        if self._active > AT_ONCE:
            return Answer(503, TEXT, "too much is asked at once\n", "too many requests at once")
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _body(request)
        except TimeoutError:
            return Answer(408, TEXT, "the request did not arrive in time\n", "a slow request")
        if body is None:
            return Answer(413, TEXT, f"a request has at most {MAX_REQUEST} bytes\n", "a request that is too large")
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
    """Serves until SIGTERM or SIGINT."""
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
