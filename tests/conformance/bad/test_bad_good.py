"""The good caller and the good provider work with a running sandbox, by REST and SOAP; bad calls are refused there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.demo import running
from bench.ports import free_ports
from gateway.sandbox import live
from gateway.settings import Settings
from tests.conformance.bad.caller import Answered, Caller, channel
from tests.conformance.bad.provider import Provider, serve
from tests.conformance.bad.wire import Keys

PATH = "/field-report/v1/requests"
REPORT: dict[str, Any] = {
    "service_code": "duong-sa",
    "lat": 22.9583,
    "long": 106.0431,
    "phone": {"absent": "unknown"},
    "description": "Ổ gà lớn trước số nhà 25 phố Kim Đồng, xe máy đã ngã hai lần trong tuần.",
}
AREAS = {"truong-ha": "01392", "do-thi": "01273"}  # by REST in the canonical format, by SOAP in `do-thi-xml`

pytestmark = pytest.mark.server


@dataclass(frozen=True, slots=True)
class Sandbox:
    identities: Path
    providers: dict[str, Provider]

    def caller(self, fault: str | None = None) -> Caller:
        folder = self.identities / "phan-anh"
        return Caller(Keys.load(folder), channel(folder), fault)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    exchange, desk = free_ports(2)
    data = tmp_path_factory.mktemp("bad") / "lgsp-data"
    settings = Settings(data, exchange_port=exchange, desk_port=desk, doors=1)
    with ExitStack() as stack:
        stack.enter_context(running(settings, frozenset({"traffic", *AREAS})))
        providers = {}
        for system in AREAS:
            endpoint = live.endpoints(settings)[system].rstrip("/")
            folder = settings.identities / system
            providers[system] = Provider(Keys.load(folder), endpoint)
            server = serve(providers[system], int(endpoint.rpartition(":")[2].split("/")[0]), folder)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
        yield Sandbox(settings.identities, providers)


@pytest.mark.parametrize("system", AREAS)
def test_the_good_ones_work(sandbox: Sandbox, system: str) -> None:
    before = len(sandbox.providers[system].carried_out)
    first, repeat = sandbox.caller().run(PATH, REPORT | {"area": AREAS[system]})
    assert (first.status, first.accepted) == (repeat.status, repeat.accepted) == (200, True), first.text
    answer = json.loads(first.text)
    assert answer == json.loads(repeat.text)
    assert answer["service_notice"] == f"Đã tiếp nhận: {REPORT['description']}" and answer["status"] == "open"
    assert len(sandbox.providers[system].carried_out) == before + 1


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("no-message-id", "request.no-message-id"),
        ("clock-off", "signature.expired"),
        ("digest-not-covered", "signature.not-covering"),
        ("sends-wrong-code", "message.invalid"),
        ("sends-unknown-field", "message.invalid"),
        ("sends-number-as-text", "message.invalid"),
    ],
)
def test_the_gateway_refuses_a_bad_call(sandbox: Sandbox, fault: str, code: str) -> None:
    ended: list[Answered] = sandbox.caller(fault).run(PATH, REPORT | {"area": "01392"})
    assert [json.loads(each.text)["code"] for each in ended] == [code, code]
    assert not any(each.accepted for each in ended)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("answer-unbound", "provider.bad-signature"),
        ("digest-missing", "provider.bad-signature"),
        ("other-key", "provider.bad-signature"),
        ("date-form", "provider.bad-answer"),
        ("required-missing", "provider.bad-answer"),
    ],
)
def test_the_gateway_names_a_bad_answer(sandbox: Sandbox, fault: str, code: str) -> None:
    provider, caller = sandbox.providers["truong-ha"], sandbox.caller()
    provider.fault = fault
    try:
        first, repeat = caller.run(PATH, REPORT | {"area": "01392"})
        assert first.status != 200 and repeat.status != 200, first.text
        address = f"/transfers/{json.loads(first.text)['transfer']}"
        tries: list[dict[str, Any]] = []
        until = time.monotonic() + 90
        while code not in [each["failure"] for each in tries] and time.monotonic() < until:
            tries = json.loads(caller.ask(address).text).get("failedTries", [])
            time.sleep(0.2)
    finally:
        provider.fault = None
    assert code in [each["failure"] for each in tries], tries
