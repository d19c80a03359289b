"""The good caller and the good provider work with a running sandbox, by REST and SOAP; bad calls are refused there."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from bench.demo import running
from bench.ports import free_ports
from contracts.compiled.contract import CompiledContract, catalogue
from gateway.cli.tree import app
from gateway.journal.database import open_engine, snapshot
from gateway.registry.snapshot import load_snapshot
from gateway.sample_client.errors import WrongAnswer
from gateway.sample_client.identity import Identity
from gateway.sample_client.soap import SoapClient
from gateway.sandbox import live
from gateway.sandbox.conformance import caller_run, trial
from gateway.sandbox.conformance.caller_suite import caller_suite, steps_of
from gateway.sandbox.conformance.cases import Suite
from gateway.sandbox.conformance.results import Run, Software
from gateway.sandbox.conformance.suite import Wanted
from gateway.sandbox.instance import OFFICERS
from gateway.sandbox.simulation.published import Published
from gateway.settings import Settings
from tests.conformance.bad.caller import Answered, Caller, channel
from tests.conformance.bad.provider import Provider, serve
from tests.conformance.bad.wire import Keys

PATH = "/field-report/v1/requests"
NAME = "field-report/v1"
FAULTS = Path(__file__).parent / "faults.yaml"
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
    settings: Settings
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
        yield Sandbox(settings, settings.identities, providers)


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


# --- the kit judges callers -------------------------------------------------------------------------------------------
def suite_of(compiled: CompiledContract, operation: str) -> Suite:
    return caller_suite(compiled, Wanted(("rest",), ("canonical",), (operation,)))


SUITE = suite_of(next(each for each in catalogue() if each.contract.name == NAME), "createRequest")
STEPS = [step.name for step, _ in steps_of(SUITE)]
# The rule that each seeded fault breaks, and the steps in which it shows.
BREAKS = {
    "new-id-on-repeat": ("repeat", ["valid", "repeat"]),
    "no-message-id": ("message-id", ["valid", "repeat"]),
    "429-without-waiting": ("quota-waits", ["valid", "quota"]),
    "new-id-after-429": ("quota-id", ["valid", "quota"]),
    "retry-storm": ("unavailable-waits", ["valid", "unavailable"]),
    "conflict-as-success": ("in-progress", ["valid", "in-progress"]),
    "unsigned-answer-accepted": ("answer-unsigned", ["valid", "unsigned", "digest-wrong", "other-key"]),
    "answer-digest-ignored": ("answer-digest", ["valid", "unsigned", "digest-wrong", "other-key"]),
    "foreign-signature-accepted": ("answer-key", ["valid", "unsigned", "digest-wrong", "other-key"]),
    "sends-unknown-field": ("content", ["valid", "repeat"]),
    "sends-wrong-code": ("content", ["valid", "repeat"]),
    "sends-number-as-text": ("content", ["valid", "repeat"]),
    "clock-off": ("fresh", ["valid", "repeat", "lost"]),
    "nonce-reused": ("nonce", ["valid", "repeat"]),
    "digest-not-covered": ("covered", ["valid", "repeat", "refused"]),
}
NAMED = {"sends-unknown-field": "urgency", "sends-wrong-code": "service_code", "sends-number-as-text": "lat"}


def judged(sandbox: Sandbox, fault: str | None, steps: list[str], suite: Suite = SUITE, water: bool = False) -> Run:
    """A run in which a caller sends in some of the steps."""
    path, sample = (WATER_PATH, READING) if water else (PATH, REPORT | {"area": "01392"})
    place = sandbox.settings.run / trial.FOLDER / "phan-anh"
    caller, run = sandbox.caller(fault), caller_run.begin(place, suite, str(uuid.uuid4()), time.time())
    while (step := caller_run.asked(suite, run)) is not None:
        message = sample | {"remark" if water else "description": f"{step[0]} {run.id}"}
        if step[0] == "repeat" and "repeat" in steps:
            caller.run(path, message)
        elif step[0] in steps:
            body = json.dumps(caller._spoilt(message), ensure_ascii=False).encode()
            caller._deliver(path, body, str(uuid.uuid4()))
        run = caller_run.next_step(place, suite, run, time.time())
    return caller_run.report(place, suite, run, Software("bad", "1", "phan-anh", "H14.9"))


@pytest.mark.full
def test_no_fault_is_invented_on_the_good_caller(sandbox: Sandbox) -> None:
    run = judged(sandbox, None, STEPS)
    assert not [(each.case.rule.id, each.wrong, each.request, each.answer) for each in run.results if each.wrong]
    assert run.passed and run.not_seen
    silent = judged(sandbox, None, [])
    assert {each.verdict for each in silent.results} == {"not-judged"} and not silent.passed


@pytest.mark.full
def test_a_caller_by_soap_is_judged_too(sandbox: Sandbox) -> None:
    """It repeats under the same id where an answer proves nothing."""
    compiled = next(each for each in catalogue() if each.contract.name == NAME)
    suite = caller_suite(compiled, Wanted(("soap",), ("canonical",), ("createRequest",)))
    place, client = (
        sandbox.settings.run / trial.FOLDER / "phan-anh",
        SoapClient(Identity.load(sandbox.identities / "phan-anh")),
    )
    run, seen = caller_run.begin(place, suite, str(uuid.uuid4()), time.time()), list[str]()
    while (step := caller_run.asked(suite, run)) is not None:
        message = REPORT | {"area": "01392", "lat": Decimal("22.9583"), "long": Decimal("106.0431")}
        body = compiled.codec("canonical").write_xml("ServiceRequest", message, "createRequest")
        id = f"urn:uuid:{uuid.uuid4()}"
        for _ in range({"valid": 1, "refused": 1, "unavailable": 4}.get(step[0], 2)):
            try:
                answer = client.call(NAME, "createRequest", body, message_id=id)
                seen.append("proven" if answer.verified else "unproven")
            except WrongAnswer:
                seen.append("wrong")
            time.sleep(trial.RETRY_AFTER if step[0] in ("quota", "unavailable") else 0)
        run = caller_run.next_step(place, suite, run, time.time())
    report = caller_run.report(place, suite, run, Software("good", "1", "phan-anh", "H14.9"))
    assert not [(each.case.rule.id, each.wrong, each.answer) for each in report.results if each.wrong], seen
    assert seen.count("proven") < len(seen), "some answers were spoilt"


def test_every_seeded_fault_of_a_caller_is_listed_here() -> None:
    seeded = yaml.safe_load(FAULTS.read_text("utf-8"))["faults"]
    assert set(BREAKS) | set(OF_WATER) == {each["id"] for each in seeded if each["side"] == "caller"}


@pytest.mark.parametrize("fault", sorted(BREAKS))
def test_a_seeded_fault_of_a_caller_is_named(sandbox: Sandbox, fault: str) -> None:
    rule, steps = BREAKS[fault]
    failed = [each for each in judged(sandbox, fault, steps).results if each.verdict == "failed"]
    assert {each.case.rule.id for each in failed} == {rule}, [(each.case.rule.id, each.wrong) for each in failed]
    assert all(each.request and each.repeat.startswith("curl ") for each in failed)
    assert failed[0].wrong is not None and NAMED.get(fault, "") in failed[0].wrong.en


WATER = Path(__file__).parent / "contract" / "water-reading" / "v1"
WATER_PATH = "/water-reading/v1/readings"
READING: dict[str, Any] = json.loads((WATER / "samples" / "canonical" / "Reading.bang-giang.json").read_text("utf-8"))
OF_WATER = {
    "water-station-code": "station: code",
    "water-level-as-text": "level: type",
    "water-time-without-zone": "measured: ",
    "water-trend-missing": "trend: required",
}
GRANT = """
grants:
  - id: G-9001
    agency: {agency}
    contract: water-reading/v1
    operations: [submitReading]
    purpose: Thử sự phù hợp
    legal_basis: Thông tư 13/2017/TT-BTTTT
    valid_from: 2026-01-01
    valid_until: 2030-12-31
"""


@pytest.fixture(scope="module")
def water(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> CompiledContract:
    """The contract of the river's level, published and granted while the gateway runs."""
    engine, data = open_engine(sandbox.settings.database_url), str(sandbox.settings.data)
    with snapshot(engine) as connection:
        agency = load_snapshot(connection).systems["phan-anh"].agency
    grant = tmp_path_factory.mktemp("grant") / "grant.yaml"
    grant.write_text(GRANT.format(agency=agency), "utf-8")
    keys = {name: str(sandbox.identities / name / "officer.key") for name in OFFICERS}
    approvals = [["access", "approve", "G-9001", "--officer", name, "--key", key] for name, key in keys.items()]
    for words in (["contract", "publish", str(WATER)], ["access", "propose", str(grant)], *approvals):
        done = CliRunner().invoke(app, [*words, "--data", data])
        assert done.exit_code == 0, (done.output, done.exception)
    until = time.monotonic() + 60
    while not sandbox.caller().run(WATER_PATH, READING)[0].accepted and time.monotonic() < until:
        time.sleep(0.2)  # the doors take the change up within two seconds
    return Published(engine)()["water-reading/v1"]


@pytest.mark.parametrize("fault", [None, *OF_WATER])
def test_on_a_contract_that_is_published_now(sandbox: Sandbox, water: CompiledContract, fault: str | None) -> None:
    run = judged(sandbox, fault, ["valid", "repeat"], suite_of(water, "submitReading"), water=True)
    failed = [each for each in run.results if each.verdict == "failed" and each.wrong]
    assert [each.case.rule.id for each in failed] == (["content"] if fault else []), [each.wrong for each in failed]
    assert all(each.wrong is not None and OF_WATER[fault or ""] in each.wrong.en for each in failed)
