"""The system `truong-ha` of the sandbox, played by a test: it answers as many calls as it is allowed to."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from examples.story.world import World
from gateway.sandbox.standins.base import StandIn
from gateway.sandbox.standins.rest_base import RestStandIn

SYSTEM = "truong-ha"
AREA = "01392"  # whose reports are routed to it


@dataclass(slots=True)
class Office(RestStandIn):
    """It keeps the callers waiting whose calls go beyond what is `allowed`, as long as the test wants.

    The gateway must be as patient (`provider_seconds` of the shared instance, in `tests/conftest.py`)."""

    allowed: float = math.inf
    came: int = 0
    answered: int = 0
    under_way: int = 0
    most: int = 0  # calls under way at the same time

    def carry_out(self, path: str, content: dict[str, Any], number: int) -> dict[str, Any]:
        return {
            "service_request_id": f"TH-{number:04d}",
            "status": "open",
            "service_notice": "Đã tiếp nhận.",
            "expected_datetime": time.strftime("%Y-%m-%dT%H:%M:%S+07:00"),
            "agency_responsible": "UBND xã Trường Hà",
        }

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.came += 1
        mine = self.came
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        while mine > self.allowed:
            await asyncio.sleep(0.02)
        answer = await StandIn._take(self, request)
        self.under_way -= 1
        self.answered += 1
        return answer


def office(world: World) -> Office:
    """At the address that the registry has of it."""
    return Office(world.identity(SYSTEM), urlsplit(world.standins[SYSTEM]).port or 0)
