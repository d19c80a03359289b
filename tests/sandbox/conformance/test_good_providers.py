"""The kit names no fault on a good system: each contract of the catalogue, REST and SOAP."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from contracts.compiled.contract import catalogue
from gateway.keys.keyring import Keyring
from gateway.push.peers import peers_of
from gateway.sandbox.conformance.exchange import GatewayKeys, Target
from gateway.sandbox.conformance.provider import Bounds, ProviderRun
from gateway.sandbox.conformance.results import Result
from gateway.sandbox.conformance.rules import GROUPS, Kind
from gateway.sandbox.conformance.suite import Wanted, provider_suite
from tests.sandbox.simulation.conftest import SYSTEM, Simulated

CATALOGUE = {each.contract.name: each for each in catalogue()}


def target(simulated: Simulated, name: str, format_name: str, version: str = "1.1") -> Target:
    url = f"{simulated.url}/{SYSTEM}/{name}/{format_name}"
    options = {} if version == "1.1" else {"version": version}
    return Target(replace(simulated.endpoint, url=url, options=options), "H14.7/y-te")


def run(simulated: Simulated, name: str, format_name: str, kind: Kind, version: str = "1.1") -> list[Result]:
    compiled = CATALOGUE[name]
    suite = provider_suite(compiled, Wanted((kind,), (format_name,)))
    tried = ProviderRun(
        compiled,
        target(simulated, name, format_name, version),
        GatewayKeys.of(Keyring(simulated.settings)),
        peers_of(Keyring(simulated.settings), simulated.settings),
        Bounds(seconds=30.0),
    )
    return asyncio.run(tried.run(suite.cases))


TABLE = [
    (name, codec.name, kind)
    for name, compiled in CATALOGUE.items()
    for codec in compiled.formats.values()
    for kind, media in (("rest", "json"), ("soap", "xml"))
    if media in codec.speaks
]


@pytest.mark.sampled("*canonical-soap", "*-rest", but=("official-document/v1-canonical-*",))
@pytest.mark.parametrize(("name", "format_name", "kind"), TABLE)
def test_a_good_system_passes_every_case(simulated: Simulated, name: str, format_name: str, kind: Kind) -> None:
    results = run(simulated, name, format_name, kind)
    wrong = [(each.case.id, each.wrong and each.wrong.en, each.answer[-300:]) for each in results if each.wrong]
    assert not wrong
    assert {each.case.rule.group for each in results} <= set(GROUPS)


def test_what_travelled_is_kept_where_that_is_wanted(simulated: Simulated) -> None:
    compiled, keys = CATALOGUE["field-report/v1"], GatewayKeys.of(Keyring(simulated.settings))
    where, bounds = target(simulated, "field-report/v1", "canonical"), Bounds(seconds=30.0)
    cases = [each for each in provider_suite(compiled, Wanted(("rest",), ("canonical",))).cases
             if each.rule.group == "repeats"]  # fmt: skip
    peers = peers_of(Keyring(simulated.settings), simulated.settings)
    for traffic in (True, False):
        results = asyncio.run(ProviderRun(compiled, where, keys, peers, bounds, traffic=traffic).run(cases))
        assert {each.verdict for each in results} == {"passed"} and results
        shown = [each.to_json(traffic=traffic) for each in results]
        assert all(("request" in each) == traffic and ("wrong" not in each) for each in shown)
        assert not traffic or all("POST " in each["request"] and "HTTP/1.1" in each["answer"] for each in shown)


@pytest.mark.parametrize("name", ["field-report/v1", "dossier-status/v1"])
def test_in_soap_12(simulated: Simulated, name: str) -> None:
    results = run(simulated, name, "canonical", "soap", "1.2")
    assert [(each.case.id, each.wrong and each.wrong.en) for each in results if each.wrong] == []
