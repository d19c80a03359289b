"""Answers by another way than the first one: repeats after a grant was changed, failures, the state of a transfer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import Engine

from adapters.errors import PROVIDER_BAD_ANSWER, Acted
from contracts.base.errors import Finding
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.api.transfers import read_transfer
from gateway.journal.database import writing
from gateway.registry import store
from gateway.registry.changes import granting
from gateway.registry.registry import Registry
from gateway.transfer.stages import Answered, Refused
from tests.exchange.house import Call, Gateway, Provider, house, sample
from tests.registry.making import NOW, applied, approve_all, contracts, province

ATTACK = pytest.mark.attack("access: answers by another way")
NAME, ASKS = "indicator/v1", ("indicator/v1", "getValue")
CENTRE, HEALTH = "dieu-hanh", "y-te"  # the health department's grant hides who is responsible
OF_FEED = {"indicator": "KT-02", "area": "04", "period": "2026-Q3"}


@pytest.fixture
def gateway(sqlite: Engine, tmp_path: Path) -> Iterator[Gateway]:
    with house(sqlite, tmp_path) as made:
        yield made


def ask(gateway: Gateway, system: str, question: dict[str, Any] | None, number: int = 1) -> Answered | Refused:
    return asyncio.run(gateway.carry(Call(*ASKS, f"m-{number}", question, system)))


def change(gateway: Gateway, **changes: Any) -> None:
    """The centre's grant gets other contents, signed by both officers. Without any it is revoked."""
    with writing(gateway.engine) as connection:
        if changes:
            held = granting.content_of(connection, "G-0005")
            granting.propose(connection, granting.Proposal(replace(held, **changes)), NOW)
            approve_all(connection)
        else:
            granting.revoke(connection, "G-0005", NOW)
            store.raise_revision(connection)
    gateway.snapshot = Registry(gateway.engine).snapshot


@ATTACK
@pytest.mark.parametrize("question", [None, OF_FEED], ids=["of a provider", "of the feed"])
def test_a_repeat_shows_what_is_granted_now_and_nothing_once_that_is_revoked(
    gateway: Gateway, question: dict[str, Any] | None
) -> None:
    whole = {**sample(contracts()[NAME], "IndicatorValue"), "responsible": {"name": "Lan"}}
    if question is None:
        gateway.forwarder = Provider(whole)
    else:
        values = {"values": [{**whole, **question}]}
        assert isinstance(asyncio.run(gateway.carry(Call(NAME, "submitValues", "in-1", values))), Answered)
    first = ask(gateway, CENTRE, question)
    assert isinstance(first, Answered) and first.answer is not None and "name" in first.answer["responsible"]
    change(gateway, fields=("*", "!responsible"))
    again = ask(gateway, CENTRE, question)
    assert isinstance(again, Answered) and again.answer is not None and again.receipt.transfer == first.receipt.transfer
    assert again.answer["responsible"] == {"absent": "not-permitted"}
    change(gateway)
    gone = ask(gateway, CENTRE, question)
    assert isinstance(gone, Refused) and gone.failure.code.startswith("access.")
    other = ask(gateway, HEALTH, question)  # the same message id, of another system: a call of its own
    assert isinstance(other, Answered) and other.receipt.transfer != first.receipt.transfer
    assert other.answer is not None and "name" not in other.answer["responsible"]


@ATTACK
def test_a_system_that_was_moved_gets_no_stored_answer_of_its_former_agency(gateway: Gateway) -> None:
    assert isinstance(ask(gateway, HEALTH, None), Answered)
    wanted = province()
    systems = tuple(replace(each, agency="H14.21") if each.id == HEALTH else each for each in wanted.systems)
    with writing(gateway.engine) as connection:
        applied(replace(wanted, systems=systems), connection)
    gateway.snapshot = Registry(gateway.engine).snapshot
    again = ask(gateway, HEALTH, None)
    assert isinstance(again, Refused) and again.failure.code.startswith("access."), again


FINDINGS = [
    Finding("giaTri", "value", "text of 3 characters", "type", "number"),
    Finding("canBo.dienThoai", "responsible.phone", "text of 12 characters", "pattern", "^[0-9]{10}$"),
    Finding("0912345678", "", "a field that the format does not have", "unknown", "one of giaTri"),
]


@ATTACK
@pytest.mark.parametrize(("system", "seen"), [(CENTRE, FINDINGS), (HEALTH, FINDINGS[:1])], ids=["whole", "masked"])
def test_a_bad_answer_tells_nothing_of_hidden_fields(gateway: Gateway, system: str, seen: list[Finding]) -> None:
    """Neither the failure nor the state of the transfer: a length, a pattern that a value misses, a stray name."""
    bad = PROVIDER_BAD_ANSWER(acted=Acted.MAYBE, system="kinh-te", reason="message.invalid", findings=FINDINGS)
    told = asyncio.run(gateway.carry(Call(*ASKS, "m-1", None, system), failure=bad))
    assert isinstance(told, Answered) and told.failure is not None
    assert told.failure.findings == tuple(seen) and told.failure.code == bad.code
    for asker, count in ((system, len(seen)), ("kinh-te", len(FINDINGS))):
        status = state_of(gateway, told.receipt.transfer, asker)
        (tried,) = status["failedTries"]
        assert tried["failure"] == bad.code and len(tried["findings"]) == count
        assert ("canBo" in json.dumps(status)) is (count == len(FINDINGS))


def state_of(gateway: Gateway, transfer: str, system: str) -> dict[str, Any]:
    async def run(owner: object, function: Any, *given: Any) -> Any:
        return function(*given)

    services = SimpleNamespace(engine=gateway.engine, vault=gateway.vault, readers=SimpleNamespace(run=run))
    request = SimpleNamespace(
        params={"transfer": transfer},
        proven=SimpleNamespace(system=gateway.snapshot.systems[system]),
        snapshot=gateway.snapshot,
        received=SimpleNamespace(at=gateway.now),
        owner=system,
    )
    reply = asyncio.run(read_transfer(cast(Services, services), cast(ApiRequest, request)))
    return cast(dict[str, Any], json.loads(reply.body))
