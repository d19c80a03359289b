"""Signing in with a browser: by a link, by password and codes, without scripts, by keyboard alone."""

from __future__ import annotations

import time

import pyotp
import pytest

from gateway.console.roles import Role
from tests.browser.conftest import PASSWORD, Console


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_the_first_link_a_password_with_codes_and_the_next_visit(console: Console, scripts: bool) -> None:
    id = f"mai-{'a' if scripts else 'b'}"
    page = console.signed_in(id, Role.OFFICER, java_script_enabled=scripts)
    page.goto("/console/account/factors")
    secret = page.locator("main li code").first.inner_text()
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.fill("#code", pyotp.TOTP(secret).now())
    page.locator("main button.primary").click()
    page.wait_for_url("**/console/account?done=factors-set")
    page.locator("header form[action='/console/sign-out'] button").click()
    page.wait_for_url("**/console/sign-in")
    page.goto("/console/search")  # leads to signing in, and back
    page.fill("#name", id)
    page.fill("#password", PASSWORD)
    page.fill("#code", pyotp.TOTP(secret).at(int(time.time()) + 30))
    page.locator("main button.primary").click()
    page.wait_for_url("**/console/search")
    assert page.locator("h1").inner_text() == "Tìm trong nhật ký"


def test_the_language_is_chosen_and_kept(console: Console) -> None:
    page = console.signed_in("an", Role.AUDITOR)
    assert page.locator("html").get_attribute("lang") == "vi"
    page.get_by_role("link", name="English").click()
    page.wait_for_url("**/console")
    assert page.locator("html").get_attribute("lang") == "en"
    page.goto("/console/search")
    assert page.locator("h1").inner_text() == "Search the log"


def test_by_keyboard_alone(console: Console) -> None:
    page = console.signed_in("binh", Role.OFFICER, language="en")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.goto("/console")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "q":
            break
    page.keyboard.type("y-te")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/search?system=y-te")


def test_a_stranger_gets_no_page(console: Console) -> None:
    page = console.page(language="en")
    answer = page.goto("/console/people")
    assert answer is not None and "/console/sign-in" in page.url
    page.fill("#name", "nobody")
    page.fill("#password", "x")
    page.fill("#code", "123456")
    page.locator("main button.primary").click()
    assert page.locator("[role=alert] code").inner_text() == "login.failed"
