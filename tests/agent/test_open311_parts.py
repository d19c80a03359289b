"""Forms, kept reports and answers of GeoReport, without a gateway."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from contracts.base.errors import Failure
from gateway.agent.open311 import forms
from gateway.agent.open311.following import answered, handled
from gateway.agent.open311.reports import KEPT, Filter, Progress, Report, Reports, Update
from gateway.agent.open311.written import reply
from gateway.client.identities.identity import write_private

HEAD = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
NEEDED = {"service_code": "duong-sa", "attribute[area]": "01273", "description": "ổ gà"}


def read(fields: list[tuple[str, str]]) -> forms.Form:
    return forms.read(HEAD, urlencode(fields).encode())


def test_a_form_becomes_the_contracts_own_names() -> None:
    more = [
        ("lat", "22.66590"),
        ("attribute[ngap][]", "1"),
        ("attribute[ngap][]", "2"),
        ("email", ""),
        ("api_key", "k"),
    ]
    form = read([*NEEDED.items(), *more])
    assert form.api_key == "k"
    assert form.report == {
        "service_code": "duong-sa",
        "area": "01273",
        "description": "ổ gà",
        "lat": Decimal("22.66590"),
        "attribute": [{"code": "ngap", "value": "1"}, {"code": "ngap", "value": "2"}],
    }


@pytest.mark.parametrize(
    "more",
    [
        [("description", "again")],
        [("attribute[area]", "01279")],
        [("lat", "22,6")],
        [("long", "NaN")],
        [("area", "01273")],
        [("x", "y")],
        [(f"attribute[{n}]", "v") for n in range(100)],
    ],
)
def test_what_a_form_cannot_say_is_refused(more: list[tuple[str, str]]) -> None:
    with pytest.raises(Failure) as refused:
        read([*NEEDED.items(), *more])
    assert refused.value.code == "agent.form"


@given(st.binary(max_size=300))
def test_any_bytes_are_a_form_or_refused(body: bytes) -> None:
    with pytest.raises(Failure):
        forms.read(HEAD, body)  # none of them has what a report needs


@pytest.fixture
def reports(tmp_path: Path) -> Reports:
    file = tmp_path / "agent.db"
    write_private(file, b"")
    return Reports(file, b"k" * 32)


def report(token: str, number: str, at: float, **progress: object) -> Report:
    shown = {"description": "bí mật ở đây", "lat": "22.66590"}
    return Report(token, number, "duong-sa", at, shown, Progress(**progress))  # type: ignore[arg-type]


def test_reports_are_found_by_number_token_and_filter(reports: Reports) -> None:
    now = time.time()
    first = reports.put(report("t1", "SXD-1", now - 20))
    second = reports.put(report("t2", "SXD-1", now - 10, status="closed", settled=True))
    assert (first.number, second.number) == ("SXD-1", "t2")  # another agency's number does not hide the first
    assert reports.put(report("t3", "t1", now - 5)).number == "t3"
    assert reports.found(Filter(ids=("SXD-1", "t2"))) == [second, first]
    assert reports.found(Filter(statuses=("closed",))) == [second]
    assert reports.found(Filter(services=("cay-xanh",))) == []
    assert [each.token for each in reports.found(Filter(since=now - 15, until=now - 8))] == ["t2"]
    assert [each.token for each in reports.due(now, 9)] == ["t1", "t2", "t3"]
    reports.put(replace(first, asked=now - 2))
    reports.put(replace(second, asked=now - 60))
    assert [each.token for each in reports.due(now, 9)] == ["t3"]  # t1 was asked about just now, t2 is settled
    reports.put(report("t4", "4", now - 20 + KEPT + 1))
    assert [each.token for each in reports.found(Filter())] == ["t4", "t3", "t2"]


def test_contents_are_sealed(reports: Reports, tmp_path: Path) -> None:
    reports.put(report("t1", "SXD-1", time.time(), notice="người xử lý"))
    reports.close()
    with sqlite3.connect(tmp_path / "agent.db") as base:
        text = repr(base.execute("select * from open311_report").fetchall())
    assert "duong-sa" in text and "bí mật" not in text and "người" not in text
    for file in tmp_path.iterdir():
        assert "bí mật".encode() not in file.read_bytes()


def test_the_status_is_that_of_the_handling() -> None:
    answer = {"service_request_id": "SXD-1", "status": "open", "agency_responsible": "Sở Xây dựng"}
    progress = answered(Progress(transfer="t"), answer, 7.0)
    assert (progress.status, progress.agency, progress.updated) == ("open", "Sở Xây dựng", 7.0)
    sent: dict[str, Any] = {
        "number": 1,
        "step": "open",
        "title": {"vi": "Đã chuyển", "en": "Sent"},
        "shown": "open",
        "at": "2026-11-28T01:00:00.000Z",
    }
    done = {
        **sent,
        "number": 2,
        "step": "finish",
        "title": {"vi": "Đã xử lý xong", "en": "Done"},
        "shown": "closed",
        "at": "2026-11-28T02:00:00.000Z",
        "reason": "đã vá",
    }
    seen = {
        "agency": "H14.3",
        "shown": "open",
        "ended": False,
        "title": sent["title"],
        "wholeDue": "2026-12-11T08:30:00Z",
    }
    open_one = handled(progress, {**seen, "steps": [sent]}, "vi")
    assert (open_one.status, open_one.notes, open_one.expected) == ("open", "Đã chuyển", "2026-12-11T08:30:00Z")
    closed = handled(open_one, {**seen, "shown": "closed", "ended": True, "steps": [sent, done]}, "vi")
    assert (closed.status, closed.settled, closed.notes) == ("closed", True, "Đã xử lý xong: đã vá")
    assert closed.agency == "Sở Xây dựng" and [each.number for each in closed.updates] == [1, 2]
    forwarded = handled(closed, {**seen, "agency": "H14.21", "steps": [{**sent, "step": "forward"}]}, "en")
    assert (forwarded.agency, forwarded.status, forwarded.settled) == ("H14.21", "open", False)


def test_updates_are_kept(reports: Reports) -> None:
    update = Update(1, "open", "2026-11-28T01:00:00.000Z", "Đã chuyển")
    kept = reports.put(report("t1", "SXD-1", time.time(), updates=(update,)))
    assert reports.found(Filter()) == [kept] and kept.progress.updates == (update,)


@given(st.text(max_size=40))
def test_xml_says_what_json_says(text: str) -> None:
    raw = reply("service_requests", [{"status_notes": text, "lat": Decimal("1.50"), "media_url": None}], "xml").body
    request = etree.fromstring(raw)[0]
    if "\ufffd" not in (request.findtext("status_notes") or ""):
        assert request.findtext("status_notes") == text
    assert [each.tag for each in request] == ["status_notes", "lat", "media_url"] and request.findtext("lat") == "1.50"
