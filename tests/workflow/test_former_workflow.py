"""A handling runs on under the workflow that it was opened under, whatever the live one has gained or lost."""

from __future__ import annotations

import pytest

from contracts.base.errors import Failure
from gateway.journal.database import writing
from gateway.registry.changes.publish import Accepted, roll_back
from gateway.workflow.records import Actor
from tests.attacks.test_attack_handlings import row_sent
from tests.registry.editions import Edit, edition, swap
from tests.registry.making import NOW
from tests.registry.workflows import OTHER, OWNER, put, sign
from tests.workflow.desks import ALERTS, CENTRE, Town

POLICE = Actor("H14.6/truc: console, totp 1f2e", "H14.6")
FLOW = "workflow.yaml"
STATE = "  on-site:\n    title: {vi: Đã đến nơi, en: On site}\n    shown: open\n"
STEP = "  arrive:\n    title: {vi: Đến nơi, en: Arrive}\n    from: [accepted]\n    to: on-site\n    by: [agency]\n"
MORE: tuple[Edit, ...] = (  # a state with its step; the centre may finish too, also from there
    swap(FLOW, "  refused:\n", f"{STATE}  refused:\n"),
    swap(FLOW, "  finish:\n", f"{STEP}  finish:\n"),
    swap(FLOW, "from: [accepted, responding]\n    to: done\n    by: [agency]",
         "from: [accepted, responding, on-site]\n    to: done\n    by: [agency, centre]"),
)  # fmt: skip


def followed(town: Town) -> None:
    """Two officers sign what waits, and every process has it."""
    with writing(town.gateway.engine) as connection:
        sign(connection, OTHER)
        assert len(sign(connection, OWNER)) == 1
    with town.gateway.engine.connect() as connection:
        town.office.registry.refresh(connection)
    town.gateway.snapshot = town.office.registry.snapshot


def alert(town: Town, identifier: str, *steps: str) -> str:
    """Of which the police take some steps."""
    transfer = town.alert(identifier)
    town.follow()
    id = town.of(transfer).id
    town.act(id, "forward", CENTRE, "cháy", to="H14.6")
    for step in steps:
        town.act(id, step, POLICE)
    return id


def refused(town: Town, id: str, step: str, actor: Actor) -> str:
    with pytest.raises(Failure) as error:
        town.act(id, step, actor, "xong")
    return error.value.code


def offered(town: Town, id: str) -> set[str]:
    return {each.name for each in town.seen(id).possible(POLICE)}


def test_each_runs_on_under_its_own_also_after_a_roll_back(town: Town) -> None:
    """Those of the older one do not get its new steps. Those of the newer one keep their state that went back."""
    old, other = alert(town, "a-1", "accept"), alert(town, "a-2", "accept")
    put(town.gateway.engine, edition("1.3.0", *MORE, contract="incident-alert"))
    followed(town)
    new, third = alert(town, "a-3", "accept", "arrive"), alert(town, "a-4", "accept", "arrive")
    assert refused(town, old, "arrive", POLICE) == "workflow.no-step"
    assert refused(town, old, "finish", CENTRE) == "workflow.other-party"
    assert town.act(old, "finish", POLICE, "xong").state == "done"
    with writing(town.gateway.engine) as connection:
        done = roll_back(connection, ALERTS, Accepted((), NOW))
        assert [each.how for each in done.workflow.changes] == ["proposed"]
    followed(town)
    live = town.office.registry.snapshot.handled[ALERTS].workflow
    assert live is not None and "on-site" not in live.states and town.seen(new).row.state == "on-site"
    assert offered(town, new) == {"finish"} and offered(town, other) == {
        "respond",
        "refuse",
        "finish",
        "forward",
        "merge",
    }
    assert town.act(new, "finish", CENTRE, "xong").ended
    town.alert("a-5", msgType="Update", references=f"s@x,a-4,{row_sent(town)}")
    town.follow()
    assert (town.seen(third).steps[-1].step.step, town.seen(third).row.state) == ("@update", "on-site")
    assert town.act(third, "finish", POLICE, "xong").ended and town.wrong() == ()


def test_a_version_that_loses_what_handlings_use_is_refused_with_its_place(town: Town) -> None:
    put(town.gateway.engine, edition("1.3.0", *MORE, contract="incident-alert"))
    with pytest.raises(Failure) as error:
        put(town.gateway.engine, edition("1.4.0", contract="incident-alert"))
    assert error.value.code == "contract.breaking"
    found = {(each.canonical, each.rule) for each in error.value.findings}
    assert {("on-site", "workflow.state-removed"), ("arrive", "workflow.step-removed"),
            ("finish.by", "workflow.changed"), ("finish.from", "workflow.changed")} <= found  # fmt: skip
    assert all(each.here.startswith(f"{FLOW}:") for each in error.value.findings)
