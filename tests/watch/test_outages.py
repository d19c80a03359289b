"""An outage that was announced in time: its system is neither probed nor alarmed about while it lasts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from contracts.base.errors import Failure
from gateway.cases.acting import Acting, By, Reply
from gateway.cases.checks import Wanted
from gateway.cases.outages import out_of_service
from gateway.vault.vault import Vault
from gateway.watch import probes
from tests.cases.making import BUILD, CENTRE, DAY, FINANCE, TEXT, Office, office
from tests.delivery.posting import Post
from tests.watch.test_probes import probing_of

HOUR = 3600.0


@pytest.fixture
def here(database: Engine, tmp_path: Path) -> Office:
    return office(database, tmp_path)


def out(here: Office, at: float) -> frozenset[str]:
    with here.engine.connect() as connection:
        return out_of_service(connection, here.snapshot, at)


def announced(here: Office, sender: str = BUILD, **more: Any) -> Any:
    begins = here.now + 20 * DAY
    wanted = {"reference": "system:do-thi", "begins": begins, "ends": begins + HOUR} | more
    return here.open(sender, "outage", **wanted)


def test_an_announced_outage_counts_for_its_time(here: Office) -> None:
    case, begins = announced(here), here.now + 20 * DAY
    times = (begins - 1, begins, begins + HOUR - 1, begins + HOUR)
    assert [out(here, each) for each in times] == [frozenset(), {"do-thi"}, {"do-thi"}, frozenset()]
    here.act(CENTRE, case, "acknowledge")
    assert out(here, begins) == {"do-thi"}
    here.act(BUILD, case, "close")
    assert out(here, begins) == frozenset()


def test_what_is_no_announced_outage_of_ones_own_system_counts_for_nothing(here: Office) -> None:
    begins = here.now + 20 * DAY
    announced(here, FINANCE)  # of another agency's system
    announced(here, reference=None)
    announced(here, reference="contract:indicator/v1")
    announced(here, ends=None)
    announced(here, begins=here.now, ends=begins + HOUR, urgent=True)
    here.act(BUILD, announced(here), "withdraw")
    with pytest.raises(Failure):
        announced(here, begins=here.now, ends=begins + HOUR)
    assert out(here, here.now) == out(here, begins) == frozenset()


async def test_a_system_is_not_probed_while_its_outage_lasts(post: Post, tmp_path: Path) -> None:
    now, probing = post.clock[0], probing_of(post, hold=0.0)
    registry = post.registry
    agency = registry.snapshot.systems["truong-ha"].agency
    acting = Acting(engine=post.engine, vault=Vault(tmp_path), snapshot=registry.snapshot, clock=lambda: post.clock[0])
    wanted = Wanted(
        kind="outage", content=TEXT, reference="system:truong-ha", begins=now + 20 * DAY, ends=now + 21 * DAY
    )
    case = acting.open(By(agency, f"{agency}/an: test"), wanted)
    await post.provider.stop()

    async def probed(at: float) -> int:
        post.clock[0] = at
        await probing.run_once(post.lease)
        with post.engine.connect() as connection:
            return sum(each.probes for each in probes.counted(connection, "", "9") if each.system == "truong-ha")

    assert await probed(now + 20 * DAY + 1) == 0
    assert await probed(now + 21 * DAY) == 1
    acting.act(By(agency, f"{agency}/an: test"), case.id, "close", Reply())
