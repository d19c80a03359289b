"""Every page with a title, by the console's own list: no serious fault by axe-core in light and dark, no error of the
content policy, both languages, nothing wider than a phone."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from examples.story.world import World
from gateway.console.pages import pages
from gateway.console.roles import Role
from gateway.delivery import bulk
from gateway.delivery.listing import WAITS, Wanted
from gateway.journal.database import writing
from gateway.keys.keyring import Keyring
from gateway.registry.changes.orders import Orders
from gateway.registry.snapshot import load_snapshot
from gateway.reports import drawing, orders
from gateway.reports.periods import Period
from gateway.sandbox.standins import messages
from gateway.watch.alarms import Condition, Kind, Look, settle
from security.grants.windows import VIETNAM
from tests.browser.conftest import Console, lgsp

if TYPE_CHECKING:
    from playwright.sync_api import Page, Response

pytestmark = pytest.mark.full

EVERY = (Role.OFFICER, Role.OPERATOR, Role.STEWARD, Role.AUDITOR, Role.CENTRE)
PATHS = ["/sign-in", *(page.path for page in pages() if page.method == "GET" and page.title)]
# Pages of things that only an act of several steps makes: they are looked at as not there.
NOT_MADE = (
    "/systems/{system}/enrolments/{job}",
    "/contracts/drafts/{draft}",
    "/transfers/{id}/opened",
    "/subscriptions/{subscription}",
)
CONTRACT = {"{id}": "field-report", "{major}": "1", "{format}": "do-thi-xml"}
ALARMS = ("/watch", "/wall")
AWAY = Condition("do-thi", "", 1_790_000_000.0, {})
QUESTION = messages.indicator_question("KT-05", "04", "2026-Q3")
OVER = """[...document.querySelectorAll("main *")].filter((each) => each.getBoundingClientRect().right > innerWidth
  && !each.closest(".scroll")).slice(0, 3).map((each) => each.outerHTML.slice(0, 120))"""

CLIPPED = """[...document.querySelectorAll("table.stacks")]
  .filter((each) => each.scrollWidth > each.parentElement.clientWidth)
  .map((each) => `${each.scrollWidth} in ${each.parentElement.clientWidth}: ` + [...each.querySelectorAll("*")]
    .filter((part) => part.getBoundingClientRect().right > each.parentElement.getBoundingClientRect().right)
    .slice(-2).map((part) => part.outerHTML.slice(0, 200)).join(" ") + each.outerHTML.slice(0, 600))"""


@dataclass(frozen=True)
class Site:
    """An address for each page. A part of a path has the value of its longest known beginning, which
    may also add a query."""

    values: dict[str, dict[str, str]]

    def address(self, path: str) -> str:
        filled = path
        for begins in sorted(self.values, key=len, reverse=True):
            if path.startswith(begins):
                for part, value in self.values[begins].items():
                    filled = filled.replace(part, value)
        return f"/console{filled}"


@pytest.fixture(scope="module")
def site(console: Console, world: World) -> Site:
    """With something on each page: a refusal, a message with a body, a message that waits, a bulk retry, a handling, a
    report, a case, alarms."""
    answered, waits = (
        world.rest("phan-anh").call("POST", "/field-report/v1/requests", messages.field_report(area=area))
        for area in ("01273", "01392")
    )
    refused = world.rest("thuc-phan").call("GET", QUESTION)
    console.link("xem", Role.AUDITOR)  # makes the account
    ids = [each.headers["lgsp-transfer"] for each in (answered, waits, refused)]
    with console.engine() as engine, writing(engine) as connection:
        wanted = Wanted(WAITS)
        seen = bulk.preview(connection, wanted)
        key, by = Orders(Keyring(console.settings).hash_key()), ("H14.0/test: test", "A look at the page")
        job = bulk.start(connection, key, wanted, seen, by, time.time()).id
    for transfer in ids:
        words = ("audit", "search", "--transfer", transfer)
        world.wait("it is in the log", lambda words=words: lgsp(world, *words)["entries"])  # type: ignore[misc]
    handling = world.wait("it is handled", lambda: lgsp(world, "handling", "list")["handlings"])[0]["handling"]
    day = datetime.now(VIETNAM).date().isoformat()
    report = lgsp(world, "report", "make", "--from", day, "--until", day)["report"]
    with console.engine() as engine, writing(engine) as connection:
        now = time.time()
        orders.add(connection, drawing.Wanted(Period.of(now), ""), "H14.0/test: test", now)
    asked = ("--agency", "H14.5", "--about", "system:do-thi", "--subject", "Levels / Mức", "--text", "Which?\nOf all.")
    case = lgsp(world, "case", "open", "data-request", *asked)["case"]
    alarmed(console, AWAY)
    alarmed(console)
    values = {
        "": {"{system}": "do-thi", "{agency}": "H14.5", "{draft}": "none", "{job}": "none"},
        "/access": {"{id}": "G-0006", "{subject:path}": "G-0006"},
        "/cases": {"{case}": case},
        "/cases/new": {"/new": "/new?kind=outage"},
        "/catalogue": CONTRACT,
        "/contracts": CONTRACT,
        "/feed": {"{id}": "incident-alert", "{major}": "1"},
        "/handlings": {"{id}": handling},
        "/indicators": {"{code}": "KT-05"},
        "/people": {"{id}": "xem"},
        "/queue": {"{job}": job, "{transfer}": ids[1]},
        "/reports": {"{report}": report},
        "/routes": {"/routes": "/routes?agency=H14.5&of=field-report/v1+createRequest&v0=01392"},
        "/scorecards": {"{system}": "do-thi"},
        "/transfers/{id}": {"{id}": ids[2]},
        "/transfers/{id}/": {"{id}": ids[0]},
    }
    return Site(values)


def alarmed(console: Console, *conditions: Condition) -> None:
    """What holds of systems that take no connections: until the next probe."""
    with console.engine() as engine, writing(engine) as connection:
        settle(connection, Kind.DOWN, conditions, Look(load_snapshot(connection), time.time()))


def opened(console: Console, page: Page, path: str, address: str) -> Response:
    """A page, with an open alarm where alarms are shown."""
    if path in ALARMS:
        alarmed(console, AWAY)
    answer = page.goto(address)
    assert answer is not None
    return answer


def faults(page: Page, **options: Any) -> list[str]:
    """What axe-core finds serious or critical."""
    from axe_playwright_python.sync_playwright import Axe

    result = Axe().run(page, options={"resultTypes": ["violations"], **options}).response
    return [
        f"{page.url}: {each['id']}: {json.dumps([node['html'][:160] for node in each['nodes']][:3])}"
        for each in result["violations"]
        if each["impact"] in ("serious", "critical")
    ]


def looked_at(console: Console, site: Site, scheme: str, language: str) -> dict[str, str]:
    """The text of each page. In dark all that may differ from light is the contrast."""
    options: dict[str, Any] = {"runOnly": ["color-contrast"]} if scheme == "dark" else {}
    page = console.signed_in(f"thu-{scheme}", *EVERY, color_scheme=scheme, language=language)
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    found, texts = list[str](), dict[str, str]()
    for path in PATHS:
        answer = opened(console, page, path, site.address(path))
        assert answer.status in ((403, 404) if path in NOT_MADE else (200,)), f"{page.url}: {answer.status}"
        assert page.locator("html").get_attribute("lang") == language
        texts[path] = page.locator("main").inner_text()
        found += faults(page, **options)
    assert not found, "\n".join(found)
    assert not [each for each in troubles if "Content Security Policy" in each]
    return texts


def test_nothing_serious_is_found_and_each_page_has_both_languages(console: Console, site: Site) -> None:
    vietnamese, english = looked_at(console, site, "light", "vi"), looked_at(console, site, "dark", "en")
    same = [path for path in PATHS if vietnamese[path] == english[path]]
    assert not same, same


# A page of each kind that the documentation site has, and what both listeners show of contracts.
DOCS = (
    *(f"/docs/en{path}" for path in ("", "/client", "/in-force", "/errors", "/api-exchange", "/search?q=chu+ky")),
    "/docs/vi/changes/field-report/v1",
    *("/contracts?lang=vi", "/contracts/field-report/v1?lang=en", "/contracts/field-report/v1/operations?lang=vi"),
)
LONG = ("/docs/en/errors", "/docs/en/api-exchange")  # its contrast is that of the others, and takes long to look at


def test_nothing_serious_is_found_in_the_documentation_and_it_fits_a_phone(console: Console) -> None:
    """Nobody is signed in."""
    page = console.page(viewport={"width": 390, "height": 844})
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    found = []
    for path in DOCS:
        answer = page.goto(path)
        assert answer is not None and answer.status == 200, path
        width = page.evaluate("document.documentElement.scrollWidth")
        options = {"rules": {"color-contrast": {"enabled": False}}} if path in LONG else {}
        found += [*faults(page, **options), *([f"{path}: {width}"] if width > 390 else [])]
    assert not found and not troubles, "\n".join([*found, *troubles])


def test_pages_fit_a_phone(console: Console, site: Site) -> None:
    page = console.signed_in("phuc", *EVERY, viewport={"width": 390, "height": 844})
    wide = []
    for path in PATHS:
        opened(console, page, path, site.address(path))
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 390:
            wide.append(f"{path}: {width}: {page.evaluate(OVER)}")
        wide += [f"{path}: {each}" for each in page.evaluate(CLIPPED)]
        if page.evaluate("document.querySelector('main')?.getBoundingClientRect().top ?? 0") > 300:
            wide.append(f"{path}: it begins below its frame")
    assert not wide, "\n".join(wide)
