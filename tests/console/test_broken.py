"""A database that takes nothing, and a fault that nobody foresaw: a page of the console in both languages, never a bare
500."""

from __future__ import annotations

import html
import logging
from typing import Any

import pytest
from sqlalchemy import Engine, event

from contracts.base.words import Language
from gateway.console.accounts import store
from gateway.console.errors import CONSOLE_DATABASE
from gateway.console.roles import Role
from gateway.console.site.desk import Desk as Site
from tests.console.people import Desk, Person
from tests.doors.api.client import Answer


def limited(engine: Engine, pragma: str) -> None:
    """Each connection from now on has this limit of SQLite's."""
    event.listen(engine, "connect", lambda connection, _record: connection.execute(f"PRAGMA {pragma}"))
    engine.dispose()


def told(answer: Answer, language: Language) -> str:
    text = html.unescape(answer.body.decode())
    assert answer.headers["content-type"].startswith("text/html") and "</html>" in text
    assert answer.headers["content-language"] == language
    return text


@pytest.mark.parametrize("language", ["vi", "en"])
async def test_signing_in_on_a_full_disk(people: Desk, language: Language) -> None:
    """What SQLite says when it may add no page is what it says of a full disk."""
    accounts = [f"lan-{number}" for number in range(300)]
    for each in accounts:
        people.add(each, Role.OFFICER)
    with people.changing() as change:
        links = [store.make_link(change, each) for each in accounts]  # a newer link of an account ends the older one
    with people.world.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    limited(people.world.engine, f"max_page_count = {pages}")
    nobody = Person(people, "lan-0", language=language)
    for link in links:  # the first ones may find room in pages that are there
        answer = await nobody.send(f"/console/link/{link}", {})
        if answer.status != 303:
            break
    text = told(answer, language)
    assert answer.status == 503 and int(answer.headers["retry-after"]) > 0
    reason = {"vi": "đĩa đã đầy", "en": "the disk is full"}[language]
    assert f"({reason})" in text and CONSOLE_DATABASE().next(language) in text
    assert "INSERT" not in text and "UPDATE" not in text


async def test_a_database_that_takes_no_writes(people: Desk) -> None:
    people.add("lan", Role.OFFICER)
    with people.changing() as change:
        link = store.make_link(change, "lan")
    limited(people.world.engine, "query_only = on")
    answer = await Person(people, "lan").send(f"/console/link/{link}", {})
    assert answer.status == 503 and CONSOLE_DATABASE().title("en") in told(answer, "en")


async def test_a_database_without_its_tables(people: Desk) -> None:
    """Nothing of the frame can be read either."""
    someone = await people.signed_in("lan", Role.OFFICER)
    with people.world.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE console_session")
    answer = await someone.get("/console")
    assert answer.status == 503 and CONSOLE_DATABASE().title("en") in told(answer, "en")


@pytest.mark.parametrize("target", ["/console", "/console/status"])
async def test_a_fault_that_nobody_foresaw(
    people: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, target: str
) -> None:
    someone = await people.signed_in("lan", Role.OFFICER)

    def fault(*_args: Any, **_named: Any) -> Any:
        raise RuntimeError("secret words")

    monkeypatch.setattr(Site, "viewer", fault)
    with caplog.at_level(logging.ERROR, "lgsp.console"):
        answer = await someone.get(target)
    text = told(answer, "en")
    (line,) = [each for each in caplog.records if each.name == "lgsp.console"]
    id = line.getMessage().split()[1].rstrip(":")
    assert answer.status == 500 and id in text and line.exc_info is not None
    assert "gateway.fault" in text and "secret" not in text
