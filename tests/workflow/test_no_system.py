"""A report to an agency that has no system: it is kept, stands in the feed, and the agency handles it on its page."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, update

from contracts.base.errors import Failure
from gateway.feeds import read
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.transfer.stages import Answered
from gateway.workflow.records import Actor
from tests.exchange.house import Call, sample
from tests.registry.making import contracts
from tests.registry.test_registry_document import changed, findings
from tests.workflow.desks import BUILDERS, REPORTS, Town

WARD = Actor("H14.21/hoa: console, totp 1f2e", "H14.21")
OPERATION = "createRequest"


def sent(town: Town, message_id: str = "m-ward") -> Answered:
    message = {**sample(contracts()[REPORTS], "ServiceRequest"), "area": "01273", "service_code": "an-ninh"}
    outcome = asyncio.run(town.gateway.carry(Call(REPORTS, OPERATION, message_id, message, "phan-anh")))
    assert isinstance(outcome, Answered), outcome
    return outcome


def test_it_is_kept_and_handled_and_nothing_is_sent(town: Town) -> None:
    first, again = sent(town), sent(town)
    transfer = first.receipt.transfer
    assert first.kept and first.answer is None and not first.queued
    assert again.kept and again.receipt == first.receipt, "a repeat is told the same"
    town.follow()
    handled = town.of(transfer)
    assert (handled.agency, handled.system, handled.state) == ("H14.21", None, "sent")
    with pytest.raises(Failure) as refused:
        town.act(handled.id, "accept", BUILDERS)
    assert refused.value.code == "handling.unknown"
    for step in ("accept", "begin", "finish"):
        town.act(handled.id, step, WARD, "Đã lập biên bản" if step == "finish" else "")
    assert town.of(transfer).state == "done"
    with town.gateway.engine.connect() as connection:
        row = connection.execute(select(tables.transfer).where(tables.transfer.c.id == transfer)).one()
        (event,) = read(connection, REPORTS, None, 10, vault=town.gateway.vault).events
        waiting = connection.execute(select(tables.queue)).all()
    assert (row.state, row.provider, row.status, row.answer_ref) == ("accepted", None, 202, None) and not waiting
    assert event["type"].endswith(f":{OPERATION}:accepted") and event["data"].keys() == {"request"}
    assert "lgspprovider" not in event and event["data"]["request"]["service_code"] == "an-ninh"
    assert town.wrong() == ()


@pytest.mark.parametrize(("column", "value"), [("provider", "do-thi"), ("state", "answered"), ("pattern", "query")])
def test_a_row_that_says_otherwise_is_found(town: Town, column: str, value: str) -> None:
    transfer = sent(town).receipt.transfer
    town.follow()
    assert town.wrong() == ()
    with writing(town.gateway.engine) as connection:
        connection.execute(update(tables.transfer).where(tables.transfer.c.id == transfer).values({column: value}))
    assert any(transfer in each for each in town.wrong())


def test_without_a_workflow_for_it_nobody_would_handle_it() -> None:
    """A query needs the answer of a system. So does a dispatch that stands in no feed, as no handling follows."""
    other = {"contract": "indicator/v1", "operation": "getValue"}
    route: dict[str, Any] = {**other, "when": {"indicator": ["KT-01"]}, "agency": "H14.4"}
    assert findings(changed(routes__2=route)) == {"routes[2].agency": "reference", "routes[2].system": "required"}
    assert findings(changed(routes__2={**other, "when": {"indicator": ["KT-01"]}})).keys() == {"routes[2].system"}
