"""The map of the rows by which people sign in: lost, forged, begun anew, taken over, read while it changes."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest
from sqlalchemy import delete, select, update

from contracts.base.errors import Failure
from gateway.console.accounts import store
from gateway.console.accounts.records import Account
from gateway.console.roles import Role
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry.seals import account_rows
from gateway.registry.seals.accounts import KEY, TABLES, Seal
from tests.attacks.console.test_attack_console_rows import (
    OPERATOR,
    SECRET,
    account,
    an_account,
    answered,
    api,
    enters,
    followed,
    found,
    link,
    province,
    session,
    shown,
    taken,
)
from tests.console.people import Desk, Person


# --- the map ----------------------------------------------------------------------------------------------------------
async def test_without_the_map_nobody_signs_in_and_nothing_is_adopted(people: Desk) -> None:
    await province(people)
    for mark in (True, False):
        with writing(people.world.engine) as inside:
            inside.execute(delete(tables.instance).where(tables.instance.c.key == KEY))
        if not mark:
            people.seal.mark.path.unlink()
        account_rows.adopt(people.world.engine, people.seal, people.now())
        assert not await enters(people) and not await answered(people, people.secrets["token of minh"], "/api/entries")
        assert not await followed(people, people.secrets["link of minh"])
        with pytest.raises(Failure, match=r"accounts\.altered"), people.changing() as change:
            store.add(change, Account("moi", "H14.0", "Mới", (Role.OFFICER,), True))
        wrong, said = found(people)
        assert wrong == ["the accounts: their map in `instance`, accounts.seal, is missing"], wrong
        assert said == ["instance accounts.seal: missing"]


async def test_a_map_that_the_insider_makes_is_none(people: Desk) -> None:
    await province(people)
    value = json.loads(taken(people)["instance"][0]["value"])
    for made in ("", "[]", '{"rows":1}', json.dumps(value | {"revision": 99}), json.dumps(value | {"rows": {}})):
        with writing(people.world.engine) as inside:
            inside.execute(update(tables.instance).where(tables.instance.c.key == KEY).values(value=made))
        assert not await enters(people)
        wrong, said = found(people)
        assert "the accounts, instance accounts.seal: altered" in wrong and said == ["instance accounts.seal: altered"]


# --- the way back -----------------------------------------------------------------------------------------------------
async def test_what_differs_is_deleted_by_somebody_who_says_why(people: Desk) -> None:
    await province(people)
    with writing(people.world.engine) as inside:
        await an_account(people, inside)
        inside.execute(update(account).where(account.c.id == "minh").values(roles=OPERATOR))
    facts = {"reason": "a clerk of the data centre"}
    differed = account_rows.repair(people.world.engine, people.seal, facts, people.now(), "an operator")
    assert {f"{each.table} {each.key.split()[0]}: {each.how}" for each in differed} == {
        "console_account khac: added",
        "console_account minh: altered",
        "console_session khac: added",
    }
    assert found(people) == ([], []) and await enters(people)
    assert account_rows.repair(people.world.engine, people.seal, facts, people.now(), "an operator") == []
    with people.changing() as change:
        store.add(change, Account("minh", "H14.0", "Minh", (Role.AUDITOR,), True))
        await_link = store.make_link(change, "minh")
    assert await followed(people, await_link)
    assert (await Person(people, "minh", people.cookies["minh"]).get("/console")).status == 303, "of the one before"
    assert found(people) == ([], [])
    with writing(people.world.engine) as inside:
        inside.execute(delete(tables.instance).where(tables.instance.c.key == KEY))
    account_rows.repair(people.world.engine, people.seal, facts, people.now(), "an operator")
    assert found(people) == ([], []) and not any(taken(people)[each.name] for each in TABLES)


async def test_an_added_row_does_not_keep_its_name(people: Desk) -> None:
    await province(people)
    with writing(people.world.engine) as inside:
        await an_account(people, inside)
    with people.changing() as change:
        store.add(change, Account("khac", "H14.0", "Khác", (Role.VENDOR,), True))
    with people.rows() as rows:
        assert store.find(rows, "khac").roles == (Role.VENDOR,)
    assert not await shown(people, f"__Host-lgsp={SECRET}")


# --- an older release, and a restored instance ------------------------------------------------------------------------
async def test_an_instance_of_an_older_release_is_taken_as_it_is_once(people: Desk) -> None:
    await province(people)
    with writing(people.world.engine) as connection:  # as it was before anything was sealed
        connection.execute(delete(tables.instance).where(tables.instance.c.key == KEY))
        connection.execute(delete(tables.log_pending))
    people.seal.mark.path.unlink()
    assert found(people) == ([], [])
    account_rows.adopt(people.world.engine, people.seal, people.now())
    with people.world.engine.connect() as connection:
        facts = json.loads(connection.execute(select(tables.log_pending.c.entry)).scalar_one())["facts"]
    assert [(each["account"], each["state"]) for each in facts["adopted"]] == [
        ("cuc", "disabled"),
        ("lan", "active"),
        ("minh", "active"),
    ]
    account_rows.adopt(people.world.engine, people.seal, people.now())
    assert found(people) == ([], []) and await enters(people)


async def test_a_restored_instance_has_the_accounts_as_they_were_sealed(people: Desk) -> None:
    await province(people)
    with writing(people.world.engine) as inside:
        inside.execute(update(account).where(account.c.id == "minh").values(roles=OPERATOR))
    settings = replace(people.services.settings, origin="localhost/lgsp/2")
    after = Seal.of(settings)
    with writing(people.world.engine) as connection:
        for each in (session, link, api):
            connection.execute(delete(each))
        mark, _ = account_rows.carry_over(connection, people.seal, after)
    after.mark.lift(mark)
    with account_rows.reading(people.world.engine, after) as rows:
        assert [each.id for each in store.listed(rows)] == ["cuc", "lan"]
    with people.rows() as rows:  # the seal of the log that ended
        assert store.listed(rows) == []


def test_a_reader_is_never_misled_by_a_change_at_the_same_time(people: Desk) -> None:
    """It takes the mark before its moment of the database, so no mark is later than what it sees."""
    people.add("lan", Role.OFFICER)
    ended = threading.Event()

    def change() -> None:
        try:
            for _ in range(30):
                with people.changing() as change:
                    store.make_link(change, "lan")
        finally:
            ended.set()

    writer = threading.Thread(target=change)
    writer.start()
    seal, reads = people.seal, 0
    while not ended.is_set():
        with account_rows.reading(people.world.engine, seal) as rows:
            assert store.row_of(rows, "lan") is not None, rows.head
        reads += 1
    writer.join()
    assert reads > 1
