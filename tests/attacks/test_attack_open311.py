"""GeoReport's paths at the agent under attack: bytes that are no text, floods of ids and parameters, wrong dates, texts
with marks, and reports of others."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote

import pytest_asyncio
from lxml import etree

from contracts.base.times import rfc3339
from gateway.agent.config import Address
from gateway.agent.listener import Listener
from gateway.agent.open311.face import Open311
from gateway.agent.open311.following import Following
from gateway.agent.open311.reports import Progress, Report, Reports, Update
from gateway.agent.open311.services import ServiceList
from gateway.agent.secret import HEADER, LocalSecret
from gateway.client.identities.identity import write_private

SECRET = "s" * 40
CODES = {"service-code": [{"code": "duong-sa", "vi": "Đường sá", "en": "Roads"}], "area": []}
MARKED = "Ệ ễ \u0045\u0323\u0302 ]]> <b>&amp;</b> \u202egnort {{ x }} =1+1 👨‍👩‍👧 \x0b\x1b\ufffe"


class Codes:
    async def document(self, _: str) -> bytes:
        return json.dumps(CODES).encode()


@dataclass
class City:
    """The real listener and face; no gateway stands behind them, and none is asked."""

    port: int
    reports: Reports

    async def raw(self, target: bytes, secret: str = SECRET) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = b"GET " + target + b" HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"
        writer.write(head + f"{HEADER}: {secret}\r\n\r\n".encode())
        told = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        top, _, body = told.partition(b"\r\n\r\n")
        return int(top.split()[1]), body

    async def listed(self, query: str) -> list[dict[str, Any]]:
        status, body = await self.raw(f"/requests.json?{query}".encode())
        assert status == 200, body
        found: list[dict[str, Any]] = json.loads(body)
        return found

    def put(self, token: str, number: str, at: float, **progress: Any) -> None:
        shown = {"description": MARKED, "lat": "22.66590"}
        self.reports.put(Report(token, number, "duong-sa", at, shown, Progress(**progress), time.time() + 3600))


@pytest_asyncio.fixture
async def city(tmp_path: Path) -> AsyncIterator[City]:
    file = tmp_path / "agent.db"
    write_private(file, b"")
    reports, nothing = Reports(file, b"k" * 32), cast(Any, None)
    caller = SimpleNamespace(secret=LocalSecret(SECRET), here=lambda head: "http://a")
    services = ServiceList(cast(Any, Codes()))
    face = Open311(cast(Any, caller), services, reports, Following(nothing, nothing, reports, "vi"), "phan-anh")
    listener = Listener(face, limit=100_000, seconds=5.0, calls=50)
    await listener.open(Address("127.0.0.1", 0))
    assert listener._server is not None
    yield City(listener._server.sockets[0].getsockname()[1], reports)
    await listener.close(1.0)
    reports.close()


TARGETS = (
    *(b"/requests/\xff.json", b"/requests/%ff.json", b"/requests/%00.json", b"/requests/%ed%a0%80.xml"),
    *(b"/requests/%.json", b"/requests/%2e%2e%2fkeys.json", b"/requests/' or 1=1 --.json".replace(b" ", b"%20")),
    *(
        b"/requests.json?service_request_id=\xff",
        b"/requests.json?service_request_id=%ff",
        b"/requests.xml?x=%ed%a0%80",
    ),
    *(b"/requests.json?status=\xed\xa0\x80", b"/requests.json?service_code=%00", b"/requests.xml?%ff=%ff"),
    b"/requests.json?service_request_id=" + b",".join(b"%d" % n for n in range(101)),
    b"/requests.json?" + b"&".join(b"p%d=1" % n for n in range(31)),
    b"/servicerequestupdates.xml?" + b"service_request_id=1&" * 31,
    *(b"/requests.json?page_size=" + each for each in (b"-1", b"1e3", b"99999", b"%D9%A3%00", b"%C2%B2")),
    *(b"/tokens/\xc3.xml", b"/services/\xc3.json", b"/services/%ff.xml", b"/discovery.json?\xff"),
)
DATES = (
    *("yesterday", "2026-02-30T00:00:00Z", "2026-11-27", "2026-11-27T00:00:00", "9999-12-31T23:59:59-23:59"),
    *("0001-01-01T00:00:00+23:59", "-2026-01-01T00:00:00Z", "12026-01-01T00:00:00Z", "2026-11-27T24:00:01Z"),
    *("2026-11-27T00:00:00+99:99", "٢٠٢٦-11-27T00:00:00Z", "\ufeff2026-11-27T00:00:00Z", "2026-11-27T00:00:00Z\x00"),
    *("1e999999", "NaN", "Infinity", "9" * 5000, "2026-11-27T00:00:00." + "9" * 4000),
    *("2026-W48-5T00:00:00Z", "20261127T000000Z", "2026-11-27ệ00:00:00Z", "2026-11-27T00:00:00.999999x9Z"),
)


async def test_an_address_that_is_no_text_or_too_much_is_refused(city: City) -> None:
    city.put("t1", "SXD-1", time.time())
    for target in TARGETS:
        status, body = await city.raw(target)
        assert status in (200, 400, 404) and b"agent.fault" not in body, (target[:80], status, body[:300])
    assert len(await city.listed("service_request_id=SXD-1")) == 1  # it answers others as before


async def test_a_date_that_is_none_is_refused(city: City) -> None:
    for date in DATES:
        for name in ("start_date", "end_date"):
            status, body = await city.raw(f"/requests.json?{name}={quote(date)}".encode())
            assert status == 400 and name in json.loads(body)[0]["description"], (date[:40], status, body[:300])


async def test_the_first_and_the_last_year_are_dates(city: City) -> None:
    city.put("t1", "SXD-1", time.time())
    for date in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.%sZ" % ("9" * 4000), "2026-11-27t00:00:00+07:00"):
        since, until = await city.listed(f"start_date={quote(date)}"), await city.listed(f"end_date={quote(date)}")
        assert len(since) + len(until) == 1, date[:40]


async def test_texts_come_back_as_they_are_and_break_no_document(city: City) -> None:
    steps = tuple(Update(n, "open", rfc3339(n * 60.0), MARKED) for n in range(3))
    city.put("t1", "Số/1 & <2>", time.time(), notes=MARKED, agency=MARKED, notice=MARKED, updates=steps)
    (shown,) = await city.listed(f"service_request_id={quote('Số/1 & <2>')}")
    assert shown["description"] == shown["status_notes"] == shown["service_notice"] == MARKED
    _, body = await city.raw(f"/requests/{quote('Số/1 & <2>', safe='')}.xml".encode())
    (request,) = etree.fromstring(body)
    assert request.findtext("description") == MARKED.replace("\x0b\x1b\ufffe", "\ufffd" * 3) and len(request) == len(
        shown
    )
    _, body = await city.raw(b"/servicerequestupdates.xml")
    assert [each.findtext("update_id") for each in etree.fromstring(body)] == ["t1.2", "t1.1", "t1.0"]


async def test_a_list_is_bounded_whatever_is_asked(city: City) -> None:
    now, steps = time.time(), tuple(Update(n, "open", rfc3339(n * 60.0), "x") for n in range(4))
    for number in range(300):
        city.put(f"t{number}", f"n{number}", now + number, updates=steps)
    assert len(await city.listed("page_size=7")) == 7 and len(await city.listed("")) == 300
    status, body = await city.raw(b"/servicerequestupdates.json")
    assert status == 200 and len(json.loads(body)) == 1000


async def test_nobody_without_the_secret_learns_whether_a_report_exists(city: City) -> None:
    city.put("t1", "SXD-1", time.time())
    told = [
        await city.raw(f"/{each}.json".encode(), "wrong") for each in ("requests/SXD-1", "requests/none", "tokens/t1")
    ]
    assert {status for status, _ in told} == {401} and len({body for _, body in told}) == 1
