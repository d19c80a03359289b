"""Which stand-in systems a sandbox has, and the address of each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway.sandbox import agents
from gateway.sandbox.ports import next_free
from gateway.settings import Settings

SIMULATION: Final = "mo-phong"  # one process, which plays the systems below and any other with an identity folder
SIMULATED: Final = ("mot-cua", "van-ban-khcn", "van-ban-xd", "van-ban-tc", "dan-cu", "doanh-nghiep")
STANDINS: Final = ("do-thi", "kinh-te", "truong-ha", SIMULATION)
# Systems without an RSA key of their own: their contracts need none, and such keys are slow to make.
LIGHT: Final = frozenset({SIMULATION, "camera", "camera-giao-thong", *SIMULATED} - {"mot-cua"})
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


def addresses(settings: Settings) -> dict[str, str]:
    """The address of each system that answers, those of the simulation too."""
    found = endpoints(settings)
    base = found.get(SIMULATION)
    return found if base is None else found | {name: f"{base}/{name}" for name in SIMULATED}
