"""Every page of the menu: no serious fault by axe-core, no error of the content policy, nothing wider than a phone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gateway.console.pages import pages
from gateway.console.roles import Role
from tests.browser.conftest import Console

if TYPE_CHECKING:
    from playwright.sync_api import Page

EVERY = (Role.OFFICER, Role.OPERATOR, Role.STEWARD, Role.AUDITOR)
PATHS = [
    "/console/sign-in",
    *("/console" + page.path for page in pages() if page.method == "GET" and "{" not in page.path),
]
SHOWN = [path for path in PATHS if path != "/console/go"]


OVER = """[...document.querySelectorAll("main *")].filter((each) => each.getBoundingClientRect().right > innerWidth
  && !each.closest(".scroll")).slice(0, 3).map((each) => each.outerHTML.slice(0, 120))"""


def faults(page: Page) -> list[str]:
    """What axe-core finds serious or critical."""
    from axe_playwright_python.sync_playwright import Axe

    result = Axe().run(page, options={"resultTypes": ["violations"]}).response
    return [
        f"{page.url}: {each['id']}: {json.dumps([node['html'][:160] for node in each['nodes']][:3])}"
        for each in result["violations"]
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_is_found(console: Console, scheme: str) -> None:
    page = console.signed_in(f"thu-{scheme}", *EVERY, color_scheme=scheme)
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    found = []
    for path in SHOWN:
        answer = page.goto(path)
        assert answer is not None
        if "text/html" in answer.headers.get("content-type", "") and answer.status < 500:
            found += faults(page)
    assert not found, "\n".join(found)
    assert not [each for each in troubles if "Content Security Policy" in each]


CLIPPED = """[...document.querySelectorAll("table.stacks")]
  .filter((each) => each.scrollWidth > each.parentElement.clientWidth).map((each) => each.outerHTML.slice(0, 120))"""


def test_pages_fit_a_phone(console: Console) -> None:
    page = console.signed_in("phuc", *EVERY, viewport={"width": 390, "height": 844})
    wide = []
    for path in SHOWN:
        page.goto(path)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 390:
            wide.append(f"{path}: {width}: {page.evaluate(OVER)}")
        wide += [f"{path}: {each}" for each in page.evaluate(CLIPPED)]
        if page.evaluate("document.querySelector('main')?.getBoundingClientRect().top ?? 0") > 300:
            wide.append(f"{path}: it begins below its frame")
    assert not wide
