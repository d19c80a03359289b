"""The decision to go on without a standby stands on every page of those who operate, until it ends."""

from __future__ import annotations

import pytest

from gateway.console.roles import Role
from gateway.journal import alone
from gateway.journal.alone import Alone
from gateway.journal.database import writing
from tests.console.people import Desk, Person, Reader

SAID = "what is accepted lies on one disk only"


@pytest.mark.parametrize("path", ["/console", "/console/queue", "/console/doctor", "/console/wall"])
async def test_every_page_of_those_who_operate_says_so(people: Desk, path: str) -> None:
    minh = await people.signed_in("minh", Role.OPERATOR, Role.CENTRE)
    assert SAID not in Reader((await minh.get(path)).body).text
    with writing(people.world.engine) as connection:
        alone.begin(connection, Alone(people.now(), "H14.5/van-hanh: lgsp, command line", "db2 is <b>replaced</b>"))
    answer = await minh.get(path)
    text = " ".join(Reader(answer.body).text.split())
    assert answer.status == 200 and SAID in text and "lgsp machine alone --end" in text
    assert "by H14.5/van-hanh: lgsp, command line: “db2 is <b>replaced</b>”." in text, "as it was written"
    with writing(people.world.engine) as connection:
        alone.end(connection)
    assert SAID not in Reader((await minh.get(path)).body).text


async def test_others_are_not_told(people: Desk) -> None:
    with writing(people.world.engine) as connection:
        alone.begin(connection, Alone(people.now(), "H14.5/van-hanh", "db2 is replaced"))
    hoa = await people.signed_in("hoa", Role.AUDITOR)
    assert SAID not in Reader((await hoa.get("/console")).body).text
    assert SAID not in Reader((await Person(people, "").get("/console/sign-in")).body).text
