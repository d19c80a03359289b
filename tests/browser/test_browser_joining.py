"""A vendor joins by the pages: an invitation, keys of her own machine, credentials, and the first call as it stands."""

from __future__ import annotations

import os
import subprocess
import time
import zipfile
from pathlib import Path

from examples.story.world import World
from tests.browser.conftest import Console, lgsp

OVER = """[...document.querySelectorAll("main *")].filter((each) => each.getBoundingClientRect().right > innerWidth
  && !each.closest("pre") && !each.closest(".scroll")).map((each) => each.outerHTML.slice(0, 120))"""


def pasted(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = ["bash", "-c", text]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_from_nothing_to_the_first_call(console: Console, world: World, tmp_path: Path) -> None:
    code = lgsp(world, "sandbox", "invite", "Công ty Mẫu")["code"]
    page = console.page(language="en")
    page.goto("/sandbox/join")
    page.fill("#name", "Công ty Mẫu")
    page.fill("#contact", "ky-thuat@mau.example")
    page.fill("#code", "wrong-code")
    page.check("input[value='indicator/v1']")
    page.locator("main button.primary").click()
    assert "sandbox.invitation" in page.locator("main").inner_text()
    assert page.input_value("#name") == "Công ty Mẫu" and page.is_checked("input[value='indicator/v1']")
    page.fill("#code", code)
    page.locator("main button.primary").click()
    page.wait_for_url("**/sandbox/tenant/systems/*")
    done = pasted(page.locator("#certificates pre").first.inner_text(), tmp_path)
    assert done.returncode == 0, done.stderr
    for use in ("tls", "sign", "encrypt"):
        page.fill(f"#{use}", (tmp_path / f"{use}.csr").read_text("ascii"))
    page.locator("form[action$='/certificates'] button").click()
    page.wait_for_selector("a[href$='/identity']")  # the page follows the order by itself
    with page.expect_download() as loaded:
        page.locator("a[href$='/identity']").click()
    archive = tmp_path / "identity.zip"
    loaded.value.save_as(archive)
    with zipfile.ZipFile(archive) as package:
        package.extractall(tmp_path)
    page.reload()
    assert page.evaluate(OVER) == []
    call = page.locator("#calls details").first
    assert call.locator("h3").all_inner_texts() == ["curl", "Node", "Java", ".NET", "Python"]
    text, until = call.locator("pre").first.inner_text(), time.monotonic() + 60
    while (told := pasted(text, tmp_path)).returncode != 0 and time.monotonic() < until:
        time.sleep(0.5)  # the doors take the certificates up within a second
    assert told.returncode == 0, told.stdout + told.stderr
    page.goto("/sandbox/calls")  # it follows her calls; one of them is repeated by what its page says
    rows = page.locator("#calls tbody tr").count()
    assert pasted(text, tmp_path).returncode == 0 and page.evaluate(OVER) == []
    page.wait_for_function("count => document.querySelectorAll('#calls tbody tr').length > count", arg=rows)
    page.locator("#calls tbody a").first.click()
    page.wait_for_url("**/sandbox/calls/*")
    assert page.evaluate(OVER) == []
    again = page.locator("section[aria-labelledby=repeat] pre", has_text="lgsp.sh").first.inner_text()
    told = pasted(again, tmp_path)
    assert told.returncode == 0, told.stdout + told.stderr
    page.goto("/sandbox/tenant")
    assert "sandbox-self-service" in page.locator("main").inner_text()
    page.get_by_role("link", name="Password and codes").click()
    page.wait_for_url("**/console/account/factors")


def test_another_system_is_added_by_its_page(console: Console, world: World) -> None:
    page = console.page(language="vi", viewport={"width": 420, "height": 900})
    page.goto("/sandbox/join")
    page.fill("#name", "Công ty Nhỏ")
    page.fill("#contact", "nho@mau.example")
    page.fill("#code", lgsp(world, "sandbox", "invite", "Công ty Nhỏ")["code"])
    page.check("input[value='field-report/v1']")
    assert page.evaluate(OVER) == []
    page.locator("main button.primary").click()
    page.wait_for_url("**/sandbox/tenant/systems/*")
    assert page.evaluate(OVER) == []
    page.goto("/sandbox/tenant")
    page.locator("main details summary").click()
    page.check("input[value='indicator/v1']")
    page.locator("form[action='/sandbox/tenant/systems'] button").click()
    page.wait_for_url("**/sandbox/tenant/systems/*-2")
    page.goto("/sandbox/tenant")
    assert page.evaluate(OVER) == [] and "indicator/v1" in page.locator("main").inner_text()
    page.locator("main a[href='/sandbox/clock']").click()
    page.fill("#days", "30")
    page.locator("form:has(#days) button").click()
    page.wait_for_function("document.querySelector('main dl').innerText.includes('30 ngày')")
    assert page.evaluate(OVER) == [] and page.locator("button[disabled]").count() == 0
