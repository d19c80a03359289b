"""zeep by the served WSDL, carried by the kit: the same answers, the same refusals, encrypted where the contract says
so."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from examples.story import World
from gateway.client import Client, Identity, RefusedPolicy, RefusedTheirs
from gateway.client.errors import BadUsage
from gateway.client.wsdl import Queued, service
from gateway.sandbox.standins import messages

pytestmark = pytest.mark.server
REQUIRED = ("service_code", "area", "description")
QUESTION = {"indicator": "KT-05", "area": "04", "period": "2026-Q3"}


@pytest.fixture
def client(world: World, tmp_path: Path) -> Iterator[Callable[[str], Client]]:
    made: list[Client] = []

    def make(system: str) -> Client:
        made.append(Client(Identity.load(world.identities / system), state=tmp_path / system))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_a_question_by_the_wsdl(client: Callable[[str], Client], version: str) -> None:
    value = service(client("dieu-hanh"), "indicator/v1", version=version).getValue(**QUESTION)
    assert value.value["_value_1"] == Decimal("612.450") and value.unit == "tỷ đồng"
    with pytest.raises(RefusedTheirs) as wrong:
        service(client("dieu-hanh"), "indicator/v1", version=version).getValue(**QUESTION | {"period": "never"})
    assert wrong.value.code == "message.invalid"
    with pytest.raises(RefusedPolicy):
        service(client("thuc-phan"), "indicator/v1", version=version).getValue(**QUESTION)


def test_what_is_queued_and_what_is_not_the_gateways(client: Callable[[str], Client]) -> None:
    kit = client("phan-anh")
    report = {name: value for name, value in messages.field_report(area="01392").items() if name in REQUIRED}
    with pytest.raises(Queued) as queued:
        service(kit, "field-report/v1").createRequest(**report)
    assert queued.value.answer.queued and queued.value.answer.proven and queued.value.answer.transfer
    with pytest.raises(BadUsage):
        service(kit, "field-report/v1", version="1.3")
    assert uuid.UUID(str(queued.value.answer.transfer))
