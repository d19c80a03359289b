"""Contacts of an agency on its page and by its operation: set with a reason, shown with their days, in the log."""

from __future__ import annotations

from typing import Any

from gateway.console.roles import Role
from tests.console.people import Desk, Reader
from tests.console.test_operations_of_pages import REASON, Script
from tests.console.test_signing_in import notes

PAGE = "/console/agencies/H14.3"
AT = {"office": "Phòng Hạ tầng", "phone": "0206 000 0099", "email": "truc@xaydung.caobang.example"}


async def test_a_page_and_an_operation_set_contacts(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.OPERATOR)
    form: dict[str, Any] = {
        **{f"{name}-0": value for name, value in AT.items()}, "supplies-data-0": "yes",
        **{f"{name}-1": value for name, value in AT.items()}, "takes-alerts-1": "yes", "name-1": "Hoàng Thị B",
        "valid_until-1": "2099-12-31", "supplies-data-2": "yes", "takes-alerts-2": "yes",
    }  # fmt: skip
    assert (await lan.post(f"{PAGE}/contacts", **form)).status == 400, "no reason"
    assert (await lan.post(f"{PAGE}/contacts", **form, reason=REASON)).status == 303
    page = Reader((await lan.get(PAGE)).body).text
    assert "Hoàng Thị B" in page and "2099-12-31" in page and "No contact in force" not in page
    (entry,) = notes(people, "registry")
    facts: Any = entry["facts"]
    assert facts["reason"] == REASON and "Hoàng Thị B" not in str(entry), "no name in the log"
    assert facts["changes"] == [{"what": "agency", "id": "H14.3", "how": "changed", "fields": ["contact"]}]
    script = Script(people, "may", Role.OFFICER)
    own = {**AT, "duties": ["supplies-data"], "valid_from": "2026-01-01"}
    body = {"contacts": [own], "reason": REASON}
    assert (await script.ask("setContacts", body, agency="H14.3")).status == 204
    shown = (await script.ask("readAgency", agency="H14.3")).json["agency"]
    assert shown["contacts"] == [{**own, "holds": True}] and shown["missing_duties"] == ["takes-alerts"]
    assert "No contact in force" in Reader((await lan.get(PAGE)).body).text
    wrong = {"contacts": [{**own, "valid_from": "2026-13-01"}], "reason": REASON}
    assert (await script.ask("setContacts", wrong, agency="H14.3")).status in (400, 422)
    assert (await script.ask("setContacts", {**body, "contacts": []}, agency="H14.3")).status == 409


async def test_an_agencys_own_person_sees_its_contacts_and_sets_none(people: Desk) -> None:
    xuan = await people.signed_in("xuan", Role.AGENCY, agency="H14.22")
    assert "vp@truongha" in Reader((await xuan.get("/console/agencies/H14.22")).body).text
    assert (await xuan.get(PAGE)).status == 404
    assert (await xuan.post("/console/agencies/H14.22/contacts", reason=REASON)).status == 403
