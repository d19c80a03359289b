"""The state of a system follows from what was seen: failed calls to it, refused requests of it."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from contracts.base.ids import new_id
from gateway.audit.search.index import Indexer
from gateway.console.roles import Role
from gateway.console.work import board
from gateway.console.work.observed import LAST
from gateway.journal import jobs
from gateway.journal.append import append
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.journal.write import LogRow
from gateway.keeper.tasks.connection_tests import KIND as TEST
from gateway.transfer import entries
from security.transparency import entry as form
from tests.console.officer import Story
from tests.console.people import Desk, Person, Reader

DOWN = "provider.down"
TO = "do-thi"
FROM = form.Caller("H14.2", "canh-bao", "c" * 43, "canh-bao.sign-1", "s" * 43)


class Log:
    """Entries about calls to `do-thi`, oldest first."""

    def __init__(self, people: Desk) -> None:
        self.people, self.story = people, Story(people)

    def called(self, failure: str | None = None) -> str:
        """A call that was answered, or ended with a failure."""
        id, at = new_id(int(self.people.now() * 1000)), self.people.now()
        end = form.Outcome(id, at, 502 if failure else 200, None, failure, None, None, form.Digest(bytes(32), 9))
        self._add([self._intent(id, at), form.freeze(end)])
        return id

    def waits(self, code: str = DOWN, tries: int = 1) -> str:
        """A message that waits after failed tries."""
        id, at = new_id(int(self.people.now() * 1000)), self.people.now()
        self._add([self._intent(id, at)])
        facts: dict[str, Any] = {"failure": code, "provider": TO}
        with writing(self.people.world.engine) as connection:
            append(connection, [entries.note("queued", facts, at, about=id)])
            for number in range(2, tries + 1):
                note = entries.note("try-failed", {**facts, "try": number}, at, about=id)
                append(connection, [note._replace(phase=f"try-failed#{number}")])
        return id

    def indexed(self) -> None:
        self.people.world.sequence()
        for _ in Indexer(self.people.world.engine, lock_of(self.people.world.engine)).remake():
            pass

    def _intent(self, id: str, at: float) -> form.FrozenEntry:
        contract = self.people.world.services.registry.snapshot.contracts["field-report/v1"]
        return form.freeze(
            form.Intent(
                transfer=id,
                at=at,
                door="rest",
                caller=FROM,
                contract="field-report/v1",
                operation="createRequest",
                bundle=contract.digest,
                message=id,
                grant="G-0003",
                provider=TO,
                came_in=form.Digest(bytes(32), 9),
                registry=self.story.revision,
            )
        )

    def _add(self, frozen: list[form.FrozenEntry]) -> None:
        with writing(self.people.world.engine) as connection:
            append(connection, [LogRow(each.transfer, each.phase, each.entry, each.leaf) for each in frozen])


def state(people: Desk, system: str) -> tuple[str, str | None]:
    viewer: Any = type("V", (), {"account": type("A", (), {"scope": None})()})()
    found = {each.system.id: (each.ready, each.why) for each in board.unready(people.desk(), viewer)}
    return found.get(system, ("ready", None))


async def test_a_system_that_nobody_saw_work_is_not_called_ready(people: Desk) -> None:
    log, engine = Log(people), people.world.engine
    minh = await people.signed_in("minh", Role.OPERATOR)
    log.indexed()
    assert state(people, TO) == state(people, FROM.system) == ("unseen", None)
    assert "never seen to work" in await row_of(minh, TO)
    assert f"/console/systems/{TO}" in Reader((await minh.get("/console")).body).links
    log.called()
    log.indexed()
    assert state(people, TO) == state(people, FROM.system) == ("ready", None)
    table = tables.system_key
    with writing(engine) as connection:  # one key of several: it may call by the others
        row = connection.execute(select(table).where(table.c.system == TO).limit(1)).one()._asdict()
        more = {"key_id": f"{TO}.more", "thumbprint": "m" * 43, "state": "revoked", "revoked": people.now()}
        connection.execute(insert(table), {**row, **more, "reason": "superseded"})
    assert state(people, TO) == ("ready", None)  # that is how a key is replaced
    with writing(engine) as connection:
        connection.execute(update(table).where(table.c.key_id == f"{TO}.more").values(reason="keyCompromise"))
    assert state(people, TO) == ("key-revoked", None)
    page = Reader((await minh.get(f"/console/systems/{TO}")).body).text
    assert "key revoked, not seen since" in page and "A key of it was revoked." in page
    log.called()
    log.indexed()
    assert state(people, TO) == ("ready", None)


async def row_of(person: Person, system: str) -> str:
    page = (await person.get("/console/systems")).body.decode()
    return Reader(page.partition(f'href="/console/systems/{system}"')[2].partition("</tr>")[0].encode()).text


async def test_a_system_whose_last_calls_failed_is_not_ready(people: Desk) -> None:
    log = Log(people)
    minh = await people.signed_in("minh", Role.OPERATOR)
    log.called()
    log.indexed()
    assert state(people, TO) == ("ready", None)
    log.called(DOWN)
    log.called()
    log.called("provider.not-found")  # it works, and says so
    log.called("delivery.cancelled")  # a person's act
    log.waits()
    log.indexed()
    assert state(people, TO) == ("ready", None)
    last = log.waits(tries=3)
    log.indexed()
    assert state(people, TO) == ("failing", DOWN)
    assert "last calls failed" in await row_of(minh, TO)
    home = (await minh.get("/console")).body
    text = Reader(home).text
    assert f"/console/systems/{TO}" in Reader(home).links and "All systems are ready" not in text
    page = (await minh.get(f"/console/systems/{TO}")).body
    assert (
        last[-12:] in Reader(page.partition(b'id="failures"')[2]).text and "Nothing has failed" not in Reader(page).text
    )
    log.called()
    log.indexed()
    assert state(people, TO) == ("ready", None)


async def test_one_refusal_says_nothing_against_a_system_that_works(people: Desk) -> None:
    """It is called and answers; its one request was refused."""
    log, code = Log(people), "access.no-grant"
    log.called()
    log.story.refused(code, caller=form.Caller(FROM.agency, TO), ago=0.0)
    log.indexed()
    assert state(people, TO) == ("ready", None)
    for _ in range(LAST):
        log.story.refused(code, caller=form.Caller(FROM.agency, TO), ago=0.0)
    log.indexed()
    assert state(people, TO) == ("refused", code)


async def test_a_system_that_is_refused_is_not_ready(people: Desk) -> None:
    log, code = Log(people), "signature.key-revoked"
    minh = await people.signed_in("minh", Role.OPERATOR)
    for _ in range(LAST):
        log.story.refused(code, caller=FROM, ago=0.0)
    log.indexed()
    assert state(people, FROM.system) == ("refused", code) and state(people, TO) == ("unseen", None)
    text = await row_of(minh, FROM.system)
    assert "last requests refused" in text and time.strftime("%Y-%m-%d", time.gmtime(people.now() + 7 * 3600)) in text
    log.called()
    log.indexed()
    assert state(people, FROM.system) == ("ready", None)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (["ok", "bad", "left-out"], "failed"),
        ([], "failed"),  # nobody carried it out
        (["ok", "warn"], "look at it"),
        (["ok", "left-out"], "well"),
    ],
)
async def test_a_connection_test_ends_as_its_worst_step(people: Desk, steps: list[str], said: str) -> None:
    with writing(people.world.engine) as connection:
        job = jobs.add(connection, TEST, TO, ("H14.0/minh: x", ""), people.now())
        told = [{"name": "tcp", "state": each, "ms": 1} for each in steps]
        jobs.change(connection, job, people.now(), jobs.DONE, steps=told)
    minh = await people.signed_in("minh", Role.OPERATOR)
    page = (await minh.get(f"/console/systems/{TO}")).body.decode()
    badge = re.search(r'H14\.0/minh <span class="badge [a-z]*">([^<]*)<', page)
    assert badge is not None and badge[1] == said
