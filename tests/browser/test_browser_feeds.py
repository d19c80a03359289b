"""A real browser follows a feed by EventSource: by the centre's session at the desk, and through an agent."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.ports import free_port
from examples.story.exchange import ALERTS, read_feed
from examples.story.world import World
from gateway.console.roles import Role
from gateway.processes.supervisor import PID
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.agent.agents import Agent
from tests.browser.conftest import Console
from tests.faults.load import child

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.full

# What a page of anybody would write; `follow` is given the address.
FOLLOW = """(address) => {
  window.came = [];
  window.source = new EventSource(address);
  source.onmessage = (event) => came.push([event.lastEventId, JSON.parse(event.data).data.identifier]);
}"""


def send(world: World, name: str) -> str:
    """An alert; its identifier."""
    identifier = f"{name}-{uuid.uuid4()}"
    answer = world.rest("bao-chay").call("POST", f"/{ALERTS}/alerts", messages.fire_alarm(identifier=identifier))
    assert answer.ok, answer.body
    return identifier


def came(page: Page, *wanted: str) -> list[str]:
    """The identifiers that came, once all of these are among them."""
    until(page, lambda: set(wanted) <= {name for _, name in page.evaluate("came")})
    return [name for _, name in page.evaluate("came")]


def until(page: Page, done: Callable[[], bool]) -> None:
    """`wait_for_function` would evaluate a text in the page, which the content policy forbids."""
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end, page.evaluate("came")
        page.wait_for_timeout(50)


def whole(world: World) -> list[str]:
    return [event["data"]["identifier"] for event in read_feed(world, ALERTS)]


def survives(page: Page, world: World, address: str, restart: Callable[[], None]) -> None:
    """Everything of the feed comes once and in order, with what is sent before, during and after a restart."""
    first = send(world, "TRUOC")
    page.evaluate(FOLLOW, address)
    came(page, first)
    second = send(world, "TRONG")
    came(page, second)
    page.evaluate("source.addEventListener('error', () => { window.broke = true; })")
    restart()
    until(page, lambda: page.evaluate("window.broke === true"))
    third = send(world, "SAU")
    names = came(page, third)
    page.evaluate("source.close()")
    known = whole(world)
    assert names == known[: len(names)], "in order, nothing twice, nothing missing"
    places: list[Any] = [place for place, _ in page.evaluate("came")]
    assert len(set(places)) == len(places)


def new_desk(settings: Settings) -> None:
    supervisor = int((settings.run / PID).read_text())
    os.kill(child(supervisor, "desk"), signal.SIGKILL)


def test_the_centre_follows_by_its_session_through_a_restart_of_the_desk(
    console: Console, world: World, instance: Settings
) -> None:
    page = console.signed_in("theo-doi", Role.CENTRE)
    address = f"/console/feeds/{ALERTS}?form=events"
    survives(page, world, address, lambda: new_desk(instance))
    other = console.page()
    other.goto("/console/sign-in")
    assert other.evaluate("(address) => fetch(address).then((answer) => answer.status)", address) == 401


def test_the_page_of_a_feed_shows_what_arrives(console: Console, world: World, instance: Settings) -> None:
    before = send(world, "DANH-SACH")
    world.wait("it is in the feed", lambda: before in whole(world))
    page = console.signed_in("truc-ban", Role.CENTRE, language="en")
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if "Policy" in message.text else None)
    page.goto("/console/feeds")
    page.locator(f"a[href='/console/feed/{ALERTS}']").click()
    state = page.locator("#feed-state[data-now=open]")
    state.wait_for()
    assert "Live" in state.inner_text() and before in page.locator("#feed tbody").inner_text()
    arrived = send(world, "DEN")
    newest = page.locator("#feed tbody tr").first
    page.locator("#feed tbody tr", has_text=arrived).wait_for()
    assert arrived in newest.inner_text() and "H14.6" in newest.inner_text() and "new" in newest.inner_text()
    newest.locator("summary").click()
    assert f'"identifier": "{arrived}"' in newest.locator("pre").inner_text()
    newest.locator("summary").click()
    new_desk(instance)
    page.locator("#feed-state[data-now=lost]").wait_for()
    again = send(world, "LAI")
    page.locator("#feed tbody tr", has_text=again).wait_for()
    page.locator("#feed-state[data-now=open]").wait_for()
    numbers = page.locator("#feed tbody tr").evaluate_all("rows => rows.map((row) => Number(row.dataset.offset))")
    assert numbers == list(range(numbers[0], numbers[0] - len(numbers), -1)), "each once, without a gap"
    assert not faults
    with_scripts = page.locator("#feed tbody tr").all_inner_texts()
    plain = console.browser.new_context(
        java_script_enabled=False, base_url=instance.desk, storage_state=page.context.storage_state(), locale="en"
    ).new_page()
    plain.goto(f"/console/feed/{ALERTS}")
    rows = plain.locator("#feed tbody tr").all_inner_texts()
    assert rows[:2] == with_scripts[:2], "without scripts it is the same list"
    assert plain.locator("#feed-state").is_hidden()


@pytest.fixture
def agent(instance: Settings, tmp_path: Path) -> Iterator[Agent]:
    caller = {"listen": f"127.0.0.1:{free_port()}", "contracts": [ALERTS], "seconds": 5}
    made = Agent(tmp_path / "agent", {"identity": str(instance.identities / "dieu-hanh"), "caller": caller})
    try:
        yield made.start()
    finally:
        made.stop()


def test_a_browser_follows_through_an_agent_that_is_restarted(console: Console, world: World, agent: Agent) -> None:
    """The agent has no session: a browser sends the local secret by Basic, at the agent's own address."""

    def restart() -> None:
        agent.kill()
        agent.start()

    credentials: Any = {"username": "trinh-duyet", "password": agent.secret}
    page = console.browser.new_context(http_credentials=credentials).new_page()
    page.set_default_timeout(60_000)
    answer = page.goto(f"{agent.base}/feeds/{ALERTS}?limit=1")
    assert answer is not None and answer.status == 200
    survives(page, world, f"{agent.base}/feeds/{ALERTS}", restart)
