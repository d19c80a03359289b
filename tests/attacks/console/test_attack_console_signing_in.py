"""Attacks on signing in: guessed passwords and codes, replayed codes, names that are tried, floods."""

from __future__ import annotations

import asyncio
import json
import threading

import pyotp
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from gateway.console.accounts import attempts, secrets, signing_in, store
from gateway.console.accounts.attempts import Attempts
from gateway.console.accounts.records import Account
from gateway.console.roles import Role
from gateway.journal.database import writing
from gateway.journal.schema import tables
from tests.console.people import PASSWORD, Desk, Person
from tests.console.test_signing_in import notes
from tests.cost import seconds


async def tried(desk: Desk, name: str, password: str = "wrong", code: str = "000000") -> int:
    given = {"name": name, "password": password, "code": code}
    return (await Person(desk, name).send("/console/sign-in", given)).status


@pytest.mark.attack("replay")
async def test_a_code_counts_once_even_at_the_same_time(people: Desk) -> None:
    people.add("lan", Role.OFFICER)
    code = people.code("lan")
    answers = await asyncio.gather(*(tried(people, "lan", PASSWORD, code) for _ in range(4)))
    assert sorted(answers) == [303, 401, 401, 401]


@pytest.mark.attack("replay")
async def test_an_earlier_code_does_not_count_after_a_later_one(people: Desk) -> None:
    people.add("lan", Role.OFFICER)
    now, step = people.now(), int(people.now() // secrets.STEP)
    codes = {each: pyotp.TOTP(people.secrets["lan"]).generate_otp(each) for each in (step - 2, step - 1, step + 1)}
    sign = signing_in.SignIn(
        people.world.engine, people.seal, secrets.Sealer(people.world.services.keyring.hash_key()), Attempts(), "a", now
    )
    results = [
        sign.by_password(signing_in.Given("lan", PASSWORD, codes[each])) for each in (step - 2, step + 1, step - 1)
    ]
    assert [isinstance(each, str) for each in results] == [False, True, False]


@pytest.mark.attack("replay")
async def test_a_link_signs_in_once_even_at_the_same_time(people: Desk) -> None:
    people.add("lan", Role.OFFICER)
    with people.changing() as change:
        token = store.make_link(change, "lan")
    answers = await asyncio.gather(*(Person(people, "x").send(f"/console/link/{token}", {}) for _ in range(4)))
    assert sorted(each.status for each in answers) == [303, 401, 401, 401]


@pytest.mark.attack("brute-force")
async def test_attempts_at_the_same_time_get_no_more_guesses(people: Desk) -> None:
    people.add("lan", Role.OFFICER)
    answers = await asyncio.gather(*(tried(people, "lan", PASSWORD, f"{number:06}") for number in range(12)))
    assert answers.count(401) == attempts.FREE and answers.count(429) == 12 - attempts.FREE
    assert await tried(people, "lan", PASSWORD, people.code("lan")) == 429


@pytest.mark.attack("brute-force")
async def test_each_lock_lasts_longer_up_to_a_quarter_of_an_hour(people: Desk) -> None:
    people.add("lan", Role.OFFICER)
    locks = []
    for _ in range(attempts.FREE + 9):
        assert await tried(people, "lan") == 401
        with people.rows() as rows:
            until = store.row_of(rows, "lan").locked
        assert until is not None
        if until > people.now():
            locks.append(round(until - people.now()))
            people.moved += until - people.now() + 1
    assert locks[:3] == [30, 60, 120] and max(locks) <= 900


@pytest.mark.attack("brute-force")
async def test_neither_answers_nor_locks_tell_which_accounts_there_are(people: Desk) -> None:
    people.add("lan", Role.OFFICER)
    people.add("dong", Role.OFFICER)
    with people.changing() as change:
        store.set_active(change, "dong", False)
        people_without_factors = Account("moi", "H14.0", "Mới", (Role.OFFICER,), True)
        store.add(change, people_without_factors)
    seen = {}
    for name in ("lan", "khong-co", "dong", "moi"):
        people.moved += 2 * attempts.WINDOW
        first = [await tried(people, name) for _ in range(attempts.FREE + 2)]
        people.moved += 31
        seen[name] = [*first, await tried(people, name), await tried(people, name)]
    assert len(set(map(tuple, seen.values()))) == 1, seen
    assert seen["lan"] == [401] * attempts.FREE + [429, 429, 401, 429]


@pytest.mark.attack("brute-force")
async def test_an_unknown_name_costs_as_much_as_a_known_one(people: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_hasher", hasher := PasswordHasher())
    monkeypatch.setattr(secrets, "_NOBODY", hasher.hash("nobody"))
    people.add("lan", Role.OFFICER)
    sealer = secrets.Sealer(people.world.services.keyring.hash_key())

    def cost(name: str) -> float:
        def once() -> None:
            with writing(people.world.engine) as connection:
                connection.execute(update(tables.console_account).values(failed=0, locked=None))
            sign = signing_in.SignIn(people.world.engine, people.seal, sealer, Attempts(), "192.0.2.9", people.now())
            sign.by_password(signing_in.Given(name, "wrong password", "000000"))

        return seconds(once, 5)

    known, unknown = cost("lan"), cost("khong-co")
    assert 0.6 < known / unknown < 1.7, (known, unknown)


@pytest.mark.attack("flood")
async def test_failed_attempts_cannot_fill_the_log(people: Desk) -> None:
    people.add("lan", Role.OFFICER)
    sealer = secrets.Sealer(b"k" * 32)
    sign = signing_in.SignIn(people.world.engine, people.seal, sealer, Attempts(), "192.0.2.9", people.now())
    tries = 1_200
    for number in range(tries):
        assert not isinstance(sign.by_link(f"guess-{number}"), str)
    written = [dict(each["facts"]) for each in notes(people, signing_in.SIGNED_IN)]  # type: ignore[call-overload]
    assert [each.get("count", 1) for each in written] == [1] * attempts.SINGLE + [100, 1000]
    assert {each["source"] for each in written} == {"192.0.2.9"}


@pytest.mark.attack("flood")
def test_many_sources_and_names_neither_fill_the_log_nor_the_memory() -> None:
    counted = Attempts()
    for number in range(3 * attempts.MOST):
        counted.fail_unknown(f"name-{number}", 0.0)
    entries = [counted.entry_for(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 1.0) for n in range(3 * attempts.MOST)]
    written = [each for each in entries if each is not None]
    assert written.count(1) == attempts.SINGLE_ALL and len(written) < attempts.SINGLE_ALL + 10
    assert len(counted._names) <= attempts.MOST and len(counted._counts) <= attempts.MOST + 1
    again = [counted.entry_for("2001:db8::" + hex(number)[2:], 2_000.0) for number in range(100)]  # one /64
    assert [each for each in again if each] == [1] * attempts.SINGLE + [100]


@pytest.mark.attack("flood")
async def test_a_name_that_could_be_a_password_is_not_kept(people: Desk) -> None:
    for name in (PASSWORD, "<script>", "a" * 70, "Mật khẩu", "x\r\ny"):
        assert await tried(people, name) == 401
    assert all(dict(each["facts"])["account"] in ("", "a" * 63) for each in notes(people, signing_in.SIGNED_IN))  # type: ignore[call-overload]
    assert PASSWORD not in json.dumps(notes(people, signing_in.SIGNED_IN))


@pytest.mark.attack("flood")
def test_no_password_is_hashed_while_the_database_is_locked(people: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a few attempts a second would hold up every transfer."""
    people.add("lan", Role.OFFICER)
    locked, free = [], threading.Event()

    def hashing(stored: str | None, password: str) -> bool:
        def write() -> None:
            with writing(people.world.engine) as connection:
                connection.execute(select(tables.console_account.c.id))
            free.set()

        thread = threading.Thread(target=write)
        thread.start()
        locked.append(not free.wait(60.0))
        return False

    monkeypatch.setattr(secrets, "password_fits", hashing)
    sealer = secrets.Sealer(b"k" * 32)
    sign = signing_in.SignIn(people.world.engine, people.seal, sealer, Attempts(), "192.0.2.9", people.now())
    for name in ("lan", "khong-co"):
        free.clear()
        sign.by_password(signing_in.Given(name, "x", "000000"))
    assert locked == [False, False]
