"""Takes the pictures of the console for the guides: `./lgsp docs screenshots`.

It starts an instance of its own, runs the demo's story, and takes each page with the system's Chromium. Times and ids
differ from run to run, so no test compares the pictures.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bench.demo import demo_settings, running, world_of
from examples import story
from examples.story.world import World
from gateway.client.identities.enrol import keygen
from gateway.sandbox.instance import OFFICERS
from gateway.sandbox.standins import messages
from security.grants.windows import VIETNAM
from tests.console.zipping import zipped
from tests.palette import reduced
from tests.registry.editions import edition, unplaced

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "pictures" / "console"
SIZE: Final[Any] = {"width": 1280, "height": 800}
MOST_BYTES: Final = 90_000
_ROLES: Final = ("officer", "operator", "steward")
_SILENT: Final = "01392"  # the area of an agency that does not listen in the demo
_REPORTS: Final = "/field-report/v1/requests"


def take(folder: Path = FOLDER) -> list[Path]:
    """The pictures that were written. Raises if the machine has no Chromium."""
    folder.mkdir(parents=True, exist_ok=True)
    data = Path(tempfile.mkdtemp(prefix="lgsp-pictures-"))
    try:
        with running(demo_settings(data / "data")) as settings, browser() as opened:
            world = world_of(settings)
            for step in story.run(world):
                if not step.ok:
                    raise RuntimeError(f"{step.name}: {step.detail}")
            return _pages(opened, world, folder)
    finally:
        shutil.rmtree(data, ignore_errors=True)


@contextmanager
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise RuntimeError("no Chromium here (Debian: chromium)")
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        opened = playwright.chromium.launch(executable_path=program, args=options)
        yield opened
        opened.close()


def _pages(browser: Browser, world: World, folder: Path) -> list[Path]:
    session = _session(browser, world, ("lan", "Nguyễn Thị Lan", *_ROLES))
    answered = _report(world, "01273")
    for _ in range(2):
        _report(world, _SILENT)
    grant = _proposal(session("vi", "light"), world)
    refused = world.refused["no grant, REST"]
    page = session("vi", "light")
    page.goto("/console/log")
    page.locator("form[action='/console/log/verify'] button").click()
    page.locator("#checks .notice.good").wait_for()
    page.close()
    issued = _enrolment(session("vi", "light"))
    _hold(session("vi", "light"))
    draft = _draft(_session(browser, world, ("tu", "Trần Văn Tú", "steward"))("vi", "light"))
    shots = {
        "home": "",
        "search": "/search?outcome=refused",
        "transfer": f"/transfers/{refused}",
        "message": f"/transfers/{answered}/message",
        "who": "/access/who?mark=personal",
        "proposal": f"/access/proposals/{grant}",
        "systems": "/systems",
        "enrolment": issued,
        "vault": "/vault",
        "queue": "/queue?state=waiting",
        "log": "/log",
        "mapping": "/contracts/field-report/v1/formats/do-thi-xml",
        "draft": draft,
        "handlings": "/handlings",
        "case": f"/cases/{_case(world)}",
        "report": f"/reports/{_monthly(world)}",
        "scorecard": f"/scorecards/do-thi?from={_today()}&until={_today()}",
        "catalogue": "/catalogue",
        "owed": "/indicators/owed",
        "routes": "/routes?agency=H14.5&of=field-report/v1+createRequest&v0=01392",
    }
    centre = _session(browser, world, ("tam", "Lê Văn Tâm", "centre"))
    looks = [(name, path, session("vi", "light")) for name, path in shots.items()]
    looks += [("home.dark", "", session("vi", "dark")), ("home.en", "", session("en", "light"))]
    looks += [("indicators", "/indicators", centre("vi", "light")), ("wall", "/wall", centre("vi", "dark"))]
    looks += [("feed", "/feed/incident-alert/v1", centre("vi", "light"))]
    written = []
    for name, path, page in looks:
        answer = page.goto(f"/console{path}")
        if answer is None or not answer.ok:
            raise RuntimeError(f"{path} was not shown")
        picture = reduced(page.screenshot(animations="disabled"))
        page.close()
        if len(picture) > MOST_BYTES:
            raise RuntimeError(f"{name}.png is too large: {len(picture)} bytes")
        (folder / f"{name}.png").write_bytes(picture)
        written.append(folder / f"{name}.png")
    return written


def _session(browser: Browser, world: World, who: tuple[str, ...]) -> Callable[[str, str], Page]:
    """Signs one person in: account, name and roles. Returns what opens a page in a language and a colour scheme."""
    account, name, *roles = who
    words = ["--agency", "H14.0", "--name", name]
    for role in roles:
        words += ["--role", role]
    link = world.lgsp("console", "user", "add", account, *words, "--data", str(world.data))["link"]
    first = browser.new_page()
    first.goto(link)
    first.locator("main button.primary").click()
    first.wait_for_url("**/console")
    state: Any = first.context.storage_state()
    first.close()

    def page(language: str, scheme: Any) -> Page:
        opened = browser.new_page(
            base_url=link.partition("/console/")[0],  # the cookie is this host's
            storage_state=state,
            locale=language,
            color_scheme=scheme,
            viewport=SIZE,
            device_scale_factor=1,
        )
        opened.set_default_timeout(60_000)
        return opened

    return page


def _case(world: World) -> str:
    """A task that an agency has answered. Returns its id."""
    data = ("--data", str(world.data))
    text = "Đề nghị thay đèn đường hỏng trên địa bàn phường Thục Phán và báo cáo kết quả."
    words = ("open", "task", "--to", "H14.3", "--subject", "Thay đèn đường hỏng", "--text", text)
    case = str(world.lgsp("case", *words, *data)["case"])
    world.lgsp("case", "answer", case, "--agency", "H14.3", "--text", "Đã thay 12 bóng đèn.", *data)
    return case


def _today() -> str:
    return datetime.now(VIETNAM).date().isoformat()


def _monthly(world: World) -> str:
    """The report of today. Returns its id."""
    words = ("--from", _today(), "--until", _today(), "--data", str(world.data))
    return str(world.lgsp("report", "make", *words)["report"])


def _draft(page: Page) -> str:
    """A later version of a contract, handed in by somebody else. Returns the path of its page."""
    archive = zipped(
        edition("1.2.0", unplaced("CameraEvent", "weather"), contract="camera-event").files, "camera-event/v1"
    )
    page.goto("/console/contracts/drafts/new")
    given: Any = {"name": "camera-event.zip", "mimeType": "application/zip", "buffer": archive}
    page.set_input_files("#archive", given)
    page.locator("main button.primary").click()
    page.fill("textarea[name=reason]", "Bổ sung thời tiết, đã thống nhất với Công an tỉnh")
    page.locator("main form button.primary").click()
    page.locator(".notice.good").wait_for()
    path = urlsplit(page.url).path.removeprefix("/console")
    page.close()
    return path


def _report(world: World, area: str) -> str:
    """A report that becomes a SOAP message of an agency. Returns its transfer."""
    answer = world.rest("phan-anh").call("POST", _REPORTS, messages.field_report(area=area))
    return str(answer.headers["lgsp-transfer"])


def _proposal(page: Page, world: World) -> str:
    """A grant that one of two officers has signed."""
    page.goto("/console/access/proposals/new?agency=H14.6&contract=indicator/v1&operations=getValue&fields=*")
    grant = f"G-8{uuid.uuid4().int % 1000:03}"
    given = {
        "id": grant,
        "purpose": "Báo cáo tình hình của lực lượng chữa cháy",
        "legal_basis": "Quyết định 451/QĐ-UBND, Điều 11",
        "valid_from": "2026-01-01",
        "valid_until": "2030-12-31",
    }
    for name, text in given.items():
        page.fill(f"#{name}", text)
    page.locator("main button.primary").click()
    page.wait_for_url(f"**/console/access/proposals/{grant}*")
    page.close()
    key = str(world.identities / OFFICERS[0] / "officer.key")
    world.lgsp("access", "approve", grant, "--officer", OFFICERS[0], "--key", key, "--data", str(world.data))
    return grant


def _enrolment(page: Page) -> str:
    """New certificates of one system, whose older keys end at the close of the year. Returns the page's path."""
    with tempfile.TemporaryDirectory() as made:
        requests = keygen("truong-ha", Path(made) / "identity", hosts=("localhost",))
        page.goto("/console/systems/truong-ha/enrol")
        for each in requests:
            page.fill(f"#{each.stem}", each.read_text("ascii"))
    page.locator("main button.primary").click()
    page.check("input[name=older][value=until]")
    page.fill("#until", f"{datetime.now(UTC).year + 1}-01-31")
    page.fill("#reason", "Thay khóa định kỳ theo kế hoạch năm")
    page.locator("main button.primary").click()
    page.locator("#order a.button.primary").wait_for()
    path = urlsplit(page.url).path.removeprefix("/console")
    page.close()
    return path


def _hold(page: Page) -> None:
    """A legal hold on what one agency sent and received."""
    page.goto("/console/vault")
    page.fill("#name", "thanh-tra-12")
    page.fill("#agency", "H14.5")
    page.fill("#reason-hold", "Theo yêu cầu của Thanh tra tỉnh, công văn 12/TTr")
    page.locator("main button.primary").click()
    page.wait_for_url("**/console/vault*")
    page.close()


def main() -> int:
    for path in take():
        sys.stdout.write(f"{path.relative_to(FOLDER.parents[2])}: {path.stat().st_size:,} bytes\n")
    return 0
