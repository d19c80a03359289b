"""A headless Chromium of the system against the desk of the shared instance."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyotp
import pytest

from gateway.console.accounts import store
from gateway.console.accounts.records import Account
from gateway.console.roles import Role
from gateway.journal.database import open_engine
from gateway.registry.seals.account_rows import changing
from gateway.registry.seals.accounts import Seal
from gateway.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PASSWORD = "mot hai ba bon nam"  # of accounts that these tests make


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser" in item.path.as_posix():
            item.add_marker(pytest.mark.server)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for each module: while it is open, no other test of this process may run an event loop."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here: pages are not tried in a browser (Debian: chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield opened
        opened.close()


@dataclass
class Console:
    """The console of an instance in a browser."""

    browser: Browser
    settings: Settings
    secrets: dict[str, str] = field(default_factory=dict)  # of the codes, by account

    def page(self, language: str = "vi", host: str = "127.0.0.1", **options: Any) -> Page:
        """A browser of its own, without cookies. Passkeys need a `host` with a name."""
        viewport = options.pop("viewport", {"width": 1280, "height": 900})
        base = self.settings.desk.replace("127.0.0.1", host)
        context = self.browser.new_context(locale=language, base_url=base, viewport=viewport, **options)
        page = context.new_page()
        page.set_default_timeout(60_000)
        return page

    def link(self, id: str, *roles: Role, agency: str = "H14.0") -> str:
        """Where somebody signs in once; the account is made if there is none."""
        engine, now = open_engine(self.settings.database_url), time.time()
        try:
            with changing(engine, Seal.of(self.settings), now, "test") as change:
                if store.row_of(change, id) is None:
                    store.add(change, Account(id, agency, f"Name of {id}", roles, True))
                return f"/console/link/{store.make_link(change, id)}"
        finally:
            engine.dispose()

    def signed_in(self, id: str, *roles: Role, agency: str = "H14.0", **options: Any) -> Page:
        page = self.page(**options)
        page.goto(self.link(id, *roles, agency=agency))
        page.locator("main button.primary").click()
        page.wait_for_url("**/console")
        return page

    def code(self, id: str) -> str:
        """The next code that was not used: it may be that of the next step."""
        return pyotp.TOTP(self.secrets[id]).at(int(time.time()) + 30)


@pytest.fixture(scope="module")
def console(browser: Browser, instance: Settings) -> Console:
    return Console(browser, instance)
