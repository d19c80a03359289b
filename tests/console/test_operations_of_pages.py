"""What pages do, done by programs: each operation answers as its document says, within the scope of its person, and
the log names the token."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import jsonschema_rs
import pytest

from contracts.base.ids import new_id
from gateway.console.operations import operations
from gateway.console.roles import Role
from security.grants.approvals import approve
from security.pki.authority import private_pem
from tests.console.officer import ALERTS, SECRET, Story
from tests.console.officers import ONE, TWO, by_key
from tests.console.people import Desk
from tests.console.test_operations import CALLS, DOCUMENT, call, token
from tests.console.test_queue import office as office
from tests.console.test_signing_in import notes
from tests.delivery.posting import Post
from tests.delivery.posting import post as post
from tests.delivery.test_bulk import waiting
from tests.delivery.test_decisions import doubtful
from tests.doors.api.client import Answer
from tests.registry.making import OFFICERS

REASON = "agreed with the agency by telephone"
NOTICE = {"reason_vi": "Bảo trì hệ thống", "reason_en": "Maintenance", "until": "2099-01-01"}
GRANT = {
    "id": "G-9001",
    "agency": "H14.7",
    "contract": "indicator/v1",
    "operations": ["getValue"],
    "fields": ["*", "!responsible"],
    "purpose": "Điều hành",
    "legal_basis": "Quyết định 1/QĐ",
    "valid_from": "2026-01-01",
    "valid_until": "2030-12-31",
}
PLACES = {name: (method, path) for method, path, name in CALLS}
OF_ACCOUNTS = {"listAccounts", "setAccountRoles", "setAccountState"}
OF_TOKENS = {"listTokens", "revokeToken"}
OF_KEEPERS = {  # tested beside a keeper
    "listQueue", "readQueuedMessage", "settleMessage", "previewBulkRetry", "startBulkRetry", "readBulkRetry",
    "moveBulkRetry", "listSystems", "readSystem", "suspendSystem", "resumeSystem", "revokeSystemKeys", "testConnection",
}  # fmt: skip
OF_TRANSFERS = {
    "readJourney", "explainRefusal", "readTranslation", "openBody", "readTransferProof", "makePackage",
    "searchEntries", "exportEntries", "listFilters", "saveFilter", "deleteFilter", "readProofArchive", "readReceipts",
    "readAttention", "findId",
}  # fmt: skip
OF_FEEDS = {"exportPersonFeed", "readPersonFeed"}  # test_feeds
OF_INDICATORS = {
    "readIndicators",
    "listOwedIndicators",
    "listIndicators",
    "defineIndicators",
}  # in test_indicator_pages
OF_ACCESS = {
    "listReceivers", "readMatrix", "listGrants", "readGrant", "revokeGrant", "suspendGrant", "resumeGrant",
    "listChanges", "listReviews", "recordReview", "listProposals", "readProposal", "proposeGrant", "signProposal",
    "previewGrant",
}  # fmt: skip
OF_WORKFLOWS = {"refuseProposal"}  # in test_workflow_proposals
OF_PUSHES = {"listPushes", "readPush", "decidePush", "listFeedReaders"}  # in test_pushes, test_readers_page
OF_WATCH = {"listScorecards", "readScorecard", "listAlarms", "acknowledgeAlarm"}  # in test_scorecards, test_watch
OF_REPORTS = {"listReports", "makeReport", "readReport", "readReportDocument"}  # in test_reports
OF_HANDLINGS = {"listHandlings", "readHandling", "takeHandlingStep", "readHandlingMessage"}  # in test_handlings
OF_UPKEEP = {"readLog", "verifyLog", "readDoctor"}
OF_HOST = {
    "readDocument",
    "stampLog",
    "readStamp",
    "reindexLog",
    "compareCounts",
    "listOfficers",
    "revokePasskey",
}  # in test_acts
OF_OPERATORS = {  # tested in test_enrolment and test_upkeep_pages
    "enrolSystem",
    "readEnrolment",
    "keepKeys",
    "readHandout",
    "listAgencies",
    "readAgency",
    "suspendAgency",
    "resumeAgency",
    "readBackups",
    "recordDrill",
    "readVault",
    "addHold",
    "releaseHold",
    "confirmClock",
    "readKeys",
    "askAuthorities",
}
OF_CONTACTS = {"setContacts", "acknowledgeFinding"}  # in test_contacts, test_upkeep_pages
OF_CASES = {"listCases", "readCase", "openCase", "takeCaseStep"}  # in test_cases_pages  # fmt: skip
OF_CATALOGUE = {"readCatalogue", "readDataSet"}  # in test_catalogue
OF_CONTRACTS = {"listContracts", "readContract", "readMapping", "compareVersions", "tryMessage"}
OF_STEWARDS = {
    "checkContract",
    "draftRollBack",
    "listDrafts",
    "readDraft",
    "handInDraft",
    "rejectDraft",
    "listRoutes",
    "findRoute",
    "previewDocument",
    "applyDocument",
}  # fmt: skip; in test_operations_of_stewards


def plain(schema: Any) -> Any:
    """A schema of OpenAPI 3.0 as JSON Schema."""
    if isinstance(schema, list):
        return [plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return plain(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    own = {name: plain(value) for name, value in schema.items() if name != "nullable"}
    if schema.get("nullable"):
        own["type"] = [schema["type"], "null"]
    return own


class Script:
    """A program with somebody's token. `done` are the operations that succeeded."""

    def __init__(self, desk: Desk, account: str, *roles: Role, agency: str = "H14.0") -> None:
        desk.add(account, *roles, agency=agency)
        self.desk, self.token, self.done = desk, token(desk, account), set[str]()

    async def ask(self, name: str, body: Any = None, query: str = "", **parts: str) -> Answer:
        """Checks that the document tells this status, and the form of a success."""
        method, path = PLACES[name]
        answer = await call(self.desk, self.token, method, path.format(**parts) + query, body)
        told = DOCUMENT["paths"][path][method.lower()]["responses"]
        assert str(answer.status) in told, (name, answer.status, answer.body)
        if answer.status < 300:
            self.done.add(name)
            content = told[str(answer.status)].get("content", {})
            media = answer.headers.get("content-type", "").partition(";")[0]
            assert not content or media in content, (name, media)
            if media == "application/json":
                jsonschema_rs.validate(plain(content[media]["schema"]), answer.json)
        return answer

    async def get(self, name: str, body: Any = None, query: str = "", **parts: str) -> Any:
        answer = await self.ask(name, body, query, **parts)
        assert answer.status < 300, (name, answer.status, answer.body)
        return answer.json if answer.headers.get("content-type") == "application/json" else answer.body


def test_each_operation_is_tried() -> None:
    tried = [OF_ACCOUNTS, OF_TOKENS, OF_KEEPERS, OF_TRANSFERS, OF_ACCESS, OF_UPKEEP, OF_CONTRACTS, OF_OPERATORS]
    tried += [OF_CATALOGUE, OF_FEEDS, OF_STEWARDS, OF_PUSHES, OF_HOST, OF_WATCH, OF_HANDLINGS, OF_CONTACTS]
    tried += [OF_INDICATORS, OF_REPORTS, OF_WORKFLOWS, OF_CASES]
    assert set(operations()) == set().union(*tried)


def by_token(entry: Any, account: str) -> bool:
    return str(entry["actor"]).startswith(f"H14.0/{account}: console, token ")


# --- transfers and entries --------------------------------------------------------------------------------------------
async def test_transfers_and_entries(people: Desk) -> None:
    story = Story(people)
    id, refused = story.alert(), story.refused()
    story.settle()
    lan = Script(people, "lan", Role.OFFICER)
    journey = await lan.get("readJourney", transfer=id)
    assert [each["kind"] for each in journey["steps"]] == ["intent", "outcome"]
    assert journey["state"]["state"] == "accepted" and {each["part"] for each in journey["vault"]} >= {"request"}
    why = await lan.get("explainRefusal", transfer=refused)
    assert why["failure"] == "access.no-contract" and why["allowed"] is False and why["agrees"] is True
    assert await lan.get("explainRefusal", transfer=id) == {"refused": False}
    fields = (await lan.get("readTranslation", transfer=id))["directions"][0]["fields"]
    contact = {"personal": "basic", "paths": ["chiTiet[].lienHe", "info[].contact", None], "withheld": False}
    assert contact in fields
    proof = await lan.get("readTransferProof", transfer=id)
    archive = zipfile.ZipFile(io.BytesIO(await lan.get("readProofArchive", transfer=id)))
    assert proof["transfer"] == id and json.loads(archive.read(f"proof-{id}/proof.json")) == proof
    receipts = await lan.get("readReceipts", transfer=id)
    assert [each["phase"] for each in receipts["receipts"]] == ["intent", "outcome"] and receipts["log_key"]
    for each in receipts["receipts"]:
        assert id in each["text"].splitlines()[0] and each["svg"].startswith("<svg ")
    needs = await lan.get("readAttention")
    assert needs["refusals"]["total"] == 1 and needs["queue"]["in-doubt"] == 0 and needs["approvals"] == 0
    assert [each["transfer"] for each in needs["newest_refusals"]] == [refused]
    found = await lan.get("findId", query=f"?id={id.upper()}")
    assert (found["what"], found["transfer"], found["page"]) == ("transfer", id, f"/console/transfers/{id}")
    found = await lan.get("findId", query="?id=lan")
    assert (found["what"], found["filter"]) == ("person", {"actor": "lan"})
    for wrong in ({"part": "request"}, {"part": "salt", "reason": REASON}, {"part": "request", "reason": "short"}):
        assert (await lan.ask("openBody", wrong, transfer=id)).status == 400
    assert (await lan.ask("openBody", {"part": "forwarded", "reason": REASON}, transfer=id)).status == 404
    assert notes(people, "body-view") == []
    body = await lan.ask("openBody", {"part": "request", "reason": REASON}, transfer=id)
    assert SECRET.encode() in body.body and int(body.headers["lgsp-size"]) == len(body.body)
    (view,) = notes(people, "body-view")
    assert by_token(view, "lan") and view["transfer"] == id and dict(view["facts"])["reason"] == REASON  # type: ignore[call-overload]
    package = zipfile.ZipFile(io.BytesIO(await lan.get("makePackage", {"reason": REASON}, transfer=id)))
    assert package.namelist() and all(by_token(each, "lan") for each in notes(people, "package"))
    assert (await lan.get("searchEntries", query="?outcome=refused"))["entries"][0]["transfer"] == refused
    table = await lan.get("exportEntries", {"form": "csv", "filter": {"outcome": "refused"}, "reason": REASON})
    assert refused.encode() in table and id.encode() not in table
    (export,) = notes(people, "export")
    assert by_token(export, "lan")
    mine = {"name": "refused ones", "filter": {"outcome": "refused"}}
    await lan.get("saveFilter", mine)
    assert (await lan.ask("saveFilter", mine)).status == 409
    assert (await lan.get("listFilters"))["filters"] == [mine]
    await lan.get("deleteFilter", query="?name=refused%20ones")
    assert (await lan.get("listFilters"))["filters"] == []
    assert lan.done == OF_TRANSFERS


@pytest.mark.attack("console")
async def test_a_token_of_an_agency_reads_no_transfer_of_others(people: Desk) -> None:
    story = Story(people)
    id, refused = story.alert(), story.refused()
    story.settle()
    own = Script(people, "huong", Role.AGENCY, agency="H14.6")
    other = Script(people, "binh", Role.AGENCY, agency="H14.7")
    for name in ("readJourney", "explainRefusal", "readTranslation", "readTransferProof"):
        assert (await own.ask(name, transfer=id)).status == 200 == (await other.ask(name, transfer=refused)).status
        hidden, unknown = await other.ask(name, transfer=id), await other.ask(name, transfer=new_id(0))
        assert hidden.status == unknown.status == 404, name
        assert hidden.json["code"] == unknown.json["code"] == "console.no-page"
        assert (await own.ask(name, transfer=refused)).status == 404


# --- access -----------------------------------------------------------------------------------------------------------
async def test_access_is_read_proposed_signed_and_restricted(people: Desk) -> None:
    an = Script(people, "an", Role.OFFICER)
    assert (await an.get("proposeGrant", GRANT)) == {"subject": "G-9001"}
    seen = await an.get("previewGrant", grant="G-9001")  # what it finds: test_preview
    assert (seen["grant"], seen["next"], seen["changes"]) == ("G-9001", None, [])
    for wrong in ({**GRANT, "proposed_by": ONE}, {**GRANT, "approved_by": [ONE, TWO]}):
        assert (await an.ask("proposeGrant", {**wrong, "id": "G-9002"})).json["code"] == "api.invalid"
    assert (await an.ask("proposeGrant", {**GRANT, "id": "G-9002", "valid_from": "never"})).status == 422
    (row,) = (await an.get("listProposals"))["proposals"]
    assert (row["subject"], row["lacks"], row["signed"]) == ("G-9001", 2, [])
    detail = await an.get("readProposal", query="?subject=G-9001")
    assert json.loads(detail["content"])["fields"] == GRANT["fields"] and not detail["in_force"]
    for officer in OFFICERS:
        signature = approve(detail["content"].encode(), officer, private_pem(OFFICERS[officer]))
        await an.get("signProposal", {"subject": "G-9001", "officer": officer, "signature": signature})
    assert (await an.get("listProposals"))["proposals"] == []
    await an.get("suspendGrant", NOTICE, grant="G-9001")
    assert (await an.get("readGrant", grant="G-9001"))["present"]["standing"] == "suspended"
    assert (await an.ask("suspendGrant", {**NOTICE, "until": "2020-01-01"}, grant="G-9001")).status == 400
    await an.get("resumeGrant", {"reason": REASON}, grant="G-9001")
    standing = {each["content"]["id"]: each["standing"] for each in (await an.get("listGrants"))["grants"]}
    assert standing["G-9001"] == "granted"
    (cell,) = [
        each
        for each in (await an.get("readMatrix", query="?agency=H14.7&contract=indicator/v1"))["cells"]
        if "G-9001" in each["grants"]
    ]
    assert cell["operation"] == "getValue" and cell["shown"]
    assert (await an.get("listReceivers", query="?field=phone"))["receivers"]
    assert (await an.ask("listReceivers")).json["code"] == "console.form"
    await an.get("revokeGrant", {"reason": REASON}, grant="G-9001")
    statement = (await an.get("listReviews"))["statement"]
    signature = approve(statement.encode(), ONE, private_pem(OFFICERS[ONE]))
    review = {"statement": statement, "officer": ONE, "signature": signature}
    assert (await an.ask("recordReview", {**review, "officer": TWO})).status == 422
    await an.get("recordReview", review)
    people.world.sequence()
    rows = (await an.get("listChanges", query="?since=2026-01-01"))["changes"]
    assert {"suspended", "resumed"} <= {each["what"] for each in rows}
    mine = [each for each in rows if each["by"].startswith("H14.0/an")]
    assert len(mine) >= 6 and all("console, token " in each["by"] for each in mine)
    assert len((await an.get("listReviews"))["reviews"]) == 1
    assert an.done == OF_ACCESS


@pytest.mark.attack("console")
async def test_a_token_of_an_officer_approves_nothing(people: Desk) -> None:
    """Not even that of an officer: the signature counts, not who hands it in."""
    binh = Script(people, "binh", Role.STEWARD)
    await binh.get("proposeGrant", GRANT)
    officer = Script(people, ONE, Role.OFFICER)
    good = by_key(people, "G-9001", ONE)
    for signature in ("x", good[:-4] + "AAAA", by_key(people, "G-9001", TWO)):
        given = {"subject": "G-9001", "officer": ONE, "signature": signature}
        assert (await officer.ask("signProposal", given)).json["code"] == "approval.invalid"
    assert (await officer.ask("signProposal", {"subject": "G-9001"})).status == 400
    assert (await binh.get("listProposals"))["proposals"][0]["signed"] == []
    await binh.get("signProposal", {"subject": "G-9001", "officer": ONE, "signature": good})
    own = {**GRANT, "id": "G-9002"}
    await officer.get("proposeGrant", own)  # named in it, so that he cannot sign it
    given = {"subject": "G-9002", "officer": ONE, "signature": by_key(people, "G-9002", ONE)}
    assert (await officer.ask("signProposal", given)).json["code"] == "approval.own-proposal"


@pytest.mark.attack("console")
async def test_a_token_of_an_agency_acts_on_its_own_access_only(people: Desk) -> None:
    an, ward = Script(people, "an", Role.OFFICER), Script(people, "phuong", Role.AGENCY, agency="H14.9")
    await an.get("proposeGrant", GRANT)
    mine = {"subject": "G-9001", "officer": ONE, "signature": by_key(people, "G-9001", ONE)}
    for name, body, query in (("readProposal", None, "?subject=G-9001"), ("signProposal", mine, "")):
        assert (await ward.ask(name, body, query)).status == 404, name
    assert (await ward.get("listProposals"))["proposals"] == [] == (await ward.get("listGrants"))["ended"]
    for name in ("readGrant", "previewGrant"):
        assert (await ward.ask(name, grant="G-9001")).status == 404
    assert (await ward.ask("proposeGrant", {**GRANT, "id": "G-9003"})).status == 403
    for name, body in (
        ("revokeGrant", {"reason": REASON}),
        ("suspendGrant", NOTICE),
        ("resumeGrant", {"reason": REASON}),
    ):
        assert (await ward.ask(name, body, grant="G-9001")).status == 403, name
    assert {each["agency"] for each in (await ward.get("readMatrix", query="?agency=H14.7"))["cells"]} <= {"H14.9"}
    assert {each["agency"] for each in (await ward.get("listReceivers", query="?mark=personal"))["receivers"]} <= {
        "H14.9"
    }
    assert (await ward.ask("listChanges")).status == 403


# --- log, doctor, contracts -------------------------------------------------------------------------------------------
async def test_the_log_the_doctor_and_contracts(people: Desk) -> None:
    minh = Script(people, "minh", Role.OPERATOR)
    Story(people).settle()
    check = (await minh.get("verifyLog"))["check"]
    state = await minh.get("readLog")
    assert state["checks"][0]["id"] == check["id"] and "console, token " in check["by"] and state["checkpoint"]
    doctor = await minh.get("readDoctor")
    # The folder of this world is no whole instance.
    assert doctor["looked_for"] > 50 and doctor["trouble"] and doctor["backups"] == []
    assert minh.done == OF_UPKEEP
    vendor = Script(people, "hang", Role.VENDOR)
    listed = (await vendor.get("listContracts"))["contracts"]
    for each in listed:
        id, _, major = each["name"].partition("/")
        found = await vendor.get("readContract", id=id, major=major)
        for format in found["formats"]:
            if format != "canonical":
                assert (await vendor.get("readMapping", id=id, major=major, format=format))["messages"]
    alert = {"id": "incident-alert", "major": "v1"}
    version = (await vendor.get("readContract", **alert))["version"]
    same = await vendor.get("compareVersions", query=f"?old={version}&new={version}", **alert)
    assert (same["level"], same["changes"]) == ("patch", [])
    sample = next(
        each
        for each in people.world.services.registry.snapshot.contracts[ALERTS].samples
        if each.format == "cap12" and each.kind == "xml"
    )
    tried = await vendor.get("tryMessage", {"format": "cap12", "text": sample.raw.decode()}, **alert)
    assert tried["ok"] and json.loads(tried["canonical"])["identifier"]
    wrong = await vendor.get("tryMessage", {"format": "cap12", "text": "<alert/>"}, **alert)
    assert not wrong["ok"] and wrong["failure"]["code"]
    assert (await vendor.ask("readContract", id="none", major="v1")).status == 404
    assert vendor.done == OF_CONTRACTS


# --- queue and systems ------------------------------------------------------------------------------------------------
async def test_the_queue_and_systems(office: Desk, post: Post) -> None:
    minh = Script(office, "minh", Role.OPERATOR)
    doubt, made = await doubtful(post), await waiting(post, 3)
    (row,) = (await minh.get("listQueue"))["messages"]
    assert row["transfer"] == doubt and "done" in row["acts"]
    assert (await minh.get("readQueuedMessage", transfer=doubt))["failed"]
    assert (await minh.ask("settleMessage", {"act": "retry", "reason": REASON}, transfer=doubt)).status == 409
    settled = await minh.get("settleMessage", {"act": "done", "reason": REASON}, transfer=doubt)
    assert settled == {"transfer": doubt, "state": "answered"}
    assert by_token(post.entry(doubt, "settled"), "minh")
    seen = await minh.get("previewBulkRetry", query="?state=waiting&failure=provider.down")
    assert seen["transfers"] == made and not seen["more"]
    wanted = {"state": "waiting", "failure": "provider.down", "digest": seen["digest"], "reason": REASON}
    wanted["transfers"] = seen["transfers"]
    await waiting(post, 1)
    assert (await minh.ask("startBulkRetry", {**wanted, "digest": "0" * 64})).status == 409
    job = (await minh.get("startBulkRetry", wanted))["job"]
    assert job["state"] == "running" and "console, token " in job["by"]
    assert (await minh.get("moveBulkRetry", {"reason": REASON}, job=job["id"], how="stop"))["job"]["state"] == "stopped"
    assert (await minh.ask("moveBulkRetry", {"reason": REASON}, job=job["id"], how="burn")).status == 400
    assert (await minh.get("readBulkRetry", job=job["id"]))["total"] == 3
    systems = {each["id"]: each for each in (await minh.get("listSystems"))["systems"]}
    assert systems["truong-ha"]["ready"] == "unseen"
    assert (await minh.get("testConnection", system="truong-ha"))["test"]["state"] == "running"
    await minh.get("suspendSystem", NOTICE, system="truong-ha")
    detail = await minh.get("readSystem", system="truong-ha")
    assert detail["notice"]["reason"]["en"] == "Maintenance" and detail["tests"] and detail["keys"]
    await minh.get("resumeSystem", {"reason": REASON}, system="truong-ha")
    await minh.get("revokeSystemKeys", {"code": "keyCompromise", "reason": REASON}, system="truong-ha")
    assert {each["state"] for each in (await minh.get("readSystem", system="truong-ha"))["keys"]} == {"revoked"}
    assert minh.done == OF_KEEPERS
    ward = Script(office, "ward", Role.AGENCY, agency="H14.5")
    assert {each["agency"] for each in (await ward.get("listSystems"))["systems"]} == {"H14.5"}
    assert (await ward.ask("readSystem", system="truong-ha")).status == 404
