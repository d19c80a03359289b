"""Searching in pages: the box that takes any id, kept filters, and tables of exactly the filtered set."""

from __future__ import annotations

import base64
import csv
import io
import re
from typing import Any
from urllib.parse import urlencode

import openpyxl
import pytest

from gateway.audit.search import journey, table
from gateway.audit.search.search import reading
from gateway.console.roles import Role
from gateway.console.work import exporting, saved
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.transfer import entries
from security.transparency.entry import Json
from tests.console.officer import ALERTS, CALLER, Story
from tests.console.people import Desk, Person, Reader
from tests.console.test_signing_in import notes
from tests.doors.api.client import Answer

REASON = "Bao cao thang cho So"


@pytest.fixture
def story(people: Desk) -> Story:
    return Story(people)


async def test_the_box_takes_any_id(people: Desk, story: Story) -> None:
    id, refused = story.alert("BC-77"), story.refused()
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    key = people.world.services.registry.snapshot.keys["canh-bao.sign-1"]
    digits = bytes_of(key.thumbprint).hex()
    coloned = ":".join(digits[at : at + 2] for at in range(0, 64, 2)).upper()
    expected = {
        id: f"/console/transfers/{id}",
        id.upper(): f"/console/transfers/{id}",
        "BC-77": f"/console/transfers/{id}",
        "#0": None,
        f"#{index_of(people, refused)}": f"/console/transfers/{refused}?at=",
        "#999999": "/console/search?transfer=%23999999",
        "bao-chay": "/console/search?system=bao-chay",
        "H14.6": "/console/search?agency=H14.6",
        ALERTS: "/console/search?contract=incident-alert%2Fv1",
        "G-0002": "/console/search?grant=G-0002",
        "canh-bao.sign-1": "/console/search?system=canh-bao",
        key.thumbprint: "/console/search?system=canh-bao",
        digits: "/console/search?system=canh-bao",
        coloned: "/console/search?system=canh-bao",
        "access.no-contract": "/console/search?failure=access.no-contract",
        "khong co": "/console/search?message=khong+co",
        "Sở Tài chính": "/console/search?agency=H14.4",
        "so tai chinh": "/console/search?agency=H14.4",
        "h14.4": "/console/search?agency=H14.4",
        "Sở": "/console/search?agency=S%E1%BB%9F",
        id[-12:]: f"/console/transfers/{id}",
        refused[-12:]: f"/console/transfers/{refused}",
        f"{index_of(people, refused)}": f"/console/transfers/{refused}?at=",
        f"{key.thumbprint[:16]}…": "/console/search?system=canh-bao",
        "": "/console/search",
        "//evil.example": "/console/search?message=%2F%2Fevil.example",
    }
    for text, address in expected.items():
        answer = await people_get(lan, text)
        assert answer.status == 303, text
        if address is not None:
            assert answer.headers["location"].startswith(address), (text, answer.headers["location"])
    binh = await people.signed_in("binh", Role.AGENCY, agency="H14.7")
    hidden = await people_get(binh, f"#{index_of(people, id)}")
    assert id not in hidden.headers["location"]
    assert id not in (await people_get(binh, "BC-77")).headers["location"]
    assert id not in (await people_get(binh, id[-12:])).headers["location"]


async def test_who_did_what_is_told_truly(people: Desk, story: Story) -> None:
    """An officer's act about a transfer is his, not that of the system whose transfer it is."""
    id = story.value()
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    await lan.post(f"/console/transfers/{id}/package", reason=REASON)
    story.settle()
    page = (await lan.get("/console/search")).body.decode()
    cells = [re.split("<td[^>]*>", row) for row in page.split("<tbody>")[1].split("<tr>") if id in row]
    package, transfer = (["", *(Reader(each.encode()).text.strip() for each in row[1:])] for row in cells)
    assert package[3].startswith("H14.0/lan: console") and package[4].startswith("Package of evidence")
    assert "about the transfer of H14.7/y-te → kinh-te" in package[4]
    assert transfer[3].startswith("H14.7/y-te → kinh-te") and transfer[5].startswith("done")
    assert re.fullmatch(r"(\d+)\u2060–\u2060(\d+)", transfer[1]), "beginning and end are one line"
    alone = (await lan.get("/console/search?kind=intent")).body.decode()
    assert id in alone, "what is asked for alone is there alone"


async def test_a_filter_is_never_ignored(people: Desk, story: Story) -> None:
    """A name finds its agency; an unknown one is said to be unknown, and what a filter leaves out is said."""
    id = story.value()
    with writing(people.world.engine) as connection:
        read: dict[str, Json] = {"contract": ALERTS, "grant": "G-0004", "owners": ["H14.2"], "state": "closed"}
        append(connection, [entries.note("feed-read", read, people.now(), actor="H14.0/dieu-hanh")])
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)

    async def page(person: Person, **given: str) -> tuple[int, str]:
        answer = await person.get(f"/console/search?{urlencode(given)}")
        return answer.status, Reader(answer.body).text

    for name in ("Sở Y tế", "so y te", "h14.7"):
        assert id[-12:] in (await page(lan, agency=name))[1], name
    assert id[-12:] in (await page(lan, transfer=id[-12:]))[1]
    for given, expected in (
        ({"agency": "Sở Tài chánh"}, "H14.4 (Sở Tài chính)"),
        ({"agency": "Sở"}, "H14.4 (Sở Tài chính)"),
        ({"system": "kinh-tee"}, "kinh-te"),
        ({"kind": "intent,pakage"}, "package"),
    ):
        status, text = await page(lan, **given)
        title = "Ambiguous name" if given == {"agency": "Sở"} else "Unknown name"
        assert status == 400 and title in text and expected in text and "Nothing fits" not in text, text
    assert (await page(lan, role="owner"))[0] == 400, "a role is that of an agency"
    assert (await page(lan, outcome="fine"))[0] == 400
    status, text = await page(lan, agency="H14.2", role="owner", outcome="ok")
    assert status == 200 and "Readings of feeds and of stored content have no end of this kind" in text
    assert "Feed read" in (await page(lan, agency="H14.2", role="owner", kind="feed-read,log-read,body-view"))[1]
    assert "no message has it either" in (await page(lan, message="Sao Hoa"))[1]
    own = await people.signed_in("phuong", Role.AGENCY, agency="H14.7")
    assert id[-12:] in (await page(own, agency="Sở Y tế"))[1]
    status, text = await page(own, agency="H14.6")
    assert status == 403 and "this account sees the entries of H14.7 alone" in text and id[-12:] not in text


async def test_kept_filters_are_their_owners(people: Desk, story: Story) -> None:
    lan, minh = await people.signed_in("lan", Role.OFFICER), await people.signed_in("minh", Role.OFFICER)
    target = "/console/search/filters"
    moved = await lan.post(target, name="Từ chối <b>", outcome="refused", agency="H14.7")
    assert moved.status == 303 and "outcome=refused" in moved.headers["location"]
    page = (await lan.get("/console/search")).body.decode()
    assert "Từ chối &lt;b&gt;" in page and "agency=H14.7&amp;outcome=refused" in page
    assert "Từ chối" not in (await minh.get("/console/search")).body.decode()
    for wrong in (
        {"name": "Từ chối <b>", "outcome": "refused"},
        {"name": "", "outcome": "refused"},
        {"name": "x" * 61, "outcome": "refused"},
        {"name": "a\x07b", "outcome": "refused"},
        {"name": "b", "from": "hom nay"},
    ):
        assert (await lan.post(target, **wrong)).status in (400, 409), wrong
    await minh.post(f"{target}/delete", name="Từ chối <b>")
    assert "Từ chối" in (await lan.get("/console/search")).body.decode()
    await lan.post(f"{target}/delete", name="Từ chối <b>")
    assert "Từ chối" not in (await lan.get("/console/search")).body.decode()
    for number in range(saved.MOST):
        assert (await lan.post(target, name=f"{number:03d}", outcome="refused")).status == 303
    assert (await lan.post(target, name="one more", outcome="refused")).status == 409


async def test_a_table_has_exactly_the_filtered_set(
    people: Desk, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pages of it, in its order, as text; the log knows of it first."""
    monkeypatch.setattr(exporting, "_PAGE", 2)
    refused = [story.refused(ago=100 - number) for number in range(5)]
    story.refused("message.invalid", caller=CALLER)
    story.alert()
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    given = {"outcome": "refused", "agency": "H14.7", "order": "oldest", "reason": REASON}
    for wrong in ({**given, "form": "pdf"}, {**given, "form": "csv", "reason": "x"}, given):
        assert (await lan.post("/console/search/export", **wrong)).status == 400
    assert notes(people, table.NOTE) == []
    answer = await lan.post("/console/search/export", **given, form="csv", header="codes")
    assert answer.status == 200 and "log.csv" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig"))))
    assert [row["transfer"] for row in rows] == refused and tuple(rows[0]) == table.COLUMNS
    book = await lan.post("/console/search/export", **given, form="xlsx")  # in words, as the page shows it
    assert [row["Id in the entry"] for row in sheet_of(book.body)] == refused
    first, second = notes(people, table.NOTE)
    expected = {"outcome": "refused", "agency": "H14.7"}
    assert first["facts"] == {"search": expected, "entries": 5, "reason": REASON, "form": "csv"}
    assert second["facts"] == {**dict(first["facts"]), "form": "xlsx"}
    assert str(first["actor"]).startswith("H14.0/lan: console, ")
    centre = await people.signed_in("tam", Role.CENTRE)
    assert (await centre.post("/console/search/export", **given, form="csv")).status == 403


async def test_too_many_entries_are_refused_and_nothing_is_logged(
    people: Desk, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "CAP", 2)
    for number in range(3):
        story.refused(ago=100 - number)
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    answer = await lan.post("/console/search/export", outcome="refused", reason=REASON, form="csv")
    assert answer.status == 400 and b"console.export-large" in answer.body and notes(people, table.NOTE) == []


async def test_refused_attempts_on_the_data_of_an_agency_are_offered(people: Desk, story: Story) -> None:
    """A refusal has no owner in the log: nothing was called."""
    id = story.refused("access.no-operation", contract="field-report/v1", operation="createRequest")
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    snapshot = people.world.services.registry.snapshot
    code = snapshot.routed("field-report/v1", "createRequest")[0].agency
    name = snapshot.agencies[code].name.vi
    page = Reader((await lan.get(f"/console/search?{urlencode({'agency': name})}")).body)
    assert (
        "Only as the caller" in page.text and "Only as the owner of the data" in page.text and id[-12:] not in page.text
    )
    (offered,) = [each for each in page.links if "contract=field-report" in each and "outcome=refused" in each]
    assert id[-12:] in Reader((await lan.get(offered)).body).text
    own = await people.signed_in("huong", Role.AGENCY, agency=code)
    assert "Refused attempts" not in Reader((await own.get(f"/console/search?agency={code}")).body).text


@pytest.mark.attack("formulas in a spreadsheet")
async def test_no_cell_is_a_formula(people: Desk, story: Story) -> None:
    for number, bad in enumerate(("=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1")):
        story.refused("channel.no-certificate", caller=None, source=bad, ago=100 - number)
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    given: dict[str, Any] = {"outcome": "refused", "reason": REASON}
    lan.language = "vi"
    answer = await lan.post("/console/search/export", **given, form="csv")
    sources = [row["Địa chỉ nguồn"] for row in csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig")))]
    assert len(sources) == 5 and all(each.startswith("'") for each in sources)
    book = await lan.post("/console/search/export", **given, form="xlsx")
    for row in openpyxl.load_workbook(io.BytesIO(book.body)).active.iter_rows():
        assert all(cell.data_type != "f" and cell.hyperlink is None for cell in row)
    assert {row["Địa chỉ nguồn"] for row in sheet_of(book.body)} == {each[1:] for each in sources}


# --- means ------------------------------------------------------------------------------------------------------------
async def people_get(person: Person, text: str) -> Answer:
    return await person.get(f"/console/go?{urlencode({'q': text})}")


def bytes_of(thumbprint: str) -> bytes:
    return base64.urlsafe_b64decode(thumbprint + "=")


def index_of(people: Desk, transfer: str) -> int:
    with reading(people.world.engine) as connection:
        index = journey.of_transfer(connection, transfer).steps[0].index
    assert index is not None
    return index


def sheet_of(content: bytes) -> list[dict[str, Any]]:
    rows = list(openpyxl.load_workbook(io.BytesIO(content)).active.iter_rows(values_only=True))
    return [dict(zip(map(str, rows[0]), row, strict=True)) for row in rows[1:]]
