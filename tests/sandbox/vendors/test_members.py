"""What a program may send below `/sandbox`: no member that is not known, everywhere; and what holds once it is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.routing import Route

from gateway.console.accounts import tokens
from gateway.console.roles import Role
from gateway.registry.registry import POLL_SECONDS
from gateway.sandbox.vendors import web
from gateway.sandbox.vendors.application import called
from tests.console.people import Desk
from tests.registry.making import contracts, province
from tests.sandbox.vendors.desks import API, CALLER, SYSTEM, VendorDesk

PLACES = {"id": "x", "mark": "x", "vendor": "x", "system": "x"}
BYTES = "/sandbox/api/calls/{id}/base"  # takes any bytes, and no JSON


def _asked(desk: Desk) -> list[tuple[str, str]]:
    """Method and address of each program's call that brings something, below /sandbox/api."""
    return [
        (method, route.path)
        for route in web.routes(desk.desk())
        if isinstance(route, Route) and route.path.startswith("/sandbox/api") and route.path != BYTES
        for method in sorted({"POST", "PUT"} & (route.methods or set()))
    ]


def _operator(desk: Desk) -> str:
    desk.add("van-hanh-thu", Role.OPERATOR)
    with desk.changing() as change:
        return tokens.make(change, tokens.wanted("van-hanh-thu", "van-hanh-thu", 1, desk.now()))[0]


async def test_no_address_takes_a_member_that_it_does_not_know(vendors: VendorDesk) -> None:
    vendor, operator = await vendors.join(), _operator(vendors.desk)
    asked = _asked(vendors.desk)
    assert len(asked) >= 13
    for method, path in asked:
        target = path.format(**{**PLACES, "id": vendor.system})
        own = {} if "vendors/" not in path and "invitations" not in path else {"authorization": f"Bearer {operator}"}
        answer = await vendor.send(target, {"nonsense": "1"}, method=method, **own)
        assert (answer.status, answer.json["code"]) == (400, "sandbox.form"), (method, path, answer.body)
        assert "nonsense" in answer.json["detail"]
    answer = await vendors.ask({**CALLER, "formats": {}})
    assert answer.status == 400 and "formats" in answer.json["detail"]


async def test_a_change_is_told_once_the_doors_know_it(vendors: VendorDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    vendor = await vendors.join()
    assert web._TAKEN_UP >= 2 * POLL_SECONDS
    waited: list[float] = []

    async def sleep(seconds: float, *_: Any) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    assert (await vendor.send(f"{API}/{vendor.system}", SYSTEM, method="PUT")).status == 200
    assert (await vendor.send(API, SYSTEM)).status == 201
    assert waited.count(web._TAKEN_UP) == 2


def test_a_province_answers_each_operation_by_which_the_policy_lets_a_vendor_call() -> None:
    routed = {(each.contract, each.operation) for each in province().routes}
    assert {(name, each) for name, of in contracts().items() for each in called(of)} <= routed
