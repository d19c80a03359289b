"""Delivers a message to a system that a registry document says is reached by the new kind. Runs in the changed tree."""

from __future__ import annotations

import asyncio
import sys
import time
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

from gateway.delivery.forwarder import forwarder_over
from gateway.delivery.worker import Delivery
from gateway.registry.receiving import Receiving
from gateway.registry.snapshot import load_snapshot
from gateway.transfer.stages import OpenTransfer
from tests.registry.making import ENDPOINTS, PROVINCE, House, contracts, filled, new_database, province

CONTRACT, SYSTEM = "field-report/v1", "truong-ha"


def sample(message: str) -> bytes:
    samples = contracts()[CONTRACT].samples
    return next(each.raw for each in samples if each.format == "canonical" and each.message == message)


async def main(folder: Path) -> None:
    now = time.time()
    house = House.make(folder, now)
    gateway, identity = house.identity("gateway", now), house.identity(SYSTEM, now)
    received: list[bytes] = []

    async def provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        signature, _, content = (await reader.readline()).rstrip(b"\n").partition(b" ")
        gateway.sign.verify_key().verify(content, b64decode(signature))
        received.append(content)
        line = b"".join(sample("ServiceRequestReceived").split(b"\n"))
        writer.write(b64encode(identity.sign.sign(line)) + b" " + line + b"\n")
        writer.close()

    server = await asyncio.start_server(provide, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    text = PROVINCE.replace(f'kind: rest, url: "{{{SYSTEM}}}"', f'kind: line, url: "{{{SYSTEM}}}"')
    assert text != PROVINCE
    engine = new_database(folder)
    filled(engine, province(text, {**ENDPOINTS, SYSTEM: f"tcp://127.0.0.1:{port}"}), [identity], now)
    with engine.connect() as connection:
        snapshot = load_snapshot(connection)
    compiled = contracts()[CONTRACT]
    operation = compiled.contract.operations["createRequest"]
    message: Any = compiled.formats["canonical"].read_json(operation.request, sample(operation.request))
    session: Any = None  # this kind speaks no HTTP
    forwarder = forwarder_over(session, gateway.sign, [], time.time)
    async with server:
        incoming = await forwarder.forward(
            Delivery(
                open=OpenTransfer("01935b6e-0000-7000-8000-000000000001", None, SYSTEM),
                snapshot=snapshot,
                provider=snapshot.systems[SYSTEM],
                receiving=Receiving(()),
                contract=compiled,
                operation=operation,
                message=message,
                caller="H14.5/canh-bao",
            ),
            10.0,
        )
    assert len(received) == 1 and received[0] in incoming.evidence_out
    assert incoming.key_id == f"{SYSTEM}.sign-1" and incoming.answer


asyncio.run(main(Path(sys.argv[1])))
