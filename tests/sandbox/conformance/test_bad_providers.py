"""The kit against providers with seeded faults, which somebody wrote who had not read it (`tests/conformance/bad`)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.folder.bundle import Bundle
from gateway.journal.database import writing
from gateway.keys.keyring import Keyring
from gateway.push.peers import peers_of
from gateway.registry import store
from gateway.sandbox.conformance.exchange import GatewayKeys, Target, target_of
from gateway.sandbox.conformance.provider import Bounds, ProviderRun
from gateway.sandbox.conformance.results import Result
from gateway.sandbox.conformance.rules import Kind
from gateway.sandbox.conformance.suite import Wanted, provider_suite, read_known
from tests.conformance import bad
from tests.conformance.bad.provider import Provider, serve
from tests.conformance.bad.wire import Keys
from tests.sandbox.conformance.test_good_providers import CATALOGUE
from tests.sandbox.simulation.conftest import Simulated

FOLDER = Path(bad.__path__[0])
FAULTS = {each["id"]: each for each in yaml.safe_load((FOLDER / "faults.yaml").read_text("utf-8"))["faults"]}
WATER = FOLDER / "contract" / "water-reading" / "v1"
OF = {"rest": ("truong-ha", "canonical"), "soap": ("do-thi", "do-thi-xml")}
# By which rule a fault is found, and what the report says of it.
SAID = {
    "unsigned-taken": ("unsigned", "took it"),
    "digest-ignored": ("body-changed", "took it"),
    "old-signature-taken": ("old", "took it"),
    "replay-taken": ("replayed", "took it"),
    "repeat-twice": ("repeat", "another answer"),
    "repeat-other-answer": ("repeat", "another answer"),
    "answer-unsigned": ("valid", "not signed"),
    "answer-unbound": ("valid", 'signature.not-covering: "signature";req'),
    "digest-missing": ("valid", "signature.not-covering: content-digest"),
    "other-key": ("valid", "signature.wrong"),
    "soap-no-relates-to": ("valid", "wsa:RelatesTo"),
    "soap-body-unsigned": ("valid", "signature.not-covering"),
    "wrong-content-type": ("valid", "not application/json"),
    "refusal-with-200": ("broken", "a refusal has 4xx"),
    "soap-fault-with-200": ("broken", "A Fault came with status 200"),
    "soap-namespace": ("valid", "message.wrong-root"),
    "stack-trace": ("broken", "stack trace"),
    "too-large": ("valid", "too large"),
    "too-slow": ("valid", "No answer within"),
    "closes": ("valid", "dropped the connection"),
    "unknown-field": ("valid", ": unknown"),
    "wrong-code": ("valid", ": code"),
    "wrong-type": ("valid", "service_notice: type"),
    "required-missing": ("valid", ": required"),
    "date-form": ("valid", "expected_datetime"),
    "diacritics-dropped": ("quoted", "lost its diacritics"),
    "nfd": ("quoted", "form NFD"),
    "text-cut": ("quoted", "cut off"),
    "absent-refused": ("valid", "server error"),
    "water-level-point": ("valid", "mucNuoc"),
    "water-number-as-text": ("valid", "thuoc: type"),
    "water-trend-code": ("valid", "xuThe: code"),
    "water-time-iso": ("valid", "luc"),
    "water-out-of-range": ("valid", "mucNuoc: range"),
    "water-absent-as-zero": ("known", "stated, in: level"),  # only who keeps the readings knows the true one
}
IN_SOAP = {"wrong-content-type": "not text/xml", "date-form": "HenTraLoi"}


@contextmanager
def bad_provider(simulated: Simulated, kind: Kind, fault: str | None) -> Iterator[tuple[Provider, Target]]:
    system, _ = OF[kind]
    folder = simulated.settings.identities / system
    provider = Provider(Keys.load(folder), "", fault, slow_seconds=8.0)
    server = serve(provider, 0, folder)
    provider.endpoint = f"https://localhost:{server.server_address[1]}"
    try:
        yield provider, target_of(folder, provider.endpoint)
    finally:
        server.shutdown()
        server.server_close()


def published(simulated: Simulated) -> CompiledContract:
    """The contract of the river's level, as the gateway has it once it is published there."""
    if "water-reading/v1" not in simulated.contracts():
        bundle = Bundle.from_folder(WATER)
        with writing(simulated.engine) as connection:
            store.publish_bundle(connection, bundle, compile_bundle(bundle))
    return simulated.contracts()["water-reading/v1"]


def known() -> bytes:
    """The question and the answer of the contract's samples."""
    samples = WATER / "samples" / "tram-json"
    ask = (samples / "ReadingQuery.bao-lac.canonical.json").read_text("utf-8")
    answer = (samples / "Reading.hong-cam-bien.canonical.json").read_text("utf-8")
    return f'[{{"operation": "getReading", "ask": {ask}, "answer": {answer}}}]'.encode()


def tried(simulated: Simulated, kind: Kind, fault: str | None, *, water: bool = False) -> list[Result]:
    compiled = published(simulated) if water else CATALOGUE["field-report/v1"]
    wanted = Wanted((kind,), ("tram-json" if water else OF[kind][1],), ("getReading" if water else "createRequest",))
    suite = provider_suite(compiled, wanted, read_known(compiled, known()) if water else ())
    with bad_provider(simulated, kind, fault) as (_, target):
        run = ProviderRun(
            compiled,
            target,
            GatewayKeys.of(Keyring(simulated.settings)),
            peers_of(Keyring(simulated.settings), simulated.settings),
            Bounds(16, 3.0 if fault == "too-slow" else 20.0),
        )
        return asyncio.run(run.run(suite.cases))


def test_every_seeded_fault_is_listed_here() -> None:
    assert {name for name, each in FAULTS.items() if each["side"] == "provider"} == set(SAID)


@pytest.mark.parametrize(("kind", "water"), [("rest", False), ("soap", False), ("rest", True)])
def test_none_is_invented_on_the_good_one(simulated: Simulated, kind: Kind, water: bool) -> None:
    results = tried(simulated, kind, None, water=water)
    assert not [each.case.id for each in results if each.verdict != "passed"]


@pytest.mark.sampled("*-rest", "soap-*", but=("too-*",))
@pytest.mark.parametrize(
    ("fault", "kind"),
    [(name, kind) for name in SAID for kind in FAULTS[name]["over"]],
)
def test_a_seeded_fault_is_named(simulated: Simulated, fault: str, kind: Kind) -> None:
    rule, said = SAID[fault]
    said = IN_SOAP.get(fault, said) if kind == "soap" else said
    results = tried(simulated, kind, fault, water=FAULTS[fault]["contract"] == "water-reading/v1")
    failed = [(each.case.rule.id, each.wrong.en) for each in results if each.verdict == "failed" and each.wrong]
    assert any(name == rule and said in wrong for name, wrong in failed), sorted(set(failed))
    assert all(each.case.rule.source and each.request for each in results if each.verdict == "failed")
