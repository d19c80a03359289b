"""A page that is not renewed says so and polls. The server is played, so that it fails when the test says so."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from gateway.console.site import live

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

SCRIPT = files("gateway.console").joinpath("static/console.js").read_text("utf-8")
LATER = live._LATER.decode().replace(f"retry: {live.RETRY}000", "retry: 50")
LIVE = live._LIVE.decode().replace("retry: 2000", "retry: 50") + "id: 1\nevent: changed\ndata: \n\n"


class Server:
    """`events`: what a stream gives; `signed_in`: whether it has the page. `shown`: what the page shows."""

    def __init__(self, page: Page) -> None:
        self.events, self.signed_in, self.shown = LIVE, True, 0
        page.route("**/*", self._answer)

    def _answer(self, route: Route) -> None:
        path = route.request.url.partition("//")[2].partition("/")[2]
        if path == "console.js":
            route.fulfill(body=SCRIPT, content_type="text/javascript")
        elif path.startswith("events") and self.signed_in:
            route.fulfill(body=self.events, content_type="text/event-stream")
        elif not self.signed_in:
            route.fulfill(status=401, body="", content_type="text/html")
        else:
            self.shown += 1
            part = f'<p id="not-live" hidden>It is not renewed</p><div id="live" data-live="/events">{self.shown}</div>'
            head = '<!doctype html><meta charset="utf-8"><script src="/console.js" defer></script>'
            route.fulfill(body=head + part, content_type="text/html")


@pytest.fixture
def page(browser: Browser) -> Page:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(20_000)
    return page


def showing(page: Page, hidden: bool) -> None:
    page.wait_for_function("hidden => document.getElementById('not-live').hidden === hidden", arg=hidden)


def renewed(page: Page, server: Server) -> None:
    """The page shows what the server has from now on."""
    page.wait_for_function("was => +document.getElementById('live').textContent > was", arg=server.shown)


@pytest.mark.full
def test_a_page_without_a_place_says_so_polls_and_is_live_again(page: Page) -> None:
    server = Server(page)
    page.clock.install()
    page.goto("http://desk.example/page")
    renewed(page, server)
    showing(page, True)
    server.events = LATER
    showing(page, False)
    page.clock.fast_forward(16_000)
    renewed(page, server)  # by a poll: no stream tells of changes
    showing(page, False)
    server.events = LIVE
    showing(page, True)


def test_a_page_whose_session_ended_says_so_and_comes_back(page: Page) -> None:
    server = Server(page)
    page.clock.install()
    page.goto("http://desk.example/page")
    renewed(page, server)
    server.signed_in = False  # the stream is refused, and the browser does not ask for it again
    page.wait_for_timeout(300)
    page.clock.fast_forward(11_000)
    showing(page, False)
    page.clock.fast_forward(16_000)
    page.wait_for_timeout(200)
    showing(page, False)
    server.signed_in = True
    page.clock.fast_forward(16_000)
    showing(page, True)
    renewed(page, server)


def test_a_page_that_has_ended_is_asked_for_once_more_and_stays_quiet(page: Page) -> None:
    server = Server(page)
    server.events = "event: live\ndata: \n\nevent: end\ndata: \n\n"
    page.goto("http://desk.example/page")
    renewed(page, server)
    showing(page, True)
    last = server.shown
    page.wait_for_timeout(300)
    assert server.shown == last
