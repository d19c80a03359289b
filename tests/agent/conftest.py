"""An agent for a system of the shared instance, and the centre's view of what came through."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio

from adapters.http import client_context
from adapters.opening import Peers, open_session
from bench.ports import free_port
from examples.story.world import World
from gateway.keys.keyring import Keyring
from gateway.settings import Settings
from tests.agent.agents import Agent, Road


@pytest.fixture(scope="module")
def make(instance: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Agent]]:
    """`make(system, contracts, connect=…)`: an agent that is not started yet; stopped at the end of the module."""
    made: list[Agent] = []

    def agent(
        system: str, contracts: list[str], *, connect: str | None = None, skew: float = 0.0, **changes: object
    ) -> Agent:
        config = {
            "identity": str(instance.identities / system),
            "body_seconds": 1.0,
            "body_limit": 400_000,
            "caller": {"listen": f"127.0.0.1:{free_port()}", "contracts": contracts, "seconds": 5, **changes},
        } | ({"connect": connect} if connect else {})
        made.append(Agent(tmp_path_factory.mktemp(system) / "agent", config, skew))
        return made[-1]

    yield agent
    for each in made:
        each.stop()


@pytest.fixture(scope="module")
def gateway(instance: Settings) -> tuple[str, int]:
    parts = urlsplit(instance.base)
    return parts.hostname or "localhost", parts.port or 443


@pytest.fixture
def road(gateway: tuple[str, int]) -> Iterator[Road]:
    made = Road(gateway)
    yield made
    made.close()


@pytest.fixture(scope="module")
def alerts(world: World) -> Callable[[str], list[dict[str, object]]]:
    """The events of the alerts' feed whose identifier begins so, in their order."""
    from examples.story.exchange import ALERTS, read_feed

    return lambda prefix: [
        each["data"] for each in read_feed(world, ALERTS) if str(each["data"]["identifier"]).startswith(prefix)
    ]


@pytest.fixture(scope="session")
def sample() -> dict[str, object]:
    """A canonical alert with every diacritic."""
    import json

    folder = Path(__file__).parents[2] / "contracts" / "catalogue" / "incident-alert" / "v1" / "samples"
    found: dict[str, object] = json.loads(next(iter(sorted(folder.rglob("*.canonical.json")))).read_text("utf-8"))
    return found


@pytest_asyncio.fixture
async def session(instance: Settings) -> AsyncIterator[aiohttp.ClientSession]:
    """Mutual TLS as the gateway opens it."""
    keyring = Keyring(instance)
    opened = open_session(Peers(client_context(keyring.trust_anchors, keyring.client_certificate, keyring.client_key)))
    yield opened
    await opened.close()
