"""The table of states: what a contract may declare, which steps are possible, what a change of it breaks."""

from __future__ import annotations

from datetime import date

import pytest
from lxml import html

from contracts.base.errors import Failure
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.compiled.workflow_file import FILE
from contracts.diff.changes import CODES, Level
from contracts.diff.compare import differences
from contracts.faces.pages.page import page
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.workflow.model import Party, Workflow

FOLDER = next(folder for folder in catalogue_folders() if folder.parts[-2] == "field-report")


def files() -> dict[str, bytes]:
    return dict(Bundle.from_folder(FOLDER).files)


def edited(*edits: tuple[str, str]) -> Bundle:
    """The contract with its workflow changed as text; each old text occurs."""
    changed = files()
    text = changed[FILE].decode()
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    changed[FILE] = text.encode()
    return Bundle.of(changed)


@pytest.fixture(scope="module")
def compiled() -> CompiledContract:
    return compile_bundle(Bundle.of(files()))


@pytest.fixture(scope="module")
def workflow(compiled: CompiledContract) -> Workflow:
    assert compiled.workflow is not None
    return compiled.workflow


def test_a_message_goes_from_sent_to_done_and_back(workflow: Workflow) -> None:
    state = workflow.start
    walk = (("accept", Party.AGENCY), ("ask", Party.AGENCY), ("answer", Party.SENDER), ("finish", Party.AGENCY),
            ("reopen", Party.SENDER), ("finish", Party.AGENCY))  # fmt: skip
    seen = [state := workflow.take(state, step, party).name for step, party in walk]
    assert seen == ["accepted", "waiting-for-reporter", "in-progress", "done", "in-progress", "done"]
    assert workflow.states["waiting-for-reporter"].pauses and workflow.states["done"].shown == "closed"


@pytest.mark.parametrize(
    ("state", "step", "party", "code", "possible"),
    [
        ("sent", "finish", Party.AGENCY, "workflow.not-now", "accept, refuse, forward, merge"),
        ("sent", "accept", Party.SENDER, "workflow.other-party", "cancel"),
        ("done", "reopen", Party.AGENCY, "workflow.other-party", "—"),
        ("sent", "vanish", Party.CENTRE, "workflow.no-step", "forward, merge, cancel"),
    ],
)
def test_an_illegal_step_is_refused_with_the_steps_that_are_possible(
    workflow: Workflow, state: str, step: str, party: Party, code: str, possible: str
) -> None:
    with pytest.raises(Failure) as refused:
        workflow.take(state, step, party)
    assert refused.value.code == code
    assert possible in refused.value.next("en")


FAULTS = [
    ("another operation", ("operation: createRequest", "operation: nothing"), "operation"),
    ("a kind that is no field", ("kind: service_code", "kind: service"), "kind"),
    ("a kind that is a group", ("kind: service_code", "kind: attribute[]"), "kind"),
    ("an area that is a number", ("area: area", "area: lat"), "area"),
    ("a start that is no state", ("start: sent", "start: begun"), "start"),
    ("a start that ends", ("start: sent", "start: done"), "start"),
    ("a word that is not known", ("start: sent", "start: sent\nstop: done"), "stop"),
    ("unknown hours", ("hours: office}  # ten", "hours: night}  # ten"), "term.hours"),
    ("no minutes", ("minutes: 4200", "minutes: 0"), "term.minutes"),
    ("minutes that are a truth value", ("minutes: 4200", "minutes: true"), "term.minutes"),
    ("more than a year", ("minutes: 4200", "minutes: 200000"), "term.minutes"),
    ("hours out of order", ('"07:30-11:30", "13:30-16:30"', '"13:30-16:30", "07:30-11:30"'), "hours.office.week.mon-fri"),
    ("hours that touch", ('"07:30-11:30", "13:30-16:30"', '"07:30-11:30", "11:30-16:30"'), "hours.office.week.mon-fri"),
    ("hours beyond the day", ('"13:30-16:30"', '"13:30-24:30"'), "hours.office.week.mon-fri"),
    ("a weekday that is none", ("mon-fri", "mon-fry"), "hours.office.week.mon-fry"),
    ("too few hours", ('["07:30-11:30", "13:30-16:30"]', '["07:30-07:31"]'), "hours.office.week"),
    ("holidays that are no days", ("holidays: holiday", "holidays: area"), "hours.office.holidays"),
    ("holidays that are missing", ("holidays: holiday", "holidays: tet"), "hours.office.holidays"),
    ("an end with a deadline", ("    shown: closed\n    ends: true", "    shown: closed\n    ends: true\n    term: {minutes: 5, hours: office}"), "states.done.term"),
    ("an end that pauses", ("    pauses: true", "    pauses: true\n    ends: true"), "states.waiting-for-reporter.pauses"),
    ("shown as neither", ("shown: open", "shown: ajar"), "states.sent.shown"),
    ("a step to nowhere", ("to: accepted", "to: taken"), "steps.accept.to"),
    ("a step from nowhere", ("from: [sent]", "from: [begun]"), "steps.accept.from"),
    ("a step by nobody", ("by: [agency]", "by: [mayor]"), "steps.accept.by"),
    ("a state without a way to it", ("    to: merged", "    to: done"), "states.merged"),
    ("a state without a way on", ("    from: [waiting-for-reporter]\n", "    from: [in-progress]\n"), None),
    ("a title in one language", ("title: {vi: Tiếp nhận, en: Take in}", "title: {vi: Tiếp nhận}"), "steps.accept.title.en"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "where"), [(edit, where) for _, edit, where in FAULTS], ids=[each[0] for each in FAULTS]
)
def test_each_fault_of_the_table_is_found_at_its_place(edit: tuple[str, str], where: str | None) -> None:
    if where is None:  # `finish` still leads from there to an end
        compile_bundle(edited(edit))
        return
    with pytest.raises(Failure) as refused:
        compile_bundle(edited(edit))
    assert where in [finding.canonical for finding in refused.value.findings], list(refused.value.findings)
    assert all(finding.here.startswith(f"{FILE}:") for finding in refused.value.findings if finding.canonical == where)


def test_a_dispatch_that_stands_in_no_feed_has_no_workflow() -> None:
    """Handlings are opened from the feed."""
    changed = files()
    changed["contract.yaml"] = changed["contract.yaml"].replace(b"    feed: true\n", b"")
    with pytest.raises(Failure) as refused:
        compile_bundle(Bundle.of(changed))
    assert "operation" in [each.canonical for each in refused.value.findings if each.here.startswith(f"{FILE}:")]


def test_a_state_that_leads_nowhere_is_found() -> None:
    edits = (("from: [waiting-for-reporter]\n", "from: [sent]\n"), (", waiting-for-reporter]\n    to: done", "]\n    to: done"),
             ("in-progress, waiting-for-reporter, refused]", "in-progress, refused]"))  # fmt: skip
    with pytest.raises(Failure) as refused:
        compile_bundle(edited(*edits))
    assert [finding.canonical for finding in refused.value.findings] == ["states.waiting-for-reporter"]


@pytest.mark.parametrize(
    "text", ["", "[]", "states: []", "steps: {a: 1}", "hours: {x: {week: {mon: 7}}}", "a: &a [*a]"]
)
def test_no_text_breaks_the_reader(text: str) -> None:
    changed = files()
    changed[FILE] = text.encode()
    with pytest.raises(Failure) as refused:
        compile_bundle(Bundle.of(changed))
    assert refused.value.code == "contract.invalid"


PARK = "  park:\n    title: {vi: Tạm để, en: Park}\n    from: [sent]\n    to: accepted\n    by: [centre]\n"
CHANGES: list[tuple[str, tuple[str, str], list[tuple[str, Level, str]]]] = [
    ("a longer deadline", ("minutes: 210", "minutes: 420"), [("workflow.changed", Level.MINOR, "sent.term")]),
    ("the whole deadline", ("minutes: 4200", "minutes: 8400"), [("workflow.changed", Level.MINOR, "term")]),
    ("other hours", ("16:30", "17:00"), [("workflow.hours-changed", Level.MINOR, "office")]),
    ("a step that more may take", ("by: [sender, agency]", "by: [sender, agency, centre]"), [("workflow.changed", Level.MINOR, "answer.by")]),
    ("a step that fewer may take", ("by: [sender, agency]", "by: [sender]"), [("workflow.changed", Level.MAJOR, "answer.by")]),
    ("a reason that must be given", ("to: accepted\n", "to: accepted\n    reason: true\n"), [("workflow.changed", Level.MAJOR, "accept.reason")]),
    ("a title", ("en: Take in}", "en: Accept}"), [("workflow.words-changed", Level.PATCH, "accept")]),
    ("a step more", ("steps:\n", "steps:\n" + PARK), [("workflow.step-added", Level.MINOR, "park")]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "expected"),
    [each[1:] for each in CHANGES],
    ids=[each[0] for each in CHANGES],
)
def test_each_change_has_its_level(edit: tuple[str, str], expected: list[tuple[str, Level, str]]) -> None:
    before, after = Bundle.of(files()), edited(edit)
    changes = differences((before, compile_bundle(before)), (after, compile_bundle(after)))
    assert [(each.code, each.level, each.where) for each in changes] == expected


def test_a_state_and_its_steps_come_and_go() -> None:
    """And with the cases above each code of a workflow's change was seen."""
    state = "states:\n  parked:\n    title: {vi: Tạm để, en: Parked}\n    shown: open\n"
    steps = "steps:\n" + PARK.replace("accepted", "parked") + PARK.replace("park:", "resume:").replace("sent", "parked")
    before, after = Bundle.of(files()), edited(("states:\n", state), ("steps:\n", steps))
    sides = [(each, compile_bundle(each)) for each in (before, after)]
    there = [(each.code, each.level, each.where) for each in differences(*sides)]
    assert sorted(there) == [
        ("workflow.state-added", Level.MINOR, "parked"),
        ("workflow.step-added", Level.MINOR, "park"),
        ("workflow.step-added", Level.MINOR, "resume"),
    ]
    back = [(each.code, each.level, each.where) for each in differences(*reversed(sides))]
    assert sorted(back) == [
        ("workflow.state-removed", Level.MAJOR, "parked"),
        ("workflow.step-removed", Level.MAJOR, "park"),
        ("workflow.step-removed", Level.MAJOR, "resume"),
    ]
    seen = {code for code, *_ in (*there, *back)} | {code for _, _, expected in CHANGES for code, *_ in expected}
    assert seen | {"workflow.added", "workflow.removed"} == {code for code in CODES if code.startswith("workflow.")}


def test_a_workflow_that_comes_or_goes_is_a_change() -> None:
    without = files()
    del without[FILE]
    with_it, bare = Bundle.of(files()), Bundle.of(without)
    sides = [(each, compile_bundle(each)) for each in (bare, with_it)]
    assert [(each.code, each.level) for each in differences(*sides)] == [("workflow.added", Level.MINOR)]
    assert [(each.code, each.level) for each in differences(*reversed(sides))] == [("workflow.removed", Level.MAJOR)]


def test_the_page_draws_the_table(compiled: CompiledContract, workflow: Workflow) -> None:
    for language in ("vi", "en"):
        document = html.document_fromstring(page(compiled, "vi" if language == "vi" else "en", "https://x.example"))
        boxes = [each.text for each in document.findall(".//svg/text")]
        assert boxes == [each.title.of("vi" if language == "vi" else "en") for each in workflow.states.values()]
        ways = {(source, step.target) for step in workflow.steps.values() for source in step.sources}
        assert len(document.findall(".//svg/path")) == len(ways)
        shown = {each.text for each in document.findall(".//td/code")}
        assert {*workflow.states, *workflow.steps} <= shown


def test_the_holidays_are_those_of_the_library(workflow: Workflow) -> None:
    """`holidays` 0.109, which we did not write, knows Tết by the lunar calendar and days off by decree."""
    import holidays

    calendar = workflow.hours["office"]
    years = range(2025, 2031)
    for language, of in (("vi", "vi"), ("en_US", "en")):
        known = holidays.country_holidays("VN", years=years, language=language)
        ours = {day: name.of("vi" if of == "vi" else "en") for day, name in calendar.holidays.items()}
        assert ours == {day: known[day] for day in sorted(known)}
    assert set(calendar.working_days) == {day for day in known.weekend_workdays if day.year in years}
    assert date(2026, 2, 17) in calendar.holidays
