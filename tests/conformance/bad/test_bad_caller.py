"""Each seeded fault of the caller shows on the wire as itself and as nothing else; the good caller shows none."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conformance.bad import content, wire
from tests.conformance.bad.caller import Answered, Caller
from tests.conformance.bad.small_gateway import Answering, answering
from tests.conformance.bad.wire import Unproven

HERE = Path(__file__).parent
FAULTS = yaml.safe_load((HERE / "faults.yaml").read_text("utf-8"))["faults"]
REPORT: dict[str, Any] = {
    "service_code": "duong-sa",
    "area": "01392",
    "lat": 22.9583,
    "long": 106.0431,
    "description": "Ổ gà lớn trước số nhà 25 phố Kim Đồng.",
}
SAMPLES = HERE / "contract" / "water-reading" / "v1" / "samples" / "canonical"


def of(contract: str) -> list[str]:
    return [each["id"] for each in FAULTS if (each["side"], each["contract"]) == ("caller", contract)]


class Run:
    """One run of the caller: what it sent after the given orders, the waits that it took, and how it ended."""

    def __init__(self, fault: str | None, *orders: str, message: dict[str, Any] | None = None) -> None:
        self.waits: list[tuple[int, float]] = []  # calls that came before the wait, seconds
        with answering(*orders) as (gateway, keys):
            caller = Caller(keys, None, fault, pause=lambda seconds: self.waits.append((len(gateway.came), seconds)))
            self.ended: list[Answered] = caller.run("/field-report/v1/requests", message or REPORT)
            self.gateway: Answering = gateway
            self.address = keys.gateway
        self.ids = [fields.get("idempotency-key") for _, _, fields, _ in gateway.came]

    def signatures(self) -> set[str]:
        """What is wrong with the signatures of the calls."""
        seen, nonces = set(), set()
        for method, path, fields, body in self.gateway.came:
            assert fields["content-digest"] == wire.digest(body)
            derived = {'"@method"': method, '"@target-uri"': self.address + path}
            try:
                signed = wire.check(self.gateway.keys, wire.needed_of_request(fields), "lgsp-request", derived, fields)
            except Unproven as wrong:
                seen.add("digest-not-covered" if "content-digest" in str(wrong) else "broken")
                continue
            if int(signed.params["expires"]) < time.time():
                seen.add("clock-off")
            if signed.params["nonce"] in nonces:
                seen.add("nonce-reused")
            nonces.add(signed.params["nonce"])
        return seen


def of_content(fields: dict[str, Any]) -> set[str]:
    seen = set()
    if set(fields) - content.MEMBERS:
        seen.add("sends-unknown-field")
    if fields["service_code"] not in content.KINDS:
        seen.add("sends-wrong-code")
    return seen | (set() if isinstance(fields["lat"], float) else {"sends-number-as-text"})


def seen(fault: str | None) -> set[str]:
    found = set()
    plain = Run(fault)
    found |= plain.signatures() | of_content(json.loads(plain.gateway.came[0][3]))
    if plain.ids == [None, None]:
        found.add("no-message-id")
    elif plain.ids[0] != plain.ids[1]:
        found.add("new-id-on-repeat")
    quota = Run(fault, "429")
    if len(quota.gateway.came) == 3:
        if quota.ids[0] != quota.ids[1]:
            found.add("new-id-after-429")
        if fault != "retry-storm" and (1, 7.0) not in quota.waits:  # a storm never waits, and is named as such
            found.add("429-without-waiting")
    if len(Run(fault, *["503"] * 19).gateway.came) > 8:
        found.add("retry-storm")
    if len(Run(fault, "409").gateway.came) == 2:
        found.add("conflict-as-success")
    for order, name in (
        ("unsigned", "unsigned-answer-accepted"),
        ("wrong-digest", "answer-digest-ignored"),
        ("other-key", "foreign-signature-accepted"),
    ):
        if len(Run(fault, order).gateway.came) == 2:
            found.add(name)
    return found


@pytest.mark.parametrize("fault", [None, *of("field-report/v1")])
def test_a_fault_shows_as_itself(fault: str | None) -> None:
    assert seen(fault) == ({fault} if fault else set())


def test_the_good_caller_ends_with_an_accepted_answer_and_signs_each_time_anew() -> None:
    run = Run(None, "429", "unsigned", "409")
    assert [(each.status, each.accepted) for each in run.ended] == [(200, True), (200, True)]
    assert len(run.gateway.came) == 5 and len(set(run.ids)) == 1
    assert len({fields["signature"] for _, _, fields, _ in run.gateway.came}) == 5
    assert run.waits == [(1, 7.0), (3, 7.0)]


@pytest.mark.parametrize("fault", [None, *of("water-reading/v1")])
def test_on_a_contract_of_its_own_a_fault_shows_as_itself(fault: str | None) -> None:
    good = json.loads((SAMPLES / "Reading.bang-giang.json").read_text("utf-8"))
    sent = json.loads(Run(fault, message=good).gateway.came[0][3])
    found = set()
    if sent["station"] not in content.STATIONS.values():
        found.add("water-station-code")
    if not isinstance(sent["level"], float):
        found.add("water-level-as-text")
    if datetime.fromisoformat(sent["measured"]).tzinfo is None:
        found.add("water-time-without-zone")
    if "trend" not in sent:
        found.add("water-trend-missing")
    assert found == ({fault} if fault else set())


def test_each_fault_is_described_in_both_languages_once() -> None:
    names = [each["id"] for each in FAULTS]
    assert len(set(names)) == len(names)
    assert sum(each["contract"] == "field-report/v1" for each in FAULTS) >= 30
    assert sum(each["contract"] == "water-reading/v1" for each in FAULTS) == 10
    for each in FAULTS:
        assert set(each) == {"id", "side", "over", "contract", "does", "rule", "about", "says"}
        assert set(each["does"]) == set(each["says"]) == {"vi", "en"} and set(each["rule"]) == {"document", "place"}


def test_the_contract_of_its_own_can_be_published() -> None:
    command = [sys.executable, "-m", "gateway", "contract", "check", str(HERE / "contract" / "water-reading" / "v1")]
    ended = subprocess.run(command, cwd=HERE.parents[2], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize("module", ["wire", "soap_wire", "content", "provider", "caller", "small_gateway"])
def test_the_bad_ones_share_no_code_with_the_gateway(module: str) -> None:
    text = (HERE / f"{module}.py").read_text("utf-8")
    assert not re.search(r"^\s*(?:from|import) (?:gateway|security|contracts|adapters|bench|examples)\b", text, re.M)
