"""A head without its body, at every door: it is told that it is too slow, in its own protocol, and its connection
ends."""

from __future__ import annotations

import asyncio
import ssl
import time

import pytest

from examples.story.world import World
from gateway.doors.http.body import LATE
from gateway.settings import load
from tests.attacks.conftest import Judge
from tests.attacks.raw import Told, head, port_of
from tests.attacks.test_attack_http import ALERTS, SOAP_INDICATOR

pytestmark = pytest.mark.server

FOR_EVER = 60.0
JSON = ("content-type", "application/json")
DOORS = {
    "REST": head("POST", ALERTS, [JSON, ("content-length", "900")]),
    "SOAP": head("POST", SOAP_INDICATOR, [("content-type", "text/xml"), ("content-length", "900")]),
    "token": head(
        "POST", "/oauth/token", [("content-type", "application/x-www-form-urlencoded"), ("content-length", "900")]
    ),
    "own API": head("GET", "/feeds/incident-alert/v1", [("content-length", "900")]),
    "reconciliation": head("POST", "/audit/reconciliation", [JSON, ("transfer-encoding", "chunked")]),
    "desk": head("GET", "/api/status", [("content-length", "900")]),
}


async def held(world: World, door: str, drip: bytes) -> Told | None:
    """What is told to somebody who sends a head and then a byte a while; None where the connection ends without a
    word."""
    identity = world.identity("bao-chay")
    secure: ssl.SSLContext | None = identity.client_context()
    port = port_of(identity)
    if door == "desk":
        port, secure = load(world.data, {}).desk_port, None
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=secure, server_hostname="localhost" if secure else None
    )
    writer.write(DOORS[door])
    told, began = b"", time.monotonic()
    try:
        while True:
            assert time.monotonic() - began < FOR_EVER, f"{door} waits for ever"
            try:
                part = await asyncio.wait_for(reader.read(65_536), 0.5)
            except TimeoutError:
                writer.write(drip)
                continue
            except ConnectionError:
                break
            if not part:
                break
            told += part
    finally:
        writer.transport.abort()
    if not told:
        return None
    top, _, body = told.partition(b"\r\n\r\n")
    first, *lines = top.decode().split("\r\n")
    return Told(
        int(first.split()[1]), {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}, body
    )


@pytest.mark.full
@pytest.mark.attack("limits")
async def test_a_head_whose_body_does_not_come(narrow: World) -> None:
    """All doors at once, each with no byte at all and with one every half a second."""
    drips = {"REST": b" ", "SOAP": b" ", "token": b" ", "own API": b" ", "reconciliation": b"1\r\n \r\n", "desk": b" "}
    asked = [(door, drip) for door in DOORS for drip in (b"", drips[door])]
    answers = await asyncio.gather(*(held(narrow, door, drip) for door, drip in asked))
    for (door, drip), told in zip(asked, answers, strict=True):
        assert told is not None, (door, drip)
        assert told.headers["connection"] == "close", (door, drip)
        assert told.status == (500 if door == "SOAP" else LATE), (door, drip, told)
        if door != "token":
            assert told.code == "body.too-slow", (door, drip, told)
    judge = Judge(narrow)
    judge.told = {
        told.transfer: ("body.too-slow", told.status)
        for (door, _), told in zip(asked, answers, strict=True)
        if told and door != "desk"
    }
    assert all(found == ["body.too-slow"] for found in judge.log().values())
