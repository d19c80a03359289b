"""The old system that only speaks plain HTTP: it believes the local secret, keeps to its area, and carries a message id
out once."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.sandbox.simulation.faults import KINDS
from gateway.sandbox.standins.field_office import FAULTS, FieldOffice, main

REPORT = {"service_code": "chieu-sang", "area": "01392", "description": "Đèn đường tắt ba đêm."}


class Asking:
    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session, self.base = session, base

    async def post(
        self, content: Any, message: str = "", secret: str = "bi-mat", path: str = "/v1/requests", fault: str = ""
    ) -> tuple[int, Any]:
        headers = {
            "Lgsp-Agent-Secret": secret,
            "Idempotency-Key": f'"{message or uuid.uuid4()}"',
            "Lgsp-Transfer": message,
        } | ({"LGSP-Sandbox-Fault": fault} if fault else {})
        async with self.session.post(self.base + path, json=content, headers=headers) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def office() -> AsyncIterator[Asking]:
    made = FieldOffice("bi-mat")
    port = await made.start(0)
    async with aiohttp.ClientSession() as session:
        yield Asking(session, f"http://127.0.0.1:{port}")
    await made.stop()


async def test_a_report_is_taken_in_once(office: Asking) -> None:
    first, again = [await office.post(REPORT, "một-lần") for _ in range(2)]
    assert (
        first == again
        and first[0] == 200
        and first[1]["service_request_id"].startswith("TH-")
        and "Đã tiếp nhận" in first[1]["service_notice"]
    )
    assert (await office.post(REPORT | {"description": "Khác"}, "một-lần"))[0] == 409
    assert (await office.post(REPORT))[1]["service_request_id"] != first[1]["service_request_id"]
    async with office.session.get(office.base + "/_seen") as seen:
        assert (await seen.json())["records"] == 2


@pytest.mark.parametrize(
    ("content", "changes", "status"),
    [
        (REPORT | {"area": "01273"}, {}, 422),
        ({"area": "01392"}, {}, 400),
        ([], {}, 400),
        (REPORT, {"path": "/khac"}, 404),
        (REPORT, {"secret": "sai"}, 401),
        (REPORT, {"secret": ""}, 401),
    ],
)
async def test_what_it_does_not_take_in(office: Asking, content: Any, changes: dict[str, str], status: int) -> None:
    assert (await office.post(content, **changes))[0] == status


async def test_faults_that_concern_no_signature(office: Asking) -> None:
    began = time.monotonic()
    assert (await office.post(REPORT, fault="slow;seconds=0.3"))[0] == 200 and time.monotonic() - began >= 0.3
    for kind in ("down", "close", "silent;seconds=0.1"):
        with pytest.raises(aiohttp.ClientError):
            await office.post(REPORT, f"mất-{kind[:5]}", fault=kind)
    async with office.session.get(office.base + "/_seen") as seen:
        assert (await seen.json())["records"] == 2  # `slow` and `close` were carried out
    taken = await office.post(REPORT, fault="wrong-type")
    assert taken[0] == 200 and taken[1]["service_request_id"] != str(taken[1]["service_request_id"])
    with pytest.raises(ValueError, match="Expecting|Unterminated"):
        await office.post(REPORT, fault="malformed")
    with pytest.raises(aiohttp.ContentTypeError, match="500"):
        await office.post(REPORT, fault="wrong-status")


@pytest.mark.parametrize("kind", sorted({*KINDS, "no-such"} - FAULTS))
async def test_a_fault_that_it_cannot_show_is_refused_and_not_passed_over(office: Asking, kind: str) -> None:
    status, told = await office.post(REPORT, fault=kind)
    assert (status, told["error"]) == (400, "fault")
    async with office.session.get(office.base + "/_seen") as seen:
        assert (await seen.json())["records"] == 0


def test_without_a_secret_it_does_not_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--secret", str(tmp_path / "none")]) == 2
    assert "FileNotFoundError" in capsys.readouterr().err
