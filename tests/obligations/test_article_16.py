"""Article 16: the gateway is stable, and its owner helps those who connect."""

from __future__ import annotations

import os
import signal

import pytest

from examples.story.world import World
from gateway.settings import Settings
from tests.faults.load import Load, all_in_feed, child
from tests.obligations.calls import published

pytestmark = pytest.mark.server


@pytest.mark.obligation("16.1")
def test_nothing_is_lost_and_nothing_doubled_when_a_process_is_killed(world: World, instance: Settings) -> None:
    """Article 16.1: the keeper is killed under load; every alert that was acknowledged stands in the feed once."""
    supervisor = int((instance.data / "run" / "supervisor.pid").read_text())
    with Load(instance, connections=2) as load:
        load.wait(10)
        os.kill(child(supervisor, "keeper"), signal.SIGKILL)
        load.wait(10)
    counts = all_in_feed(world, load.acknowledged)
    assert {counts[each] for each in load.acknowledged} == {1}


@pytest.mark.obligation("16.2")
def test_a_refusal_says_what_to_do_and_whom_to_ask(world: World) -> None:
    """Article 16.2: who lacks a grant is told, in both languages, what to ask for and at which office."""
    answer = world.rest("thuc-phan").call("GET", "/indicator/v1/values?indicator=KT-05&area=04&period=2026-Q3")
    words = world.refusal("helped", "access.no-grant", answer, status=403)
    assert "H14." in words and "0206" in words
    assert {"openapi", "samples"} <= published(world, "/contracts/indicator/v1").keys()
