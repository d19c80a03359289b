"""Calls a component system over plain TCP: one signed line of JSON there, one back."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from urllib.parse import urlsplit

from adapters.model import AdapterServices, Endpoint, Incoming, Outgoing


class LineAdapter:
    def __init__(self, services: AdapterServices) -> None:
        self._key = services.key

    async def call(self, endpoint: Endpoint, outgoing: Outgoing) -> Incoming:
        address, operation = urlsplit(endpoint.url), outgoing.operation
        content = outgoing.codec.write_json(operation.request, outgoing.message)
        request = b64encode(self._key.sign(content)) + b" " + content + b"\n"
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(request)
        answer = await reader.readline()
        writer.close()
        signature, _, body = answer.rstrip(b"\n").partition(b" ")
        ((key_id, key),) = endpoint.keys_by_id.items()
        key.verify(body, b64decode(signature))
        message = outgoing.codec.read_json(operation.answer, body)
        return Incoming(message, request, answer, key_id, 200, 0.0)


make = LineAdapter
