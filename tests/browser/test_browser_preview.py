"""The preview of a grant in a browser tells what real doors do: the same requests are sent again under the grant."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml

from examples.story.world import World
from gateway.console.roles import Role
from gateway.registry.registry import POLL_SECONDS
from gateway.sample_client.rest import Answer
from gateway.sandbox.standins import messages
from tests.browser.conftest import Console, approve, lgsp
from tests.following import everywhere

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.full

INDICATOR, DOSSIER, REPORT, ALERT = "indicator/v1", "dossier-status/v1", "field-report/v1", "incident-alert/v1"
QUESTION = messages.indicator_question("KT-05", "04", "2026-Q3")
RECEIVES = "G-0012"  # H14.3 receives field reports by it
TIMES = 12
COMMUNES = ("H14.21", "H14.22")  # the agencies of that role
WITHHELD = frozenset({"dossier.handler"})  # by the provider itself
HIDDEN = {"absent": "not-permitted"}


class Call(NamedTuple):
    """A request that is sent twice: before the grant holds, and under it. `times` is for the first time."""

    system: str
    agency: str  # of the caller; of the receiver for a grant that receives
    contract: str
    operation: str
    method: str
    path: str
    body: Any = None
    times: int = 1


class Verdict(NamedTuple):
    """What a door says: a code, or the fields of the answer, those hidden by the grant apart."""

    code: str | None
    seen: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()


class Row(NamedTuple):
    """Of the page."""

    number: int
    fields: frozenset[str]


DOSSIER_OF = {"dossier": "000.00.22.H14-261118-0007"}
CALLS = {
    "ward asks": Call("thuc-phan", "H14.21", INDICATOR, "getValue", "GET", QUESTION, times=2),
    "health asks": Call("y-te", "H14.7", INDICATOR, "getValue", "GET", QUESTION),
    "centre asks": Call("dieu-hanh", "H14.0", INDICATOR, "getValue", "GET", QUESTION),
    "ward reads": Call("thuc-phan", "H14.21", ALERT, "feed", "GET", f"/feeds/{ALERT}?limit=5"),
    "centre reads": Call("dieu-hanh", "H14.0", ALERT, "feed", "GET", f"/feeds/{ALERT}?limit=5"),
    "dossier of the ward": Call(
        "thuc-phan",
        "H14.21",
        DOSSIER,
        "getStatus",
        "POST",
        f"/{DOSSIER}/status",
        {"dossier": "000.00.22.H14-261118-0007"},
    ),
    "dossier of the centre": Call(
        "dieu-hanh",
        "H14.0",
        DOSSIER,
        "getStatus",
        "POST",
        f"/{DOSSIER}/status",
        {"dossier": "000.00.22.H14-261118-0007"},
    ),
    "report": Call(
        "phan-anh", "H14.3", REPORT, "createRequest", "POST", f"/{REPORT}/requests", messages.field_report(area="01273")
    ),
}
GRANTS: dict[str, dict[str, Any]] = {
    "G-7201": {"agency": "H14.21", "contract": INDICATOR, "operations": ["getValue"], "fields": ["*", "!responsible"]},
    "G-7202": {"agency": "H14.7", "contract": INDICATOR, "operations": ["getValue"], "fields": ["*"]},
    "G-7203": {"agency": "H14.21", "contract": ALERT, "operations": ["feed"], "fields": ["*"]},
    "G-7204": {"role": "commune", "contract": DOSSIER, "operations": ["getStatus"],
               "fields": ["*", "!dossier.applicant"]},
    "G-7205": {"agency": "H14.3", "contract": REPORT, "operations": ["createRequest"], "receives": True,
               "fields": ["*", "!phone"]},
}  # fmt: skip


def send(world: World, call: Call) -> Answer:
    client = world.rest(call.system)
    return client.call(
        call.method, call.path, call.body, encrypt_it=call.contract == DOSSIER and call.operation != "feed"
    )


def paths(value: Any, path: str = "") -> Iterator[tuple[str, bool]]:
    """The fields of a message, and whether each is shown."""
    if value == HIDDEN:
        yield path, False
    elif isinstance(value, dict) and "absent" not in value:
        for name, inner in value.items():
            yield from paths(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for each in value:
            yield from paths(each, f"{path}[]")
    else:
        yield path, True


def verdict(answer: Answer, call: Call) -> Verdict:
    if answer.problem is not None:
        return Verdict(str(answer.problem["code"]))
    content = answer.json()
    bodies = [each["data"] for each in content["events"]] if call.operation == "feed" else [content]
    every = [each for body in bodies for each in paths(body)]
    return Verdict(None, *(frozenset(path for path, is_seen in every if is_seen is wanted) for wanted in (True, False)))


def steady(world: World, name: str, code: str | None) -> Answer:
    """Waits until all doors answer so: each looks for changes of the registry twice a second."""
    call, since, times = CALLS[name], time.monotonic(), 0
    until = since + 60
    while times < TIMES or time.monotonic() < since + POLL_SECONDS * 2:
        assert time.monotonic() < until, f"never steady: {name}"
        answer, times = send(world, call), times + 1
        if verdict(answer, call).code != code:
            since, times = time.monotonic(), 0
    return answer


def below(path: str, names: frozenset[str]) -> bool:
    return any(path == name or path.startswith((f"{name}.", f"{name}[]")) for name in names)


def previewed(page: Page, grant: str) -> dict[tuple[str, str, str], Row]:
    """The rows of all parts of the page, by what changes, agency and operation."""
    found: dict[tuple[str, str, str], Row] = {}
    page.goto(f"/console/access/grants/{grant}/preview")
    while True:
        for row in page.locator("main tbody tr").all():
            what, agency, operation, number = (each.inner_text() for each in row.locator("th, td").all()[:4])
            fields = frozenset(
                each.replace("\u200b", "") for each in row.locator("td:nth-child(5) code").all_inner_texts()
            )
            key = (what, agency, operation)
            before = found.get(key, Row(0, frozenset()))
            found[key] = Row(before.number + int(number), before.fields | fields)
        following = page.locator("a[rel=next]")
        if following.count() == 0:
            return found
        following.click()


@pytest.fixture
def proposed(world: World, tmp_path: Path) -> Iterator[None]:
    """The proposals, and nobody who may receive the reports."""
    terms = {
        "purpose": "A trial",
        "legal_basis": "Decision 451",
        "valid_from": date(2026, 1, 1),
        "valid_until": date(2030, 12, 31),
    }
    file = tmp_path / "grants.yaml"
    file.write_text(yaml.safe_dump({"grants": [{"id": name, **GRANTS[name], **terms} for name in GRANTS]}))
    assert lgsp(world, "access", "propose", str(file))["ok"]
    try:
        lgsp(world, "access", "suspend", RECEIVES, "--reason-vi", "Rà soát", "--reason-en", "Review")
        last = steady(world, "report", "route.not-granted").headers["lgsp-transfer"]
        words = ("audit", "search", "--transfer", last)
        world.wait("it is in the log, so that the preview has it", lambda: lgsp(world, *words)["entries"])
        yield
    finally:  # other tests share the instance
        for name in GRANTS:
            lgsp(world, "access", "revoke", name)
        lgsp(world, "access", "resume", RECEIVES)
        steady(world, "report", None)


def differences(then: dict[tuple[str, str, str], Row], now: dict[tuple[str, str, str], Row]) -> dict[Any, Row]:
    """What the calls in between added."""
    none = Row(0, frozenset())
    more = {key: Row(row.number - then.get(key, none).number, row.fields) for key, row in now.items()}
    return {key: row for key, row in more.items() if row.number}


def expected(grant: str, before: dict[str, Verdict], after: dict[str, Verdict]) -> Counter[tuple[str, str, str]]:
    """The rows that the doors' verdicts make."""
    found: Counter[tuple[str, str, str]] = Counter()
    for name, call in CALLS.items():
        old, new = before[name], after[name]
        holders = (GRANTS[grant]["agency"],) if "agency" in GRANTS[grant] else COMMUNES
        if call.contract != GRANTS[grant]["contract"] or call.agency not in holders:  # of another grant
            continue
        if (old.code is None) != (new.code is None):
            found["newly allowed" if new.code is None else "newly refused", call.agency, call.operation] += call.times
        elif new.code is None and new.hidden != old.hidden:
            found["shows more" if old.hidden - new.hidden else "shows less", call.agency, call.operation] += call.times
    return found


def test_the_preview_tells_what_the_doors_then_do(console: Console, world: World, proposed: None) -> None:
    alarm = world.rest("bao-chay").call("POST", f"/{ALERT}/alerts", messages.fire_alarm())
    assert alarm.ok, alarm.body
    page = console.signed_in("officer-p", Role.OFFICER, language="en")
    then = {grant: previewed(page, grant) for grant in GRANTS}
    before = {name: verdict(send(world, call), call) for name, call in CALLS.items() for _ in range(call.times)}
    waits = dict.fromkeys(("ward asks", "ward reads", "dossier of the ward"), "access.not-approved")
    assert {name: each.code for name, each in before.items() if each.code} == {**waits, "report": "route.not-granted"}
    world.wait("the last of them in the log", lambda: differences(then["G-7205"], previewed(page, "G-7205")))
    told = {grant: differences(then[grant], previewed(page, grant)) for grant in GRANTS}
    approve(world, *GRANTS)  # they concern different agencies, or different contracts
    steady(world, "report", None)
    everywhere(console.settings)
    after = {name: verdict(send(world, call), call) for name, call in CALLS.items()}
    for grant, rows in told.items():
        found = Counter({key: row.number for key, row in rows.items()})
        assert found == expected(grant, before, after), grant
    fields_agree(told, before, after)


def fields_agree(told: dict[str, Any], before: dict[str, Verdict], after: dict[str, Verdict]) -> None:
    """What the page says is shown is shown, and nothing of it is hidden."""
    ward, feed = (
        told["G-7201"]["newly allowed", "H14.21", "getValue"],
        told["G-7203"]["newly allowed", "H14.21", "feed"],
    )
    dossier = told["G-7204"]["newly allowed", "H14.21", "getStatus"]
    for row, name in ((ward, "ward asks"), (feed, "ward reads"), (dossier, "dossier of the ward")):
        answered = after[name]
        assert answered.seen <= row.fields, (name, answered.seen - row.fields)
        assert not [each for each in row.fields if below(each, answered.hidden - WITHHELD)], name
    assert after["ward asks"].hidden and after["dossier of the ward"].hidden
    more = told["G-7202"]["shows more", "H14.7", "getValue"].fields
    assert more == after["health asks"].seen - before["health asks"].seen
    assert all(below(each, before["health asks"].hidden) for each in more)
