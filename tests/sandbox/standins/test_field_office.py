"""The old system that only speaks plain HTTP: it believes the local secret, keeps to its area, and carries a message id
out once."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.sandbox.standins.field_office import FieldOffice, main

REPORT = {"service_code": "chieu-sang", "area": "01392", "description": "Đèn đường tắt ba đêm."}


class Asking:
    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session, self.base = session, base

    async def post(
        self, content: Any, message: str = "", secret: str = "bi-mat", path: str = "/v1/requests"
    ) -> tuple[int, Any]:
        headers = {
            "Lgsp-Agent-Secret": secret,
            "Idempotency-Key": f'"{message or uuid.uuid4()}"',
            "Lgsp-Transfer": message,
        }
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


def test_without_a_secret_it_does_not_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--secret", str(tmp_path / "none")]) == 2
    assert "FileNotFoundError" in capsys.readouterr().err
