"""A live instance tells a collector of a call, of the call to its provider, and of a delivery by the keeper."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.demo import demo_settings, running, world_of
from gateway.sandbox.standins import messages
from tests.faults.load import until
from tests.signals.collecting import Collector, Told, collector

pytestmark = pytest.mark.server
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SENT = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
QUESTION = messages.indicator_question("KT-05", "04", "2026-Q3")


@pytest.mark.full
def test_a_call_and_a_delivery_are_told_as_trees(tmp_path: Path) -> None:
    with collector() as told:
        with running(replace(demo_settings(tmp_path / "data"), otlp_url=told.url)) as settings:
            world = world_of(settings)
            asked = world.rest("dieu-hanh").call("GET", QUESTION, headers=SENT)
            report = messages.field_report(area="01273")
            queued = world.rest("phan-anh").call(
                "POST", "/field-report/v1/requests", report, headers={"prefer": "respond-async"}
            )
            assert asked.ok and queued.ok
            part = until("the call", lambda: one(told, "SERVER", asked.headers["lgsp-transfer"]))
            call = until("the call to the provider", lambda: one(told, "CLIENT", asked.headers["lgsp-transfer"]))
            taken = until("the queued call", lambda: one(told, "SERVER", queued.headers["lgsp-transfer"]))
            delivery = until("the delivery", lambda: one(told, "CONSUMER", queued.headers["lgsp-transfer"]))
            post = until("the post", lambda: one(told, "CLIENT", queued.headers["lgsp-transfer"]))
    assert (part.trace, part.parent, part.process) == (TRACE, SPAN, "door")
    assert (call.trace, call.parent) == (TRACE, part.span) and 0 < call.nanoseconds < part.nanoseconds
    assert part.facts["lgsp.result"] == "answered" and part.facts["lgsp.system"] == "dieu-hanh"
    assert taken.trace == delivery.trace == post.trace == queued.headers["lgsp-transfer"].replace("-", "")
    assert (post.parent, delivery.process, taken.facts["lgsp.result"]) == (delivery.span, "keeper", "queued")
    words = str(report["description"])[:12].encode()
    assert words not in b"".join(told.bodies), "bodies stay here"


def one(told: Collector, kind: str, transfer: str) -> Told | None:
    return next((each for each in told.spans if each.kind == kind and each.facts["lgsp.transfer"] == transfer), None)
