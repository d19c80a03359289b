"""The review of access: who receives a field, the matrix, grants and changes, and reviews that an officer signs."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import update

from gateway.audit.search.details import detail_of
from gateway.audit.verify.findings import Findings
from gateway.audit.verify.rows.reviews import check_reviews
from gateway.console.roles import Role
from gateway.doctor.access import access as examine
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry import reviews
from gateway.registry.changes.matrix import matrix, receipts
from gateway.transfer import entries
from security import jws
from security.grants.approvals import TYPE, approve
from security.grants.passkeys import challenge
from security.grants.windows import VIETNAM
from security.pki.authority import private_pem
from tests.console.officers import ONE, PROPOSALS, TWO, by_key, proposed, signer
from tests.console.people import Desk, Person, Reader
from tests.console.test_passkeys import options
from tests.console.test_signing_in import notes
from tests.registry.making import OFFICERS

REVIEWS = "/console/access/reviews"


async def test_who_receives_phone_numbers_on_the_page_and_as_a_table(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.OFFICER)
    page = Reader((await lan.get("/console/access/who?field=phone")).body)
    table = list(
        csv.DictReader(io.StringIO((await lan.get("/console/access/who.csv?field=phone&header=codes")).body.decode()))
    )
    snapshot = people.world.services.registry.snapshot
    paths = ("phone", "info[].contact")  # the contract describes a contact by its telephone
    every = [each for each in receipts(snapshot, matrix(snapshot, people.now())) if each.path.endswith(paths)]
    papers = "official-document/v1"  # it describes further fields so, of offices
    wanted = [each for each in every if each.contract != papers]
    rows = [each for each in table if each["contract"] != papers]
    assert len(rows) == len(wanted) > 0 and f"{len(table)} ways" in page.text
    assert {each.agency for each in every} == {each["agency"] for each in table}
    assert all(each["personal"] for each in rows) and "personal" in page.text
    (export,) = notes(people, "export")
    assert export["facts"] == {"what": "access-who", "field": "phone", "rows": len(table)}
    unknown = Reader((await lan.get("/console/access/who?field=phne")).body).text
    assert "No contract in force has a field that is called so" in unknown and "Nearest: phone" in unknown
    assert "Nobody receives it" not in unknown and "agencies and" in unknown
    closed = Reader((await lan.get("/console/access/who?field=handling-report:reason")).body).text
    assert "Nobody receives it" in closed and "Fields found in the contracts in force: " in closed
    ward = await people.signed_in("phuong", Role.AGENCY, agency="H14.7")
    assert {each.agency for each in wanted} != {"H14.7"}
    own = Reader((await ward.get("/console/access/who?mark=personal")).body).text
    assert "Only this agency was looked at" in own and "H14.7" in own and "may open stored messages" not in own
    others = {each.agency for each in wanted} - {"H14.7"}
    assert not [code for code in others if f" {code} " in own]
    assert (await ward.get("/console/access/who.csv?field=phone&header=codes")).status == 403


@pytest.mark.parametrize("asked", ["Điện thoại", "so dien thoai", "Số điện thoại"])
async def test_a_field_is_found_by_its_vietnamese_title(people: Desk, asked: str) -> None:
    """The page also says who hands it in as files, and who may open stored messages."""
    lan = await people.signed_in("lan", Role.OFFICER)
    by_title = (await lan.get(f"/console/access/who?{urlencode({'field': asked})}")).body.decode()
    assert "ServiceRequest.<wbr>phone" in by_title or "ServiceRequest.phone" in by_title
    assert "info[]" in by_title and "found by description" in by_title
    text = Reader(by_title.encode()).text
    assert "may open stored messages" in text and "Name of lan" in text
    assert "hands it in as files" in text and "so-lieu" in text


async def test_the_matrix_of_an_agency_and_of_then(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.AUDITOR)
    text = Reader((await lan.get("/console/access/matrix?agency=H14.7")).body).text
    assert "getValue" in text and "IndicatorValue" in text
    assert "registry.no-history" in Reader((await lan.get("/console/access/matrix?at=2020-01-01")).body).text
    assert (await lan.get("/console/access/matrix?at=yesterday")).status == 400
    ward = await people.signed_in("phuong", Role.AGENCY, agency="H14.7")
    foreign = Reader((await ward.get("/console/access/matrix?agency=H14.0")).body).text
    assert "H14.0" not in foreign


async def test_grants_their_history_and_what_changed(people: Desk) -> None:
    name = await proposed(people)
    lan = await people.signed_in(ONE, Role.OFFICER)
    given = {"officer": ONE, "signature": by_key(people, name, ONE)}
    await lan.post(f"{PROPOSALS}/{name}", **given)
    assert name in Reader((await lan.get("/console/access/grants")).body).text
    history = Reader((await lan.get(f"/console/access/grants/{name}")).body).text
    assert "H14.0/binh" in history and f"signed by {ONE}" in history
    assert (await lan.get("/console/access/grants/G-7777")).status == 404
    people.world.sequence()
    changed = Reader((await lan.get("/console/access/changes?since=2026-01-01")).body).text
    assert name in changed and "binh" in changed and ONE in changed
    given = {"officer": TWO, "signature": by_key(people, name, TWO)}
    await lan.post(f"{PROPOSALS}/{name}", **given)
    assert (await lan.post(f"/console/access/grants/{name}/revoke", reason="The purpose has ended.")).status == 303
    over = Reader((await lan.get(f"/console/access/grants/{name}")).body).text
    assert "waits for officers" in over and "active" in over and "revoked" in over
    with writing(people.world.engine) as connection:
        facts: dict[str, Any] = {
            "changed": [{"name": "stamp_url", "from": "", "to": "https://tsa.example"}],
            "seen": "0",
        }
        append(connection, [entries.note("settings", facts, people.now(), actor="vm")])
    people.world.sequence()
    month = f"{datetime.fromtimestamp(people.now(), VIETNAM):%Y-%m}"
    for query, there in ((month, True), ("2020-01", False)):
        page = Reader((await lan.get(f"/console/access/changes?month={query}")).body).text
        assert (name in page) is there and ("https://tsa.example" in page) is there
    ward = await people.signed_in("phuong", Role.AGENCY, agency="H14.7")
    assert (await ward.get("/console/access/changes")).status == 403
    assert (await lan.get("/console/access/changes?since=never")).status == 400


def statement(page: bytes) -> str:
    """The text of the page's form."""
    text = page.decode().split('<textarea id="statement"')[1].partition(">")[2].partition("</textarea>")[0]
    return text.replace("&#34;", '"')


def found(desk: Desk) -> tuple[list[str], int]:
    wrong = Findings()
    with desk.world.engine.connect() as connection:
        check_reviews(connection, wrong)
    return wrong.wrong, wrong.checked["reviews of access"]


def test_the_first_entries_of_a_log_are_told() -> None:
    sealed = {"changes": 115, "registry": {"revision": 48, "rows": {"agency": {"H14.0": "x", "H14.2": "y"}}}}
    assert detail_of("registry", sealed) == "sealed as it stood, revision 48: 2 rows"
    assert detail_of("settings", {"changed": [], "seen": "0"}) == "the settings of the first start"


async def reviewed(person: Person, text: str, **changes: Any) -> Any:
    signature = approve(text.encode(), ONE, private_pem(OFFICERS[ONE]))
    return await person.post(REVIEWS, **{"statement": text, "officer": ONE, "signature": signature, **changes})


async def test_a_review_is_signed_recorded_verified_and_due_again(people: Desk) -> None:
    an = await signer(people)  # a change, so there is a history
    page = (await an.person.get(REVIEWS)).body
    asked, text = options(page), statement(page)
    assert asked["challenge"] == jws.encoded(challenge(text.encode(), TYPE)).decode()
    answer = await an.person.post(REVIEWS, statement=text, credential=an.device.get(asked))
    assert answer.status == 303, answer.body.decode()
    assert (await reviewed(an.person, statement((await an.person.get(REVIEWS)).body))).status == 303
    assert found(people) == ([], 2)
    kept = notes(people, reviews.KIND)
    assert [dict(each["facts"])["officer"] for each in kept] == [ONE, ONE]  # type: ignore[call-overload]
    people.world.sequence()
    assert ONE in Reader((await an.person.get(REVIEWS)).body).text
    settings = people.world.services.settings
    with people.world.engine.connect() as connection:
        for later, there in ((reviews.EVERY - 60, False), (reviews.EVERY + 60, True)):
            codes = [each.kind.code for each in examine(settings, connection, people.now() + later)]
            assert ("access.review-due" in codes) is there


async def test_a_review_of_something_else_is_not_recorded(people: Desk) -> None:
    an = await signer(people)
    text = statement((await an.person.get(REVIEWS)).body)
    value = json.loads(text)
    for changed in (
        {**value, "matrix": "0" * 64},
        {**value, "registry": 1},
        {**value, "registry": value["registry"] + 1},
        {**value, "instance": "elsewhere"},
        {**value, "at": "2020-01-01T00:00:00.000Z"},
        {**value, "more": "x"},
    ):
        other = json.dumps(changed, separators=(",", ":"), sort_keys=True)
        assert (await reviewed(an.person, other)).status in (404, 409, 503), changed
    assert (await reviewed(an.person, text, officer=TWO)).status == 422
    assert (await reviewed(an.person, text, signature="x")).status == 422
    assert found(people) == ([], 0)


@pytest.mark.attack("console: a recorded review altered later")
@pytest.mark.parametrize("what", ["matrix", "signature", "officer", "registry"])
async def test_a_review_that_was_altered_later_is_found(people: Desk, what: str) -> None:
    an = await signer(people)
    assert (await reviewed(an.person, statement((await an.person.get(REVIEWS)).body))).status == 303
    table = tables.log_pending
    with writing(people.world.engine) as connection:
        row = connection.execute(table.select().where(table.c.phase == reviews.KIND)).one()
        entry = json.loads(row.entry)
        facts, value = entry["facts"], json.loads(entry["facts"]["statement"])
        if what in value:
            value[what] = 1 if what == "registry" else "0" * 64
            text = json.dumps(value, separators=(",", ":"), sort_keys=True)
            facts["statement"], facts["signature"] = text, approve(text.encode(), ONE, private_pem(OFFICERS[ONE]))
        else:
            facts[what] = TWO
        connection.execute(update(table).where(table.c.id == row.id).values(entry=json.dumps(entry).encode()))
    wrong, count = found(people)
    assert len(wrong) == 1 and "a review of access" in wrong[0] and count == 1
