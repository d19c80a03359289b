"""Transfer pages say nothing untrue: what was withheld, who acted, what a proof has, which key was revoked."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from markupsafe import Markup
from sqlalchemy import delete, insert

from gateway.audit.search.journey import of_transfer
from gateway.console.accounts import store
from gateway.console.roles import Role
from gateway.console.site.render import coded
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.journal.write import LogRow
from gateway.sandbox.instance import OFFICERS as SANDBOX_OFFICERS
from gateway.transfer import entries
from security.transparency import entry as form
from security.transparency.entry import Json
from tests.console.officer import ALERTS, Story
from tests.console.people import Desk, Reader
from tests.console.test_transfer_pages import REASON, page_of
from tests.registry.making import ENDPOINTS, OFFICERS, WHOLE, province


@pytest.fixture
def story(people: Desk) -> Story:
    return Story(people)


async def test_a_draft_never_asks_for_personal_data_by_itself(people: Desk, story: Story) -> None:
    """The near grant shows everything; the form that a refusal fills in does not."""
    id = story.refused("access.no-operation", contract="indicator/v1", operation="submitValues")
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    page = Reader((await lan.get(f"/console/transfers/{id}")).body)
    (draft,) = [each for each in page.links if "/access/proposals/new" in each]
    assert "!@personal" in parse_qs(urlsplit(draft).query)["fields"][0].split()
    form = (await lan.get("/console/access/proposals/new")).body.decode()
    assert "* !@personal" in form


async def test_a_revoked_key_is_named_with_who_revoked_it(people: Desk, story: Story) -> None:
    minh = await people.signed_in("minh", Role.OPERATOR)
    given = {"key": "canh-bao.sign-1", "code": "keyCompromise", "reason": "May bi mat cap"}
    assert (await minh.post("/console/systems/canh-bao/revoke", **given)).status == 303
    id = story.refused("signature.key-revoked", caller=form.Caller("H14.2", "canh-bao"), contract=None, operation=None)
    story.settle()
    page = await page_of(minh, f"/console/transfers/{id}")
    (told,) = re.findall(r"Revoked signing key of the caller: (.*?) The caller used", page)
    for part in ("canh-bao.sign-1", "keyCompromise", "H14.0/minh: console", "May bi mat cap"):
        assert part in told, told
    own = await people.signed_in("huong", Role.AGENCY, agency="H14.2")
    assert "H14.0/minh" not in await page_of(own, f"/console/transfers/{id}")


async def test_what_the_grant_withheld_is_not_shown_as_sent(people: Desk, story: Story) -> None:
    """The vault has the provider's whole answer. The caller got what its grant shows."""
    id = story.value()
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    target = f"/console/transfers/{id}/message"
    closed = (await lan.get(target)).body.decode()
    assert "For the caller" in closed and "The caller was not shown these fields" in closed and "G-0006" in closed
    struck = re.findall(r"<del><code>(.*?)</code></del>", closed.replace("<wbr>", ""))
    assert struck == ["responsible.name", "responsible.phone"]
    opened = (await lan.post(target, reason=REASON, parts="answer")).headers["location"]
    page = (await lan.get(opened)).body.decode().replace("<wbr>", "")
    (row,) = re.findall(r"<tr[^>]*>(?:(?!</tr>).)*responsible\.phone(?:(?!</tr>).)*</tr>", page, re.DOTALL)
    cells = row.split("<td>")[1:]
    assert "0206 000 0822" in cells[2] and "0206" not in cells[3] and "withheld" in cells[3]
    (value,) = re.findall(r"<tr[^>]*>(?:(?!</tr>).)*<code>value</code>(?:(?!</tr>).)*</tr>", page, re.DOTALL)
    assert "94.44" in value.split("<td>")[4]
    own = await people.signed_in("phuong", Role.AGENCY, agency="H14.7")
    assert (await own.get(target)).body.decode().count("<del>") == 2


async def test_the_proof_names_the_entries_that_it_has(people: Desk, story: Story) -> None:
    """A package has an entry with an id of its own. The page counts nothing that the proof lacks."""
    id = story.alert()
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    await lan.post(f"/console/transfers/{id}/package", reason=REASON)
    story.settle()
    with people.world.engine.connect() as connection:
        steps = [(each.index, each.facts.kind) for each in of_transfer(connection, id).steps]
    words = {"intent": "Request accepted", "outcome": "Transfer ended"}
    own = ", ".join(f"#{index} {words[kind]}" for index, kind in steps if kind in words)
    beside = next(f"#{index}" for index, kind in steps if kind == "package")
    text = (await page_of(lan, f"/console/transfers/{id}")).replace(" ,", ",").replace(" .", ".")
    assert f"The proof is of 2 entries, which the log's newest checkpoint covers: {own}." in text
    assert f"Not in it are entries about the transfer that have ids of their own: {beside}." in text


async def test_a_grant_leads_to_the_grant(people: Desk, story: Story) -> None:
    id = story.value()
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    links = Reader((await lan.get(f"/console/transfers/{id}")).body).links
    assert "/console/access/grants/G-0006" in links and not [each for each in links if "grant=" in each]
    page = Reader((await lan.get("/console/access/grants/G-0006")).body)
    assert "Who receives what by it" in page.text and not [each for each in page.links if "/proposals/G-" in each]
    receives = page.text.split("Who receives what by it")[1].split("History")[0]
    assert "H14.7" in receives and "getValue" in receives and "indicator" in receives
    assert "phone" not in receives, "hidden by this grant"


def test_commands_between_backticks_are_code() -> None:
    assert coded("run `lgsp <x>` now") == "run <code>lgsp &lt;x&gt;</code> now"
    assert coded(Markup("a `b` &amp; <b>c</b>")) == "a <code>b</code> &amp; <b>c</b>"
    assert coded("<`>`") == "&lt;<code>&gt;</code>"


async def test_what_is_no_transfer_is_told_in_words(people: Desk, story: Story) -> None:
    """Changes of accounts and readings of feeds: no JSON, no title of a transfer."""
    lan = await people.signed_in("lan", Role.OFFICER)
    people.add("minh", Role.OPERATOR)
    facts: dict[str, Json] = {
        "contract": ALERTS,
        "grant": "G-0004",
        "events": 200,
        "read": [[1, 100], [102, 201]],
        "owners": ["H14.2"],
    }
    with writing(people.world.engine) as connection:
        read: dict[str, Json] = {**facts, "state": "closed", "session": "s"}
        append(connection, [entries.note("feed-read", read, people.now(), actor="H14.0/dieu-hanh")])
    with people.changing() as change:
        store.set_roles(change, "minh", (Role.OPERATOR, Role.AUDITOR))
    story.settle()
    for kind, expected in (
        ("feed-read", "200 events were read, offsets 1–100, 102–201. Data of: H14.2."),
        ("console-account", "changed the roles of the account minh: operator → operator, auditor."),
    ):
        listed = Reader((await lan.get(f"/console/search?kind={kind}")).body)
        address = next(each for each in listed.links if each.startswith("/console/transfers/"))
        text = await page_of(lan, address)
        assert expected in text and '{"' not in text and "An entry of the log" in text, text
        assert "Journey of a transfer" not in text and "Package for a stranger" not in text


async def test_nobody_is_told_that_the_caller_received_the_answer(people: Desk, story: Story) -> None:
    id = story.value()
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    page = await page_of(lan, f"/console/transfers/{id}")
    assert "does not prove that the caller received it" in page and "got its answer" not in page
    assert "Nothing here proves that the caller received the answer." in page
    lan.language = "vi"
    assert "nhận được câu trả lời" not in await page_of(lan, f"/console/transfers/{id}")


@pytest.mark.parametrize(("ago", "said"), [(86_400.0, "Make it again after"), (-60.0, "after this transfer ended")])
async def test_the_page_says_whether_a_package_leaves_revocation_open(
    people: Desk, story: Story, ago: float, said: str
) -> None:
    id = story.value()
    story.settle()
    row = {"issuer": "sign", "number": 1, "this_update": people.now() - ago, "next_update": people.now() + 9e5}
    with writing(people.world.engine) as connection:
        connection.execute(delete(tables.revocation_list))
        connection.execute(insert(tables.revocation_list), {**row, "crl": b""})
    lan = await people.signed_in("lan", Role.OFFICER)
    assert said in await page_of(lan, f"/console/transfers/{id}")


async def test_a_failed_transfer_says_what_was_wrong_with_the_answer(people: Desk, story: Story) -> None:
    """As the system reads it of its own transfer: the code is kept as the reason."""
    id = story.alert(failure="provider.bad-answer")
    facts: dict[str, Json] = {"failure": "provider.bad-answer", "reason": "message.not-json", "try": 1}
    note = form.Note(id, people.now() - 30.0, "try-failed", "gateway", facts)
    with writing(people.world.engine) as connection:
        append(connection, [LogRow(*form.freeze(note))])
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    assert "The body is not JSON [message.not-json]" in await page_of(lan, f"/console/transfers/{id}")
    lan.language = "vi"
    assert "Lý do: Nội dung không phải JSON [message.not-json]" in await page_of(lan, f"/console/transfers/{id}")


async def test_a_request_that_cannot_come_into_force_says_so_before_it_is_begun(people: Desk, story: Story) -> None:
    """An officer signs no proposal of hers; here there is one other. In a sandbox there are two."""
    id = story.refused()
    story.settle()
    one = await people.signed_in("can-bo-an-toan-1", Role.OFFICER)
    lan = await people.signed_in("lan", Role.OFFICER)
    for path in (f"transfers/{id}", "access/proposals", "access/proposals/new", "access/grants/G-0001"):
        told = Reader((await one.get(f"/console/{path}")).body).text
        assert "cannot come into force now" in told and "1 of them are missing in office" in told, path
        assert "missing in office" not in Reader((await lan.get(f"/console/{path}")).body).text, path
    assert province(WHOLE, ENDPOINTS).officers is not None and len(OFFICERS) == len(SANDBOX_OFFICERS) - 1 == 2
