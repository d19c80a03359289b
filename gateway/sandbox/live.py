"""Which stand-in systems a sandbox has, and the address of each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway.sandbox import agents
from gateway.sandbox.ports import next_free
from gateway.settings import Settings

STANDINS: Final = ("do-thi", "kinh-te", "truong-ha", "mot-cua")
AGENTS: Final = tuple(agents.CALLERS)  # systems that only call, through an agent
TRAFFIC_NAME: Final = "traffic"
_FILE: Final = "standins.json"
_FIRST: Final = 11  # the ports of the stand-ins follow the exchange listener's, unless something listens there


def choose_endpoints(settings: Settings) -> dict[str, str]:
    """An address for each stand-in, free just now."""
    endpoints: dict[str, str] = {}
    port = settings.exchange_port + _FIRST
    for system in STANDINS:
        port = next_free(port)
        endpoints[system] = f"https://localhost:{port}"
        port += 1
    return endpoints


def remember(data: Path, endpoints: Mapping[str, str]) -> None:
    (data / _FILE).write_text(json.dumps(dict(endpoints), indent=2) + "\n", "utf-8")


def endpoints(settings: Settings) -> dict[str, str]:
    addresses: dict[str, str] = json.loads((settings.data / _FILE).read_text("utf-8"))
    return addresses
