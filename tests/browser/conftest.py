"""A headless Chromium of the system against the desk of the shared instance."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyotp
import pytest
from sqlalchemy import Engine

from examples.story.world import World
from gateway.console.accounts import store
from gateway.console.accounts.records import Account
from gateway.console.accounts.secrets import STEP
from gateway.console.roles import Role
from gateway.journal.database import open_engine
from gateway.registry.seals.account_rows import changing
from gateway.registry.seals.accounts import Seal
from gateway.sandbox.instance import OFFICERS
from gateway.settings import Settings
from tests import commandline, counters

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PASSWORD = "mot hai ba bon nam"  # of accounts that these tests make

SIGNERS = OFFICERS[:2]  # as many as an approval takes


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

    counters.add("browsers")
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
    used: dict[str, int] = field(default_factory=dict)  # the last step of each

    def page(self, language: str = "vi", host: str = "127.0.0.1", **options: Any) -> Page:
        """A browser of its own, without cookies. Passkeys need a `host` with a name."""
        viewport = options.pop("viewport", {"width": 1280, "height": 900})
        base = self.settings.desk.replace("127.0.0.1", host)
        context = self.browser.new_context(locale=language, base_url=base, viewport=viewport, **options)
        page = context.new_page()
        page.set_default_timeout(60_000)
        return page

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """The database of the instance, beside it."""
        engine = open_engine(self.settings.database_url)
        try:
            yield engine
        finally:
            engine.dispose()

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

    def with_factors(self, id: str, *roles: Role, **options: Any) -> Page:
        """Somebody who has set a password and codes, and is signed out."""
        page = self.signed_in(id, *roles, **options)
        page.goto("/console/account/factors")
        self.secrets[id] = page.locator("main li code").first.inner_text()
        page.fill("#password", PASSWORD)
        page.fill("#again", PASSWORD)
        page.fill("#code", self.code(id))
        page.locator("main button.primary").click()
        page.wait_for_url("**/console/account?done=factors-set")
        sign_out(page)
        return page

    def signed_in(self, id: str, *roles: Role, agency: str = "H14.0", **options: Any) -> Page:
        page = self.page(**options)
        page.goto(self.link(id, *roles, agency=agency))
        page.locator("main button.primary").click()
        page.wait_for_url("**/console")
        return page

    def code(self, id: str) -> str:
        """A code that this account has not shown yet; the desk takes each once, and that of the next step too."""
        step = self.used[id] = max(int(time.time() // STEP), self.used.get(id, 0) + 1)
        time.sleep(max(0.0, (step - 1) * STEP - time.time()))
        return pyotp.TOTP(self.secrets[id]).at(step * STEP)


def enter(page: Page, id: str, password: str, code: str) -> None:
    """Fills the form of signing in, and sends it."""
    page.fill("#name", id)
    page.fill("#password", password)
    page.fill("#code", code)
    page.locator("main form[action='/console/sign-in'] button").click()


def sign_out(page: Page) -> None:
    page.locator("header form[action='/console/sign-out'] button").click()
    page.wait_for_url("**/console/sign-in")


def with_authenticator(page: Page) -> None:
    """A virtual authenticator that verifies its user (Chrome DevTools Protocol, domain WebAuthn)."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def lgsp(world: World, *words: str) -> dict[str, Any]:
    """A command, in this process: one of its own would take a second to start."""
    code, out, err = commandline.lgsp(*words, "--data", str(world.data), "--json")
    assert code in (0, 1), out + err
    told: dict[str, Any] = json.loads(out)
    return told


def approve(world: World, *subjects: str) -> None:
    """Both officers sign."""
    for subject in subjects:
        for officer in SIGNERS:
            key = str(world.identities / officer / "officer.key")
            told = lgsp(world, "access", "approve", subject, "--officer", officer, "--key", key)
            assert told["ok"], told


def shown(page: Page, selector: str, seconds: float = 60.0) -> None:
    """Reload until it is there: the log's index is a moment behind."""
    until = time.monotonic() + seconds
    while page.locator(selector).count() == 0:
        assert time.monotonic() < until, f"{selector} never stood on {page.url}"
        page.reload()


@pytest.fixture(scope="module")
def console(browser: Browser, instance: Settings) -> Console:
    return Console(browser, instance)
