"""What only commands did before: the registry's document to begin from, grants that an operator suspends, time-stamps,
the search's index made anew, and an agency's counts against the log."""

from __future__ import annotations

import io
import json
import time
import zipfile
from datetime import datetime

import pytest
from sqlalchemy import insert

from gateway.audit.search import index
from gateway.audit.search.index import REINDEX, Indexer
from gateway.console.roles import Role
from gateway.console.work import log_acts
from gateway.journal import jobs
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keeper.tasks.search_index import Indexing
from security.grants.windows import VIETNAM
from tests.attacks.console.test_attack_console_scope import TRANSFER
from tests.console.officers import ONE, TWO, officer, proposed, signer
from tests.console.people import Desk, Reader
from tests.console.test_operations_of_pages import NOTICE, Script
from tests.console.test_signing_in import notes

REASON = "agreed with the agency by telephone"
HERE = "/console/registry/document"


async def test_the_present_document_is_taken_changed_and_applied(wide: Desk) -> None:
    people = wide
    minh = await people.signed_in("minh", Role.OPERATOR)
    assert f"{HERE}/present" in Reader((await minh.get(HERE)).body).forms
    taken = await minh.post(f"{HERE}/present")
    assert taken.status == 200 and taken.headers["content-type"] == "application/yaml"
    assert "registry.yaml" in taken.headers["content-disposition"]
    text = taken.body.decode()
    page = Reader((await minh.post(HERE, document=text)).body)
    assert "Nothing would change" in page.text
    script = Script(people, "tu", Role.STEWARD)
    assert (await script.get("readDocument")).decode() == text
    seen = await script.get("previewDocument", {"document": text.replace("0206 000 0002", "0206 000 9999")})
    assert [(each["what"], each["id"], each["how"]) for each in seen["changes"]] == [("agency", "H14.2", "changed")]
    (by_page, by_token) = notes(people, "export")
    assert by_page["facts"]["what"] == by_token["facts"]["what"] == "registry-document"  # type: ignore[index]
    assert str(by_page["actor"]).startswith("H14.0/minh: console")
    vendor = await people.signed_in("hoa", Role.VENDOR)
    assert (await vendor.post(f"{HERE}/present")).status == 403


async def test_an_operator_suspends_and_resumes_a_grant_and_proposes_none(people: Desk) -> None:
    minh, script = await people.signed_in("minh", Role.OPERATOR), Script(people, "binh", Role.OPERATOR)
    here = "/console/access/grants/G-0001"
    page = Reader((await minh.get(here)).body)
    assert f"{here}/suspend" in page.forms and "/console/access/proposals/new?grant=G-0001" not in page.links
    assert (await minh.post(f"{here}/suspend", **NOTICE)).status == 303
    await script.get("resumeGrant", {"reason": REASON}, grant="G-0001")
    assert [len(notes(people, kind)) for kind in ("suspended", "resumed")] == [1, 1]
    assert (await script.ask("proposeGrant", {})).status == 403


async def test_somebody_elses_passkey_is_revoked_and_what_it_approved_counts_no_more(people: Desk) -> None:
    signed = await signer(people)
    name = await proposed(people)
    await signed.approve(name)
    minh, script = await people.signed_in("minh", Role.OPERATOR), Script(people, "phuc", Role.OPERATOR)
    page = Reader((await minh.get("/console/access/officers")).body)
    (key,) = officer(people, ONE).passkeys
    here = f"/console/access/passkeys/{key.thumbprint}/revoke"
    assert here in page.forms and TWO in page.text and "nguoi-van-hanh" in page.text
    listed = {each["id"]: each for each in (await script.get("listOfficers"))["officers"]}
    assert listed[ONE]["passkeys"][0]["state"] == "active" and listed["kiem-toan-vien"]["role"] == "auditor"
    assert (await minh.post(here, reason="short")).status == 400
    assert (await script.ask("revokePasskey", {"reason": REASON}, passkey="nothing")).status == 404
    (row,) = (await script.get("listProposals"))["proposals"]
    assert row["signed"] == [ONE]
    assert (await minh.post(here, reason=REASON)).status == 303
    await script.get("revokePasskey", {"reason": REASON}, passkey=key.thumbprint)  # once more changes nothing
    (row,) = (await script.get("listProposals"))["proposals"]
    assert row["signed"] == [] and officer(people, ONE).passkeys[0].state == "revoked"
    auditor = Script(people, "an", Role.AUDITOR)
    assert (await auditor.ask("revokePasskey", {"reason": REASON}, passkey=key.thumbprint)).status == 403


# --- the log ----------------------------------------------------------------------------------------------------------
def add_stamp(people: Desk) -> None:
    at = people.now()
    row = {"size": 3, "digest": b"d" * 32, "note": "the note", "question": b"asked", "answer": b"answered"}
    with writing(people.world.engine) as connection:
        connection.execute(insert(tables.stamp).values(**row, authority="CN=Stamps", time=at, received=at))


async def test_stamps_and_logs_are_shown_and_a_stamp_is_taken(people: Desk) -> None:
    add_stamp(people)
    an, script = await people.signed_in("an", Role.AUDITOR), Script(people, "binh", Role.OFFICER)
    page = Reader((await an.get("/console/log")).body)
    assert "/console/log/stamps/1" in page.links and "CN=Stamps" in page.text and "goes on" in page.text
    assert not {"/console/log/stamp", "/console/log/reindex"} & set(page.forms), "an auditor reads only"
    for content in ((await an.get("/console/log/stamps/1")).body, await script.get("readStamp", stamp="1")):
        archive = zipfile.ZipFile(io.BytesIO(content))
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "checkpoint": b"the note",
            "checkpoint.tsq": b"asked",
            "checkpoint.tsr": b"answered",
        }
    for none in ("2", "x", "9" * 30, "٣"):
        assert (await an.get(f"/console/log/stamps/{none}")).status == 404
    found = await script.get("readLog")
    assert [each["id"] for each in found["stamps"]] == [1] and found["orders"] == {}
    (log,) = found["logs"]
    assert (log["origin"], log["ended"]) == (found["origin"], None) and log["vkey"]


async def test_a_stamp_is_ordered_where_an_authority_is_set(people: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    minh, script = await people.signed_in("minh", Role.OPERATOR), Script(people, "binh", Role.OFFICER)
    assert "/console/log/stamp" not in Reader((await minh.get("/console/log")).body).forms
    assert (await script.ask("stampLog")).json["code"] == "log.no-stamps"
    monkeypatch.setattr(log_acts, "stamps", lambda _desk: True)
    assert "/console/log/stamp" in Reader((await minh.get("/console/log")).body).forms
    assert (await minh.post("/console/log/stamp")).status == 303
    with people.world.engine.connect() as connection:
        (job,) = jobs.newest(connection, "stamp")
    assert (await script.get("stampLog"))["job"]["id"] == job.id, "a running order is not given again"
    assert "waits for the keeper" in Reader((await minh.get("/console/log")).body).text
    (note,) = notes(people, "stamp")
    assert note["facts"] == {"job": job.id} and str(note["actor"]).startswith("H14.0/minh: console")
    auditor = Script(people, "an", Role.AUDITOR)
    assert {(await auditor.ask(name)).status for name in ("stampLog", "reindexLog")} == {403}


async def test_the_index_is_made_anew_by_the_keeper(people: Desk) -> None:
    engine, later = people.world.engine, [0.0]
    people.world.sequence()
    minh, script = await people.signed_in("minh", Role.OPERATOR), Script(people, "binh", Role.OFFICER)
    people.world.sequence()
    lease = people.world.lease
    keeper = Indexing(Indexer(engine, None, limit=1), lambda: later[0])
    for _ in range(20):
        later[0] += 60
        await keeper.run_once(lease)
    with engine.connect() as connection:
        upto, size = index.reached(connection)
    assert upto == size > 1
    assert (await minh.post("/console/log/reindex")).status == 303
    assert (await script.get("reindexLog"))["job"]["state"] == "running"
    states = []
    for _ in range(40):
        later[0] += 60
        await keeper.run_once(lease)
        order = (await script.get("readLog"))["orders"][REINDEX]
        states.append((order["state"], order["done"]))
        if order["state"] == "done":
            break
    assert states[0] == ("running", 0) and states[-1] == ("done", order["size"]) and order["size"] >= size
    with engine.connect() as connection:
        assert index.reached(connection)[0] >= order["size"]
    assert "made anew" in Reader((await minh.get("/console/log")).body).text
    (note,) = notes(people, REINDEX)
    assert str(note["actor"]).startswith("H14.0/minh: console")


# --- an agency's counts -----------------------------------------------------------------------------------------------
HEAD = "system,contract,operation,direction,accepted"
LINE = "canh-bao,incident-alert/v1,createAlert,sent"


async def test_an_agencys_counts_are_compared_with_the_log(people: Desk) -> None:
    await people.world.hand_in(TRANSFER, {"identifier": "alert-1"})
    people.world.sequence()
    day = datetime.fromtimestamp(time.time(), VIETNAM).date().isoformat()
    lan = await people.signed_in("lan", Role.OFFICER)
    here, given = "/console/reconciliation", {"agency": "H14.2", "day": day, "counts": f"{HEAD}\n{LINE},3\n"}
    assert '<option value="">choose …</option>' in (await lan.get(here)).body.decode(), "no agency is chosen for him"
    assert "not over" in Reader((await lan.post(here, **given)).body).text
    people.moved = 86_400.0
    lan, script = await people.sign_in("lan"), Script(people, "binh", Role.OFFICER)
    text = Reader((await lan.post(here, **given)).body).text
    assert "1 of 1 lines differ" in text or "lines differ" in text, text
    found = await script.get("compareCounts", given)
    (line,) = (each for each in found["lines"] if each["theirs"])
    assert (line["theirs"], line["verdict"], found["differences"] >= 1) == (3, "differs", True)
    stated = {"agency": "H14.2", "day": day, "counts": [{"system": "canh-bao", "contract": "incident-alert/v1",
              "operation": line["operation"], "direction": "sent", "accepted": line["ours"]}]}  # fmt: skip
    again = await script.get("compareCounts", {"agency": "H14.2", "counts": json.dumps(stated)})
    assert [each["verdict"] for each in again["lines"] if each["theirs"]] in (["equal"], [])
    for wrong, status in (
        ({"agency": "H99"}, 400),
        ({"day": "never"}, 400),
        ({"counts": "a,b\n"}, 400),
        ({"counts": f"{HEAD}\nphan-anh,field-report/v1,createRequest,sent,1\n"}, 403),
    ):
        assert (await script.ask("compareCounts", {**given, **wrong})).status == status, wrong
    logged = notes(people, "reconciliation")
    assert len(logged) == 3 and logged[0]["facts"]["theirs"] == 3  # type: ignore[index]
    with people.world.engine.connect() as connection:
        assert not jobs.newest(connection, "reconciliation"), "the statement is kept nowhere"


@pytest.mark.attack("idor")
async def test_an_agency_compares_its_own_counts_alone(people: Desk) -> None:
    script = Script(people, "huong", Role.AGENCY, agency="H14.6")
    day, counts = "2026-01-02", f"{HEAD}\nbao-chay,incident-alert/v1,createAlert,sent,1\n"
    assert (await script.ask("compareCounts", {"agency": "H14.2", "day": day, "counts": counts})).status == 403
    assert (await script.get("compareCounts", {"agency": "H14.6", "day": day, "counts": counts}))["differences"] == 1
    huong = await people.sign_in("huong")
    page = Reader((await huong.post("/console/reconciliation", agency="H14.2", day=day, counts=counts)).body)
    assert "H14.6" in page.text and "H14.2" not in page.text
