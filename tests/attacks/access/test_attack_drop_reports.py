"""Somebody learns from the report of a dropped file what his grant hides: of an answer, or of others' messages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.errors import PROVIDER_BAD_ANSWER, PROVIDER_DOWN, PROVIDER_REFUSED, Acted
from adapters.model import Incoming
from contracts.base.errors import Finding, Theirs
from gateway.delivery.forwarder import Forwardable
from gateway.journal.write import QueueRow
from gateway.registry.routing import FEED
from gateway.transfer.stages import OpenTransfer
from tests.doors.files.dropping import CSV, SAMPLES, Place, apply, changed, dropped, edited, fresh, grant
from tests.doors.files.test_files_dispatched import REPORTS
from tests.exchange.house import sample
from tests.registry.making import contracts

ATTACK = pytest.mark.attack("access: by a drop folder")
HIDDEN = "Trả lời riêng 0912 000 001"  # in the fields of the answer that the sender's grant hides
KIND = f"text of {len(HIDDEN)} characters"
ANSWER = {"service_request_id": "SXD-1", "status": "open", "service_notice": HIDDEN}
NOTICE = '"title": "Thông báo",'
SUBMITTED = re.compile(r"    pattern: submit\n.*?    title:\n", re.DOTALL)
DISPATCHED = """    pattern: dispatch
    idempotent: false
    method: POST
    path: /values
    request: IndicatorValues
    answer: IndicatorValue
    title:
"""


class Provider:
    """Each line of a file ends in another way; each answer has the hidden values in it."""

    def __init__(self, answer: dict[str, Any], findings: list[Finding]) -> None:
        self.answer, self.findings, self.asked = answer, findings, 0

    def is_open(self, system: str) -> bool:
        return False

    def queue_row(self, transfer: OpenTransfer, failure: Any, now: float) -> QueueRow:
        return QueueRow(transfer.id, transfer.provider or "", f"{transfer.id}/canonical", now + 1)

    async def forward(self, what: Forwardable, seconds: float) -> Incoming:
        self.asked += 1
        about: dict[str, Any] = {"system": what.provider.id, "evidence_out": b"x", "evidence_in": HIDDEN.encode()}
        if self.asked == 2:
            raise PROVIDER_BAD_ANSWER(acted=Acted.MAYBE, reason="message.invalid", findings=self.findings, **about)
        if self.asked == 3:
            raise PROVIDER_REFUSED(acted=Acted.NO, provider_status=422, **about)
        if self.asked == 4:
            raise PROVIDER_DOWN(acted=Acted.NO, reason="refused", **about)
        return Incoming(self.answer, b"out", HIDDEN.encode(), "k", 200, 0.1)


def told(place: Place, *known: str) -> str:
    """All that the gateway wrote into the folder, but for what was there before."""
    files = [path for path in place.drop.rglob("*") if ".report." in path.name and path.name not in known]
    assert files
    return "\n".join(path.name + path.read_text("utf-8-sig") for path in files)


def bad(field: str) -> list[Finding]:
    """Of an answer: at the hidden field, and at one that is shown."""
    return [Finding(field, field, KIND, "length", "at most 20"), Finding("/status", "status", "null", "type", "text")]


def lines(folder: Path) -> Place:
    """Each line is dispatched alone. The sender does not see the notice in the answer."""
    edits = {
        "contract.yaml": ("    idempotent: true\n", "    partial: accept\n"),
        "schema.json": (NOTICE, NOTICE + ' "absentable": true,'),
    }
    bundle = changed(edits, {"systems/phan-anh-csv.yaml": REPORTS}, of="field-report")
    name, operation = "field-report/v1", "createRequest"
    rules = [{"match": "*.csv", "contract": name, "operation": operation, "format": "phan-anh-csv"}]
    held = grant(name, operation) | {"fields": ["*", "!service_notice"]}
    place = fresh(folder, edited(rules=rules, grants=[held]), bundle)
    place.provider = Provider(ANSWER, bad("service_notice"))
    return place


def whole(folder: Path) -> Place:
    """All lines of a file are dispatched as one message. The sender does not see who is responsible in the answer."""
    text = (SAMPLES.parent / "contract.yaml").read_text("utf-8")
    before = text[text.index("    feed: {operation") :]
    bundle = changed({"contract.yaml": (before, SUBMITTED.sub(DISPATCHED, before.partition("\n")[2]))})
    raw = yaml.safe_load(edited(without="G-0007"))
    name, operation = "indicator/v1", "submitValues"
    next(each for each in raw["systems"] if each["id"] == "kinh-te").pop("formats")  # its own format shows no mask
    raw["routes"] = [each for each in raw["routes"] if each.get("system") != FEED]
    raw["routes"].append({"contract": name, "operation": operation, "system": "kinh-te"})
    raw["grants"].append(grant(name, operation) | {"fields": ["*", "!responsible"]})
    raw["grants"].append(grant(name, operation) | {"id": "G-2", "receives": True})
    place = fresh(folder, yaml.safe_dump(raw, allow_unicode=True), bundle)
    value = sample(contracts()[name], "IndicatorValue")
    place.provider = Provider(
        value | {"responsible": {"name": HIDDEN, "phone": "0912 000 001"}}, bad("responsible.name")
    )
    return place


REPORT = ("Lĩnh vực,Mã địa bàn,Nội dung\n" + "".join(f"chieu-sang,01273,Đèn {each}\n" for each in "abcd")).encode()


@ATTACK
def test_a_report_of_lines_tells_nothing_of_what_is_hidden_in_an_answer(tmp_path: Path) -> None:
    place = lines(tmp_path)
    for name in ("a", "b"):  # the second time the same lines are repeats
        dropped(place, **{f"{name}_csv": REPORT})
        place.look()
    got = {finding["got"] for report in place.reports() for finding in report["findings"]}
    assert got >= {"provider.bad-answer", "provider.refused"} and place.provider.asked == 4
    written = told(place)
    for each in (HIDDEN, KIND, "service_notice"):
        assert each not in written, each


@ATTACK
def test_a_report_of_a_whole_file_tells_nothing_of_what_is_hidden_in_an_answer(tmp_path: Path) -> None:
    place = whole(tmp_path)
    for number in range(4):
        dropped(place, **{f"a{number}_csv": CSV.replace(b"612,450", b"612,45%d" % number)})
        place.look()
    assert place.provider.asked == 4, place.reports()
    codes = [report.get("problem", {}).get("code", report["result"]) for report in place.reports()]
    assert codes == ["accepted", "provider.bad-answer", "provider.refused", "accepted"], codes
    assert "status" in told(place), "what is shown is told"
    written = told(place)
    for each in (HIDDEN, "0912", KIND, "responsible"):
        assert each not in written, each


@ATTACK
def test_a_query_has_no_reports(tmp_path: Path) -> None:
    """Its answer would have no other place than the folder, and nobody masks what lies there."""
    rules = [{"match": "*.csv", "contract": "indicator/v1", "operation": "getValue", "format": "chi-tieu-csv"}]
    with pytest.raises(Theirs) as refused:
        fresh(tmp_path, edited(rules=rules))
    assert refused.value.code == "registry.invalid"


@ATTACK
def test_a_report_tells_nothing_of_the_value_that_another_agency_has_under_the_key(tmp_path: Path) -> None:
    """The system is another agency's now, and hands in its own figures under the keys of its predecessor."""
    place = fresh(tmp_path)
    dropped(place, a_csv=CSV)
    place.look()
    (owned,) = place.reports()
    known = [path.name for path in place.drop.rglob("*.report.*")]
    apply(
        place, edited(system={"agency": "H14.7"}, grants=[grant("indicator/v1", "submitValues") | {"agency": "H14.7"}])
    )
    dropped(place, b_csv=CSV.replace(b"612,450", b"1,5").replace("Lương Thị Bích Ngọc".encode(), b"Lan"))
    place.look()
    written = told(place, *known)
    assert "message.key-taken" in written
    # "612" alone would be in some receipt by chance
    for each in ("612,45", "612.45", "Lương Thị", "0206 000", "H14.4", owned["transfer"]):
        assert each not in written, each
