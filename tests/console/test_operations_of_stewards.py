"""Drafts of contracts, routes and registry documents by programs: as in the pages, but nothing is confirmed."""

from __future__ import annotations

import base64
from typing import Any

from gateway.console.operations import operations
from gateway.console.pages import pages
from gateway.console.roles import Role
from tests.console.people import Desk
from tests.console.test_contract_drafts import FIELDS, NEXT, REASON, SHOWS, camera, digest, in_force
from tests.console.test_operations_of_pages import OF_STEWARDS, Script, by_token
from tests.console.test_routes import CONTACT, ROUTED
from tests.console.test_signing_in import notes
from tests.console.zipping import zipped
from tests.registry.editions import NAME, swap


def archive(files: Any, folder: str = "v1") -> dict[str, str]:
    return {"archive": base64.b64encode(zipped(files, folder)).decode()}


async def test_drafts(wide: Desk) -> None:
    """Handed in by a script; confirmed by another person in a page alone."""
    tu, lan = Script(wide, "tu", Role.STEWARD), Script(wide, "lan", Role.OFFICER)
    shorter = swap("schema.json", '"maxLength": 2000', '"maxLength": 20')
    seen = await tu.get("checkContract", archive(camera("1.2.0", shorter).files))
    assert seen["draft"] is None and seen["failure"]["code"] == "contract.breaking" and seen["level"] == "major"
    assert seen["changes"][0]["place"].startswith("schema.json:")
    broken = await tu.get("checkContract", {"archive": base64.b64encode(b"no zip").decode()})
    assert broken["draft"] is None and broken["findings"][0]["rule"] == "bundle"
    assert (await tu.ask("checkContract", {"archive": "%%%"})).status == 400
    seen = await tu.get("checkContract", archive(SHOWS.files))
    assert [each["field"] for each in seen["disclosed"]] == FIELDS and seen["usable"]
    draft = seen["draft"]["id"]
    assert (await lan.ask("readDraft", draft=draft)).status == 404 and (await lan.get("listDrafts"))["drafts"] == []
    assert (await tu.ask("handInDraft", {"reason": REASON}, draft=draft)).status == 409
    assert (await tu.ask("handInDraft", {"reason": "short", "accepts": FIELDS}, draft=draft)).status == 400
    handed = await tu.get("handInDraft", {"reason": REASON, "accepts": FIELDS}, draft=draft)
    assert handed["state"] == "waiting" and by_token(notes(wide, "contract-draft")[0], "tu")
    assert (await lan.get("readDraft", draft=draft))["before"] == "1.3.0"
    await lan.get("rejectDraft", {"reason": "not agreed with anybody"}, draft=draft)
    assert (await lan.ask("rejectDraft", {"reason": "not agreed with anybody"}, draft=draft)).status == 409
    assert (await lan.get("listDrafts"))["drafts"][0]["why"] == "not agreed with anybody"
    draft = (await tu.get("checkContract", archive(NEXT.files)))["draft"]["id"]
    await tu.get("handInDraft", {"reason": REASON}, draft=draft)
    hang = await wide.signed_in("hang", Role.OFFICER)
    at = f"/console/contracts/drafts/{draft}"
    assert (await hang.post(f"{at}/confirm", digest=await digest(hang, at))).status == 303
    assert in_force(wide) == "1.4.0"
    back = await tu.get("draftRollBack", id="indicator", major="v1")
    assert (back["act"], back["version"], back["contract"]) == ("roll-back", "1.3.0", NAME)
    assert tu.done | lan.done == OF_STEWARDS - {"listRoutes", "findRoute", "previewDocument", "applyDocument"}


def test_no_operation_confirms() -> None:
    (page,) = (each for each in pages() if each.path.startswith("/contracts/") and each.path.endswith("/confirm"))
    assert page.page_only and not any("onfirm" in each and "raft" in each for each in operations())


async def test_routes_and_documents(wide: Desk) -> None:
    tu, minh = Script(wide, "tu", Role.STEWARD), Script(wide, "minh", Role.OPERATOR)
    rules = (await tu.get("listRoutes", query="?contract=field-report/v1"))["routes"]
    assert [(each["number"], each["system"]) for each in rules] == [(1, "truong-ha"), (2, "do-thi"), (3, "")]
    asked = {"agency": "H14.5", "contract": "field-report/v1", "operation": "createRequest"}
    found = await tu.get("findRoute", {**asked, "values": {"area": "01392"}})
    assert found["rule"]["system"] == "truong-ha" and found["asks"]["allowed"]
    assert found["conditions"] == ["area", "service_code"]
    assert (await tu.ask("findRoute", {**asked, "operation": "none"})).status == 400
    seen = await tu.get("previewDocument", {"document": ROUTED})
    assert seen["proposes_only"] and seen["may_apply"] and seen["changes"][0]["how"] == "proposed"
    given = {"document": ROUTED, "digest": seen["digest"], "reason": REASON}
    assert (await tu.ask("applyDocument", {**given, "document": CONTACT})).status == 409
    assert (await tu.get("applyDocument", given))["changes"] == seen["changes"]
    assert (await tu.get("listRoutes"))["waiting"] == ["route/field-report/v1/createRequest"]
    seen = await tu.get("previewDocument", {"document": CONTACT})
    given = {"document": CONTACT, "digest": seen["digest"], "reason": REASON}
    assert not seen["may_apply"] and (await tu.ask("applyDocument", given)).status == 403
    assert (await minh.get("applyDocument", given))["rows"] == seen["rows"]
    assert [by_token(each, who) for each, who in zip(notes(wide, "registry"), ("tu", "minh"), strict=True)] == [
        True
    ] * 2
    assert (await tu.ask("previewDocument", {"document": "a: ["})).status == 422
    assert tu.done | minh.done == {"listRoutes", "findRoute", "previewDocument", "applyDocument"}
