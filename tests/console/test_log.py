"""The pages of the log's integrity and of the doctor."""

from __future__ import annotations

import json
import re
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from gateway.console.pages import log as pages
from gateway.console.roles import Role
from gateway.console.work import integrity, upkeep
from gateway.console.work.log_findings import groups
from gateway.doctor import Examined
from gateway.doctor.findings import finding
from gateway.journal import jobs, log_checks
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.journal.schema.console_tables import console_job
from tests.console.people import Desk, Person, Reader

_PROGRAM = """
import json, os, sys
assert os.environ["LGSP_PROGRESS"] == "lines"
for done in (0, 500):
    print(json.dumps({"task": "instance", "done": done}), file=sys.stderr, flush=True)
print(sys.argv[1])
"""


def result(people: Desk) -> jobs.Job:
    """Of the newest verification, as soon as it has ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with people.world.engine.connect() as connection:
            (job,) = jobs.newest(connection, log_checks.KIND, limit=1)
        if job.state == jobs.DONE:
            return job
        time.sleep(0.05)
    raise AssertionError("it does not end")


def notes(people: Desk) -> list[dict[str, Any]]:
    table = tables.log_pending.c
    with people.world.engine.connect() as connection:
        rows = connection.scalars(select(table.entry).where(table.phase == log_checks.KIND))
        return [json.loads(bytes(each)) for each in rows]


async def test_a_verification_runs_is_noted_and_shown(people: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    told = json.dumps({"ok": True, "size": 7, "wrong": []})
    monkeypatch.setattr(integrity, "command", lambda _desk: [sys.executable, "-c", _PROGRAM, told])
    lan = await people.signed_in("lan", Role.AUDITOR)
    assert "Nobody has verified" in Reader((await lan.get("/console/log")).body).text
    assert (await lan.post("/console/log/verify")).status == 303
    assert result(people).facts["ok"] is True
    ended = Reader((await lan.get("/console/log?done=verifying")).body).text
    assert "all 7 entries" in ended and "has begun" not in ended
    with writing(people.world.engine) as connection:
        connection.execute(update(console_job).values(state=jobs.RUNNING, changed=people.now()))
    assert "has begun" in Reader((await lan.get("/console/log?done=verifying")).body).text
    with writing(people.world.engine) as connection:
        connection.execute(update(console_job).values(state=jobs.DONE))
    (note,) = notes(people)
    assert note["actor"].startswith("H14.0/lan: console") and note["facts"]["ok"] is True and note["facts"]["size"] == 7


@pytest.mark.parametrize(
    ("printed", "wrong"),
    [
        ({"ok": False, "size": 7, "wrong": ["entry 3: its bytes are not those that were logged"]}, "entry 3"),
        ({"ok": False, "error": {"code": "database", "what": "the database does not answer"}}, "does not answer"),
        ({}, "told nothing"),
    ],
)
async def test_what_is_wrong_is_shown(
    people: Desk, monkeypatch: pytest.MonkeyPatch, printed: dict[str, Any], wrong: str
) -> None:
    monkeypatch.setattr(integrity, "command", lambda _desk: [sys.executable, "-c", _PROGRAM, json.dumps(printed)])
    lan = await people.signed_in("lan", Role.OFFICER)
    await lan.post("/console/log/verify")
    result(people)
    text = Reader((await lan.get("/console/log")).body).text
    assert wrong in text and "found something wrong" in text and notes(people)[0]["facts"]["ok"] is False


async def test_one_verification_runs_at_a_time(people: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with writing(people.world.engine) as connection:
        jobs.add(connection, log_checks.KIND, "localhost/lgsp-test", ("lan", ""), people.now(), done=12)
    lan = await people.signed_in("lan", Role.OFFICER)
    await lan.post("/console/log/verify")
    with people.world.engine.connect() as connection:
        assert len(jobs.newest(connection, log_checks.KIND)) == 1
    assert "A verification runs. Entries read: 12" in Reader((await lan.get("/console/log")).body).text
    people.moved = integrity.SILENT + 1  # its desk was restarted meanwhile
    assert "was interrupted" in Reader((await lan.get("/console/log")).body).text
    told = json.dumps({"ok": True, "size": 7, "wrong": []})
    monkeypatch.setattr(integrity, "command", lambda _desk: [sys.executable, "-c", _PROGRAM, told])
    await lan.post("/console/log/verify")
    assert result(people).facts["ok"] is True


async def test_a_failed_verification_is_on_every_page_until_one_agrees(people: Desk) -> None:
    def ended(ok: bool, *, running: bool = False) -> None:
        with writing(people.world.engine) as connection:
            job = jobs.add(connection, log_checks.KIND, "localhost/lgsp-test", ("lan", ""), people.now())
            facts = {"ok": ok, "size": 7, "wrong": [] if ok else ["entry 3: missing", "x checkpoint: differs"]}
            if not running:
                jobs.change(connection, job, people.now(), jobs.DONE, **facts)
        people.moved += 1

    def card(page: bytes) -> str:
        return str(
            re.findall(r'<div class="card (\w*)"><p class="what">(?:<a [^>]*>)?Entries of the log', page.decode())[0]
        )

    with writing(people.world.engine) as connection:
        keeper = {"kind": "keeper", "pid": 1, "host": "h", "state": "alive", "started": 0.0}
        connection.execute(insert(tables.process).values(id="k", seen=people.now() + 30 * 86_400, **keeper))
    lan, huong = await people.signed_in("lan", Role.OFFICER), await people.signed_in("huong", Role.VENDOR)
    people.world.sequence()
    home = (await lan.get("/console")).body
    assert card(home) == "warn" and "Never verified" in Reader(home).text
    ended(False)
    ended(True, running=True)  # one that runs says nothing yet
    for person, path in ((lan, ""), (lan, "/search"), (lan, "/people"), (huong, "/contracts"), (huong, "/people")):
        page = (await person.get(f"/console{path}")).body
        assert b'class="notice bad" role="alert"' in page and "does not agree" in Reader(page).text, path
    assert card((await lan.get("/console")).body) == "bad"
    assert "2 findings" in Reader((await lan.get("/console")).body).text
    assert "does not agree" not in Reader((await Person(people, "nobody").get("/console/status")).body).text
    ended(True)
    home = (await lan.get("/console")).body
    assert "does not agree" not in Reader(home).text and "7 entries" in Reader(home).text and card(home) == "good"
    people.moved += log_checks.FRESH + 1
    lan = await people.sign_in("lan")
    assert card((await lan.get("/console")).body) == "warn"


def test_findings_are_grouped_and_none_is_lost() -> None:
    transfer = "01a21d42-16ac-782f-9d47-9390beab6a90"
    texts = [
        "the registry, system y-te: altered",
        f"entry 155 (transfer {transfer}, intent): its bytes are not those that were logged",
        "checkpoint 169 of the database: its root is not that of the first 169 entries",
        "the checkpoint beside the database: its root is not that of the first 838 entries",
        f"transfer {transfer} (answered): the log has no intent of it",
        "the verification ended with 1 and told nothing",
    ]
    found = groups(texts)
    assert [len(each.texts) for each in found] == [1, 2, 1, 1, 1]
    assert sorted(text for each in found for text in each.texts) == sorted(texts)
    assert found[0].entries == (155,) and found[0].transfers == (transfer,) == found[2].transfers


async def test_the_doctor_is_for_who_operates(people: Desk) -> None:
    lan, minh = await people.signed_in("lan", Role.OFFICER), await people.signed_in("minh", Role.AUDITOR)
    page = await lan.get("/console/doctor")
    assert page.status == 200 and "cannot look" in Reader(page.body).text  # the folder is no whole instance
    assert (await minh.get("/console/doctor")).status == 403


async def test_the_doctor_says_what_is_normal_in_a_sandbox_only(people: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not "nothing" above "there never was a backup"."""
    minh = await people.signed_in("minh", Role.OPERATOR)
    for usual in ([], [finding("backup.never"), finding("witness.none")]):
        monkeypatch.setattr(upkeep, "examined", lambda *_, usual=usual, **__: Examined([], usual))
        text = Reader((await minh.get("/console/doctor")).body).text
        assert ("The doctor finds nothing." in text) is not bool(usual)
        assert ("backup.never" in text) is bool(usual) is ("witness.none" in text)


async def test_all_of_the_integrity_page_is_renewed_when_any_of_it_changes(people: Desk) -> None:
    hoa = await people.signed_in("hoa", Role.AUDITOR)
    page = (await hoa.get("/console/log")).body.decode()
    assert '<div id="integrity" data-live="/console/log/events">' in page and "</div>" in page
    assert (
        '<div id="signed" data-with="integrity">' in page and '<div id="log-alarm" data-with="live integrity">' in page
    )
    ask: Any = SimpleNamespace(desk=people.desk())
    look, marks = pages.events(ask).probe, list[str]()
    people.world.sequence()
    marks.append(repr(look()))
    await people.signed_in("minh", Role.AUDITOR)  # an entry of the log
    people.world.sequence()
    marks.append(repr(look()))
    with writing(people.world.engine) as connection:
        job = jobs.add(connection, log_checks.KIND, "", ("H14.0/hoa: x", ""), people.now())
    marks.append(repr(look()))
    with writing(people.world.engine) as connection:
        jobs.change(connection, job, people.now(), jobs.DONE, ok=False, size=1, wrong=["entry 0: altered"], more=0)
    marks.append(repr(look()))
    assert len(set(marks)) == len(marks) and repr(look()) == marks[-1]
