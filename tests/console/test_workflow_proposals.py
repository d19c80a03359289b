"""A workflow that waits for officers, on its page and over the API (article 13.3)."""

from __future__ import annotations

import json

from contracts.compiled.contract import compile_bundle
from gateway.console.roles import Role
from gateway.registry.changes.publish import Accepted, publish, record
from gateway.registry.seals.sealing import Seal, changing
from tests.console.officers import PROPOSALS, by_key
from tests.console.people import Desk, Reader
from tests.console.test_contract_drafts import DRAFTS, checked, digest
from tests.console.test_operations_of_pages import REASON, Script
from tests.console.zipping import upload, zipped
from tests.registry.workflows import ALERTS, OTHER, OWNER, live, version

PATH = f"workflow/{ALERTS}"


def published(people: Desk, number: str, minutes: int) -> None:
    """As `lgsp contracts publish` does it: rows changed without an entry of the registry are refused as altered."""
    bundle, settings = version(number, minutes), people.services.settings
    with changing(people.world.engine, Seal.of(settings)) as act:
        now = people.now()
        done = publish(act.connection, bundle, compile_bundle(bundle), Accepted((), now))
        record(act, done, now, "command line")
    with people.world.engine.connect() as connection:
        people.services.registry.refresh(connection)


async def test_the_page_shows_what_differs_and_who_has_yet_to_sign(people: Desk) -> None:
    published(people, "1.3.0", 20)
    an = await people.signed_in("an", Role.OFFICER)
    assert PATH in (await an.get(PROPOSALS)).body.decode()
    page = (await an.get(f"{PROPOSALS}/{PATH}")).body.decode()
    assert "states.sent.term.minutes" in page and "<svg" in page and "H14.0" in page
    assert "the owner has not signed" in page or "đơn vị chủ trì chưa ký" in page
    for officer in (OTHER, OWNER):
        given = {"officer": officer, "signature": by_key(people, PATH, officer)}
        assert (await an.post(f"{PROPOSALS}/{PATH}", **given)).status == 303
    assert live(people.world.engine) == 20
    page = (await an.get(f"{PROPOSALS}/{PATH}")).body.decode()
    assert "/console/access/refuse/" not in page, "it is live"


async def test_a_waiting_workflow_is_refused_by_the_api_and_on_its_page(people: Desk) -> None:
    published(people, "1.3.0", 20)
    an = Script(people, "an", Role.OFFICER)
    (row,) = (await an.get("listProposals"))["proposals"]
    assert (row["subject"], row["owner"], row["lacks"], row["lapsed"]) == (PATH, "H14.0", 2, False)
    detail = await an.get("readProposal", query=f"?subject={PATH}")
    changed = {each["name"]: (each["old"], each["new"]) for each in detail["changes"]}
    assert changed["workflow.states.sent.term.minutes"] == (15, 20)
    assert json.loads(detail["content"])["version"] == "1.3.0"
    stranger = Script(people, "binh", Role.AGENCY, agency="H14.7")
    assert (await stranger.ask("refuseProposal", {"subject": PATH, "reason": REASON})).status == 404
    await an.get("refuseProposal", {"subject": PATH, "reason": REASON})
    assert (await an.ask("refuseProposal", {"subject": PATH, "reason": REASON})).status == 404
    assert (await an.get("listProposals"))["proposals"] == []
    published(people, "1.4.0", 25)
    person = await people.signed_in("lan", Role.OFFICER)
    assert (await person.post(f"/console/access/refuse/{PATH}", reason="short")).status == 400
    assert (await person.post(f"/console/access/refuse/{PATH}", reason=REASON)).status == 303
    assert live(people.world.engine) == 15
    people.world.sequence()


async def test_the_version_in_force_proposes_its_refused_workflow_again(people: Desk) -> None:
    """By a draft that one hands in, here by a program, and another confirms. While it waits there is nothing to
    publish."""
    bundle = version("1.3.0", 20)
    published(people, "1.3.0", 20)
    tu, an = Script(people, "tu", Role.STEWARD), Script(people, "an", Role.OFFICER)
    steward = await people.sign_in("tu")

    async def nothing() -> bool:
        answer = await upload(steward, f"{DRAFTS}/new", "archive", zipped(bundle.files, ALERTS))
        return "draft.nothing" in answer.body.decode()

    assert await nothing(), "it waits"
    await an.get("refuseProposal", {"subject": PATH, "reason": REASON})
    at = await checked(steward, bundle, ALERTS)
    await tu.get("handInDraft", {"reason": REASON}, draft=at.rpartition("/")[2])
    lan = await people.signed_in("lan", Role.OFFICER)
    page = Reader((await lan.get(at)).body).text
    assert "Its workflow is not: it was refused, or it lapsed" in page and "It comes into force at once" not in page
    answer = await lan.post(f"{at}/confirm", digest=await digest(lan, at))
    assert answer.status == 303 and answer.headers["location"].startswith(f"{PROPOSALS}/{PATH}")
    page = Reader((await lan.get(answer.headers["location"])).body).text
    assert "Its workflow holds once officers have signed it here." in page
    (row,) = (await an.get("listProposals"))["proposals"]
    assert (row["subject"], row["lacks"], live(people.world.engine)) == (PATH, 2, 15) and await nothing()
    people.world.sequence()
