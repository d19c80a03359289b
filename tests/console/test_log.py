"""The pages of the log's integrity and of the doctor."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest
from sqlalchemy import select

from gateway.console.roles import Role
from gateway.console.work import integrity
from gateway.journal import jobs
from gateway.journal.database import writing
from gateway.journal.schema import tables
from tests.console.people import Desk, Reader

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
            (job,) = jobs.newest(connection, integrity.KIND, limit=1)
        if job.state == jobs.DONE:
            return job
        time.sleep(0.05)
    raise AssertionError("it does not end")


def notes(people: Desk) -> list[dict[str, Any]]:
    table = tables.log_pending.c
    with people.world.engine.connect() as connection:
        rows = connection.scalars(select(table.entry).where(table.phase == integrity.KIND))
        return [json.loads(bytes(each)) for each in rows]


async def test_a_verification_runs_is_noted_and_shown(people: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    told = json.dumps({"ok": True, "size": 7, "wrong": []})
    monkeypatch.setattr(integrity, "command", lambda _desk: [sys.executable, "-c", _PROGRAM, told])
    lan = await people.signed_in("lan", Role.AUDITOR)
    assert "Nobody has verified" in Reader((await lan.get("/console/log")).body).text
    assert (await lan.post("/console/log/verify")).status == 303
    assert result(people).facts["ok"] is True
    assert "all 7 entries" in Reader((await lan.get("/console/log")).body).text
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
        jobs.add(connection, integrity.KIND, "localhost/lgsp-test", ("lan", ""), people.now(), done=12)
    lan = await people.signed_in("lan", Role.OFFICER)
    await lan.post("/console/log/verify")
    with people.world.engine.connect() as connection:
        assert len(jobs.newest(connection, integrity.KIND)) == 1
    assert "A verification runs. Entries read: 12" in Reader((await lan.get("/console/log")).body).text
    people.moved = integrity.SILENT + 1  # its desk was restarted meanwhile
    assert "was interrupted" in Reader((await lan.get("/console/log")).body).text
    told = json.dumps({"ok": True, "size": 7, "wrong": []})
    monkeypatch.setattr(integrity, "command", lambda _desk: [sys.executable, "-c", _PROGRAM, told])
    await lan.post("/console/log/verify")
    assert result(people).facts["ok"] is True


async def test_the_doctor_is_for_who_operates(people: Desk) -> None:
    lan, minh = await people.signed_in("lan", Role.OFFICER), await people.signed_in("minh", Role.AUDITOR)
    page = await lan.get("/console/doctor")
    assert page.status == 200 and "cannot look" in Reader(page.body).text  # the folder is no whole instance
    assert (await minh.get("/console/doctor")).status == 403
