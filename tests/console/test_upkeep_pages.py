"""Agencies and their suspension, backups and drills, the vault with its holds, the instance's keys."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from sqlalchemy import delete, insert

from contracts.base.words import Words
from gateway.backup.manifest import LAST
from gateway.console.roles import ROLES, May, Role
from gateway.journal import drills, jobs
from gateway.journal.append import append
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.keeper.retention import holds
from gateway.keeper.tasks import revocation_lists
from gateway.keeper.tasks.certificate_status import ASKED, OutsideAuthorities
from gateway.keys.authority import EmbeddedAuthority
from gateway.transfer import entries
from gateway.watch.findings import Condition, settle
from tests.console.people import Desk, Reader
from tests.console.test_enrolment import desk as desk
from tests.console.test_operations_of_pages import NOTICE, Script
from tests.console.test_queue import office as office
from tests.console.test_systems import REASON, notes
from tests.delivery.posting import Post
from tests.delivery.posting import post as post

PAGES = ("/console/backups", "/console/vault", "/console/keys", "/console/doctor")
DAY = 86_400.0


@pytest.mark.parametrize("role", list(Role))
async def test_upkeep_is_for_who_operates(people: Desk, role: Role) -> None:
    person = await people.signed_in("person", role, agency="H14.7")
    for page in PAGES:
        assert (await person.get(page)).status == (200 if May.OPERATE in ROLES[role] else 403), page
    menu = Reader((await person.get("/console")).body).links
    assert (set(PAGES) <= set(menu)) is (May.OPERATE in ROLES[role])


# --- agencies ---------------------------------------------------------------------------------------------------------
def is_active(people: Desk) -> bool:
    return people.services.registry.snapshot.systems["canh-bao"].active


async def test_an_agency_is_suspended_with_all_its_systems_and_resumed(people: Desk) -> None:
    minh = await people.signed_in("minh", Role.OPERATOR)
    text = Reader((await minh.get("/console/agencies")).body).text
    assert "H14.2" in text and "canh-bao" in text
    here = "/console/agencies/H14.2"
    assert (await minh.post(f"{here}/suspend", reason_vi="", reason_en="")).status == 400
    assert (await minh.post(f"{here}/suspend", **NOTICE)).status == 303
    assert not is_active(people)
    page = Reader((await minh.get(here)).body)
    assert "Maintenance" in page.text and f"{here}/resume" in page.forms and f"{here}/suspend" not in page.forms
    assert notes(people, "suspended")[0]["facts"]["changes"][0]["id"] == "H14.2"
    assert (await minh.post(f"{here}/resume", reason=REASON)).status == 303
    assert is_active(people)
    assert (await minh.get("/console/agencies/H99")).status == 404


async def test_a_grant_is_suspended_with_a_notice_that_its_page_shows(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.OFFICER)
    here = "/console/access/grants/G-0001"
    done = await lan.post(f"{here}/suspend", **NOTICE)
    text = Reader((await lan.get(done.headers["location"])).body).text
    assert "The grant is suspended." in text and "Maintenance" in text and "2099-01-02 00:00:00" in text
    done = await lan.post(f"{here}/resume", reason=REASON)
    assert "Maintenance" not in Reader((await lan.get(here)).body).text


@pytest.mark.attack("idor")
async def test_an_agency_sees_itself_only(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.AGENCY, agency="H14.2")
    page = Reader((await lan.get("/console/agencies")).body)
    assert "/console/agencies/H14.2" in page.links and "/console/agencies/H14.5" not in page.links
    assert (await lan.get("/console/agencies/H14.2")).status == 200
    assert (await lan.get("/console/agencies/H14.5")).status == 404
    assert (await lan.post("/console/agencies/H14.2/suspend", **NOTICE)).status == 403


async def test_a_program_suspends_an_agency(people: Desk) -> None:
    minh, lan = Script(people, "minh", Role.OPERATOR), Script(people, "lan", Role.AGENCY, agency="H14.2")
    await minh.get("suspendAgency", NOTICE, agency="H14.2")
    found = (await minh.get("readAgency", agency="H14.2"))["agency"]
    assert found["state"] == "suspended" and found["notice"]["reason"]["en"] == "Maintenance"
    assert {"id": "canh-bao", "ready": "suspended"} in found["systems"]
    await minh.get("resumeAgency", {"reason": REASON}, agency="H14.2")
    assert {each["code"] for each in (await lan.get("listAgencies"))["agencies"]} == {"H14.2"}
    assert (await lan.ask("readAgency", agency="H14.5")).status == 404
    assert (await lan.ask("suspendAgency", NOTICE, agency="H14.2")).status == 403
    assert len((await minh.get("listAgencies"))["agencies"]) > 1
    assert minh.done == {"listAgencies", "readAgency", "suspendAgency", "resumeAgency"}


# --- backups ----------------------------------------------------------------------------------------------------------
def last_backup(people: Desk, days: float, **more: Any) -> None:
    told = {"at": time.time() - days * DAY, "folder": "/a/secret/place/2026-11-26", "keys": "sealed", **more}
    with writing(people.world.engine) as connection:
        connection.execute(delete(tables.instance).where(tables.instance.c.key == LAST))
        connection.execute(insert(tables.instance).values(key=LAST, value=json.dumps(told)))


async def test_the_last_backup_its_age_and_its_verification(people: Desk) -> None:
    minh = await people.signed_in("minh", Role.OPERATOR)
    assert "There never was a backup." in Reader((await minh.get("/console/backups")).body).text
    for days, more, told in (
        (2.5, {"verified": True}, "Last backup 2 days ago"),
        (2.5, {}, "Verified when made not known"),
        (400.0, {"verified": False}, "overdue: more than"),
    ):
        last_backup(people, days, **more)
        page = await minh.get("/console/backups")
        assert told in Reader(page.body).text and "2026-11-26" in Reader(page.body).text
        assert b"/a/secret/place" not in page.body
    found = await Script(people, "binh", Role.OFFICER).get("readBackups")
    assert found["overdue"] and found["last"]["folder"] == "2026-11-26" and found["last"]["verified"] is False


async def test_a_drill_is_recorded(people: Desk) -> None:
    minh, script = await people.signed_in("minh", Role.OPERATOR), Script(people, "binh", Role.OFFICER)
    here = "/console/backups/drills"
    for wrong in ({"kind": "burn"}, {"day": "never"}, {"day": "2999-01-01"}, {"reason": "short"}):
        given = {"kind": "restore", "day": "2026-01-02", "ok": "yes", "reason": REASON, **wrong}
        assert (await minh.post(here, **given)).status == 400, wrong
    assert (await minh.post(here, kind="restore", day="2026-01-02", ok="yes", reason=REASON)).status == 303
    await script.get("recordDrill", {"kind": "check", "day": "2026-01-03", "ok": False, "reason": REASON})
    people.world.sequence()
    text = Reader((await minh.get("/console/backups")).body).text
    assert "2026-01-02" in text and "restore into another place" in text and REASON in text and "failed" in text
    drills = (await script.get("readBackups"))["drills"]
    assert [each["facts"]["ok"] for each in drills] == [False, True] and "console, token " in drills[0]["by"]


async def test_figures_of_a_drill_are_written_as_the_language_writes_them(people: Desk) -> None:
    """The note keeps them as `lgsp drill failover` records them."""
    actor = "H14.0/nguoi-van-hanh: nobody named, root, command line"
    facts: dict[str, Any] = {"kind": "failover", "day": "2026-11-29", "ok": True, "what": "keeper", "sent": 1200}
    facts |= {"seconds": "20.50", "again_after": "0.16", "leads_after": "1.40", "lost": 0}
    made: dict[str, Any] = {"size": 1200, "verified": True, "manifest": "00"}
    with writing(people.world.engine) as connection:
        append(connection, [entries.note(drills.FAILOVER, facts, time.time(), actor=actor)])
        append(connection, [entries.note("backup", made, time.time(), actor=actor)])
    people.world.sequence()
    minh = await people.signed_in("minh", Role.OPERATOR)
    english = Reader((await minh.get("/console/backups")).body).text
    assert "2026-11-29" in english and "20.50" in english and "1,200 sent" in english and actor in english
    minh.language = "vi"
    text = Reader((await minh.get("/console/backups")).body).text
    for part in ("29/11/2026", "20,50", "0,16 giây", "1,40 giây", "1.200", "tiến trình giữ nhật ký đang dẫn bị dừng"):
        assert part in text, (part, text)
    assert "H14.0/nguoi-van-hanh: không nêu ai, root, dòng lệnh" in text and "keeper" not in text


async def test_what_stands_is_shown_and_acknowledged(people: Desk) -> None:
    minh, script = await people.signed_in("minh", Role.OPERATOR), Script(people, "binh", Role.OFFICER)
    words = Words("Đĩa sắp đầy", "The disk fills"), Words("Dọn đĩa", "Make room")
    seen = [Condition(code, "", True, *words) for code in ("disk.low", "disk.full")]
    with writing(people.world.engine) as connection:
        settle(connection, "may-1:/data", seen, time.time(), 0.0)
    page = Reader((await minh.get("/console/doctor")).body)
    assert "The disk fills" in page.text and "may-1:/data" in page.text and "Nobody is told" in page.text
    first, second = (each["id"] for each in (await script.get("readDoctor"))["standing"])
    here = f"/console/doctor/findings/{first}/acknowledge"
    assert here in page.forms
    assert (await minh.post(here, reason="short")).status == 400
    assert (await minh.post(here, reason=REASON)).status == 303
    assert (await minh.post(here, reason=REASON)).status == 409
    assert REASON in Reader((await minh.get("/console/doctor")).body).text
    told = await script.get("acknowledgeFinding", {"reason": REASON}, finding=second)
    assert told["finding"]["reason"] == REASON and told["finding"]["acknowledged"]
    assert [each["facts"]["state"] for each in notes(people, "finding")][-2:] == ["acknowledged", "acknowledged"]


# --- the vault --------------------------------------------------------------------------------------------------------
async def test_a_hold_is_put_in_place_and_released(desk: Desk, post: Post) -> None:
    minh = await desk.signed_in("minh", Role.OPERATOR)
    transfer = await post.put_aside()
    here = "/console/vault/holds"
    for wrong in (
        {},
        {"name": "Not A Name", "agency": "H14.5"},
        {"name": "case-1", "transfers": transfer, "agency": "H14.5"},
        {"name": "case-1", "transfers": "nothing"},
        {"name": "case-1", "agency": "H99.9"},
        {"name": "case-1", "begins": "2026-02-01", "ends": "2026-01-01"},
    ):
        assert (await minh.post(here, **{"name": "case-1", "reason": REASON, **wrong})).status == 400, wrong
    assert (await minh.post(here, name="case-1", transfers=transfer)).status == 400, "no reason"
    assert (await minh.post(here, name="case-1", transfers=transfer, reason=REASON)).status == 303
    assert (await minh.post(here, name="case-1", transfers=transfer, reason=REASON)).status == 409
    with post.engine.connect() as connection:
        (hold,) = holds.in_force(connection)
    assert hold.transfers == (transfer,) and hold.actor.startswith("H14.0/minh: console")
    assert (await minh.post(here, name="case-2", agency="H14.5", begins="2026-01-01", reason=REASON)).status == 303
    page = Reader((await minh.get("/console/vault")).body)
    assert "being sealed" in page.text and f"{here}/case-1/release" in page.forms
    assert "Bodies" in Reader((await minh.get("/console/vault?counted=yes")).body).text
    assert (await minh.post(f"{here}/case-1/release", reason=REASON)).status == 303
    assert (await minh.post(f"{here}/case-1/release", reason=REASON)).status >= 400
    assert [each["facts"]["step"] for each in notes(desk, "hold")] == ["added", "added", "released"]
    assert "released" in Reader((await minh.get("/console/vault")).body).text


async def test_a_program_holds_and_reads_the_vault(desk: Desk, post: Post) -> None:
    minh = Script(desk, "minh", Role.OPERATOR)
    transfer = await post.put_aside()
    assert (await minh.ask("addHold", {"name": "case-1", "reason": REASON})).status == 400
    body = {"name": "case-1", "agency": "H14.5", "begins": "2026-01-01", "reason": REASON}
    assert await minh.get("addHold", body) == {"hold": "case-1"}
    assert await minh.get("addHold", {"name": "case-2", "transfers": [transfer], "reason": REASON}) == {
        "hold": "case-2"
    }
    await minh.get("releaseHold", {"reason": REASON}, hold="case-2")
    found = await minh.get("readVault")
    assert [(each["name"], bool(each["released"])) for each in found["holds"]] == [("case-1", False), ("case-2", True)]
    assert found["holds"][0]["covers"]["agency"] == "H14.5" and "console, token " in found["holds"][0]["by"]
    await minh.get("confirmClock")
    assert (desk.services.settings.vault_keys / "clock-is-right").exists() and notes(desk, "retention-clock")
    assert minh.done == {"addHold", "releaseHold", "readVault", "confirmClock"}


# --- keys -------------------------------------------------------------------------------------------------------------
async def test_keys_and_authorities_are_shown_without_private_parts(desk: Desk, post: Post) -> None:
    minh = await desk.signed_in("minh", Role.OPERATOR)
    settings = desk.services.settings
    with writing(post.engine) as connection:
        revocation_lists.renew(connection, EmbeddedAuthority(settings), time.time())
    page = await minh.get("/console/keys")
    text = Reader(page.body).text
    assert "gateway.sign-1" in text and "lgsp keys rotate sign" in text and "The root key lies on this machine" in text
    assert "issues for vendors of the sandbox (TLS)" in text and "lgsp ca renew vendors" in text
    assert b"PRIVATE" not in page.body and str(settings.data).encode() not in page.body
    assert b"BEGIN X509 CRL" in (await minh.get("/console/keys/lists/tls")).body
    assert (await minh.get("/console/keys/lists/none")).status == 404
    (settings.authority / "root.key").unlink()
    assert "The root key is offline." in Reader((await minh.get("/console/keys")).body).text
    found = await Script(desk, "binh", Role.OFFICER).get("readKeys")
    assert {each["id"] for each in found["keys"]} >= {"gateway.server-1", "gateway.sign-1"} and found["trouble"] is None
    root, *issuers = found["authorities"]
    assert root["private_key"] is False and {each["name"] for each in issuers} == {"tls", "sign", "vendors"}
    assert {each["issuer"]: each["revoked"] for each in found["lists"]} == {"tls": 0, "sign": 0, "vendors": 0}


async def test_outside_authorities_are_asked_by_the_keeper(desk: Desk, post: Post) -> None:
    minh = Script(desk, "minh", Role.OPERATOR)
    asked = [(await minh.get("askAuthorities"))["job"]["id"] for _ in range(2)]
    assert asked[0] == asked[1], "a running order is not given again"
    session: Any = None  # the registry names none, so nobody is called
    await OutsideAuthorities(post.engine, lock_of(post.engine), session, 3600.0).run_once(post.lease)
    with post.engine.connect() as connection:
        (job,) = jobs.newest(connection, ASKED)
    assert job.state == "done" and job.facts["troubles"] == []
    assert (await minh.get("readKeys"))["asked"]["id"] == job.id and notes(desk, ASKED)
