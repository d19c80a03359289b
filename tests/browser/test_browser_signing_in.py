"""What is around signing in with a browser: the language, the keyboard, and who has no account."""

from __future__ import annotations

from gateway.console.roles import Role
from tests.browser.conftest import Console, enter


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
    enter(page, "nobody", "x", "123456")
    assert page.locator("[role=alert] code").inner_text() == "login.failed"
