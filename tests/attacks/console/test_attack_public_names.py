"""Who learns which names: every address of the desk, asked by a stranger, by each role and by two vendors.

Each party has a code, ids and names that stand nowhere else. What an answer shows of them is compared with a table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote

import pytest
from sqlalchemy import select

from gateway.console.pages import pages
from gateway.console.roles import Role
from gateway.journal.schema import tables
from gateway.sandbox.vendors.web import BESIDE
from tests.console.conftest import instance_keys as instance_keys
from tests.console.people import HOST, Person
from tests.console.test_operations import CALLS, token
from tests.console.test_queue import office as office
from tests.delivery.posting import post as post
from tests.doors.api.client import Answer, ask
from tests.sandbox.vendors.conftest import vendors as vendors
from tests.sandbox.vendors.desks import CALLER, VendorDesk

_PART = re.compile(r"\{[^}]+\}")
PUBLIC = [
    "/", "/contracts", "/contracts/catalogue", "/contracts/field-report/v1", "/soap/field-report/v1?wsdl", "/metrics",
    "/healthz", "/readyz", "/livez", "/docs/vi", "/docs/en", "/api/status", "/console/status", "/console/sign-in",
    "/sandbox/join", "/audit/checkpoint", "/audit/entries/0", "/audit/tile/0/000", "/.well-known/security.txt",
    "/console/feeds/incident-alert/v1", "/keys", "/authority/crl",
]  # fmt: skip
# Whose names somebody may see: of the vendors `a` and `b`, and of the account `p` of an operator. Roles that see every
# agency are not asked. The centre watches all systems, so the vendors are in its scorecards and reports.
TABLE: dict[str, str] = {
    "nobody": "",
    "vendor a": "a",
    "vendor b": "b",
    Role.CENTRE: "ab",
    Role.AGENCY: "",
}


class Party(NamedTuple):
    """`marks`: what names it."""

    letter: str
    marks: tuple[str, ...]
    agency: str
    system: str
    person: Person
    token: str

    def value(self, part: str) -> str:
        if part in ("agency", "vendor", "subject:path", "code"):
            return self.agency
        return self.person.account if part in ("account", "person") else self.system


async def joined(desk: VendorDesk, letter: str) -> Party:
    name, contact = f"Zq vendor {letter * 5}", f"zq-{letter * 5}@mau.example"
    form = {**CALLER, "name": name, "contact": contact, "contracts": CALLER["contracts"][0]}
    answer, person = await desk.form(**form)
    assert answer.status == 303, answer.body.decode()
    system = answer.headers["location"].rpartition("/")[2]
    agency = desk.desk.services.registry.snapshot.systems[system].agency
    table = tables.console_account.c
    with desk.reading() as connection:
        person.account = str(connection.scalar(select(table.id).where(table.agency == agency)))
    marks = (name, contact, agency, system, person.account)
    return Party(letter, marks, agency, system, person, token(desk.desk, person.account))


def addresses(desk: VendorDesk, of: Party) -> Iterator[str]:
    """Every address that is read; a part in it is an id of this party."""
    paths = [each.root + each.path for each in (*pages(), *BESIDE.pages) if each.method == "GET"]
    paths += [path for method, path, _ in CALLS if method == "GET"]
    paths += [each.path for each in BESIDE.routes(desk.desk.desk()) if "GET" in (each.methods or ())]
    for path in dict.fromkeys((*PUBLIC, *paths)):
        yield _PART.sub(lambda part: quote(of.value(part[0].strip("{}")), safe=""), path)


def seen(answer: Answer, address: str, parties: tuple[Party, ...]) -> set[str]:
    """Whose names the answer shows; what was asked for says nothing when it comes back."""
    text = answer.body.decode("utf-8", "replace") + json.dumps(dict(answer.headers), ensure_ascii=False)
    asked = {mark for party in parties for mark in party.marks if quote(mark, safe="") in address}
    return {party.letter for party in parties for mark in party.marks if mark not in asked and mark in text}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.attack("idor")
async def test_who_learns_which_names(vendors: VendorDesk) -> None:
    first, second = await joined(vendors, "a"), await joined(vendors, "b")
    await vendors.desk.signed_in("zq-operator", Role.OPERATOR)
    operator = Party("p", ("zq-operator",), "", "", Person(vendors.desk, ""), "")
    parties = (first, second, operator)
    wrong = list[str]()
    for who, letters in TABLE.items():
        if who == "nobody":
            person, key = Person(vendors.desk, ""), ""
        elif who.startswith("vendor"):
            person, key = (first if letters == "a" else second).person, (first if letters == "a" else second).token
        else:
            agency = "H14.2" if who == Role.AGENCY else "H14.0"
            person = await vendors.desk.signed_in(f"of-{who}", Role(who), agency=agency)
            key = token(vendors.desk, f"of-{who}")
        found = set[str]()
        for address in addresses(vendors, second if letters == "a" else first):
            program = address.startswith(("/api/", "/sandbox/api/")) and key
            headers = {"host": HOST, "authorization": f"Bearer {key}"}
            answer = await (ask(vendors.desk.app, "GET", address, headers) if program else person.get(address))
            here = seen(answer, address, parties)
            assert answer.status != 500, f"{who} {address}: {answer.body.decode()[-300:]}"
            found |= here
            wrong += [f"{who} learns of {each} at {address}" for each in sorted(here - set(letters))]
        assert not who.startswith("vendor") or letters in found, f"{who} does not see itself"
    assert not wrong, "\n".join(wrong)
