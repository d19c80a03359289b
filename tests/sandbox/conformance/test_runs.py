"""Runs of called systems are carried out beside the simulated systems, and end also where nobody answers."""

from __future__ import annotations

import json
import time

from gateway.journal import jobs
from gateway.journal.database import writing
from gateway.sandbox.conformance import runs
from gateway.sandbox.conformance.service import Service
from tests.sandbox.simulation.conftest import Simulated

NAME = "field-report/v1"


def wait(carrying: Service, id: str, states: tuple[str, ...]) -> jobs.Job:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        carrying.tick()
        with carrying.engine.connect() as connection:
            job = jobs.find(connection, id)
        if job is not None and job.state in states:
            return job
        time.sleep(0.1)
    raise AssertionError(f"{id} never came to {states}")


def test_a_provider_that_is_not_there_ends_a_run_cleanly(simulated: Simulated) -> None:
    settings = simulated.settings
    carrying = Service(settings, simulated.engine, simulated.contracts)
    carrying.tick()
    facts = {"role": "provider", "contract": NAME, "system": "truong-ha", "agency": "H14.31", "protocol": "rest"}
    facts |= {"format": "canonical", "software": "Mềm", "version": "1", **runs.BEGUN}
    with writing(simulated.engine) as connection:
        first, second = (
            jobs.add(connection, runs.KIND, "truong-ha", ("H14.0/lan", ""), time.time(), operations=["createRequest"],
                     **facts) for _ in range(2)
        )  # fmt: skip
        jobs.change(connection, second, time.time(), jobs.STOPPED)
    ended = wait(carrying, first.id, (jobs.DONE,))
    assert ended.facts["passed"] is False and ended.facts["counts"]["passed"] == 0
    report = json.loads(runs.files_of(settings, first.id).report.read_text("utf-8"))
    assert report["counts"]["failed"] == 0 and report["counts"]["not-judged"] == len(report["results"]) > 20
    assert not runs.files_of(settings, second.id).report.exists(), "it was stopped before it began"
    with writing(simulated.engine) as connection:
        left = jobs.add(connection, runs.KIND, "truong-ha", ("H14.0/lan", ""), time.time(),
                        operations=["createRequest"], **facts)  # fmt: skip
    again = Service(settings, simulated.engine, simulated.contracts)
    assert wait(again, left.id, (jobs.STOPPED,)).id == left.id, "another process began it, which is gone"
