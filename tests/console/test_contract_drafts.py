"""A contract is published by two persons: what each sees, who may confirm, and what a confirmation is bound to."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest
from sqlalchemy import select, update

from contracts.folder.bundle import Bundle
from gateway.console.accounts import store
from gateway.console.roles import Role
from gateway.console.work import draft_rows, drafts
from gateway.journal.database import writing
from gateway.journal.schema.console_tables import console_draft
from gateway.registry import versions
from tests.console.people import Desk, Person, Reader
from tests.console.test_signing_in import notes
from tests.console.zipping import upload, zipped
from tests.registry.editions import NAME, Edit, answer_field, edition, put, swap, unplaced

DRAFTS = "/console/contracts/drafts"
REASON = "agreed with the statistics office"
NEXT = edition("1.4.0", answer_field("source"))
SHOWS = edition(
    "1.5.0",
    answer_field("cccd"),
    swap(
        "schema.json",
        '"cccd": {"type": "string"}',
        '"cccd": {"type": "string", "personal": "basic", "absentable": true}',
    ),
)
FIELDS = ["IndicatorValue.cccd", "IndicatorValues.values[].cccd"]


def camera(version: str, *edits: Edit) -> Bundle:
    """One that is checked quickly."""
    return edition(version, *edits, contract="camera-event")


async def checked(person: Person, bundle: Bundle = NEXT, folder: str = "indicator/v1") -> str:
    """The address of a draft that was uploaded."""
    answer = await upload(person, f"{DRAFTS}/new", "archive", zipped(bundle.files, folder))
    assert answer.status == 303, Reader(answer.body).text
    return answer.headers["location"]


async def handed_in(person: Person, bundle: Bundle = NEXT, **more: Any) -> str:
    at = await checked(person, bundle)
    answer = await person.post(f"{at}/hand-in", reason=REASON, **more)
    assert answer.status == 303, Reader(answer.body).text
    return at


async def digest(person: Person, at: str) -> str:
    """Of the form by which somebody confirms; empty if the page has none."""
    found = re.search(r'name="digest" value="([0-9a-f]{64})"', (await person.get(at)).body.decode())
    return found[1] if found else ""


def in_force(people: Desk) -> str:
    with people.world.engine.connect() as connection:
        return versions.in_force(connection)[NAME].version


async def test_one_hands_in_another_confirms_and_the_log_names_both(people: Desk) -> None:
    tu, lan = await people.signed_in("tu", Role.STEWARD), await people.signed_in("lan", Role.OFFICER)
    at = await checked(tu)
    page = Reader((await tu.get(at)).body).text
    assert "nothing to mend" in page and "1.3.0" in page and "source" in page and "schema.field-added" in page
    assert (await lan.get(at)).status == 404, "what is not handed in is its maker's alone"
    assert notes(people, "contract-draft") == []
    assert (await tu.post(f"{at}/hand-in", reason=REASON)).status == 303
    (entry,) = notes(people, "contract-draft")
    facts: Any = entry["facts"]
    assert facts["bundle"] == NEXT.digest and facts["reason"] == REASON and str(entry["actor"]).startswith("H14.0/tu")
    assert in_force(people) == "1.3.0"
    assert "Contracts to confirm" in Reader((await lan.get("/console")).body).text
    assert "Contracts to confirm" not in Reader((await tu.get("/console")).body).text
    page = Reader((await lan.get(at)).body).text
    assert REASON in page and NEXT.digest in page and "schema.field-added" in page and "nothing to mend" in page
    answer = await lan.post(f"{at}/confirm", digest=await digest(lan, at))
    assert answer.status == 303 and in_force(people) == "1.4.0"
    (entry,) = notes(people, "contract")
    facts = entry["facts"]
    assert str(entry["actor"]).startswith("H14.0/lan") and facts["drafted_by"].startswith("H14.0/tu")
    assert (facts["version"], facts["bundle"], facts["reason"]) == ("1.4.0", NEXT.digest, REASON)
    assert "published" in Reader((await tu.get(at)).body).text
    assert (await lan.post(f"{at}/confirm", digest="0" * 64)).status == 409, "once"
    assert people.services.registry.snapshot.contracts[NAME].contract.version == "1.4.0"


async def test_nobody_confirms_his_own_draft(people: Desk) -> None:
    """With all roles, in another session, under whatever form."""
    tu = await people.signed_in("tu", *Role)
    at = await handed_in(tu)
    assert await digest(tu, at) == ""
    lan = await people.signed_in("lan", Role.OFFICER)
    shown = await digest(lan, at)
    again = await people.sign_in_anew("tu")
    for person in (tu, again):
        answer = await person.post(f"{at}/confirm", digest=shown)
        assert answer.status == 403 and b"draft.own" in answer.body
    assert in_force(people) == "1.3.0" and notes(people, "contract") == []


async def test_the_second_confirms_exactly_what_was_shown(people: Desk) -> None:
    """Other bytes, other accepted fields, another version in force: nothing is published."""
    tu, lan = await people.signed_in("tu", Role.STEWARD), await people.signed_in("lan", Role.STEWARD)
    at = await handed_in(tu)
    shown, id = await digest(lan, at), at.rpartition("/")[2]
    other = edition("1.4.0", answer_field("email"))
    row = console_draft
    for values in (
        {"content": other.to_bytes()},
        {"content": other.to_bytes(), "bundle": other.digest},
        {"accepted": '["IndicatorValue.cccd"]'},
        {"reason": "another reason"},
    ):
        with writing(people.world.engine) as connection:
            before = connection.execute(select(row).where(row.c.id == id)).mappings().one()
            connection.execute(update(row).where(row.c.id == id).values(**values))
        answer = await lan.post(f"{at}/confirm", digest=shown)
        code = b"draft.other" if list(values) == ["content"] else b"draft.altered"
        assert answer.status == 409 and code in answer.body, values
        assert (await lan.get(at)).status == (409 if set(values) == {"content"} else 200), values
        with writing(people.world.engine) as connection:
            connection.execute(update(row).where(row.c.id == id).values(**{name: before[name] for name in values}))
    with writing(people.world.engine) as connection:
        put(connection, edition("1.3.1"))
    assert (await lan.post(f"{at}/confirm", digest=shown)).status == 409
    with people.world.engine.connect() as connection:
        found = draft_rows.find(connection, id)
        assert found is not None
        forged = drafts._digest(connection, found)
    answer = await lan.post(f"{at}/confirm", digest=forged)
    assert answer.status == 409 and b"draft.other" in answer.body, "it was checked against another version"
    assert await digest(lan, at) == "" and "differs from the page" in Reader((await lan.get(at)).body).text
    assert in_force(people) == "1.3.1"


async def test_a_draft_ends_and_so_does_its_makers_word(people: Desk) -> None:
    tu, lan = await people.signed_in("tu", Role.STEWARD), await people.signed_in("lan", Role.OFFICER)
    at = await handed_in(tu)
    shown = await digest(lan, at)
    with people.changing() as change:
        store.set_active(change, "tu", False)
    answer = await lan.post(f"{at}/confirm", digest=shown)
    assert answer.status == 403 and b"draft.maker" in answer.body
    with people.changing() as change:
        store.set_active(change, "tu", True)
    people.moved += draft_rows.WAITING_SECONDS + 1
    lan = await people.sign_in("lan")
    answer = await lan.post(f"{at}/confirm", digest=shown)
    assert answer.status == 409 and b"draft.closed" in answer.body and await digest(lan, at) == ""
    assert "ended unused" in Reader((await lan.get(at)).body).text and in_force(people) == "1.3.0"


async def test_a_draft_is_rejected_by_another_and_withdrawn_by_its_maker(people: Desk) -> None:
    tu, lan = await people.signed_in("tu", Role.STEWARD), await people.signed_in("lan", Role.OFFICER)
    for person, how in ((lan, "rejected"), (tu, "withdrawn")):
        at = await handed_in(tu)
        assert (await person.post(f"{at}/reject", reason="short")).status == 400
        assert (await person.post(f"{at}/reject", reason="not agreed with anybody")).status == 303
        page = Reader((await tu.get(at)).body).text
        assert how in page and "not agreed with anybody" in page
        assert (await lan.post(f"{at}/confirm", digest="0" * 64)).status == 409
    told = [each["facts"]["how"] for each in notes(people, "contract-draft")]  # type: ignore[index]
    assert told == ["handed in", "rejected", "handed in", "withdrawn"]
    with people.world.engine.connect() as connection:
        assert connection.scalars(select(console_draft.c.content)).all() == [None, None]


async def test_what_cannot_be_published_is_told_with_its_places_and_kept_nowhere(people: Desk) -> None:
    tu = await people.signed_in("tu", Role.STEWARD)
    broken = swap("systems/vms-json.yaml", "canonical: description", "canonical: descriptions")
    shorter = swap("schema.json", '"maxLength": 2000', '"maxLength": 20')
    for bundle, words in (
        (camera("1.2.0", broken), ("Places to mend", "systems/vms-json.yaml:", "descriptions")),
        (camera("1.2.0", shorter), ("contract.breaking", "schema.bounds-narrowed", "schema.json:", "be handed in")),
        (camera("1.1.2", unplaced("CameraEvent", "more")), ("contract.small-step", "1.2.0", "schema.field-added")),
        (camera("1.0.0"), ("contract.version-low", "1.1.1")),
        (camera("1.1.1"), ("draft.nothing",)),
    ):
        answer = await upload(tu, f"{DRAFTS}/new", "archive", zipped(bundle.files, "v1"))
        page = Reader(answer.body).text
        assert answer.status == 422 and all(word in page for word in words), (words, page)
    answer = await upload(tu, f"{DRAFTS}/new", "archive", zipped(camera("1.2.0").files, "v2"))
    assert answer.status == 422 and "a folder v1" in Reader(answer.body).text
    with people.world.engine.connect() as connection:
        assert connection.execute(select(console_draft)).all() == []


async def test_personal_fields_are_accepted_by_both(people: Desk) -> None:
    tu, lan = await people.signed_in("tu", Role.STEWARD), await people.signed_in("lan", Role.OFFICER)
    at = await checked(tu, SHOWS)
    page = (await tu.get(at)).body.decode().replace("<wbr>", "")
    assert all(each in page for each in (*FIELDS, "G-0005", "H14.0"))
    for some in ([], FIELDS[:1], ["IndicatorValue.note"]):
        answer = await tu.post(f"{at}/hand-in", reason=REASON, accepts=some)
        assert answer.status == 409 and b"contract.discloses" in answer.body, some
    assert (await tu.post(f"{at}/hand-in", reason=REASON, accepts=FIELDS)).status == 303
    page = (await lan.get(at)).body.decode().replace("<wbr>", "")
    assert all(each in page for each in (*FIELDS, "G-0005"))
    assert (await lan.post(f"{at}/confirm", digest=await digest(lan, at))).status == 303
    facts: Any = notes(people, "contract")[0]["facts"]
    assert [each["field"] for each in facts["discloses"]] == FIELDS and in_force(people) == "1.5.0"


async def test_a_roll_back_takes_two_as_well(people: Desk) -> None:
    tu, lan = await people.signed_in("tu", Role.STEWARD), await people.signed_in("lan", Role.OFFICER)
    answer = await tu.post(f"/console/contracts/{NAME}/roll-back")
    assert answer.status == 409 and b"contract.no-older" in answer.body
    with writing(people.world.engine) as connection:
        put(connection, NEXT)
    at = (await tu.post(f"/console/contracts/{NAME}/roll-back")).headers["location"]
    assert "schema.field-removed" in Reader((await tu.get(at)).body).text
    assert (await tu.post(f"{at}/hand-in", reason=REASON)).status == 303 and in_force(people) == "1.4.0"
    assert (await lan.post(f"{at}/confirm", digest=await digest(lan, at))).status == 303
    facts: Any = notes(people, "contract")[0]["facts"]
    assert in_force(people) == "1.3.0" and facts["how"] == "rolled back" and facts["drafted_by"].startswith("H14.0/tu")


async def test_waiting_drafts_are_bounded(people: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft_rows, "MOST_WAITING", 1)
    tu = await people.signed_in("tu", Role.STEWARD)
    first = await checked(tu)
    second = await checked(tu)
    assert (await tu.get(first)).status == 404, "one checked draft of a person"
    assert (await tu.post(f"{second}/hand-in", reason=REASON)).status == 303
    answer = await upload(tu, f"{DRAFTS}/new", "archive", zipped(NEXT.files))
    assert answer.status == 409 and b"draft.many" in answer.body


async def test_one_contract_is_checked_at_a_time(people: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "WAIT_SECONDS", 0.0)
    tu = await people.signed_in("tu", Role.STEWARD)
    with drafts._checking:
        answer = await upload(tu, f"{DRAFTS}/new", "archive", zipped(camera("1.2.0").files))
        assert answer.status == 429 and b"draft.busy" in answer.body
    assert "/drafts/" in await checked(tu, camera("1.2.0"), "v1")


def test_the_digest_of_a_stored_bundle_is_that_of_its_bytes() -> None:
    assert NEXT.digest == "sha256:" + hashlib.sha256(NEXT.to_bytes()).hexdigest()


@pytest.mark.attack("a draft's row, changed in the database")
@pytest.mark.parametrize(
    "change",
    [{"account": "minh"}, {"accepted": '["IndicatorValue.cccd"]'}, {"reason": "another reason"}, {"expires": 9e9}],
)
async def test_a_changed_draft_is_not_published(people: Desk, change: dict[str, Any]) -> None:
    tu, lan = await people.signed_in("tu", Role.STEWARD), await people.signed_in("lan", Role.OFFICER)
    await people.signed_in("minh", Role.STEWARD)
    at, before = await handed_in(tu), in_force(people)
    with writing(people.world.engine) as connection:
        connection.execute(update(console_draft).values(**change))
    shown = await digest(lan, at)
    answer = await lan.post(f"{at}/confirm", digest=shown)
    assert answer.status == 409 and b"draft.altered" in answer.body and in_force(people) == before


@pytest.mark.attack("a draft's row, changed in the database")
async def test_a_maker_does_not_confirm_his_draft_under_another_name(people: Desk) -> None:
    tu = await people.signed_in("tu", Role.STEWARD)
    await people.signed_in("lan", Role.STEWARD)
    at, before = await handed_in(tu), in_force(people)
    with writing(people.world.engine) as connection:
        connection.execute(update(console_draft).values(account="lan"))
    answer = await tu.post(f"{at}/confirm", digest=await digest(tu, at))
    assert answer.status == 409 and b"draft.altered" in answer.body and in_force(people) == before
