"""A registry that cannot be read, and a fault that nobody foresaw: a code in the caller's own protocol, never a bare
500."""

from __future__ import annotations

from typing import Any, cast

import pytest
from lxml import etree
from sqlalchemy.exc import OperationalError

from gateway.doors.exchange_app import ExchangeApp
from gateway.doors.http.limits import Limits
from gateway.doors.http.shell import Shell
from gateway.doors.soap import SoapDoor
from gateway.registry.errors import REGISTRY_STALE
from tests.attacks.raw import Told, told_by


class Registry:
    def __init__(self, trouble: Exception) -> None:
        self._trouble = trouble

    @property
    def snapshot(self) -> Any:
        raise self._trouble


async def ask(trouble: Exception, path: str) -> Told:
    nothing = cast(Any, None)
    soap = SoapDoor(nothing, nothing, lambda: "", lambda: 0.0)
    exchange = ExchangeApp(nothing, nothing, soap, nothing, "https://gateway.example", 1_000, lambda: 0.0)
    app = Shell(
        exchange, cast(Any, Registry(trouble)), "https://gateway.example", 1.0, lambda: 0.0, limits=Limits(1, 1)
    )
    return await told_by(app, {"method": "POST", "path": path, "raw_path": path.encode()})


@pytest.mark.parametrize(
    ("trouble", "code", "status"),
    [
        (REGISTRY_STALE(seconds=61), "registry.stale", 503),
        (RuntimeError("secret words"), "gateway.fault", 500),
        (OperationalError("SELECT", {}, Exception("secret words")), "journal.unavailable", 503),
    ],
)
async def test_told_by_code_in_both_protocols(trouble: Exception, code: str, status: int) -> None:
    for path in ("/incident-alert/v1/alerts", "/contracts", "/feeds/incident-alert/v1"):
        told = await ask(trouble, path)
        assert (told.status, told.code) == (status, code) and b"secret" not in told.body
        assert ("retry-after" in told.headers) == (code == "journal.unavailable")
    told = await ask(trouble, "/soap/incident-alert/v1")
    assert (told.status, told.code) == (500, code) and b"secret" not in told.body
    assert etree.fromstring(told.body).findtext(".//faultcode") == "soap:Server"
