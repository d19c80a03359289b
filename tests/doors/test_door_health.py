"""Whether a door lives is told although it cannot read the registry; everything else is refused without names of
rows."""

from __future__ import annotations

from typing import Any, cast

import pytest

from gateway.doors.exchange_app import ExchangeApp
from gateway.doors.health import PROBES
from gateway.doors.http.limits import Limits
from gateway.doors.http.shell import Shell
from gateway.doors.reply import Reply
from gateway.registry.errors import REGISTRY_ALTERED

ALTERED = REGISTRY_ALTERED(rows="…", count=1)


class Refused:
    @property
    def snapshot(self) -> Any:
        raise ALTERED


async def ask(path: str) -> tuple[int, bytes]:
    class Told:
        async def reply(self, scope: Any) -> Reply | None:
            return Reply(200, {}, b"by the health addresses") if scope["path"] in PROBES else None

    nothing = cast(Any, None)
    exchange = ExchangeApp(nothing, nothing, nothing, nothing, "https://x", 1_000, lambda: 0.0)
    app = Shell(exchange, cast(Any, Refused()), "https://x", 1.0, lambda: 0.0, cast(Any, Told()), Limits(9, 9))
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [], "extensions": {}}
    await app(scope, nothing, send)
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.parametrize("path", sorted(PROBES))
async def test_health_is_no_matter_of_the_registry(path: str) -> None:
    assert await ask(path) == (200, b"by the health addresses")


@pytest.mark.parametrize("path", ["/", "/contracts", "/indicator/v1/values"])
async def test_everything_else_is_refused(path: str) -> None:
    status, body = await ask(path)
    assert status == 503 and b"registry.altered" in body
