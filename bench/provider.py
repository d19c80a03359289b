"""The bench's provider: one process, the same answer for both stacks, plain SOAP or signed with WS-Security.

A raw asyncio protocol on uvloop with answers from a template, so that it is never the bottleneck. It reads number and
message id from the request's bytes and checks nothing else; the load generator checks the numbers. Runs as its own
process: `python -m bench.provider --port … --folder … [--signed-port … --identity …]`.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

import uvloop

from bench.message import NAMESPACE, answer_xml
from gateway.sample_client.identity import Identity
from security.keys import SigningKey
from security.wssec.sign import EnvelopeHeaders, sign_envelope

Answer = Callable[[bytes], bytes]
_MARK: Final = re.compile(rb"bench-\d{8}")
_MESSAGE_ID: Final = re.compile(rb"MessageID[^>]*>([^<]+)<")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PLAIN_OPEN: Final = '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
_PLAIN_CLOSE: Final = "</soap:Body></soap:Envelope>"


def _marked(body: bytes) -> str:
    match = _MARK.search(body)
    if match is None:
        raise ValueError(f"a request without its number: {body[:300]!r}")
    return match.group().decode("ascii")


def plain_answer(body: bytes) -> bytes:
    return f"{_PLAIN_OPEN}{answer_xml(_marked(body))}{_PLAIN_CLOSE}".encode()


def signed_answers(folder: Path) -> Answer:
    """Answers signed with the key of the identity in `folder`, each bound to its request's message id."""
    about = Identity.load(folder)
    key = SigningKey.from_pem(
        about.signer.key_id, (folder / "sign.key").read_bytes(), (folder / "sign.crt").read_bytes(), system=about.system
    )
    action = f"{NAMESPACE}:TiepNhanPhanAnhResponse"

    def answer(body: bytes) -> bytes:
        asked = _MESSAGE_ID.search(body)
        if asked is None:
            raise ValueError("a request without wsa:MessageID")
        marked = _marked(body)
        relates = asked.group(1).decode("ascii")
        return sign_envelope(
            answer_xml(marked).encode(),
            key,
            time.time(),
            EnvelopeHeaders(action=action, message_id=f"urn:uuid:{marked}", relates_to=relates),
        )

    return answer


class Serving(asyncio.Protocol):
    """HTTP/1.1 with persistent connections, the part that SOAP clients use."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's class does not inherit from it

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._buffer, 0, end + 2)
            size = int(length.group(1)) if length else 0
            if len(self._buffer) < end + 4 + size:
                return
            body, self._buffer = self._buffer[end + 4 : end + 4 + size], self._buffer[end + 4 + size :]
            assert self._transport is not None
            try:
                content, status = self._answer(body), b"200 OK"
            except ValueError as wrong:
                content, status = str(wrong).encode(), b"400 Bad Request"
            self._transport.write(
                b"HTTP/1.1 %b\r\ncontent-type: text/xml; charset=utf-8\r\ncontent-length: %d\r\n\r\n%b"
                % (status, len(content), content)
            )


async def serve(listeners: list[tuple[int, ssl.SSLContext, Answer]]) -> None:
    loop = asyncio.get_running_loop()

    def served(answer: Answer) -> Callable[[], Serving]:
        return lambda: Serving(answer)

    servers = [
        await loop.create_server(served(answer), "127.0.0.1", port, ssl=context) for port, context, answer in listeners
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("bench.provider", description=__doc__)
    parser.add_argument("--port", type=int)
    parser.add_argument("--folder", type=Path, help="holds server.pem and server.key of the plain side")
    parser.add_argument("--signed-port", type=int)
    parser.add_argument("--identity", type=Path, help="the provider's identity folder, for the signed side")
    options = parser.parse_args(arguments)
    listeners: list[tuple[int, ssl.SSLContext, Answer]] = []
    if options.port:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.folder / "server.pem", options.folder / "server.key")
        listeners.append((options.port, context, plain_answer))
    if options.signed_port:
        listeners.append(
            (options.signed_port, Identity.load(options.identity).server_context(), signed_answers(options.identity))
        )
    uvloop.run(serve(listeners))


if __name__ == "__main__":
    main(sys.argv[1:])
