"""Whoever sends slowly is judged by what holds when the message is there, not when it began."""

from __future__ import annotations

import json
import time

import pytest

from examples.story.world import World
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.attacks import raw
from tests.faults.load import ALERT
from tests.following import everywhere

pytestmark = pytest.mark.server


def test_a_slow_body_does_not_outlive_a_suspension(world: World, instance: Settings) -> None:
    """Else stolen keys would serve for as long as a body may take, on each connection that was begun before they were
    withdrawn."""
    client = world.rest("bao-chay")
    sent = [raw.of(client.prepare("POST", ALERT, messages.fire_alarm())) for _ in range(2)]
    data = ("--data", str(world.data))
    held = []
    for each in sent:
        sock = raw.connect(client.identity)
        sock.sendall(each[:-20])
        held.append(sock)
    time.sleep(0.3)  # the door has looked at the heads
    system = client.identity.system
    try:
        world.lgsp(
            "registry", "suspend", "system", system, "--reason-vi", "Khóa bị lộ", "--reason-en", "Stolen keys", *data
        )
        everywhere(instance)
        for sock, each in zip(held, sent, strict=True):
            sock.sendall(each[-20:])
            told, _ = raw.read_one(sock)
            assert told is not None and (told.status, json.loads(told.body)["code"]) == (403, "channel.suspended")
            sock.close()
    finally:
        world.lgsp("registry", "resume", "system", system, *data)
    everywhere(instance)
    assert client.call("POST", ALERT, messages.fire_alarm()).problem is None
