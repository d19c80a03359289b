"""One transfer in pages: journey, why it was refused, its message, proofs; who sees what, and what is in the log."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from contracts.base.ids import new_id
from gateway.console.roles import Role
from gateway.console.work import messages, openings
from gateway.console.work.openings import Body
from security.transparency import entry as form
from security.transparency.checkpoint import NoteKey, verify
from security.transparency.merkle import verify_inclusion
from tests.console.officer import ALERTS, SECRET, Story
from tests.console.people import Desk, Person, Reader
from tests.console.test_signing_in import notes

FINDING = {
    "here": "chiTiet[0].mucKhan",
    "canonical": "info[].urgency",
    "got": "text of 3 characters",
    "rule": "code",
    "expected": "one of Past",
}
REASON = "Kiem tra theo don thu"
STRANGER_OF_ALERTS = form.Caller("H14.6", "bao-chay")
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


@pytest.fixture
def story(people: Desk) -> Story:
    return Story(people)


async def page_of(person: Person, target: str) -> str:
    answer = await person.get(target)
    assert answer.status == 200, answer.body.decode()
    return Reader(answer.body).text


async def test_a_journey_tells_each_step_in_a_sentence(people: Desk, story: Story) -> None:
    id = story.alert()
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    english = await page_of(lan, f"/console/transfers/{id}")
    for part in (
        "The request was accepted under grant G-0002",
        "It ended well, with status 200",
        "State: accepted, and in the feed.",
        "bao-chay.sign-1",
        "request",
        "canonical",
        "Receipt, Request accepted intent",
    ):
        assert part in english, part
    lan.language = "vi"
    assert "Yêu cầu được tiếp nhận theo quyền G-0002" in await page_of(lan, f"/console/transfers/{id}")
    assert SECRET not in english


async def test_pending_entries_and_unknown_ids(people: Desk, story: Story) -> None:
    id = story.alert()
    lan = await people.signed_in("lan", Role.OFFICER)
    assert "no number yet" in await page_of(lan, f"/console/transfers/{id}")
    for other in (new_id(0), "x", "..%2f", "'%20or%201=1"):
        answer = await lan.get(f"/console/transfers/{other}")
        assert answer.status == 404 and b"console.no-page" in answer.body


async def test_an_agency_sees_its_own_transfers_only(people: Desk, story: Story) -> None:
    id, refused = story.alert(), story.refused()
    story.settle()
    own = await people.signed_in("huong", Role.AGENCY, agency="H14.6")
    other = await people.signed_in("binh", Role.AGENCY, agency="H14.7")
    for below in ("", "/message", "/proof", "/proof.json", "/receipt"):
        assert (await own.get(f"/console/transfers/{id}{below}")).status == 200
        unknown = await other.get(f"/console/transfers/{new_id(0)}{below}")
        hidden = await other.get(f"/console/transfers/{id}{below}")
        assert hidden.status == unknown.status == 404
        assert hidden.body.count(b"console.no-page") == unknown.body.count(b"console.no-page") == 1
        assert (await own.get(f"/console/transfers/{refused}{below}")).status == 404
        assert (await other.get(f"/console/transfers/{refused}{below}")).status == 200


async def test_notes_of_others_about_a_transfer_are_not_for_its_agency(people: Desk, story: Story) -> None:
    """A package that somebody asked for: its reason is not the agency's business; who read its message is."""
    id = story.alert()
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    assert (await lan.post(f"/console/transfers/{id}/package", reason="Dieu tra noi bo A1")).status == 200
    assert (await lan.post(f"/console/transfers/{id}/message", reason=REASON, parts="canonical")).status == 303
    story.settle()
    own = await people.signed_in("huong", Role.AGENCY, agency="H14.6")
    seen = await page_of(own, f"/console/transfers/{id}")
    assert "Dieu tra noi bo" not in seen and REASON in seen
    assert "Dieu tra noi bo" in await page_of(lan, f"/console/transfers/{id}")
    archive = zipfile.ZipFile(io.BytesIO((await own.get(f"/console/transfers/{id}/proof")).body))
    assert {name.split("/")[1] for name in archive.namelist()} == {
        *("by-hand.sh", "entries", "log", "proof.json", "README.md", "README.vi.md"),
    }
    assert not any("body-view" in name for name in archive.namelist())


# --- why refused ------------------------------------------------------------------------------------------------------
async def test_a_refusal_names_rule_grant_and_the_request_to_draft(people: Desk, story: Story) -> None:
    id = story.refused()
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    answer = await lan.get(f"/console/transfers/{id}")
    page = Reader(answer.body)
    for part in (
        "access.no-contract",
        "Agency H14.7 holds other grants, but none for incident-alert/v1",
        "no-contract",
    ):
        assert part in page.text, part
    assert "as the log says" in page.text and "Nearest grant" in page.text
    (draft,) = [each for each in page.links if "/access/proposals/new" in each]
    given = parse_qs(urlsplit(draft).query)
    assert given == {
        "agency": ["H14.7"],
        "contract": [ALERTS],
        "operations": ["submitAlert"],
        "fields": ["* !@personal"],
        "transfer": [id],
    }
    operator = await people.signed_in("minh", Role.OPERATOR)
    assert "/access/proposals/new" not in (await operator.get(f"/console/transfers/{id}")).body.decode()


async def test_a_refused_message_names_its_fields(people: Desk, story: Story) -> None:
    id = story.refused("message.invalid", caller=STRANGER_OF_ALERTS, findings=(FINDING,), more=3)
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    page = await page_of(lan, f"/console/transfers/{id}")
    for part in ("chiTiet[0].mucKhan", "info[].urgency", "code", "one of Past", "text of 3 characters", "3"):
        assert part in page, part
    assert "The grants allowed the call. Another check refused it." in page and "Draft the request" not in page


async def test_a_receiver_without_a_grant(people: Desk, story: Story) -> None:
    id = story.refused("route.not-granted", caller=STRANGER_OF_ALERTS, provider="dieu-hanh")
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    page = Reader((await lan.get(f"/console/transfers/{id}")).body)
    (draft,) = [each for each in page.links if "/access/proposals/new" in each]
    given = parse_qs(urlsplit(draft).query)
    assert given["receives"] == ["1"] and given["agency"] == ["H14.0"]


async def test_refusals_before_grants_and_of_lost_revisions(people: Desk, story: Story) -> None:
    nobody = story.refused("channel.no-certificate", caller=None, source="192.0.2.9", contract=None, operation=None)
    lost, strange = story.refused(registry=None), story.refused(contract="khong-co/v1")
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    page = await page_of(lan, f"/console/transfers/{nobody}")
    assert "192.0.2.9" in page and "before any grant was asked" in page
    assert "is not known any more" in await page_of(lan, f"/console/transfers/{lost}")
    assert "The registry had no such contract" in await page_of(lan, f"/console/transfers/{strange}")


# --- the message ------------------------------------------------------------------------------------------------------
async def test_a_closed_message_shows_paths_and_marks_alone(people: Desk, story: Story) -> None:
    id = story.alert()
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    page = await page_of(lan, f"/console/transfers/{id}/message")
    assert "personal chiTiet[].lienHe info[].contact" in page.replace(". ", "."), page
    assert SECRET not in page and "Open the content" in page
    assert notes(people, "body-view") == []
    centre = await people.signed_in("tam", Role.CENTRE, agency="H14.6")
    assert "Open the content" not in await page_of(centre, f"/console/transfers/{id}/message")
    assert (await centre.post(f"/console/transfers/{id}/message", reason=REASON, parts="request")).status == 403


async def test_a_message_is_opened_with_a_reason_for_five_minutes(people: Desk, story: Story) -> None:
    id = story.alert()
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    target = f"/console/transfers/{id}/message"
    for wrong in ({"reason": "ngan", "parts": "request"}, {"reason": REASON}, {"reason": REASON, "parts": "salt"}):
        assert (await lan.post(target, **wrong)).status == 400
    assert (await lan.post(target, reason=REASON, parts="forwarded")).status == 404
    assert notes(people, "body-view") == []
    moved = await lan.post(target, reason=REASON, parts="request\ncanonical")
    assert moved.status == 303
    seen = [(each["transfer"], each["facts"]) for each in notes(people, "body-view")]
    assert [transfer for transfer, _ in seen] == [id, id]
    assert [(dict(facts)["part"], dict(facts)["reason"]) for _, facts in seen] == [  # type: ignore[call-overload]
        ("request", REASON),
        ("canonical", REASON),
    ]
    assert all(str(each["actor"]).startswith("H14.0/lan: console, totp ") for each in notes(people, "body-view"))
    opened = moved.headers["location"]
    page = await page_of(lan, opened)
    joined = page.replace(". ", ".")
    assert f"personal chiTiet[].lienHe {SECRET} info[].contact {SECRET}" in joined, page
    assert "6 · 3" in page and "Fire · Safety" in page
    assert "geheim" not in page and "Lgsp-Salt" not in page
    assert len(notes(people, "body-view")) == 2
    people.moved += openings.OPEN_SECONDS - 2
    assert (await lan.get(opened)).status == 200
    people.moved += 3
    closed = await lan.get(opened)
    assert closed.status == 403 and b"console.body-closed" in closed.body and SECRET.encode() not in closed.body


@pytest.mark.attack("a body without its reason")
async def test_an_opening_is_of_its_session_transfer_parts_and_time(people: Desk, story: Story) -> None:
    id, other = story.alert(), story.alert("BC-2")
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    minh = await people.signed_in("minh", Role.OFFICER)
    opened = (await lan.post(f"/console/transfers/{id}/message", reason=REASON, parts="answer")).headers["location"]
    assert (await lan.get(opened)).status == 200
    again = await people.sign_in_anew("lan")
    forged = {
        "another person": (minh, opened),
        "another session": (again, opened),
        "another transfer": (lan, opened.replace(id, other)),
        "another part": (lan, opened.replace("parts=answer", "parts=request")),
        "more parts": (lan, opened.replace("parts=answer", "parts=answer+request")),
        "later": (lan, re.sub(r"until=(\d+)", lambda found: f"until={int(found[1]) + 600}", opened)),
        "no code": (lan, opened.partition("&code")[0]),
        "nothing": (lan, opened.partition("?")[0]),
        "odd digits": (lan, re.sub(r"until=\d+", "until=%D9%A1", opened)),
    }
    for what, (person, address) in forged.items():
        answer = await person.get(address)
        assert answer.status == 403 and b"console.body-closed" in answer.body, what
        assert SECRET.encode() not in answer.body


async def test_a_body_whose_key_was_destroyed(people: Desk, story: Story) -> None:
    id = story.alert()
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    opened = (await lan.post(f"/console/transfers/{id}/message", reason=REASON, parts="answer")).headers["location"]
    folder: Path = people.world.services.settings.vault_keys
    for each in folder.iterdir():
        each.unlink() if each.is_file() else shutil.rmtree(each)
    page = await page_of(lan, opened)
    assert "vault." in page
    assert (await lan.post(f"/console/transfers/{id}/message", reason=REASON, parts="answer")).status >= 400


@pytest.mark.attack("XSS by what component systems send")
async def test_hostile_strings_are_text(people: Desk, story: Story) -> None:
    bad = {**FINDING, "here": HOSTILE, "canonical": HOSTILE, "got": HOSTILE, "expected": HOSTILE, "rule": HOSTILE}
    refused = story.refused("message.invalid", findings=(bad,), nearest=HOSTILE, provider=HOSTILE)
    unknown = story.refused(HOSTILE, caller=None, source=HOSTILE, contract=HOSTILE, operation=HOSTILE)
    id = story.alert(HOSTILE, canonical=json.dumps({"identifier": HOSTILE, HOSTILE: HOSTILE}).encode())
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    moved = await lan.post(f"/console/transfers/{id}/message", reason=HOSTILE, parts="canonical")
    targets = [f"/console/transfers/{each}" for each in (refused, unknown, id)]
    targets += [moved.headers["location"], f"/console/transfers/{id}/message", f"/console/transfers/{refused}/receipt"]
    for target in [*targets, "/console/search", "/console"]:
        body = (await lan.get(target)).body.decode()
        assert "<script>alert" not in body and "<img src=x" not in body, target
    assert "&lt;script&gt;" in (await lan.get(targets[0])).body.decode()


# --- proofs -----------------------------------------------------------------------------------------------------------
async def test_a_proof_leads_from_each_entry_to_a_signed_checkpoint(people: Desk, story: Story, tmp_path: Path) -> None:
    id = story.alert()
    lan = await people.signed_in("lan", Role.OFFICER)
    assert (await lan.get(f"/console/transfers/{id}/proof")).status == 404
    story.settle()
    answer = await lan.get(f"/console/transfers/{id}/proof")
    assert answer.headers["content-type"] == "application/zip" and id in answer.headers["content-disposition"]
    zipfile.ZipFile(io.BytesIO(answer.body)).extractall(tmp_path)
    folder = tmp_path / f"proof-{id}"
    value = json.loads((folder / "proof.json").read_text())
    assert value == (await lan.get(f"/console/transfers/{id}/proof.json")).json
    key = NoteKey.from_text((folder / "log/log.vkey").read_text().strip())
    checkpoint = verify(value["checkpoint"], key, origin=key.name)
    assert [each["phase"] for each in value["entries"]] == ["intent", "outcome"]
    for each in value["entries"]:
        hashes = [base64.b64decode(one) for one in each["proof"]]
        verify_inclusion(base64.b64decode(each["leaf"]), each["index"], checkpoint.size, hashes, checkpoint.root)
    files = sorted((folder / "entries").glob("*.json"))
    assert len(files) == 2
    if tool := shutil.which("spicy-litetlog"):
        for file in files:
            subprocess.run(
                [tool, "-verify", (folder / "log/log.vkey").read_text().strip(), str(file)],
                check=True,
                capture_output=True,
            )


async def test_the_text_of_a_receipt_is_checked_by_the_lines_on_its_page(
    people: Desk, story: Story, tmp_path: Path
) -> None:
    id = story.alert()
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    body = (await lan.get(f"/console/transfers/{id}/receipt")).body.decode()
    assert body.count("<svg") == 2 and body.count('class="qr"') == 2
    texts = [each for each in re.findall(r'<pre tabindex="0">(.*?)</pre>', body, re.DOTALL) if "index " in each]
    text = html.unescape(texts[1])
    entry, _, proof = text.partition("\n")
    assert json.loads(entry)["transfer"] == id and proof.startswith("index ")
    (tmp_path / "entry.json").write_text(entry)
    (tmp_path / "entry.json.spicy").write_text(proof)
    (tmp_path / "receipt.txt").write_text(text)
    if tool := shutil.which("spicy-litetlog"):
        vkey = (people.world.services.settings.data / "log" / "log.vkey").read_text().strip()
        subprocess.run([tool, "-verify", vkey, str(tmp_path / "entry.json")], check=True, capture_output=True)


async def test_a_package_is_in_the_log_before_it_leaves(people: Desk, story: Story) -> None:
    id = story.alert()
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    target = f"/console/transfers/{id}/package"
    assert (await lan.post(target, reason="ngan")).status == 400 and notes(people, "package") == []
    answer = await lan.post(target, reason=REASON)
    assert answer.status == 200
    (note,) = notes(people, "package")
    assert note["facts"] == {"transfer": id, "reason": REASON} and str(note["actor"]).startswith("H14.0/lan: ")
    names = {name.partition("/")[2] for name in zipfile.ZipFile(io.BytesIO(answer.body)).namelist()}
    assert {"manifest.json", "check.pyz", "messages/request.http", "log/checkpoint"} <= names
    operator = await people.signed_in("minh", Role.OPERATOR)
    assert (await operator.post(target, reason=REASON)).status == 403


# --- within a filter --------------------------------------------------------------------------------------------------
async def test_previous_and_next_stay_in_the_filter(people: Desk, story: Story) -> None:
    ids = []
    for number in range(3):
        ids.append(story.refused(ago=90 - number))
        story.alert(f"BC-{number}", ago=90 - number)
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    listed = Reader((await lan.get("/console/search?outcome=refused")).body).links
    address = next(each for each in listed if ids[1] in each)
    page = Reader((await lan.get(address)).body)
    beside = [each for each in page.links if "/console/transfers/" in each and "at=" in each]
    assert [ids[0] in beside[0], ids[2] in beside[1]] == [True, True], "the left one is earlier, the right one later"
    assert page.text.index("Earlier transfer") < page.text.index("Later transfer")
    first = Reader((await lan.get(beside[0])).body)
    assert [each for each in first.links if "at=" in each and "/transfers/" in each and ids[1] not in each] == []
    oldest = address.replace("outcome=refused", "outcome=refused&order=oldest")
    turned = [each for each in Reader((await lan.get(oldest)).body).links if "at=" in each and "/transfers/" in each]
    assert [ids[0] in turned[0], ids[2] in turned[1]] == [True, True], "in time, whatever the list's order"


SOAP = """POST / HTTP/1.1\r\ncontent-type: text/xml\r\n\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">
<s:Header><h>1</h></s:Header><s:Body><d:Phieu xmlns:d="urn:d" phienBan="1.2"><d:Muc khoa="a">x</d:Muc>
<d:Muc khoa="b">y</d:Muc><d:Ten>An</d:Ten></d:Phieu></s:Body></s:Envelope>"""


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("d:Phieu/d:Ten", "An"),
        ("d:Ten", "An"),
        ("d:Phieu/d:Muc[]/text()", "x · y"),
        ("d:Phieu/d:Muc[@khoa='b']", "y"),
        ("d:Phieu/@phienBan", "1.2"),
        ("d:Phieu/d:Khac", None),
    ],
)
def test_values_are_found_at_the_places_of_a_mapping_table(path: str, value: str | None) -> None:
    body = Body("forwarded", SOAP.encode(), len(SOAP.encode()))
    assert messages.value_at(body, path) == value


def test_a_body_that_cannot_be_read_has_no_values() -> None:
    for data in (b"{", b"<a><b></a>", b"\xff\xfe", b"", b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>', b"[" * 100_000):
        assert messages.value_at(Body("request", data, len(data)), "a") is None
    assert messages.value_at(Body("request", b'{"a": 1}', 9_999), "a") is None, (
        "a part of a body is not read as a whole"
    )
    assert messages.value_at(Body("request", b'{"a": [true, null, 1.50]}', 25), "a[]") == "true · null · 1.50"
