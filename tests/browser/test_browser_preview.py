"""The preview of a grant in a browser tells what real doors then do: the same requests are sent again under the grant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml

from examples.story.world import World
from gateway.console.roles import Role
from gateway.sample_client.rest import Answer
from gateway.sandbox.standins import messages
from tests.browser.conftest import Console, approve, lgsp

if TYPE_CHECKING:
    from playwright.sync_api import Page

INDICATOR, DOSSIER, REPORT, ALERT = "indicator/v1", "dossier-status/v1", "field-report/v1", "incident-alert/v1"
QUESTION = messages.indicator_question("KT-05", "04", "2026-Q3")
RECEIVES = "G-0012"  # H14.3 receives field reports by it
COMMUNES = ("H14.21", "H14.22")  # the agencies of that role
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

    count: int
    fields: frozenset[str]


CALLS = {
    "ward asks": Call("thuc-phan", "H14.21", INDICATOR, "getValue", "GET", QUESTION, times=2),
    "health asks": Call("y-te", "H14.7", INDICATOR, "getValue", "GET", QUESTION),
    "centre asks": Call("dieu-hanh", "H14.0", INDICATOR, "getValue", "GET", QUESTION),
    "ward reads": Call("thuc-phan", "H14.21", ALERT, "feed", "GET", f"/feeds/{ALERT}?limit=5"),
    "centre reads": Call("dieu-hanh", "H14.0", ALERT, "feed", "GET", f"/feeds/{ALERT}?limit=5"),
    "dossier of the ward": Call(
        "thuc-phan", "H14.21", DOSSIER, "getStatus", "POST", f"/{DOSSIER}/status", {"dossier": "000.00.22.H14-261118-0007"}
    ),
    "dossier of the centre": Call(
        "dieu-hanh", "H14.0", DOSSIER, "getStatus", "POST", f"/{DOSSIER}/status", {"dossier": "000.00.22.H14-261118-0007"}
    ),
    "report": Call(
        "phan-anh", "H14.3", REPORT, "createRequest", "POST", f"/{REPORT}/requests", messages.field_report(area="01273")
    ),
}
GRANTS: dict[str, dict[str, Any]] = {
    "G-7201": {"agency": "H14.21", "contract": INDICATOR, "operations": ["getValue"], "fields": ["*", "!responsible"]},
    "G-7202": {"agency": "H14.7", "contract": INDICATOR, "operations": ["getValue"], "fields": ["*"]},
    "G-7203": {"agency": "H14.21", "contract": ALERT, "operations": ["feed"], "fields": ["*"]},
    "G-7204": {"role": "commune", "contract": DOSSIER, "operations": ["getStatus"], "fields": ["*", "!dossier.applicant"]},
    "G-7205": {"agency": "H14.3", "contract": REPORT, "operations": ["createRequest"], "receives": True,
               "fields": ["*", "!phone"]},
    "G-7206": {"agency": "H14.3", "contract": REPORT, "operations": ["createRequest"], "receives": True, "fields": ["*"]},
}  # fmt: skip
AT_ONCE = ("G-7201", "G-7202", "G-7203", "G-7204")  # they do not concern the same agency and operation
ONE_BY_ONE = ("G-7205", "G-7206")


def send(world: World, call: Call) -> Answer:
    client = world.rest(call.system)
    return client.call(call.method, call.path, call.body, encrypt_it=call.contract == DOSSIER and call.operation != "feed")


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


def below(path: str, names: frozenset[str]) -> bool:
    return any(path == name or path.startswith((f"{name}.", f"{name}[]")) for name in names)


def previewed(page: Page, grant: str) -> dict[tuple[str, str, str], Row]:
    """The rows of all parts of the page, by what changes, agency and operation."""
    found: dict[tuple[str, str, str], Row] = {}
    page.goto(f"/console/access/grants/{grant}/preview")
    while True:
        for row in page.locator("main tbody tr").all():
            what, agency, operation, count = (each.inner_text() for each in row.locator("th, td").all()[:4])
            fields = frozenset(each.replace("\u200b", "") for each in row.locator("td:nth-child(5) code").all_inner_texts())
            key = (what, agency, operation)
            before = found.get(key, Row(0, frozenset()))
            found[key] = Row(before.count + int(count), before.fields | fields)
        following = page.locator("a[rel=next]")
        if following.count() == 0:
            return found
        following.click()


@dataclass
class Study:
    """What the pages said before, and what the doors said then, by the name of a call."""

    page: Page
    told: dict[str, dict[tuple[str, str, str], Row]] = field(default_factory=dict)
    before: dict[str, Verdict] = field(default_factory=dict)


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
    lgsp(world, "access", "suspend", RECEIVES, "--reason-vi", "Rà soát", "--reason-en", "Review")
    report = CALLS["report"]
    world.wait("the suspension at the doors", lambda: verdict(send(world, report), report).code == "route.not-granted")
    yield
    for name in GRANTS:
        lgsp(world, "access", "revoke", name)
    lgsp(world, "access", "resume", RECEIVES)
    world.wait("the grant at the doors", lambda: verdict(send(world, report), report).code is None)


def differences(then: dict[tuple[str, str, str], Row], now: dict[tuple[str, str, str], Row]) -> dict[Any, Row]:
    """What the calls in between added."""
    none = Row(0, frozenset())
    more = {key: Row(row.count - then.get(key, none).count, row.fields) for key, row in now.items()}
    return {key: row for key, row in more.items() if row.count}


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
    assert {name: each.code for name, each in before.items()} == {
        "ward asks": "access.not-approved", "health asks": None, "centre asks": None, "ward reads": "access.not-approved",
        "centre reads": None, "dossier of the ward": "access.not-approved", "dossier of the centre": None,
        "report": "route.not-granted",
    }  # fmt: skip
    world.wait("all of them in the log", lambda: settled(page, then))
    told = {grant: differences(then[grant], previewed(page, grant)) for grant in GRANTS}
    after: dict[str, dict[str, Verdict]] = {}
    approve(world, *AT_ONCE)
    world.wait("the grants at the doors", lambda: send(world, CALLS["dossier of the ward"]).ok)
    both = {name: verdict(send(world, call), call) for name, call in CALLS.items()}
    after |= dict.fromkeys(AT_ONCE, both)
    for grant in ONE_BY_ONE:
        approve(world, grant)
        report = CALLS["report"]
        world.wait("the grant at the doors", lambda: verdict(send(world, report), report).code is None)
        after[grant] = both | {"report": verdict(send(world, report), report)}
        lgsp(world, "access", "revoke", grant)
        world.wait("its end at the doors", lambda: verdict(send(world, report), report).code is not None)
    for grant, rows in told.items():
        found = Counter({key: row.count for key, row in rows.items()})
        assert found == expected(grant, before, after[grant]), grant
    fields_agree(told, before, both)


def settled(page: Page, then: dict[str, dict[tuple[str, str, str], Row]]) -> bool:
    """The last of the calls is in what the preview looks at."""
    return bool(differences(then["G-7206"], previewed(page, "G-7206")))


def fields_agree(told: dict[str, Any], before: dict[str, Verdict], after: dict[str, Verdict]) -> None:
    """What the page says is shown is shown, and nothing of it is hidden."""
    ward, feed = told["G-7201"]["newly allowed", "H14.21", "getValue"], told["G-7203"]["newly allowed", "H14.21", "feed"]
    dossier = told["G-7204"]["newly allowed", "H14.21", "getStatus"]
    for row, name in ((ward, "ward asks"), (feed, "ward reads"), (dossier, "dossier of the ward")):
        answered = after[name]
        assert answered.seen <= row.fields, (name, answered.seen - row.fields)
        assert not [each for each in row.fields if below(each, answered.hidden)], name
    assert after["ward asks"].hidden and after["dossier of the ward"].hidden
    more = told["G-7202"]["shows more", "H14.7", "getValue"].fields
    assert more == after["health asks"].seen - before["health asks"].seen
    assert all(below(each, before["health asks"].hidden) for each in more)
