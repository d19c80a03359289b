"""Each way to sign in, in a browser; an account that is locked and opens again; a session that ends."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from bench.ports import free_ports
from examples.story.world import World
from gateway.console.accounts.attempts import FREE
from gateway.console.accounts.sessions import IDLE
from gateway.console.roles import Role
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.settings import Settings
from tests.browser.conftest import PASSWORD, Console, enter, lgsp, sign_out, with_authenticator
from tests.console import openid
from tests.console.openid import OpenId

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ACCOUNT, SESSION = tables.console_account, tables.console_session


def code_of(page: Page) -> str:
    return page.locator("[role=alert] code").inner_text()


def how(page: Page) -> str:
    """By what the newest session of the account was opened, by its page."""
    page.goto("/console/account")
    return page.locator("main table tbody tr").first.inner_text()


@pytest.mark.full
def test_by_password_and_code_and_a_code_works_once(console: Console) -> None:
    page, code = console.with_factors("totp-a", Role.OFFICER, language="en"), console.code("totp-a")
    page.goto("/console/log")
    enter(page, "totp-a", PASSWORD, code)
    page.wait_for_url("**/console/log")
    sign_out(page)
    enter(page, "totp-a", PASSWORD, code)
    assert code_of(page) == "login.failed" and "/console/sign-in" in page.url
    enter(page, "totp-a", PASSWORD, console.code("totp-a"))
    page.wait_for_url("**/console")
    assert "Name of totp-a" in page.locator("header").inner_text()


def test_a_link_signs_in_once(console: Console) -> None:
    first, second = console.page(language="en"), console.page(language="en")
    link = console.link("link-a", Role.AUDITOR)
    for page in (first, second):
        page.goto(link)  # opening it uses nothing up
    first.locator("main button.primary").click()
    first.wait_for_url("**/console")
    second.locator("main button.primary").click()
    assert code_of(second) == "login.link"
    second.goto("/console")
    assert "/console/sign-in" in second.url


def test_by_a_passkey(console: Console) -> None:
    page = console.page(language="en", host="localhost")
    page.goto(console.link("key-a", Role.OFFICER))
    page.locator("main button.primary").click()
    page.wait_for_url("**/console")
    with_authenticator(page)
    page.goto("/console/account/passkeys")
    page.fill("#label", "a key of the browser")
    page.get_by_role("button", name="Register").click()
    page.wait_for_url("**/console/account/passkeys?done=*")
    sign_out(page)
    page.goto("/console/systems")
    page.get_by_role("button", name="Sign in by a passkey").click()
    page.wait_for_url("**/console/systems")
    assert "passkey" in how(page)
    page.goto("/console/account/passkeys")
    page.locator("form[action$='/remove'] button").click()
    page.wait_for_url("**done=passkey-removed")
    sign_out(page)
    page.get_by_role("button", name="Sign in by a passkey").click()  # the device still has it
    page.locator("[role=alert]:not([hidden]) code").wait_for()
    assert code_of(page) == "login.failed"


@pytest.mark.full
def test_an_account_is_locked_after_failures_and_opens_again(console: Console) -> None:
    page = console.with_factors("lock-a", Role.OFFICER, language="en")
    for _ in range(FREE):
        enter(page, "lock-a", "not the password", "000000")
        assert code_of(page) == "login.failed"
    enter(page, "lock-a", PASSWORD, console.code("lock-a"))
    assert code_of(page) == "account.locked", "even by the right factors"
    told = page.locator("[role=alert]").inner_text()
    assert re.search(r"\b[123]?[0-9] seconds", told), told
    with console.engine() as engine, writing(engine) as connection:  # the time of the lock passes
        row = connection.execute(ACCOUNT.select().where(ACCOUNT.c.id == "lock-a")).one()
        assert row.locked > time.time()
        connection.execute(update(ACCOUNT).where(ACCOUNT.c.id == "lock-a").values(locked=row.locked - 60))
    enter(page, "lock-a", PASSWORD, console.code("lock-a"))
    page.wait_for_url("**/console")


@pytest.mark.full
def test_a_session_ends_after_half_an_hour_without_a_request(console: Console) -> None:
    """Whoever signs in again comes to the page that was asked for."""
    page = console.with_factors("end-a", Role.OFFICER, language="en")
    page.goto("/console/log")
    enter(page, "end-a", PASSWORD, console.code("end-a"))
    page.wait_for_url("**/console/log")
    with console.engine() as engine, writing(engine) as connection:  # the time passes
        mine = update(SESSION).where(SESSION.c.account == "end-a")
        connection.execute(mine.values(seen=time.time() - IDLE - 1))
    page.goto("/console/access/grants?agency=H14.5")
    page.wait_for_url("**/console/sign-in?next=*")
    enter(page, "end-a", PASSWORD, console.code("end-a"))
    page.wait_for_url("**/console/access/grants?agency=H14.5")


@contextmanager
def provider() -> Iterator[OpenId]:
    """In a thread, as a server of its own: the event loop of this one is the browser's."""
    began, ends, found = threading.Event(), asyncio.Event(), list[OpenId]()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with openid.running() as running:
            found.append(running)
            began.set()
            await ends.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    try:
        assert began.wait(30)
        yield found[0]
    finally:
        loop.call_soon_threadsafe(ends.set)
        thread.join(30)
        loop.close()


@contextmanager
def another_desk(settings: Settings, theirs: OpenId, folder: Path) -> Iterator[Settings]:
    """A second desk of the same instance, which knows the organisation's provider."""
    secret, (port,) = folder / "secret", free_ports(1)
    secret.write_text(openid.SECRET)
    secret.chmod(0o600)
    more = {"LGSP_OIDC_ISSUER": theirs.issuer, "LGSP_OIDC_CLIENT": openid.CLIENT, "LGSP_OIDC_SECRET_FILE": str(secret)}
    ready, told = os.pipe()
    with socket.create_server(("127.0.0.1", port)) as listening:
        handed = (listening.fileno(), told)
        command = [sys.executable, "-m", "gateway", "desk", "--data", str(settings.data)]
        command += ["--socket", f"desk={handed[0]}", "--ready", str(told)]
        environment = {**os.environ, **more, "LGSP_DESK_PORT": str(port)}
        with subprocess.Popen(command, pass_fds=handed, env=environment) as process:
            os.close(told)
            try:
                assert os.read(ready, 1), "it did not start"
                yield replace(settings, desk_port=port)
            finally:
                os.close(ready)
                process.terminate()


@pytest.mark.full
def test_by_the_provider_of_the_organisation(
    browser: Browser, instance: Settings, world: World, tmp_path: Path
) -> None:
    with provider() as theirs, another_desk(instance, theirs, tmp_path) as settings:
        console = Console(browser, settings)
        console.link("oidc-a", Role.STEWARD)  # an account without any factor of ours
        theirs.user = "oidc-a"
        page = console.page(language="en")
        page.goto("/console/contracts")
        page.get_by_role("link", name="Sign in by the organisation's account").click()
        page.wait_for_url("**/console/contracts")
        assert theirs.asked == ["metadata", "authorize", "token", "keys"]
        assert "oidc" in how(page)
        theirs.user = "nobody-here"
        stranger = console.page(language="en")
        stranger.goto("/console/sign-in")
        stranger.get_by_role("link", name="Sign in by the organisation's account").click()
        assert code_of(stranger) == "login.failed"
    told = lgsp(world, "audit", "search", "--kind", "console-sign-in", "--limit", "100")["entries"]
    assert any("oidc-a" in json_of(each) and "oidc" in json_of(each) for each in told)


def json_of(entry: dict[str, object]) -> str:
    return " ".join(str(each) for each in entry.values())
