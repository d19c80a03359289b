"""Each fault of a simulated system is found, and named in the words of the rule it breaks."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from gateway.keys.keyring import Keyring
from gateway.push.peers import peers_of
from gateway.sandbox.conformance.exchange import GatewayKeys
from gateway.sandbox.conformance.provider import Bounds, ProviderRun
from gateway.sandbox.conformance.results import Result, Run, Software
from gateway.sandbox.conformance.rules import rules
from gateway.sandbox.conformance.suite import Wanted, provider_suite
from gateway.sandbox.simulation.faults import KINDS
from tests.sandbox.conformance.test_good_providers import CATALOGUE, target
from tests.sandbox.simulation.conftest import SYSTEM, Simulated

NAME = "field-report/v1"
SUITE = provider_suite(CATALOGUE[NAME], Wanted(formats=("canonical",)))
# What the fault shows in the report. `slow`, `out-of-order` and `none` are no faults; `strict` refuses repeats.
SAID = {
    "wrong-status": "server error",
    "malformed": "breaks the contract",
    "wrong-type": "breaks the contract",
    "wrong-code": "breaks the contract",
    "bad-signature": "digest-mismatch",
    "other-key": "does not hold",
    "expired-certificate": "does not hold",
    "revoked-certificate": "does not hold",
    "clock-off": "does not hold",
    "down": "dropped the connection",
    "close": "dropped the connection",
    "silent": "No answer within",
    "strict": "refused a valid message",
}


def tried(simulated: Simulated, *cases: str, seconds: float = 30.0) -> list[Result]:
    chosen = [each for case in cases for each in SUITE.chosen(case)]
    assert chosen
    run = ProviderRun(
        CATALOGUE[NAME],
        target(simulated, NAME, "canonical"),
        GatewayKeys.of(Keyring(simulated.settings)),
        peers_of(Keyring(simulated.settings), simulated.settings),
        Bounds(1, seconds),
    )
    return asyncio.run(run.run(chosen))


@pytest.mark.sampled("*", but=("silent",))
@pytest.mark.parametrize("kind", sorted(SAID))
def test_a_fault_is_named(simulated: Simulated, kind: str) -> None:
    assert kind in KINDS
    simulated.fault(kind, 9.0 if kind == "silent" else 3.0, count=0)
    case = "repeat" if kind == "strict" else "valid.smallest"
    try:
        (result,) = tried(simulated, f"rest.canonical.createRequest.{case}", seconds=3.0 if kind == "silent" else 30.0)
    finally:
        simulated.fault("none", count=0)
    assert result.verdict == "failed" and result.wrong is not None
    assert SAID[kind] in result.wrong.en
    if kind not in ("down", "silent"):
        assert result.repeat.startswith("curl ") and result.request.startswith(b"POST ")


def test_a_system_that_cannot_be_reached_is_not_judged(simulated: Simulated) -> None:
    far = target(simulated, NAME, "canonical")
    far = replace(far, endpoint=replace(far.endpoint, url="https://localhost:1"))
    keyring = Keyring(simulated.settings)
    keys, peers = GatewayKeys.of(keyring), peers_of(keyring, simulated.settings)
    run = ProviderRun(CATALOGUE[NAME], far, keys, peers, Bounds(4, 5.0))
    results = asyncio.run(run.run(SUITE.chosen("rest.canonical.createRequest.repeat")))
    assert [each.verdict for each in results] == ["not-judged"]


def test_the_suite_is_data_and_the_same_each_time() -> None:
    again = provider_suite(CATALOGUE[NAME], Wanted(formats=("canonical",)))
    assert again == SUITE and len({each.id for each in SUITE.cases}) == len(SUITE.cases)
    text = SUITE.to_yaml()
    assert "Gửi lại cùng mã với chữ ký mới" in text and "docs/wire.md" in text
    assert {each.rule.id for each in SUITE.cases} <= set(rules())


def test_every_rule_is_tried_by_some_contract() -> None:
    used = {case.rule.id for each in CATALOGUE.values() for case in provider_suite(each).cases}
    assert used == set(rules()) - {"known"}, "that one needs answers that somebody stated"


def test_the_reports(simulated: Simulated) -> None:
    simulated.fault("wrong-code", count=0)
    try:
        results = tried(simulated, "rest.canonical.createRequest.valid", "rest.canonical.createRequest.unsigned")
    finally:
        simulated.fault("none", count=0)
    run = Run(SUITE, Software("Mềm", "1.0", SYSTEM, "H14.7"), 1764000000.0, 1.0, tuple(results))
    shown = json.loads(json.dumps(run.to_json()))
    assert not shown["passed"] and not shown["whole"] and shown["counts"]["failed"] >= 1
    wrong = next(each for each in shown["results"] if each["verdict"] == "failed")
    assert wrong["wrong"]["vi"] and wrong["change"]["en"] and wrong["source"] and wrong["request"] and wrong["answer"]
    root = ElementTree.fromstring(run.to_junit())
    assert sum(int(each.get("failures", "")) for each in root) == shown["counts"]["failed"]
    assert {each.get("name") for each in root} == {"valid", "security"}
