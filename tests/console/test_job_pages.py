"""Each page that shows a job: before the job's first step, after a crash between two, and when its job is gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from sqlalchemy import delete, update

from gateway.audit.search.index import REINDEX
from gateway.audit.witnessing.admission import STAMPS
from gateway.console.roles import Role
from gateway.delivery import bulk
from gateway.journal import jobs, log_checks
from gateway.journal.database import writing
from gateway.journal.schema.console_tables import console_job
from gateway.keeper.tasks import certificate_status, connection_tests
from gateway.registry.changes import enrolment_orders
from gateway.reports import orders
from tests.console.people import Desk
from tests.console.test_queue import office as office
from tests.delivery.posting import post as post

SYSTEM = "truong-ha"


class Shown(NamedTuple):
    """Where a job stands: pages that list it, and pages of its own. `facts`: what its order states at first."""

    kind: str
    subject: str
    lists: tuple[str, ...]
    own: tuple[str, ...] = ()
    facts: Mapping[str, Any] = {}


SHOWN = [
    Shown(orders.KIND, "2026-09-01 2026-09-30 ", ("reports",),
          facts={"first": "2026-09-01", "last": "2026-09-30", "agency": "", "anew": False, "step": 0}),
    Shown(bulk.KIND, "{}", ("queue",), ("queue/bulk/{job}",),
          {"phase": "canary", "canary": None, "unsent": False, "left": 0}),
    Shown(log_checks.KIND, "localhost/lgsp-test", ("log",)),
    Shown(STAMPS, "localhost/lgsp-test", ("log",)),
    Shown(REINDEX, "localhost/lgsp-test", ("log",)),
    Shown(certificate_status.ASKED, "", ("keys",)),
    Shown(connection_tests.KIND, SYSTEM, (f"systems/{SYSTEM}",), facts={"steps": []}),
    Shown(enrolment_orders.KIND, SYSTEM, (f"systems/{SYSTEM}",), (f"systems/{SYSTEM}/enrolments/{{job}}",)),
]  # fmt: skip


@pytest.mark.parametrize("shown", SHOWN, ids=lambda each: each.kind)
async def test_a_job_is_shown_whatever_it_has_stated(office: Desk, shown: Shown) -> None:
    minh = await office.signed_in("minh", Role.OPERATOR, Role.OFFICER)
    engine = office.world.engine
    with writing(engine) as connection:
        job = jobs.add(
            connection, shown.kind, shown.subject, ("minh: console", "Kiểm tra"), office.now(), **shown.facts
        )
    own = [f"/console/{each.format(job=job.id)}" for each in shown.own]
    listing = [f"/console/{each}" for each in shown.lists]
    for state in (jobs.RUNNING, jobs.STOPPED, jobs.DONE):
        with writing(engine) as connection:
            connection.execute(update(console_job).values(state=state, changed=office.now() - 86_400.0))
        for target in (*listing, *own):
            answer = await minh.get(target)
            assert answer.status == 200, f"{state} {target}: {answer.body.decode()[-400:]}"
    with writing(engine) as connection:
        connection.execute(delete(console_job))
    assert [(await minh.get(each)).status for each in listing] == [200] * len(listing)
    for target in own:
        assert (await minh.get(target)).status == 404 == (await minh.get(f"{target}/events")).status


def test_what_no_step_has_stated_is_none(office: Desk) -> None:
    with writing(office.world.engine) as connection:
        job = jobs.add(connection, orders.KIND, "", ("minh", ""), office.now(), step=0)
        for each in (job, jobs.find(connection, job.id)):
            assert each is not None and each.facts["step"] == 0
            assert each.facts["of"] is None and each.facts.get("of") is None and "of" not in each.facts
