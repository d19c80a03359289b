"""The agent's local port before pages and systems that want another address than was looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from gateway.agent.caller import Caller
from gateway.agent.config import Address, CallerSide, QueueBounds
from gateway.agent.files import FileRoom, Files
from gateway.agent.link import Passed
from gateway.agent.listener import Listener
from gateway.agent.secret import LocalSecret

SECRET = "local-secret-of-a-test"
NAME = "incident-alert/v1"


class Sent:
    """What would go to the gateway."""

    def __init__(self) -> None:
        self.targets: list[str] = []

    async def rest(self, method: str, target: str, *_: Any) -> Passed:
        self.targets.append(target)
        return Passed(200, {}, b"{}", True, "", None, False)


@pytest_asyncio.fixture
async def agent(tmp_path: Path) -> AsyncIterator[tuple[int, Sent]]:
    side = CallerSide(Address("127.0.0.1", 0), (NAME,), 1.0, QueueBounds(), hosts=("agent.example",))
    sent = Sent()
    directory = SimpleNamespace(rest=lambda method, path: None, complete=True)
    files = Files(cast(Any, sent), FileRoom(tmp_path / "files", 1000), side.contracts)
    caller = Caller(
        side=side,
        secret=LocalSecret(SECRET),
        base="https://gateway.example",
        link=cast(Any, sent),
        directory=cast(Any, directory),
        queue=cast(Any, None),
        files=files,
    )
    listener = Listener(caller, limit=1000, seconds=5.0, calls=9, side=side)
    await listener.open(side.listen)
    assert listener._server is not None
    yield listener._server.sockets[0].getsockname()[1], sent
    await listener.close(1.0)


async def ask(port: int, target: str, host: str | None = None) -> int:
    headers = {"lgsp-agent-secret": SECRET} | ({"host": host} if host is not None else {})
    async with aiohttp.ClientSession() as session:
        async with session.get(URL(f"http://127.0.0.1:{port}{target}", encoded=True), headers=headers) as answer:
            return answer.status


@pytest.mark.attack("path traversal")
@pytest.mark.parametrize(
    "target",
    [
        f"/{NAME}/%2e%2e/%2e%2e/accounts",
        f"/{NAME}/..%2f..%2faccounts",
        f"//{NAME}/alerts",
        f"/{NAME}//alerts",
        f"/{NAME}/alerts/",
        f"/{NAME}/./alerts",
        f"/{NAME}/%61lerts",
        f"/feeds/{NAME}/..%2f",
        f"//feeds/{NAME}",
    ],
)
async def test_only_plain_paths_go_on(agent: tuple[int, Sent], target: str) -> None:
    port, sent = agent
    assert await ask(port, target) == 404 and not sent.targets


async def test_a_plain_path_goes_on_with_its_query(agent: tuple[int, Sent]) -> None:
    port, sent = agent
    assert await ask(port, f"/{NAME}/alerts?area=%2e%2e") == 200 and sent.targets == [f"/{NAME}/alerts?area=%2e%2e"]


@pytest.mark.attack("host")
@pytest.mark.parametrize(
    "host", ["rebound.example", "rebound.example:80", "localhost.rebound.example", "192.0.2.7", "", "[", "[::1"]
)
async def test_a_name_of_somebody_else_is_refused(agent: tuple[int, Sent], host: str) -> None:
    port, sent = agent
    assert await ask(port, f"/{NAME}/alerts", host) == 421 and not sent.targets


@pytest.mark.parametrize(
    "host", [None, "localhost", "LOCALHOST:8", "127.0.0.1:9", "[::1]:9", "[::1]", "Agent.example:80"]
)
async def test_its_own_names_are_taken(agent: tuple[int, Sent], host: str | None) -> None:
    assert await ask(agent[0], f"/{NAME}/alerts", host) == 200


def test_beyond_loopback_an_address_is_taken_and_a_name_is_not() -> None:
    side = CallerSide(Address("0.0.0.0", 1), (NAME,), 1.0, QueueBounds())
    assert side.answers_to("192.0.2.7:8400") and not side.answers_to("rebound.example")
