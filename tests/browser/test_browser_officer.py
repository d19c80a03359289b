"""An officer's work in a browser: a refusal found and explained, a body opened with a reason, a proof that a tool of
others accepts, and a grant that two officers approve by their passkeys."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import uuid
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from examples.story.world import World
from gateway.console.roles import Role
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import RestClient
from tests.browser.conftest import SIGNERS, Console, approve, lgsp, shown, sign_out, with_authenticator

if TYPE_CHECKING:
    from playwright.sync_api import Page

INDICATOR = "/indicator/v1/values?indicator=KT-05&area=04&period=2026-Q3"
WHY = "A complaint of the agency, file 17"


def call(world: World, system: str, path: str) -> Any:
    client = RestClient(Identity.load(world.identities / system))
    return client.call("GET", path, None, str(uuid.uuid4()), need_signature=False)


def test_a_refusal_is_found_and_explained_in_three_clicks(console: Console, world: World) -> None:
    transfer = call(world, "bao-chay", INDICATOR).headers["lgsp-transfer"]
    page = console.signed_in("officer-a", Role.OFFICER, language="en")
    shown(page, f"a[href^='/console/transfers/{transfer}']")
    page.locator(f"a[href^='/console/transfers/{transfer}']").first.click()  # one click from the home page
    assert page.locator("#why").inner_text() == "Why it was refused"
    text = page.locator("section[aria-labelledby=why]").inner_text()
    assert "access." in text and "Nearest grant" in text and "Whom to ask" in text
    page.get_by_role("link", name="Draft the request for the missing grant").click()
    assert page.locator("#contract").input_value() == "indicator/v1"
    assert page.locator("#operations").input_value() == "getValue"


def test_a_body_is_opened_with_a_reason_which_the_log_keeps(console: Console, world: World) -> None:
    transfer = call(world, "y-te", INDICATOR).headers["lgsp-transfer"]
    page = console.signed_in("officer-b", Role.OFFICER, language="en")
    page.goto("/console")
    page.fill("#q", transfer)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/console/transfers/{transfer}*")
    shown(page, "a[href$='/message']")
    page.locator("a[href$='/message']").click()
    assert "612.45" not in page.locator("main").inner_text()  # masked: paths alone
    page.get_by_text("Open the content").click()
    page.fill("#reason", WHY)
    page.get_by_role("button", name="Open").click()
    page.wait_for_url(f"**/console/transfers/{transfer}/opened*")
    assert "612.45" in page.locator("main").inner_text()
    words = ("audit", "search", "--kind", "body-view", "--transfer", transfer)
    opened = world.wait("it is in the log", lambda: lgsp(world, *words)["entries"])
    assert all("officer-b" in each["actor"] and WHY in (each["detail"] or "") for each in opened)


def test_a_proof_is_accepted_by_a_tool_of_others(console: Console, world: World, tmp_path: Path) -> None:
    transfer = call(world, "y-te", INDICATOR).headers["lgsp-transfer"]
    page = console.signed_in("officer-c", Role.OFFICER, language="en")
    page.goto(f"/console/transfers/{transfer}")
    shown(page, f"a[href='/console/transfers/{transfer}/proof']")
    with page.expect_download() as download:
        page.locator(f"a[href='/console/transfers/{transfer}/proof']").click()
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
        archive.extractall(tmp_path)
    (folder,) = [each.parent.parent for each in tmp_path.rglob("log.vkey")]
    entries = sorted((folder / "entries").glob("*.json"))
    assert entries and all(json.loads(each.read_bytes()) for each in entries)
    tool = shutil.which("spicy-litetlog")
    if tool is None:
        pytest.skip("no spicy-litetlog here: the proof is not tried with it (Debian: litetlog)")
    key = (folder / "log" / "log.vkey").read_text().strip()
    for each in entries:
        done = subprocess.run([tool, "-verify", key, each.name], cwd=each.parent, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def officer_with_passkey(console: Console, world: World, id: str) -> Page:
    """An officer who registers a passkey, signs in by it, and has it admitted by the keys of both officers."""
    page = console.page(language="en", host="localhost")
    page.goto(console.link(id, Role.OFFICER))
    page.locator("main button.primary").click()
    page.wait_for_url("**/console")
    with_authenticator(page)
    page.goto("/console/account/passkeys")
    page.fill("#label", "test")
    page.get_by_role("button", name="Register").click()
    page.wait_for_url("**/console/account/passkeys?done=*")
    sign_out(page)
    page.get_by_role("button", name="Sign in by a passkey").click()
    page.wait_for_url("**/console")
    page.goto("/console/account/passkeys")
    page.get_by_role("button", name="Propose for approvals").click()
    href = page.locator("a[href*='/proposals/passkey/']").first.get_attribute("href")
    assert href is not None
    subject = "passkey/" + href.rpartition("/")[2]
    approve(world, subject)
    return page


def test_two_officers_approve_a_grant_by_their_passkeys(console: Console, world: World) -> None:
    pages = [officer_with_passkey(console, world, officer) for officer in SIGNERS]
    steward = console.signed_in("steward-a", Role.STEWARD, language="en")
    steward.goto("/console/access/proposals/new?agency=H14.6&contract=indicator/v1&operations=getValue&fields=*")
    grant = f"G-8{uuid.uuid4().int % 1000:03}"
    for name, value in {
        "id": grant,
        "purpose": "Situation reports of the fire service",
        "legal_basis": "Decision 451, article 11",
        "valid_from": "2026-01-01",
        "valid_until": "2031-12-31",
    }.items():
        steward.fill(f"#{name}", value)
    steward.locator("main button.primary").click()
    steward.wait_for_url(f"**/console/access/proposals/{grant}*")
    assert call(world, "bao-chay", INDICATOR).status == 403
    for page in pages:
        page.goto(f"/console/access/proposals/{grant}")
        page.get_by_role("button", name="Approve by passkey").click()
        page.wait_for_url("**done=**")
    world.wait("the grant at the doors", lambda: call(world, "bao-chay", INDICATOR).status == 200)
    told = lgsp(world, "access", "show", grant)
    assert sorted(told["grant"]["approved_by"] if "grant" in told else told["approved_by"]) == sorted(SIGNERS)
    verified = lgsp(world, "audit", "verify")
    assert verified["ok"], verified
    assert re.search("passkey", json.dumps(lgsp(world, "access", "list")))
