"""A vendor joins by the pages: an invitation, keys of her own machine, first calls, a provider that is called, a run of
conformance, and a certificate that is checked without the gateway. Her software shares no code with it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.ports import free_ports
from examples.story.world import World
from tests.browser.conftest import Console, lgsp
from tests.conformance.bad.provider import Provider, serve
from tests.conformance.bad.wire import Keys
from tests.story.joining_client import shell

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.full

OVER = """[...document.querySelectorAll("main *")].filter((each) => each.getBoundingClientRect().right > innerWidth
  && !each.closest("pre") && !each.closest(".scroll")).map((each) => each.outerHTML.slice(0, 120))"""


def test_from_nothing_to_a_certificate(console: Console, world: World, tmp_path: Path) -> None:
    """One vendor, in one session of a browser."""
    page = console.page(language="en")
    join(page, lgsp(world, "sandbox", "invite", "Công ty Mẫu")["code"])
    system = page.url
    certify(page, tmp_path, "1")
    assert page.evaluate(OVER) == []
    first = first_call(page, "REST · indicator/v1 · getValue", "curl")
    pasted(first, tmp_path)
    soap = first_call(page, "SOAP · indicator/v1 · getValue", "Python")
    follow(page, first, tmp_path)
    pasted(soap, tmp_path)
    page.goto(system)
    with called(page, tmp_path) as provider:
        assert page.evaluate(OVER) == []
        pasted(first_call(page, "REST · field-report/v1 · createRequest", "curl"), tmp_path)
        assert len(provider.carried_out) == 1
        conform(page)
    check_certificate(page, tmp_path)
    page.goto("/sandbox/tenant")
    assert "sandbox-self-service" in page.locator("main").inner_text()
    page.get_by_role("link", name="Password and codes").click()
    page.wait_for_url("**/console/account/factors")


def join(page: Page, code: str) -> None:
    page.goto("/sandbox/join")
    page.fill("#name", "Công ty Mẫu")
    page.fill("#contact", "ky-thuat@mau.example")
    page.fill("#code", "wrong-code")
    for contract in ("indicator/v1", "field-report/v1"):
        page.check(f"input[value='{contract}']")
    page.locator("main button.primary").click()
    assert "sandbox.invitation" in page.locator("main").inner_text()
    assert page.input_value("#name") == "Công ty Mẫu" and page.is_checked("input[value='indicator/v1']")
    page.fill("#code", code)
    page.locator("main button.primary").click()
    page.wait_for_url("**/sandbox/tenant/systems/*")


def certify(page: Page, folder: Path, number: str) -> None:
    """Her keys are made by the commands of the page. It follows the order by itself, and then has the credentials."""
    new = page.locator("#certificates details")
    if new.get_attribute("open") is None:
        new.locator("summary").click()
    done = shell(new.locator("pre").inner_text(), folder)
    assert done.returncode == 0, done.stderr
    for use in ("tls", "sign", "encrypt"):
        page.fill(f"#{use}", (folder / f"{use}.csr").read_text("ascii"))
    page.locator("form[action$='/certificates'] button").click()
    page.locator(f"#certificates td code:text-matches('tls-{number}$')").wait_for()
    load(page, "a[href$='/identity']", folder)
    pasted(page.locator("#certificates > pre").inner_text(), folder)
    page.reload()


def load(page: Page, selector: str, folder: Path) -> Path:
    with page.expect_download() as told:
        page.locator(selector).click()
    file = folder / told.value.suggested_filename
    told.value.save_as(file)
    return file


def first_call(page: Page, name: str, tool: str) -> str:
    shown = page.locator("#calls details", has=page.locator("summary", has_text=name))
    assert shown.locator("h3").all_text_contents()[0] == ("curl" if name.startswith("REST") else "Python")
    return shown.locator(f"h3:text-is('{tool}') + pre").text_content() or ""


def pasted(text: str, folder: Path) -> None:
    """The doors take certificates up within a second."""
    until = time.monotonic() + 60
    while (told := shell(text, folder)).returncode != 0 and time.monotonic() < until:
        time.sleep(0.5)
    assert told.returncode == 0, told.stdout + told.stderr


def follow(page: Page, text: str, folder: Path) -> None:
    """Her calls appear by themselves; one of them is repeated by what its page says."""
    page.goto("/sandbox/calls")
    rows = page.locator("#calls tbody tr").count()
    pasted(text, folder)
    assert page.evaluate(OVER) == []
    page.wait_for_function("count => document.querySelectorAll('#calls tbody tr').length > count", arg=rows)
    page.locator("#calls tbody a").first.click()
    page.wait_for_url("**/sandbox/calls/*")
    assert page.evaluate(OVER) == []
    pasted(page.locator("section[aria-labelledby=repeat] pre", has_text="lgsp.sh").first.inner_text(), folder)


@contextmanager
def called(page: Page, folder: Path) -> Iterator[Provider]:
    """The page of the system registers her provider; new certificates name its host."""
    (port,) = free_ports(1)
    address = f"https://localhost:{port}/nhan"
    page.locator("#provider details summary").click()
    page.select_option("#role", "both")
    page.fill("#address", address)
    page.locator("#provider form button").click()
    page.locator(f"#provider p code:text-is('{address}')").wait_for()
    certify(page, folder, "2")
    provider = Provider(Keys.load(folder), address)
    server = serve(provider, port, folder)
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()


def conform(page: Page) -> None:
    """A run of the whole suite, started and followed on its page, to the report."""
    page.goto("/sandbox/conformance")
    page.select_option("#contract", "field-report/v1")
    page.select_option("#role", "provider")
    page.fill("#software", "Phần mềm Mẫu")
    page.fill("#version", "1.0")
    page.locator("main form button.primary").click()
    page.wait_for_url("**/sandbox/conformance/*")
    page.locator("#progress progress").wait_for()
    page.locator("#progress a[href$='/certificate']").wait_for(timeout=240_000)
    assert "passed" in page.locator("#progress p").first.inner_text() and page.locator("#wrong").count() == 0
    assert page.locator("#progress img.qr").evaluate("img => img.decode().then(() => img.naturalWidth)") > 0
    assert page.evaluate(OVER) == []


def check_certificate(page: Page, folder: Path) -> None:
    """By the command of the page, in the folder of her credentials."""
    file = load(page, "#progress a[href$='/certificate']", folder)
    command = page.locator("#progress pre").inner_text()
    done = shell(command, folder)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["software"], told["version"], told["signed"]) == ("Phần mềm Mẫu", "1.0", True)
    report = load(page, "#progress a[href$='/report']", folder)
    assert told["cases"] == len(json.loads(report.read_text("utf-8"))["results"])
    file.write_text(file.read_text("utf-8").replace("Phần mềm", "Phần cứng", 1), "utf-8")
    assert shell(command, folder).returncode == 1, "another software"


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
