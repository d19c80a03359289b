"""Retention ends what it says, when it says, in every copy, and the log shows it; a crash or a lost lease leaves
nothing half-way."""

from __future__ import annotations

import shutil
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from contracts.base.errors import Ours
from contracts.canonical.model import Pattern
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keeper.retention import rows
from gateway.transfer import lease as leases
from gateway.vault.classes import KeyName, add_months, keeping, key_id
from gateway.vault.vault import Vault

DAY = 86_400.0
MONTHS_24 = 24 * 31 * DAY


@pytest.mark.parametrize(
    ("key", "due"),
    [
        ("2026-11-25.m24", "2028-11-26"),
        ("2026-01-31.m3", "2026-05-01"),
        ("2024-02-29.m12", "2025-03-01"),
        ("2026-11-25.short", "2026-12-03"),
        ("2026-11-25.open", "2026-11-27"),
        ("2026-11-25.standard", "2036-11-26"),
        ("2026-11-25.m24.vu-an-7", "2028-11-26"),
        ("2026-11-25.of-another-program", None),
    ],
)
def test_a_key_tells_when_it_is_due(key: str, due: str | None) -> None:
    name = KeyName.of(key)
    assert name is not None
    assert name.due == (None if due is None else (date.fromisoformat(due) - date(1970, 1, 1)).days * DAY)


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(1, 600))
def test_months_are_never_cut_short(day: date, months: int) -> None:
    then = add_months(day, months)
    assert (then.year * 12 + then.month) - (day.year * 12 + day.month) == months and (
        then.day == day.day or (then.day > 27 and then.day < day.day)
    )


@pytest.mark.parametrize(
    "text", ["../secret", "2026-11-25", "2026-13-01.m24", "2026-11-25.m24/..", "2026-11-25.M24", "2026-11-25.a.b.c", ""]
)
def test_other_texts_are_no_keys(text: str) -> None:
    assert KeyName.of(text) is None


def test_what_is_kept_of_each_part() -> None:
    parts = ("request", "canonical", "answer", "provider-answer", "salt")

    def kept(evidence: Any, pattern: Pattern) -> dict[str, str | None]:
        return {part: keeping(evidence, 60, pattern).of(part) for part in parts}

    assert kept("full", Pattern.SUBMIT) == dict.fromkeys(parts, "m60")
    assert kept("metadata", Pattern.SUBMIT) == {**dict.fromkeys(parts, "short"), "canonical": "m60", "salt": "m60"}
    assert kept("metadata", Pattern.QUERY) == {**dict.fromkeys(parts, "short"), "salt": "m60"}
    assert kept("none", Pattern.QUERY) == dict.fromkeys(parts)
    assert kept("none", Pattern.DISPATCH) == {**dict.fromkeys(parts), "request": "open", "canonical": "open"}


def test_what_is_due_is_destroyed_in_every_copy_and_said_before_and_after(house: Any) -> None:
    work = house.retention()
    old, longer = house.transfer("request", "answer"), house.transfer("request", retention="m60")
    work.look(house.lease, house.now)
    key = house.key_of(old)
    assert len(house.vault.keys.copies_of(key)) == 1
    house.now += MONTHS_24
    new = house.transfer("request")
    assert not work.run(house.lease, house.now)
    assert house.opened(old) == house.opened(old, "answer") == "vault.expired"
    assert house.opened(longer) == f"request of {longer}".encode() and house.opened(new) == f"request of {new}".encode()
    assert not house.vault.keys.stands(key) and house.vault.keys.copies_of(key) == []
    begun, done = house.notes("retention")
    assert begun["facts"] == {
        "key": key,
        "day": key[:10],
        "class": "m24",
        "step": "begun",
        "bodies": 2,
        "bytes": len(f"request of {old}answer of {old}"),
        "due": "2028-11-25T00:00:00.000Z",
    }
    assert done["facts"] == {**begun["facts"], "step": "done"} and begun["actor"] == "gateway"
    with house.engine.connect() as connection:
        lengths = connection.execute(
            select(tables.vault.c.size, func.length(tables.vault.c.sealed)).where(tables.vault.c.key_id == key)
        ).all()
    assert [left for _, left in lengths] == [0, 0] and all(size for size, _ in lengths)
    assert not work.run(house.lease, house.now) and len(house.notes("retention")) == 2


def test_who_asks_is_told_since_when(house: Any) -> None:
    old = house.transfer("request")
    house.now += MONTHS_24
    house.retention().run(house.lease, house.now)
    with house.engine.connect() as connection, pytest.raises(Ours) as caught:
        house.vault.open(connection, f"{old}/request")
    assert (
        caught.value.code == "vault.expired"
        and str(caught.value.facts["date"]).startswith("2028-")
        and caught.value.facts["id"] == f"{old}/request"
    )


def test_a_key_that_is_lost_does_not_pass_for_retention(house: Any) -> None:
    old = house.transfer("request")
    (house.folder / "keys" / f"{house.key_of(old)}.key").unlink()
    assert house.opened(old) == "vault.key-missing"
    with house.engine.connect() as connection:
        assert house.vault.ended(connection, [f"{old}/request"]) == {}


def test_a_destroyed_key_put_back_from_elsewhere_opens_nothing_and_goes_again(house: Any) -> None:
    """The attacker kept a copy of the key file, of the backup folder, and of the sealed row."""
    old = house.transfer("request")
    work, key = house.retention(), house.key_of(old)
    work.look(house.lease, house.now)
    shutil.copytree(house.folder / "keys", house.folder / "kept")
    shutil.copytree(house.folder / "copies", house.folder / "kept-copies")
    with house.engine.connect() as connection:
        sealed = connection.scalar(select(tables.vault.c.sealed).where(tables.vault.c.id == f"{old}/request"))
    house.now += MONTHS_24
    work.run(house.lease, house.now)
    shutil.copytree(house.folder / "kept", house.folder / "keys", dirs_exist_ok=True)
    shutil.copytree(house.folder / "kept-copies", house.folder / "copies", dirs_exist_ok=True)
    with writing(house.engine) as connection:
        connection.execute(update(tables.vault).where(tables.vault.c.id == f"{old}/request").values(sealed=sealed))
    assert house.opened(old) == "vault.expired"
    with pytest.raises(Ours) as caught:
        house.vault.keys.make(key)  # a clock that went back makes none of that id either
    assert caught.value.code == "vault.expired"
    work.run(house.lease, house.now)
    assert not house.vault.keys.stands(key) and house.vault.keys.copies_of(key) == []


def test_other_processes_forget_a_destroyed_key(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    old, door = house.transfer("request"), Vault(house.folder / "keys")
    with house.engine.connect() as connection:
        row = rows._row(connection.execute(select(*tables.vault.c).where(tables.vault.c.id == f"{old}/request")).one())
    assert door.unseal(row)
    house.vault.destroy(row.key_id, house.now)
    assert door.forget_gone() == 1 and not door._cache
    with pytest.raises(Ours):
        door.unseal(row)
    another = house.transfer("request", retention="m60")
    with house.engine.connect() as connection:
        row = rows._row(
            connection.execute(select(*tables.vault.c).where(tables.vault.c.id == f"{another}/request")).one()
        )
        door.unseal(row)
        house.vault.destroy(row.key_id, house.now)
        later = time.monotonic() + 2.0  # without being told
        monkeypatch.setattr("time.monotonic", lambda: later)
        with pytest.raises(Ours) as caught:
            door.unseal(row)
    assert caught.value.code == "vault.expired"


def test_a_body_moved_to_another_transfer_or_another_key_does_not_open(house: Any) -> None:
    one, other = house.transfer("request"), house.transfer("request", retention="m60")
    with writing(house.engine) as connection:
        sealed = connection.scalar(select(tables.vault.c.sealed).where(tables.vault.c.id == f"{one}/request"))
        connection.execute(update(tables.vault).where(tables.vault.c.id == f"{other}/request").values(sealed=sealed))
    assert house.opened(other) == "vault.broken"
    with writing(house.engine) as connection:  # the key that is destroyed last, for a body that is to go first
        connection.execute(
            update(tables.vault)
            .where(tables.vault.c.id == f"{one}/request")
            .values(key_id=house_key(connection, other))
        )
    assert house.opened(one) == "vault.broken"


def house_key(connection: Any, transfer: str) -> str:
    return str(connection.scalar(select(tables.vault.c.key_id).where(tables.vault.c.id == f"{transfer}/request")))


def test_the_database_alone_opens_nothing(house: Any, tmp_path: Path) -> None:
    old = house.transfer("request")
    with house.engine.connect() as connection, pytest.raises(Ours) as caught:
        Vault(tmp_path / "no-keys").open(connection, f"{old}/request")
    assert caught.value.code == "vault.key-missing"


def test_what_an_open_transfer_needs_is_carried_on_and_the_rest_goes(house: Any) -> None:
    waiting = house.transfer("request", "canonical", retention="short", state="queued")
    over = house.transfer("request", retention="short")
    key, work = house.key_of(waiting), house.retention()
    house.now += 9 * DAY
    assert work.run(
        house.lease, house.now
    )  # moved: the key waits for the next look, since somebody may just have read the row
    assert house.vault.keys.stands(key) and house.key_of(waiting) == key_id(house.now, "short")
    assert not work.run(house.lease, house.now)
    assert not house.vault.keys.stands(key) and house.opened(over) == "vault.expired"
    assert house.opened(waiting, "canonical") == f"canonical of {waiting}".encode()


def test_nothing_stays_of_a_contract_that_keeps_nothing_once_its_transfer_has_ended(house: Any) -> None:
    waiting, over = (
        house.transfer("request", "canonical", retention="open", state="in-doubt"),
        house.transfer("request", retention="open"),
    )
    work = house.retention()
    work.look(house.lease, house.now)
    assert house.opened(over) == "vault.not-found" and house.opened(waiting) == f"request of {waiting}".encode()
    house.now += 3 * DAY
    while work.run(house.lease, house.now):
        pass
    assert house.opened(waiting) == f"request of {waiting}".encode() and len(house.vault.keys.names()) == 1
    with writing(house.engine) as connection:
        connection.execute(update(tables.transfer).where(tables.transfer.c.id == waiting).values(state="answered"))
    work.look(house.lease, house.now)
    assert house.opened(waiting) == "vault.not-found"


def test_a_keeper_that_was_overtaken_destroys_nothing(house: Any) -> None:
    old = house.transfer("request")
    with writing(house.engine) as connection:
        assert leases.take(connection, "keeper-2", house.now, over="keeper-1") is not None
    house.now += MONTHS_24
    with pytest.raises(Ours) as caught:
        house.retention().run(house.lease, house.now)
    assert caught.value.code == "audit.lease-lost"
    assert house.opened(old) == f"request of {old}".encode() and house.notes("retention") == []


@pytest.mark.parametrize("stop_at", ["destroy", "empty", "finish"])
def test_a_run_that_ends_half_way_is_gone_on_with(
    small_house: Any, monkeypatch: pytest.MonkeyPatch, stop_at: str
) -> None:
    house = small_house
    old, key = house.transfer("request", "answer"), None
    key = house.key_of(old)
    house.now += MONTHS_24

    def stop(*given: Any, **named: Any) -> Any:
        raise KeyboardInterrupt

    where = {
        "destroy": (house.vault, "destroy"),
        "empty": (rows, "empty"),
        "finish": (type(house.vault.keys), "ended"),
    }[stop_at]
    if stop_at == "finish":
        real = rows.empty
        where = (rows, "empty")
        monkeypatch.setattr(*where, lambda *given, **named: (real(*given, **named), stop())[0])
    else:
        monkeypatch.setattr(*where, stop)
    with pytest.raises(KeyboardInterrupt):
        house.retention().run(house.lease, house.now)
    monkeypatch.undo()
    assert [each["facts"]["step"] for each in house.notes("retention")] == ["begun"]
    house.retention().run(house.lease, house.now + 5)
    assert [each["facts"]["step"] for each in house.notes("retention")] == ["begun", "done"]
    assert house.opened(old) == "vault.expired" and not house.vault.keys.stands(key)


def test_copies_are_of_each_day_and_end_after_some(small_house: Any) -> None:
    house, work = small_house, small_house.retention(copy_days=7)
    for _ in range(10):
        house.transfer("request")
        work.look(house.lease, house.now)
        work.run(house.lease, house.now)
        house.now += DAY
    folders = sorted(path.name for path in (house.folder / "copies").iterdir())
    assert len(folders) == 8 and len(list((house.folder / "copies" / folders[-1]).iterdir())) == 10
    names = {name.id for name in house.vault.keys.names()}
    shutil.rmtree(house.folder / "keys")
    shutil.copytree(house.folder / "copies" / folders[-1], house.folder / "keys")
    assert {name.id for name in house.vault.keys.names()} == names


def test_a_folder_for_copies_that_cannot_be_written_holds_up_nothing(small_house: Any) -> None:
    house = small_house
    (house.folder / "copies").write_text("a file, and no folder")
    old = house.transfer("request")
    work = house.retention()
    work.look(house.lease, house.now)
    house.now += MONTHS_24
    work.run(house.lease, house.now)
    assert house.opened(old) == "vault.expired"
