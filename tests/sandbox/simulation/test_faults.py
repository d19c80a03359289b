"""What a simulated system does wrong, and what the gateway makes of it."""

from __future__ import annotations

import asyncio
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import ProviderFailure
from adapters.model import Incoming
from contracts.compiled.contract import catalogue
from gateway.sandbox.simulation.answers import examples
from gateway.sandbox.simulation.faults import KINDS, Fault
from tests.sandbox.simulation.conftest import SYSTEM, Simulated

ROOT = Path(__file__).parents[3]
CATALOGUE = {each.contract.name: each for each in catalogue()}
REPORTS = CATALOGUE["field-report/v1"]
DOSSIERS = CATALOGUE["dossier-status/v1"]
# the contract with answers in clear and the one with encrypted ones
ASKED = {"signed": (REPORTS, "createRequest"), "encrypted": (DOSSIERS, "getStatus")}


def asked(simulated: Simulated, contract: str = "signed", **how: Any) -> Any:
    compiled, operation = ASKED[contract]
    request = compiled.contract.operations[operation].request
    return simulated.asked(compiled, operation, examples(compiled, request)[0], **how)


@pytest.mark.sampled("*", but=("silent-*", "late-*"))
@pytest.mark.parametrize("kind", ["rest", "soap"])
@pytest.mark.parametrize("contract", ASKED)
@pytest.mark.parametrize("fault", [name for name, each in KINDS.items() if each.code])
def test_each_fault_has_its_code(simulated: Simulated, fault: str, contract: str, kind: str) -> None:
    simulated.call("", kind, asked(simulated, contract))  # for `duplicate`: the answer before
    simulated.fault(fault)
    outgoing = asked(simulated, contract, timeout=3.0 if fault in ("silent", "late") else 30.0)
    with pytest.raises(ProviderFailure) as failed:
        simulated.call("", kind, outgoing)
    assert failed.value.code == KINDS[fault].code
    played = simulated.simulation.played(SYSTEM)
    assert played is not None
    assert (
        played.records.knows(outgoing.transfer if kind == "rest" else f"urn:uuid:{outgoing.transfer}")
        == KINDS[fault].acts
    )
    assert simulated.call("", kind, asked(simulated, contract)), "the next one is well again"


def test_a_code_that_no_table_has_is_named(simulated: Simulated) -> None:
    for kind in ("rest", "soap"):
        for fault, rule in (("wrong-code", {"code", "enum"}), ("wrong-type", set())):
            simulated.fault(fault)
            with pytest.raises(ProviderFailure) as failed:
                simulated.call("", kind, asked(simulated))
            rules = {each.rule for each in failed.value.findings}
            assert rules & rule if rule else rules, (kind, fault, rules)


def test_slow(simulated: Simulated) -> None:
    simulated.fault("slow", seconds=0.5)
    before = time.monotonic()
    assert simulated.call("", "rest", asked(simulated)) and time.monotonic() - before >= 0.5


@pytest.mark.full
def test_a_late_answer_is_there_when_it_is_asked_for_again(simulated: Simulated) -> None:
    late = asked(simulated, timeout=3.0)
    simulated.fault("late")
    with pytest.raises(ProviderFailure) as failed:
        simulated.call("", "rest", late)
    assert failed.value.code == "provider.timeout"
    again = late._replace(timeout=30.0)
    first = simulated.call("", "rest", again).answer
    assert first == simulated.call("", "rest", again).answer


def test_out_of_order(simulated: Simulated) -> None:
    """The first call is answered after the second."""
    ended: list[str] = []

    async def one(name: str, before: int) -> Incoming:
        while _seen(simulated) < before:  # the second is sent once the first has come
            await asyncio.sleep(0.02)
        incoming = await simulated.call_soon("", "rest", asked(simulated))
        ended.append(name)
        return incoming

    async def both() -> None:
        came = _seen(simulated)
        await asyncio.gather(one("first", came), one("second", came + 1))

    simulated.fault("out-of-order", seconds=20.0)
    asyncio.run_coroutine_threadsafe(both(), simulated.loop).result(60)
    assert ended == ["second", "first"]


def _seen(simulated: Simulated) -> int:
    played = simulated.simulation.played(SYSTEM)
    assert played is not None
    return int(played.records.seen()["calls"])


@pytest.mark.parametrize("kind", ["rest", "soap"])
def test_as_strict_as_a_national_exchange(simulated: Simulated, kind: str) -> None:
    simulated.fault("strict", count=0)
    try:
        message = asked(simulated)
        assert simulated.call("", kind, message)
        with pytest.raises(ProviderFailure) as twice:
            simulated.call("", kind, message)
        assert twice.value.code == "provider.refused"
        other = dict(message.message) | {"description": unicodedata.normalize("NFD", "Ổ gà lớn giữa đường")}
        with pytest.raises(ProviderFailure) as text:
            simulated.call("", kind, asked(simulated)._replace(message=other))
        assert text.value.code == "provider.refused"
    finally:
        simulated.fault("none")
    assert simulated.call("", kind, message)


# --- how a fault is ordered -------------------------------------------------------------------------------------------


def test_a_header_names_a_fault() -> None:
    assert Fault.of_header("slow;seconds=3") == Fault("slow", 3.0)
    assert Fault.of_header(" bad-signature ") == Fault("bad-signature")
    for wrong in ("", "flood", "slow;seconds=-1", "slow; seconds=1e9", "slow;count=2", "x" * 10_000):
        with pytest.raises(ValueError, match="kind"):
            Fault.of_header(wrong)


@pytest.mark.parametrize("content", [None, [], {}, {"kind": 1}, {"kind": "flood"}, {"kind": "slow", "seconds": -1}])
def test_what_is_no_fault(content: Any) -> None:
    with pytest.raises(ValueError):
        Fault.read(content)


def test_every_kind_is_described_in_both_languages() -> None:
    assert all(each.vi and each.en and each.vi != each.en for each in KINDS.values())
    for page, words in (("docs/sandbox.md", "en"), ("docs/vi/sandbox.md", "vi")):
        text = (ROOT / page).read_text("utf-8")
        for name, each in KINDS.items():
            assert name == "none" or f"| `{name}` | {getattr(each, words)} | " in text, (page, name)
