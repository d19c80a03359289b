"""What a steward reads of contracts, and a message tried in a page."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from contracts.folder.bundle import Bundle, catalogue_folders
from gateway.console.roles import Role
from gateway.console.work import contracts
from gateway.journal.schema import tables
from tests.console.people import Desk, Reader

ALERT = "/console/contracts/incident-alert/v1"


async def test_every_contract_in_force_has_its_page(people: Desk) -> None:
    tu = await people.signed_in("tu", Role.STEWARD)
    force = people.world.services.registry.snapshot.contracts
    links = Reader((await tu.get("/console/contracts")).body).links
    for name, compiled in force.items():
        assert f"/console/contracts/{name}" in links
        page = Reader((await tu.get(f"/console/contracts/{name}")).body)
        for message in compiled.exchanged:
            for leaf in compiled.leaves(message):
                assert leaf.path in page.text, (name, leaf.path)
        for each in compiled.formats:
            if each != "canonical":
                assert f"/console/contracts/{name}/formats/{each}" in page.links


async def test_a_mapping_table_has_every_row_of_its_file(people: Desk) -> None:
    tu = await people.signed_in("tu", Role.STEWARD)
    page = Reader((await tu.get(f"{ALERT}/formats/cap12")).body)
    folder = next(each for each in catalogue_folders() if each.as_posix().endswith("incident-alert/v1"))
    written = [
        line.partition("here: ")[2].split(",")[0].strip('" }')
        for line in Bundle.from_folder(folder).files["systems/cap12.yaml"].decode().splitlines()
        if "canonical:" in line and "here:" in line
    ]
    assert len(written) > 30 and all(each in page.text for each in written)
    other = Reader((await tu.get("/console/contracts/field-report/v1/formats/do-thi-xml")).body)
    assert "always" in other.text and "constant:" not in other.text and "absent:" not in other.text
    assert (await tu.get(f"{ALERT}/formats/none")).status == 404


async def test_a_message_is_tried_and_nothing_is_kept(people: Desk) -> None:
    tu = await people.signed_in("tu", Role.STEWARD)
    contract = people.world.services.registry.snapshot.contracts["incident-alert/v1"]
    sample = next(each for each in contract.samples if each.format == "cap12" and each.kind == "xml")
    before = _rows(people)
    given = {"format": "cap12", "message": "", "text": sample.raw.decode()}
    good = Reader((await tu.post(f"{ALERT}/try", **given)).body)
    assert "Canonical form" in good.text and "read back" in good.text
    given["text"] = "<alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'><script>alert(1)</script></alert>"
    answer = await tu.post(f"{ALERT}/try", **given)
    assert answer.status == 200 and b"<script>alert" not in answer.body and "Refused" in Reader(answer.body).text
    assert _rows(people) == before


@pytest.mark.parametrize(
    ("field", "value"), [("format", "none"), ("message", "None"), ("text", "x" * (contracts.MOST_TRIED + 1))]
)
async def test_what_cannot_be_tried_is_named(people: Desk, field: str, value: str) -> None:
    tu = await people.signed_in("tu", Role.STEWARD)
    given = {"format": "canonical", "message": "Alert", "text": "{}", field: value}
    answer = await tu.post(f"{ALERT}/try", **given)
    marked = re.search(rb'<[^>]*aria-invalid="true"[^>]*>', answer.body)
    assert answer.status == 400 and marked is not None and f'name="{field}"'.encode() in marked[0]


async def test_versions_are_compared(people: Desk) -> None:
    tu = await people.signed_in("tu", Role.STEWARD)
    version = people.world.services.registry.snapshot.contracts["indicator/v1"].contract.version
    same = await tu.get(f"/console/contracts/indicator/v1/versions?old={version}&new={version}")
    assert "Nothing changed" in Reader(same.body).text
    wrong = await tu.get(f"/console/contracts/indicator/v1/versions?old=9.9.9&new={version}")
    assert wrong.status == 400 and version in Reader(wrong.body).text


def _rows(people: Desk) -> list[int]:
    with people.world.engine.connect() as connection:
        return [len(connection.execute(select(each)).all()) for each in (tables.transfer, tables.log_pending)]
