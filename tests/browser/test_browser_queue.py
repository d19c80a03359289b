"""An operator's work in a browser: a transfer in doubt that is settled, and a whole list that is retried."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import yaml
from sqlalchemy import update

from contracts.folder.bundle import catalogue_folders
from examples.story.world import World
from gateway.console.roles import Role
from gateway.delivery import listing
from gateway.delivery.listing import Wanted
from gateway.delivery.queue import WAITING
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keeper.tasks.recovery_probe import PROBE_SECONDS
from gateway.sample_client.rest import Answer
from gateway.sandbox.standins import messages
from gateway.sandbox.standins.base import serving
from gateway.settings import Settings
from tests.browser.conftest import Console, approve, lgsp, shown
from tests.browser.provider import AREA, SYSTEM, office
from tests.following import everywhere
from tests.registry.making import WHOLE

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.full

WHY = "The provider was asked by telephone"
DOCUMENTS = "official-document/v1"
CATALOGUE = next(each for each in catalogue_folders() if each.parts[-2:] == ("official-document", "v1"))
SAMPLE = CATALOGUE / "samples" / "qlvb-json" / "Document.giay-moi.canonical.json"
QUEUE = tables.queue
COUNT = 12
COMMUNE, GRANT = "H14.22", "G-7102"  # the agency of SYSTEM, and its grant to receive; the province lets H14.5 send
TERMS = {
    "contract": DOCUMENTS,
    "operations": ["sendDocument"],
    "fields": ["*"],
    "purpose": "Documents",
    "legal_basis": "Decree 30",
    "valid_from": date(2026, 1, 1),
    "valid_until": date(2030, 12, 31),
}


@pytest.fixture(scope="module")
def documents(instance: Settings, world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Documents of H14.5 go to the commune. They are not idempotent: nobody sends one again unless he is told to."""
    file = tmp_path_factory.mktemp("registry") / "documents.yaml"
    province = yaml.safe_load(WHOLE)  # whole: what a document leaves out is suspended
    addressed = {"to[].organId": [COMMUNE]}
    province["routes"].append({"contract": DOCUMENTS, "operation": "sendDocument", "when": addressed, "system": SYSTEM})
    province["grants"].append({"id": GRANT, "agency": COMMUNE, "receives": True, **TERMS})
    file.write_text(yaml.safe_dump(province, allow_unicode=True))
    assert lgsp(world, "registry", "apply", str(file))["ok"]
    try:
        approve(world, GRANT)
        everywhere(instance)
        yield
    finally:
        lgsp(world, "access", "revoke", GRANT)
        file.write_text(WHOLE)  # without the route, which nobody may receive by now
        assert lgsp(world, "registry", "apply", str(file))["ok"]


@contextmanager
def slow_provider(world: World, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that takes a call in, and answers a minute later."""
    port, ready = urlsplit(world.standins[SYSTEM]).port, folder / "ready"
    command = [sys.executable, "-m", "gateway.sandbox.standins.rest_agency", "--port", str(port)]
    command += ["--identity", str(world.identities / SYSTEM), "--ready-file", str(ready)]
    with subprocess.Popen([*command, "--fault", "slow", "--seconds", "60"]) as process:
        try:
            world.wait("the provider", ready.exists)
            yield process
        finally:
            process.kill()


def doubtful(world: World, folder: Path) -> Answer:
    """A document whose provider dies after it received it."""
    document = json.loads(SAMPLE.read_bytes()) | {"from": {"organId": "H14.5"}, "to": [{"organId": COMMUNE}]}
    client = world.rest("phan-anh")
    prepared = client.prepare("POST", f"/{DOCUMENTS}/documents", document, message_id=str(uuid.uuid4()))
    with slow_provider(world, folder) as provider, ThreadPoolExecutor(1) as aside:
        answer = aside.submit(client.send, prepared)
        world.wait("the call at the provider", lambda: world.seen(SYSTEM)["calls"] or answer.done())
        assert not answer.done(), answer.result()
        os.kill(provider.pid, signal.SIGKILL)
        return answer.result(60)


def test_a_transfer_in_doubt_is_settled_with_a_reason(
    console: Console, world: World, documents: None, tmp_path: Path
) -> None:
    answer = doubtful(world, tmp_path)
    transfer = answer.headers["lgsp-transfer"]
    assert answer.status == 502 and answer.problem is not None
    page = console.signed_in("operator-a", Role.OPERATOR, Role.AUDITOR, language="en")
    page.goto("/console")
    page.locator("a[href='/console/queue?state=in-doubt']").first.click()
    page.locator(f"a[href='/console/queue/{transfer}']").click()
    assert "a repeat may act twice" in page.locator("main").inner_text()
    form = page.locator(f"form[action='/console/queue/{transfer}/done']")
    form.locator("button").click()
    assert page.url.endswith(transfer), "not without a reason"
    form.locator("textarea").fill(WHY)
    form.locator("button").click()
    page.wait_for_url(f"**/console/queue/{transfer}?done=settled")
    text = page.locator("main").inner_text()
    assert "The transfer is settled." in text and "answered" in text and "has ended" in text
    told = world.rest("phan-anh").call("GET", f"/transfers/{transfer}").json()
    assert told["state"] == "answered", told  # so its sender sees it
    page.goto("/console/queue?state=in-doubt")
    assert page.locator(f"a[href='/console/queue/{transfer}']").count() == 0
    page.goto(f"/console/transfers/{transfer}")
    shown(page, "main :text('settled')")
    text = page.locator("main").inner_text()
    assert WHY in text and "operator-a" in text and "in doubt" in text
    page.goto(f"/console/search?kind=settled&transfer={transfer}")
    (row,) = page.locator("main tbody tr").all()
    assert transfer[-12:] in row.inner_text() and "operator-a" in row.inner_text()
    assert lgsp(world, "audit", "verify")["ok"]


def send(world: World, area: str = AREA) -> str:
    answer = world.rest("phan-anh").call("POST", "/field-report/v1/requests", messages.field_report(area=area))
    assert answer.status in (200, 202), answer.body
    return answer.headers["lgsp-transfer"]


def waiting(console: Console, **filter: Any) -> list[tuple[str, float]]:
    """What the filter finds, and when each is due, by the database."""
    with console.engine() as engine, engine.connect() as connection:
        found = listing.page(connection, Wanted("waiting", **filter), None, 500).messages
    return [(each.transfer, each.next_at or 0.0) for each in found]


def fill(console: Console, world: World) -> list[str]:
    """Messages that are not due for an hour, as after many tries that their provider answered by an error."""
    sent = {send(world) for _ in range(COUNT)}
    later = update(QUEUE).where(QUEUE.c.provider == SYSTEM, QUEUE.c.state == WAITING)

    def all_wait() -> bool:
        """A try that was under way, or a look for systems that were away, may undo it: both have ended by then."""
        with console.engine() as engine, writing(engine) as connection:
            connection.execute(later.values(next_at=time.time() + 3600, last_failure="provider.fault"))
        time.sleep(PROBE_SECONDS)
        known = waiting(console, provider=SYSTEM)  # also what other tests left
        return sent <= {transfer for transfer, _ in known} and all(at > time.time() + 600 for _, at in known)

    world.wait("all of them wait", all_wait)
    return sorted(sent)


@contextmanager
def failing(world: World, system: str) -> Iterator[None]:
    """A stand-in that fails. It is well again afterwards, also where the test is not: other tests share it."""
    world.fault(system, "wrong-status", count=1_000)
    try:
        yield
    finally:
        world.fault(system, "none")


def cards(page: Page) -> dict[str, int]:
    """The numbers of the page as it stands."""
    told: dict[str, int] = page.evaluate(CARDS)
    return told


def counts(page: Page, **wanted: int) -> None:
    """Waits until the page shows these numbers, without a reload while it is live."""
    until = time.monotonic() + 60
    while True:
        told = cards(page)
        if all(told[NAMES[name]] == number for name, number in wanted.items()):
            return
        assert time.monotonic() < until, f"{told}, not {wanted}"
        page.wait_for_timeout(100)


CARDS = """Object.fromEntries([...document.querySelectorAll("#progress .card")].map((each) =>
  [each.querySelector(".what").textContent, Number(each.querySelector(".value").textContent)]))"""
NAMES = {
    "waiting": "Not sent again yet",
    "accepted": "Accepted by the queue",
    "sent": "Being sent",
    "answered": "Answered",
    "again": "Sent, failed, waits again",
    "failed": "Ended without an answer",
    "skipped": "Skipped",
}


def test_a_whole_list_is_retried_previewed_stopped_and_resumed(console: Console, world: World) -> None:
    sent = fill(console, world)
    provider = office(world)
    with serving(provider):
        page = console.signed_in("operator-b", Role.OPERATOR, Role.AUDITOR, language="en")
        with failing(world, "do-thi"):
            other = send(world, "01273")  # waits as well, for another provider
            page.goto("/console/queue?state=waiting")
            page.select_option("#provider", SYSTEM)
            page.locator("form.filters button").click()
            page.wait_for_url("**provider=truong-ha**")
            page.get_by_role("link", name="Retry this whole list").click()
            listed = [each.get_attribute("href") or "" for each in page.locator("main tbody th a").all()]
            previewed = [each.rpartition("/")[2] for each in listed]
            wanted = [transfer for transfer, _ in waiting(console, provider=SYSTEM)]
            assert previewed == wanted and set(sent) <= set(wanted) and other not in wanted
        every = len(wanted)
        assert page.locator("main dl dd strong").inner_text() == str(every)
        provider.allowed = 0
        page.fill("#reason", WHY)
        page.get_by_role("button", name="Start with one message").click()
        page.wait_for_url("**/console/queue/bulk/*")
        counts(page, waiting=every - 1, sent=1, accepted=0, answered=0)
        assert "One message goes first" in page.locator("#progress").inner_text()
        page.fill("#reason", "Wait for the next shift")
        page.get_by_role("button", name="Stop").click()
        page.wait_for_url("**done=bulk-stop")
        provider.allowed = 1
        world.wait("the first answer", lambda: provider.answered == 1)
        shown(page, "#progress .card.good")
        time.sleep(1.5)  # the keeper looked several times
        page.reload()
        assert "stopped" in page.locator("h1").inner_text() and provider.came == 1
        counts(page, waiting=every - 1, sent=0, answered=1)
        page.fill("#reason", "The next shift is here")
        page.get_by_role("button", name="Go on with one message").click()
        page.wait_for_url("**done=bulk-resume")
        counts(page, waiting=every - 2, sent=1, answered=1)
        world.wait("the second call", lambda: provider.came == 2)
        provider.allowed = 2
        counts(page, waiting=0, answered=2, sent=8, accepted=every - 10)  # eight at once to a provider
        world.wait("eight calls at the provider", lambda: provider.came == 10)  # the page tells before they are there
        assert "The others follow" in page.locator("#progress").inner_text()
        provider.allowed = float("inf")
        counts(page, answered=every, sent=0, accepted=0, again=0, failed=0, skipped=0)
        shown(page, "h1 .badge.good")
        assert "finished" in page.locator("h1").inner_text()
        states = page.locator("main tbody td .badge").all_inner_texts()
        assert states == ["answered"] * every and provider.answered == every and provider.most == 8
        job = re.search(r"/bulk/([^?#]+)", page.url)
    assert job is not None and not [each for each, _ in waiting(console, provider=SYSTEM)]
    page.goto("/console/search?kind=bulk-retry")
    shown(page, "main tbody tr:nth-child(3)")
    rows = [each.get_attribute("href") or "" for each in page.locator("main tbody a[href*='/transfers/']").all()]
    reasons = []
    for href in rows[:3]:
        page.goto(href)
        reasons.append(page.locator("main .timeline").inner_text())
    told = ("The next shift is here", "Wait for the next shift", WHY)
    assert all(why in text for why, text in zip(told, reasons, strict=True)), reasons
    retried = lgsp(world, "audit", "search", "--kind", "retried", "--limit", "100")["entries"]
    assert {each["about"] for each in retried} >= set(wanted)
    assert lgsp(world, "audit", "verify")["ok"]
