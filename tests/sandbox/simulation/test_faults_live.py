"""Real doors: a caller orders a fault with a header, and gets the documented code. Every contract has traffic."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.demo import demo_settings, running, world_of
from contracts.folder.bundle import Bundle
from examples.story.world import World
from gateway.journal.database import open_engine
from gateway.sample_client.identity import Identity
from gateway.sandbox.simulation.caller import Caller
from gateway.sandbox.simulation.faults import HEADER, KINDS
from gateway.sandbox.simulation.published import Published
from gateway.sandbox.simulation.traffic import CALLS
from gateway.sandbox.standins import messages
from gateway.sandbox.standins.field_office import AREA
from gateway.settings import Settings

pytestmark = pytest.mark.server
QUERY = ("reference-query/v1", "queryEnterprise", "tra-cuu-json")
SOAP_QUERY = ("reference-query/v1", "queryCitizen", "canonical")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = replace(demo_settings(tmp_path_factory.mktemp("simulated-live") / "data"), provider_seconds=8.0)
    with running(settings, frozenset({"do-thi", "kinh-te", "quan-trac", "traffic"})):
        yield settings


@pytest.fixture(scope="module")
def callers(sandbox: Settings) -> Iterator[dict[str, Caller]]:
    engine = open_engine(sandbox.database_url)
    published = Published(engine)
    yield {
        name: Caller(Identity.load(sandbox.identities / name), published, random.Random(17), sandbox.drop_root)
        for name in (*dict.fromkeys(system for system, *_ in CALLS), "so-lieu")
    }
    engine.dispose()


@pytest.mark.parametrize("call", CALLS, ids=[" ".join(each) for each in CALLS])
def test_every_contract_travels(callers: dict[str, Caller], call: tuple[str, str, str, str, str]) -> None:
    system, contract, operation, format_name, way = call
    told = callers[system].call(contract, operation, format_name, way)  # type: ignore[arg-type]
    assert told.ok, (told.status, told.code, told.raw[:300])


@pytest.mark.sampled("*", but=("silent", "late"))
@pytest.mark.parametrize("fault", [name for name, each in KINDS.items() if name != "none"])
def test_a_caller_orders_a_fault(callers: dict[str, Caller], fault: str) -> None:
    """By REST to a REST provider, and by SOAP to a SOAP provider."""
    seconds = ";seconds=0.2" if fault in ("slow", "out-of-order") else ""
    for system, call, way in (("mot-cua", QUERY, "rest"), ("mot-cua-xa", SOAP_QUERY, "soap")):
        assert callers[system].call(*call, way).ok, "the provider is well"  # type: ignore[arg-type]
        told = callers[system].call(*call, way, fault=f"{fault}{seconds}")  # type: ignore[arg-type]
        assert told.code == KINDS[fault].code, (way, told.status, told.raw[:300])
        assert told.ok == (not KINDS[fault].code)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("slow;seconds=0.5", 200, ""),
        ("wrong-type", 202, ""),  # it may have acted: the message waits, and is sent again without the fault
        ("malformed", 202, ""),  # the same
        ("wrong-status", 202, ""),
        ("bad-signature", 502, "provider.refused"),  # its agent signs, not the system
    ],
)
def test_a_fault_reaches_a_system_behind_its_agent(sandbox: Settings, fault: str, status: int, code: str) -> None:
    began = time.monotonic()
    answer = (
        world_of(sandbox)
        .rest("phan-anh")
        .call("POST", "/field-report/v1/requests", messages.field_report(area=AREA), headers={HEADER: fault})
    )
    assert answer.status == status and (answer.problem or {"code": ""})["code"] == code, answer.body
    assert time.monotonic() - began >= (0.5 if fault.startswith("slow") else 0)


def test_an_operator_orders_a_fault(sandbox: Settings, callers: dict[str, Caller]) -> None:
    """By the command, for one agency's calls; the doors take it up a moment later."""
    world, data = world_of(sandbox), ("--data", str(sandbox.data))
    agency = callers["mot-cua"].identity.agency
    orders = ("--agency", agency, "--system", "doanh-nghiep", "--operation", QUERY[0], "--calls", "2", *data)
    told = world.lgsp("sandbox", "fault", "order", "bad-signature", *orders)
    assert told["ok"] and told["kind"] == "bad-signature", told
    world.wait("the order to act", lambda: callers["mot-cua"].call(*QUERY).code == "provider.bad-signature")
    (listed,) = world.lgsp("sandbox", "fault", "list", *data)["faults"]
    assert listed["taken"] == 1 and listed["holds"] and listed["agency"] == agency
    assert world.lgsp("sandbox", "fault", "reset", listed["mark"], *data)["ended"] == [listed["mark"]]
    world.wait("the order to end", lambda: callers["mot-cua"].call(*QUERY).ok)


def test_a_stand_in_is_told_at_its_own_address(sandbox: Settings, callers: dict[str, Caller]) -> None:
    world: World = world_of(sandbox)
    world.fault("doanh-nghiep", "wrong-code")
    assert callers["mot-cua"].call(*QUERY).code == "provider.bad-answer"
    before = world.seen("doanh-nghiep")["calls"]
    assert callers["mot-cua"].call(*QUERY).ok and world.seen("doanh-nghiep")["calls"] == before + 1


def test_a_header_that_is_no_fault_is_not_passed_on(callers: dict[str, Caller]) -> None:
    assert callers["mot-cua"].call(*QUERY, fault="Flood! now").ok


def test_a_contract_of_five_minutes_ago(sandbox: Settings, tmp_path: Path) -> None:
    """Published, routed and granted while everything runs: the simulated system answers it."""
    world = world_of(sandbox)
    folder = tmp_path / "reference-query" / "v1"
    shutil.copytree(Path("contracts/catalogue/reference-query/v1"), folder)
    text = (folder / "contract.yaml").read_text("utf-8").replace("version: 1.0.2", "version: 1.1.0")
    (folder / "contract.yaml").write_text(text, "utf-8")
    assert Bundle.from_folder(folder)
    told = world.lgsp("contract", "publish", str(folder), "--data", str(sandbox.data))
    assert told["ok"], told
    engine = open_engine(sandbox.database_url)
    published = Published(engine)
    caller = Caller(Identity.load(sandbox.identities / "mot-cua"), published, random.Random(5))
    assert published()[QUERY[0]].contract.version == "1.1.0"
    world.wait("the doors to know it", lambda: caller.call(*QUERY).ok)
    engine.dispose()


def test_a_file_is_dropped(sandbox: Settings, callers: dict[str, Caller]) -> None:
    caller = callers["so-lieu"]
    compiled = caller.published()["indicator/v1"]
    file = caller.drop("so-lieu", "quy-4.csv", compiled, "submitValues", "chi-tieu-csv")
    world_of(sandbox).wait("the file to be taken up", lambda: not file.exists())
