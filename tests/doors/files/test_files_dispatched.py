"""Dropped files whose messages are dispatched to a provider, line by line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from adapters.errors import PROVIDER_DOWN, PROVIDER_REFUSED, Acted
from adapters.model import Incoming
from gateway.delivery.forwarder import Forwardable
from gateway.journal.database import open_engine, writing
from gateway.journal.schema import tables
from gateway.journal.write import QueueRow
from gateway.keeper import recovery
from gateway.transfer.stages import OpenTransfer
from tests.doors.files.dropping import Place, changed, dropped, edited, fresh, grant

REPORTS = """format: csv
title: {vi: Phản ánh, en: Reports}
messages:
  ServiceRequest:
    rows:
      - {canonical: service_code, here: Lĩnh vực}
      - {canonical: area, here: Mã địa bàn}
      - {canonical: description, here: Nội dung}
    drops: [lat, long, address_string, address_id, email, device_id, account_id, first_name, last_name, phone, media_url, attribute]
"""  # noqa: E501
THREE = (
    "Lĩnh vực,Mã địa bàn,Nội dung\nchieu-sang,01273,Đèn tắt\nchieu-sang,01273,KHÔNG "
    "NHẬN\nrac-thai,01273,CHƯA GỌI ĐƯỢC\n"
).encode()


class Provider:
    """Stands for the forwarder: answers, refuses, or cannot be reached, by what the message says."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def is_open(self, system: str) -> bool:
        return False

    def queue_row(self, transfer: OpenTransfer, failure: Any, now: float) -> QueueRow:
        return QueueRow(transfer.id, transfer.provider or "", f"{transfer.id}/canonical", now + 1)

    async def forward(self, what: Forwardable, seconds: float) -> Incoming:
        message, provider = what.message, what.provider
        self.asked.append(message["description"])
        if message["description"] == "KHÔNG NHẬN":
            raise PROVIDER_REFUSED(acted=Acted.NO, system=provider.id, provider_status=422)
        if message["description"] == "CHƯA GỌI ĐƯỢC":
            raise PROVIDER_DOWN(acted=Acted.NO, system=provider.id)
        return Incoming({"service_request_id": "SXD-1", "status": "open"}, b"out", b"in", "k", 200, 0.1)


def dispatching(folder: Path) -> Place:
    bundle = changed(
        {"contract.yaml": ("    idempotent: true\n", "    idempotent: true\n    partial: accept\n")},
        {"systems/phan-anh-csv.yaml": REPORTS},
        of="field-report",
    )
    rules = [{"match": "*.csv", "contract": "field-report/v1", "operation": "createRequest", "format": "phan-anh-csv"}]
    return fresh(folder, edited(rules=rules, grants=[grant("field-report/v1", "createRequest")]), bundle)


def test_lines_are_dispatched_and_each_ends_as_its_provider_says(tmp_path: Path) -> None:
    place = dispatching(tmp_path)
    place.provider = Provider()
    dropped(place, a_csv=THREE)
    place.look()
    (report,) = place.reports()
    assert report["result"] == "partly-accepted" and report["lines"] == {"taken": 2, "refused": 1}
    assert [(each["line"], each["rule"], each["got"]) for each in report["findings"]] == [
        (3, "refused", "provider.refused")
    ]
    states = dict(place.rows("select message_id, state from transfer"))
    assert [states[f"sha256:{report['sha256']}:{line}"] for line in (2, 3, 4)] == ["answered", "failed", "queued"]
    assert place.rows("select count(*) from queue") == [(1,)]
    dropped(place, b_csv=THREE)
    place.look()
    assert len(place.provider.asked) == 3, "what was dispatched once is not dispatched again"
    again = next(each for each in place.reports() if each["file"] == "b.csv")
    assert again["first"] in again["transfers"] and again["findings"][0]["got"] == "provider.refused"


def test_what_was_being_forwarded_when_the_worker_died_waits_for_the_keeper(tmp_path: Path) -> None:
    place = dispatching(tmp_path)

    class Dying(Provider):
        async def forward(self, what: Forwardable, seconds: float) -> Incoming:
            await super().forward(what, seconds)
            raise KeyboardInterrupt  # between the provider's answer and the outcome

    place.provider = Dying()
    dropped(place, a_csv=THREE)
    with pytest.raises(KeyboardInterrupt):
        place.look()
    place.provider = Provider()
    place.look()
    assert place.where() == ["work"] and place.provider.asked == [], (
        "nobody knows yet whether the first one was carried out"
    )
    with writing(open_engine(f"sqlite:///{place.data / 'lgsp.db'}")) as connection:
        for each in (
            connection.execute(select(tables.process.c.id).where(tables.process.c.state == "ended")).scalars().all()
        ):
            connection.execute(update(tables.transfer).where(tables.transfer.c.process == each).values(process="gone"))
        assert recovery.close_open(connection, place.now[0]).queued == 1
    place.look()
    (report,) = place.reports()
    assert report["lines"] == {"taken": 2, "refused": 1} and place.provider.asked == ["KHÔNG NHẬN", "CHƯA GỌI ĐƯỢC"]
