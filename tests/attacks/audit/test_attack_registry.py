"""An insider who edits the registry's rows: doors refuse what no entry of the log seals; `verify` and the doctor name
the row."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from contracts.base.errors import Failure
from contracts.base.ids import new_id
from gateway.audit.verify.registered import check_registered
from gateway.doctor import examine
from gateway.doctor import store as doctor
from gateway.journal.append import append
from gateway.journal.database import snapshot, writing
from gateway.journal.schema import tables
from gateway.journal.values import keep
from gateway.journal.write import LogRow
from gateway.registry import store
from gateway.registry.changes import keys
from gateway.registry.registry import Registry
from gateway.registry.seals.revisions import REVISION, raise_revision, revision
from gateway.registry.seals.rows import TABLES, changed, digest_of, rows
from gateway.registry.seals.sealed import KEY, Sealed
from gateway.registry.seals.sealing import AT_ONCE, PART, Seal, accept, adopt, changing
from security.transparency import entry as form
from tests import commandline
from tests.attacks.audit import instances, registryedits
from tests.attacks.audit.insider import BEGAN
from tests.attacks.audit.instances import Instance
from tests.journal import databases
from tests.registry.making import NOW, House, applied, province

KINDS = databases.KINDS


@pytest.fixture(params=KINDS)
def instance(request: pytest.FixtureRequest, base: Path, tmp_path: Path) -> Iterator[Instance]:
    made = instances.copy(request.param, base, tmp_path / "data")
    yield made
    made.engine.dispose()


def forge(inside: Connection) -> None:
    """All that the database alone allows: the next revision, an entry with the right digests, the row that names it; a
    seal by a key of his own."""
    before, after, number, id = Sealed.read(inside), rows(inside), revision(inside), new_id()
    assert before is not None
    digest, seal = digest_of(after), "5" * 64
    told = {
        "revision": number,
        "digest": digest,
        "seal": seal,
        "rows": changed(before.rows, after),
        "parts": 0,
        "whole": False,
    }
    append(
        inside, [LogRow(*form.freeze(form.Note(id, NOW, "registry", "command line", {"registry": cast(Any, told)})))]
    )
    keep(inside, KEY, json.dumps({"revision": number, "digest": digest, "entry": id, "seal": seal, "rows": after}))


def told_by(inside: Connection, instance: Instance) -> tuple[list[str], str]:
    """What `verify` and the doctor say."""
    found = [str(each.facts["rows"]) for each in doctor.registry(instance.settings, inside)]
    return list(check_registered(inside, instance.seal).wrong), " ".join(found)


def test_every_table_of_the_registry_is_tried() -> None:
    assert {table.name for table in TABLES} | {"instance"} == registryedits.EDITS.keys()


@pytest.mark.attack("registry: rows edited with the database alone")
@pytest.mark.parametrize("forging", ["with a bump", "with a bump and a forged entry"])
def test_an_edited_row_is_refused_by_doors_and_named(instance: Instance, forging: str) -> None:
    """Each table, one after the other, each taken back."""
    door = Registry(instance.engine, instance.seal)
    before = door.snapshot
    for table, edit in registryedits.EDITS.items():
        with instance.engine.connect() as inside, inside.begin() as taken_back:
            row = edit(inside)
            raise_revision(inside)
            if forging != "with a bump":
                forge(inside)
            with pytest.raises(Failure) as refused:
                door.refresh(inside)
            assert refused.value.code == "registry.altered", table
            assert door.snapshot is before, table
            with pytest.raises(Failure, match=r"registry\.altered"):
                instance.seal.check(inside)  # as whoever starts now does
            wrong, doctors = told_by(inside, instance)
            named = f"the registry, {row}, as against revision {before.revision} in the log"
            assert named in wrong, (table, wrong)
            if forging == "with a bump":
                assert row in doctors and row in str(refused.value.facts["rows"]), (table, doctors)
            else:
                assert "instance registry.seal: altered" in doctors, table
                assert any("its seal is not this instance's" in each for each in wrong), table
            taken_back.rollback()
    with instance.engine.connect() as inside:
        assert told_by(inside, instance) == ([], "") and not door.refresh(inside)


@pytest.mark.attack("registry: rows edited with the database alone")
def test_a_strangers_key_is_no_key(instance: Instance) -> None:
    """The attack of the issue: two rows and a bump. A running door goes on with what was good for its grace, then
    refuses; one that starts does not serve."""
    now = [0.0]
    door = Registry(instance.engine, instance.seal, clock=lambda: now[0])
    with writing(instance.engine) as inside:
        registryedits.stranger_edited(inside)
        raise_revision(inside)
    with snapshot(instance.engine) as connection, pytest.raises(Failure):
        door.refresh(connection)
    assert door.snapshot.key("y-te.sign-1") is not None and door.snapshot.key("y-te.sign-9") is None
    now[0] += 61
    with pytest.raises(Failure) as refused:
        door.snapshot  # noqa: B018
    assert refused.value.code == "registry.altered" and refused.value.status == 503
    with pytest.raises(Failure) as refused:
        Registry(instance.engine, instance.seal)
    assert refused.value.code == "registry.altered"
    found = {each.kind.code: each.facts for each in examine(instance.settings, time.time)}
    assert "system_key y-te.sign-9: added" in found["registry.altered"]["rows"]
    done = commandline.lgsp("audit", "verify", "--data", str(instance.settings.data), "--json")
    assert done.code == 1 and "system_key y-te.sign-9: added" in done.out


@pytest.mark.attack("registry: rows edited with the database alone")
def test_what_was_edited_is_not_blessed_by_the_next_change(instance: Instance) -> None:
    """Without a bump no running door sees it. The next command would seal it along; it refuses, and names the row."""
    with writing(instance.engine) as inside:
        registryedits.stranger_edited(inside)
    done = commandline.lgsp(
        *(
            "registry",
            "revoke",
            "y-te.tls-1",
            "--reason",
            "superseded",
            "--data",
            str(instance.settings.data),
            "--json",
        ),
        *instance.operator,
    )
    assert done.code != 0 and "registry.altered" in done.out and "system_key y-te.sign-9: added" in done.out, done
    with instance.engine.connect() as connection:
        assert (
            connection.scalar(select(tables.system_key.c.state).where(tables.system_key.c.key_id == "y-te.tls-1"))
            == "active"
        )


@pytest.mark.attack("registry: rows edited with the database alone")
def test_a_bundle_is_what_its_digest_says(instance: Instance) -> None:
    table = tables.bundle
    with writing(instance.engine) as inside:
        first, second = inside.execute(select(table.c.digest, table.c.content).order_by(table.c.digest).limit(2)).all()
        inside.execute(update(table).where(table.c.digest == first.digest).values(content=second.content))
    with instance.engine.connect() as connection:
        from gateway.registry.versions import load

        with pytest.raises(Failure, match=r"registry\.altered"):
            load(connection, first.digest)
        assert (
            f"the registry, bundle {first.digest}: its content is not what its digest says"
            in check_registered(connection, instance.seal).wrong
        )


# --- the past ---------------------------------------------------------------------------------------------------------
def _kept(connection: Connection) -> tuple[list[dict[str, Any]], dict[str, str]]:
    keys_of = [dict(row) for row in connection.execute(select(tables.system_key)).mappings()]
    names = (REVISION, KEY)
    return keys_of, {
        name: str(connection.scalar(select(tables.instance.c.value).where(tables.instance.c.key == name)))
        for name in names
    }


@pytest.mark.attack("registry: rows of the past put back")
def test_a_revoked_key_does_not_come_back_with_its_own_seal(instance: Instance) -> None:
    """Rows, revision, seal and entry are all genuine, and of yesterday."""
    with instance.engine.connect() as connection:
        keys_then, said_then = _kept(connection)
    with changing(instance.engine, instance.seal) as act:
        changes = keys.revoke_key(act.connection, "y-te.sign-1", NOW)
        act.note("registry", {"changes": len(changes)}, NOW)
    door = Registry(instance.engine, instance.seal)
    assert door.snapshot.keys["y-te.sign-1"].state == "revoked"
    with writing(instance.engine) as inside:
        inside.execute(delete(tables.system_key))
        inside.execute(insert(tables.system_key), keys_then)
        for name, value in said_then.items():
            keep(inside, name, value)
    with snapshot(instance.engine) as connection:
        with pytest.raises(Failure, match=r"registry\.altered"):
            door.refresh(connection)
        with pytest.raises(Failure, match=r"registry\.altered"):
            instance.seal.check(connection)
        wrong, doctors = told_by(connection, instance)
        assert f"{REVISION} {said_then[REVISION]} <" in doctors
        assert any(each.startswith("the registry, system_key y-te.sign-1: altered") for each in wrong), wrong
        instance.seal.mark.path.unlink()  # another machine, or one who has the folder too: the log still tells
        wrong, _doctors = told_by(connection, instance)
        assert any(each.startswith("the registry, system_key y-te.sign-1: altered") for each in wrong), wrong


@pytest.mark.attack("registry: rows of the past put back")
def test_a_revision_that_was_set_back_keeps_no_revoked_key_in_force(instance: Instance) -> None:
    """He is quicker than the door: the number is the old one again before the door looks."""
    now = [1000.0]
    door = Registry(instance.engine, instance.seal, clock=lambda: now[0])
    with snapshot(instance.engine) as connection:
        number = revision(connection)
    with changing(instance.engine, instance.seal) as act:
        changes = keys.revoke_key(act.connection, "y-te.sign-1", NOW)
        act.note("registry", {"changes": len(changes)}, NOW)
    with writing(instance.engine) as inside:
        keep(inside, REVISION, str(number))
    with snapshot(instance.engine) as connection:
        for _ in range(2):
            with pytest.raises(Failure, match=r"registry\.altered"):
                door.refresh(connection)
    assert door.snapshot.key("y-te.sign-1") is not None, "for the grace"
    now[0] += 61
    with pytest.raises(Failure, match=r"registry\.altered"):
        door.snapshot  # noqa: B018
    with writing(instance.engine) as inside:
        keep(inside, REVISION, str(number + 1))
    with snapshot(instance.engine) as connection:
        assert door.refresh(connection)
    assert door.snapshot.keys["y-te.sign-1"].state == "revoked"


@pytest.mark.attack("registry: rows of the past put back")
def test_an_instance_is_adopted_once(instance: Instance) -> None:
    """Deleting the seal, and all that the database says of it but the log, makes no instance of an older release."""
    with writing(instance.engine) as inside:
        registryedits.stranger_edited(inside)
        inside.execute(delete(tables.instance).where(tables.instance.c.key == KEY))
    for mark in (True, False):
        if not mark:
            instance.seal.mark.path.unlink()
        with pytest.raises(Failure) as refused:
            adopt(instance.engine, instance.seal, BEGAN)
        assert refused.value.code == "registry.altered"
    with pytest.raises(Failure, match=r"registry\.altered"):
        Registry(instance.engine, instance.seal)


def test_an_instance_of_an_older_release_is_adopted_at_its_first_start(instance: Instance) -> None:
    with writing(instance.engine) as connection:  # as it was before anything was sealed
        connection.execute(delete(tables.instance).where(tables.instance.c.key == KEY))
        connection.execute(delete(tables.log_pending))
        connection.execute(delete(tables.registry_proposal))  # nor had content been recorded
        connection.execute(delete(tables.registry_history))
    instance.seal.mark.path.unlink()
    assert adopt(instance.engine, instance.seal, BEGAN) and not adopt(instance.engine, instance.seal, BEGAN)
    with snapshot(instance.engine) as connection:
        assert told_by(connection, instance) == ([], "")
        phases = list(connection.scalars(select(tables.log_pending.c.phase)))
        assert phases.count("registry-adopted") == 1, "the rows of the registry follow it, in no order"
    assert Registry(instance.engine, instance.seal).snapshot.systems


def test_an_instance_of_an_older_release_is_no_altered_one(instance: Instance) -> None:
    """Before its first start the doctor has nothing to say of its rows, and the first change seals all of them."""
    with writing(instance.engine) as connection:
        connection.execute(delete(tables.instance).where(tables.instance.c.key == KEY))
        connection.execute(delete(tables.log_pending))
        connection.execute(delete(tables.registry_proposal))  # nor had content been recorded
        connection.execute(delete(tables.registry_history))
    instance.seal.mark.path.unlink()
    with snapshot(instance.engine) as connection:
        assert told_by(connection, instance) == ([], "")
    assert not instance.seal.mark.path.exists()
    with changing(instance.engine, instance.seal) as act:
        changes = keys.revoke_key(act.connection, "y-te.sign-1", NOW)
        act.note("registry", {"changes": len(changes)}, NOW)
    with snapshot(instance.engine) as connection:
        assert told_by(connection, instance) == ([], "")
        assert instance.seal.check(connection) and not adopt(instance.engine, instance.seal, NOW)
    assert Registry(instance.engine, instance.seal).snapshot.keys["y-te.sign-1"].state == "revoked"


# --- the way back -----------------------------------------------------------------------------------------------------
def test_rows_are_accepted_by_somebody_who_says_why(instance: Instance) -> None:
    """And the log has what differed."""
    with writing(instance.engine) as inside:
        row = registryedits.route_edited(inside)
        raise_revision(inside)
    place = ("--data", str(instance.settings.data), "--json")
    assert commandline.lgsp("registry", "accept", "--reason", " ", *place, *instance.operator).code == 2
    done = commandline.lgsp("registry", "accept", "--reason", "checked with the agency", *place, *instance.operator)
    assert done.code == 0 and json.loads(done.out)["accepted"], done
    with snapshot(instance.engine) as connection:
        (unsigned,), doctors = told_by(connection, instance)
        assert "neither two officers signed it" in unsigned and not doctors  # he is no two officers
        last = connection.execute(
            select(tables.log_pending.c.entry).where(tables.log_pending.c.phase == "registry-accepted")
        ).scalar_one()
    facts = json.loads(bytes(last))["facts"]
    assert facts["reason"] == "checked with the agency" and row in facts["differed"]
    assert Registry(instance.engine, instance.seal).snapshot.systems
    assert accept(instance.engine, instance.seal, "again", "x", NOW) == []
    with changing(instance.engine, instance.seal) as act:
        applied(province(), act.connection, NOW)
        act.note("registry", {}, NOW)
    with snapshot(instance.engine) as connection:
        assert told_by(connection, instance) == ([], "")


# --- what is no attack ------------------------------------------------------------------------------------------------
def test_a_door_takes_up_what_a_command_changed(instance: Instance, base: Path) -> None:
    door = Registry(instance.engine, instance.seal)
    instance.with_keys("phan-anh")
    with snapshot(instance.engine) as connection:
        assert door.refresh(connection) and door.snapshot.key("phan-anh.sign-1") is not None
        assert told_by(connection, instance) == ([], "")


def test_many_rows_go_into_entries_of_a_bounded_size(instance: Instance) -> None:
    many = [
        {"what": "grant", "id": f"G-{n}", "reason_vi": "x", "reason_en": "x", "since": NOW + n / 8}
        for n in range(2 * AT_ONCE + 7)
    ]
    with changing(instance.engine, instance.seal) as act:
        act.connection.execute(insert(tables.notice), many)
        act.note("registry", {}, NOW)
    with snapshot(instance.engine) as connection:
        pending = tables.log_pending.c
        entries = connection.execute(select(pending.entry).where(pending.phase == PART)).scalars().all()
        parts = [len(bytes(each)) for each in entries]
        assert len(parts) > 2 and max(parts) < AT_ONCE * 130
        assert told_by(connection, instance) == ([], "")
    assert Registry(instance.engine, instance.seal).snapshot.systems


def test_a_change_cannot_be_made_without_telling_the_log(instance: Instance, tmp_path: Path) -> None:
    identity = House.make(tmp_path, NOW).identity("phan-anh", NOW)
    with pytest.raises(RuntimeError, match="the log not told"), changing(instance.engine, instance.seal) as act:
        store.add_key(act.connection, "phan-anh.sign-1", "phan-anh", "sign", identity.sign_certificate)
    with snapshot(instance.engine) as connection:
        assert told_by(connection, instance) == ([], "")


def test_a_row_has_one_form_on_both_databases(base: Path, tmp_path: Path) -> None:
    """RFC 8785: members in order, numbers as ECMAScript writes them."""
    import hashlib

    from gateway.registry.seals.rows import _encode, canonical, digest_of_text

    assert (
        digest_of_text(canonical({"b": 2.0, "a": 0.5, "c": None, "d": True}))
        == hashlib.sha256(b'{"a":0.5,"b":2,"c":null,"d":true}').hexdigest()
    )
    assert _encode(["ể", 'a"b']) == '["ể","a\\"b"]'
    found = []
    for kind in KINDS:
        engine = databases.migrated(kind, tmp_path)
        with engine.connect() as connection:
            (
                registryedits.status_edited(connection),
                registryedits.notice_edited(connection),
                registryedits.authority_edited(connection),
            )
            found.append(rows(connection))
        engine.dispose()
    assert found[0] == found[1]


def test_seals_are_of_one_log_and_one_key(instance: Instance) -> None:
    own, other = instance.seal, Seal(b"x" * 32, instance.settings.origin, instance.seal.mark)
    later = Seal(b"x" * 32, f"{instance.settings.origin}/2", instance.seal.mark)
    tags = {each.tag(1, "d", "e") for each in (own, other, later)} | {
        own.tag(2, "d", "e"),
        own.tag(1, "x", "e"),
        own.tag(1, "d", "x"),
    }
    assert len(tags) == 6 and own.proves(1, "d", "e", own.tag(1, "d", "e"))
