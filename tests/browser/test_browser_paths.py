"""An officer's whole path without scripts, and by keyboard alone."""

from __future__ import annotations

import csv
import io
import json
import uuid
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from examples.story.world import World
from gateway.console.roles import Role
from gateway.sample_client.rest import Answer
from gateway.sandbox.standins import messages
from security.grants import approvals
from tests.browser.conftest import PASSWORD, SIGNERS, Console, enter, lgsp, shown, sign_out

if TYPE_CHECKING:
    from playwright.sync_api import Page

QUESTION = messages.indicator_question("KT-05", "04", "2026-Q3")
WHY = "A complaint of the agency, file 18"
ACTIVE = "document.activeElement"
MARKED = f"""() => {{ const style = getComputedStyle({ACTIVE});
  return style.outlineStyle !== "none" || style.boxShadow !== "none"; }}"""


def ask(world: World, system: str) -> Answer:
    return world.rest(system).call("GET", QUESTION)


def download(page: Page, selector: str) -> bytes:
    with page.expect_download() as file:
        page.locator(selector).first.click()
    return Path(file.value.path()).read_bytes()


@pytest.mark.full
def test_an_officers_path_without_scripts(console: Console, world: World) -> None:
    refused = ask(world, "quan-trac").headers["lgsp-transfer"]
    answered = ask(world, "y-te").headers["lgsp-transfer"]
    page = console.with_factors("khong-ma", Role.OFFICER, language="en", java_script_enabled=False)
    enter(page, "khong-ma", PASSWORD, console.code("khong-ma"))
    page.wait_for_url("**/console")
    shown(page, f"a[href^='/console/transfers/{refused}']")
    page.locator(f"a[href^='/console/transfers/{refused}']").first.click()
    assert "Nearest grant" in page.locator("section[aria-labelledby=why]").inner_text()
    page.get_by_role("link", name="Draft the request for the missing grant").click()
    grant = f"G-73{uuid.uuid4().int % 100:02}"
    given = {
        "id": grant,
        "purpose": "Comparison of stations",
        "legal_basis": "Decision 451, article 11",
        "valid_from": "2026-01-01",
        "valid_until": "2031-12-31",
    }
    for name, text in given.items():
        page.fill(f"#{name}", text)
    page.locator("main button.primary").click()
    page.wait_for_url(f"**/console/access/proposals/{grant}*")
    content = download(page, f"a[href*='/console/access/content?subject={grant}']")
    for officer in SIGNERS:
        key = (world.identities / officer / "officer.key").read_bytes()
        page.select_option("#officer", officer)
        page.fill("#signature", approvals.approve(content, officer, key))
        page.get_by_role("button", name="Hand the signature in").click()
        page.wait_for_url("**done=signed")
    world.wait("the grant at the doors", lambda: ask(world, "quan-trac").status == 200)
    page.goto("/console")
    page.fill("#q", answered)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/console/transfers/{answered}*")
    shown(page, f"a[href='/console/transfers/{answered}/proof']")
    with zipfile.ZipFile(io.BytesIO(download(page, f"a[href='/console/transfers/{answered}/proof']"))) as archive:
        assert [each for each in archive.namelist() if each.endswith("log.vkey")]
    page.locator("a[href$='/message']").click()
    page.locator("summary", has_text="Open the content").click()
    page.fill("#reason", WHY)
    page.get_by_role("button", name="Open").click()
    page.wait_for_url(f"**/console/transfers/{answered}/opened*")
    assert "612" in page.locator("main").inner_text()
    page.goto("/console/log")
    page.locator("form[action='/console/log/verify'] button").click()
    shown(page, "#checks .notice.good")
    page.goto(f"/console/search?transfer={answered}")
    page.locator("summary", has_text="table").click()
    page.locator("form[action='/console/search/export'] textarea").fill(WHY)
    table = download(page, "form[action='/console/search/export'] button[value=csv]")
    rows = list(csv.DictReader(io.StringIO(table.decode("utf-8-sig"))))
    numbers = page.locator("main tbody tr td:first-child").all_inner_texts()
    shown_rows = sorted(each for text in numbers for each in text.replace("\u2060", "").split("–"))
    assert sorted(each["Entry"] for each in rows) == shown_rows and len(rows) > 1  # a call and its end are one row
    page.goto(f"/console/access/grants/{grant}")
    form = page.locator(f"form[action='/console/access/grants/{grant}/revoke']")
    page.locator("details", has=form).locator("summary").click()
    form.locator("textarea").fill("The comparison is over")
    form.locator("button").click()
    page.wait_for_url("**done=revoked")
    sign_out(page)
    for kind in ("access", "body-view", "export", "log-check", "console-sign-out"):
        entries = lgsp(world, "audit", "search", "--kind", kind, "--limit", "100")["entries"]
        assert any("/khong-ma: console" in (each["actor"] or "") for each in entries), kind


def tab_to(page: Page, selector: str) -> None:
    """By the key alone; what has the focus is marked at each step."""
    for _ in range(200):
        page.keyboard.press("Tab")
        assert page.evaluate(MARKED), page.evaluate(f"{ACTIVE}.outerHTML")
        if page.evaluate(f"{ACTIVE}.matches({json.dumps(selector)})"):
            return
    raise AssertionError(f"{selector} is not reached by the keyboard on {page.url}")


def test_from_signing_in_to_the_reason_of_a_refusal_by_keyboard_alone(console: Console, world: World) -> None:
    refused = ask(world, "thuc-phan").headers["lgsp-transfer"]
    page = console.with_factors("ban-phim", Role.OFFICER, language="en")
    page.goto("/console")
    for selector, text in (("#name", "ban-phim"), ("#password", PASSWORD), ("#code", console.code("ban-phim"))):
        tab_to(page, selector)
        page.keyboard.type(text)
    page.keyboard.press("Enter")
    page.wait_for_url("**/console")
    link = f"main a[href^='/console/transfers/{refused}']"
    shown(page, link)
    tab_to(page, link)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/console/transfers/{refused}*")
    assert page.locator("#why").is_visible() and "access." in page.locator("section[aria-labelledby=why]").inner_text()
    tab_to(page, "section[aria-labelledby=why] a.button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/access/proposals/new?*")
    assert page.locator("#contract").input_value() == "indicator/v1"
    page.goto(f"/console/transfers/{refused}")
    tab_to(page, "header form[action='/console/sign-out'] button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/sign-in")
