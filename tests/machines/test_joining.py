"""What an invitation may do, and what it may not: used once, by whom it was made for, while it holds."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, Engine, delete, insert, select, update

from bench.ports import free_ports
from contracts.base.errors import Failure
from gateway.audit.verify.findings import Findings
from gateway.audit.verify.rows.machines import check_machines
from gateway.journal.database import open_engine, writing
from gateway.journal.schema import tables
from gateway.journal.values import keep
from gateway.machines import acts, bundles, invitation, own, records
from gateway.machines.acts import By
from gateway.machines.invitation import Invitation
from gateway.machines.join import Wanted, _as_setup, join
from gateway.machines.joining import HandedIn, Joining
from gateway.machines.keeping import KEY, MachineKeeper, Shared
from gateway.machines.records import State
from gateway.machines.secrets import Secrets
from gateway.sandbox.instance import make_instance
from gateway.settings import Settings
from tests.journal.databases import fresh_url
from tests.machines.joining import shared_vault

BY = By("a test", time.time(), "tried in a test")


class House(NamedTuple):
    settings: Settings
    engine: Engine
    joining: Joining
    keeper: MachineKeeper


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    place = tmp_path_factory.mktemp("house")
    settings = Settings(
        place / "one", origin="tinh.example/lgsp", machine="one", database=fresh_url("postgresql", place)
    )
    make_instance(settings, {}, time.time(), province=False)
    shared_vault(settings, place / "vault")
    engine = open_engine(settings.database_url)
    own.take_place(settings, engine, time.time)
    keeper = MachineKeeper(engine, settings, time.time, reload=lambda: None, end=lambda: None)
    keeper.tick()
    yield House(settings, engine, Joining(engine, Secrets.of(settings), time.time), keeper)
    engine.dispose()


class Newcomer(NamedTuple):
    invitation: Invitation
    thumbprint: str
    key: ec.EllipticCurvePrivateKey

    def hands_in(self, key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
        public = own.public_pem(key or self.key)
        return HandedIn(public, self.invitation.shared.proof_of(public), "host", "0.3.0").json()


_names = iter(f"m-{number}" for number in range(1000))


def newcomer(house: House, hours: float = 1.0) -> Newcomer:
    made = acts.invite(house.settings, house.engine, next(_names), hours, BY)
    with house.engine.connect() as connection:
        thumbprint = records.known(connection, made.machine).thumbprint
    return Newcomer(made, thumbprint, ec.generate_private_key(ec.SECP256R1()))


def code(house: House, method: str, thumbprint: str | None, body: bytes = b"") -> str:
    with pytest.raises(Failure) as refused:
        house.joining._answer(method, thumbprint, body)
    return refused.value.code


def state(house: House, name: str) -> State:
    with house.engine.connect() as connection:
        return records.known(connection, name).state


def bundle_of(house: House, one: Newcomer) -> bundles.Bundle:
    answered = house.joining._answer("GET", one.thumbprint, b"")
    assert answered.status == 200
    value: dict[str, Any] = json.loads(answered.body)
    return bundles.unseal(value["sealed"], value["generation"], one.key, one.invitation.shared)


def test_it_joins_and_gets_the_keys(house: House) -> None:
    one = newcomer(house)
    assert house.joining._answer("POST", one.thumbprint, one.hands_in()).status == 202
    assert house.joining._answer("GET", one.thumbprint, b"").status == 202  # no keeper has looked yet
    house.keeper.tick()
    found = bundle_of(house, one)
    assert found.files["keys/hash.key"] == (house.settings.keys / "hash.key").read_bytes()
    assert "ca/root.key" not in found.files and not any("machine" in name or "vault" in name for name in found.files)
    assert found.settings["origin"] == house.settings.origin and "exchange_port" not in found.settings
    assert house.joining._answer("DELETE", one.thumbprint, b"").status == 204
    assert code(house, "GET", one.thumbprint) == "machine.invitation-used"  # stolen after use: it gets nothing
    with house.engine.connect() as connection:
        assert connection.execute(tables.machine_bundle.select()).first() is None


def test_the_same_machine_may_hand_in_again_and_no_other(house: House) -> None:
    one = newcomer(house)
    for _ in range(2):
        assert house.joining._answer("POST", one.thumbprint, one.hands_in()).status == 202
    thief = ec.generate_private_key(ec.SECP256R1())
    assert code(house, "POST", one.thumbprint, one.hands_in(thief)) == "machine.invitation-used"
    house.keeper.tick()
    with pytest.raises(Failure, match=r"machine\.bundle"):
        bundle_of(house, one._replace(key=thief))
    assert bundle_of(house, one).generation == 1


def test_of_many_at_once_one_joins(house: House) -> None:
    one, codes = newcomer(house), []
    bodies = [one.hands_in(ec.generate_private_key(ec.SECP256R1())) for _ in range(6)]
    start = threading.Barrier(len(bodies))

    def hand_in(body: bytes) -> None:
        start.wait()
        try:
            codes.append(str(house.joining._answer("POST", one.thumbprint, body).status))
        except Failure as failure:
            codes.append(failure.code)

    threads = [threading.Thread(target=hand_in, args=(body,)) for body in bodies]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(codes) == ["202", *["machine.invitation-used"] * (len(bodies) - 1)]


def test_an_expired_one(house: House) -> None:
    one = newcomer(house)
    with writing(house.engine) as connection:
        table = tables.machine
        connection.execute(update(table).where(table.c.name == one.invitation.machine).values(expires=time.time() - 1))
    assert code(house, "POST", one.thumbprint, one.hands_in()) == "machine.invitation-expired"


def test_a_certificate_ends_with_its_invitation(house: House) -> None:
    from security.keys import load_certificate

    one = newcomer(house, hours=2.0)
    certificate = load_certificate(one.invitation.certificate.encode())
    left = certificate.not_valid_after_utc.timestamp() - time.time()
    assert 7000 < left <= 7201


def test_a_removed_one(house: House) -> None:
    one = newcomer(house)
    assert not acts.remove(house.engine, one.invitation.machine, BY)  # it had no keys that need replacing
    assert code(house, "POST", one.thumbprint, one.hands_in()) == "machine.invitation-withdrawn"


def test_the_last_machine_that_works_stays(house: House) -> None:
    """Without it none could start, and none could be invited; one that was only invited has no keys."""
    one = newcomer(house)
    alone = house.settings.machine
    with pytest.raises(Failure) as refused:
        acts.remove(house.engine, alone, BY)
    assert refused.value.code == "machine.last" and state(house, alone) is State.ACTIVE
    assert not acts.drain(house.engine, alone, BY)  # no other one takes calls
    with pytest.raises(Failure, match=r"machine\.last"):
        acts.remove(house.engine, alone, BY)
    acts.end_drain(house.engine, alone, BY)
    acts.remove(house.engine, one.invitation.machine, BY)


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_a_certificate_that_invites_nobody(house: House, method: str) -> None:
    body = newcomer(house).hands_in()
    assert code(house, method, "a-system-of-the-registry", body) == "machine.invitation-unknown"
    assert code(house, method, None, body) == "machine.invitation-unknown"
    assert code(house, method, "", body) == "machine.invitation-unknown"  # that of the first machine


def test_without_the_invitation_file_its_certificate_is_not_enough(house: House) -> None:
    one = newcomer(house)
    public = own.public_pem(one.key)
    for proof in ("0" * 64, newcomer(house).invitation.shared.proof_of(public)):
        body = HandedIn(public, proof, "host", "0.3.0").json()
        assert code(house, "POST", one.thumbprint, body) == "machine.join-unreadable"
    assert state(house, one.invitation.machine) is State.INVITED


def test_a_public_key_that_was_put_in_the_database_gets_no_keys(house: House) -> None:
    one, thief = newcomer(house), ec.generate_private_key(ec.SECP256R1())
    house.joining._answer("POST", one.thumbprint, one.hands_in())
    table = tables.machine
    with writing(house.engine) as connection:
        put = update(table).where(table.c.name == one.invitation.machine)
        connection.execute(put.values(public_key=own.public_pem(thief)))
    house.keeper.tick()
    assert house.joining._answer("GET", one.thumbprint, b"").status == 202
    with writing(house.engine) as connection:
        connection.execute(update(table).where(table.c.name == one.invitation.machine).values(state="removed"))


def test_a_removed_machine_that_was_put_back_in_the_database_gets_no_keys(house: House) -> None:
    one = newcomer(house)
    house.joining._answer("POST", one.thumbprint, one.hands_in())
    house.keeper.tick()
    assert acts.remove(house.engine, one.invitation.machine, BY)  # its keys lay ready: it may have them
    assert code(house, "POST", one.thumbprint, one.hands_in()) == "machine.invitation-used"
    table = tables.machine
    with writing(house.engine) as connection:
        connection.execute(update(table).where(table.c.name == one.invitation.machine).values(state="joining"))
    house.keeper.tick()
    assert house.joining._answer("GET", one.thumbprint, b"").status == 202
    with writing(house.engine) as connection:
        connection.execute(update(table).where(table.c.name == one.invitation.machine).values(state="removed"))


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{}", b"[]", b"null", b"nonsense", b"\xff", b"[" * 4000, b"a" * 5000),
        b'{"public_key": 1, "proof": "0", "host": "a", "version": "1"}',
        b'{"public_key": "a", "proof": "0", "host": "a", "version": "1", "more": 1}',
        b'{"public_key": "", "proof": "0", "host": "a", "version": "1"}',
        b'{"public_key": "a", "proof": "0", "host": "a\\u0000", "version": "1"}',
    ],
)
def test_what_is_no_request_is_refused(house: House, body: bytes) -> None:
    assert code(house, "POST", newcomer(house).thumbprint, body) == "machine.join-unreadable"


def test_names_are_not_used_again_and_are_names(house: House) -> None:
    one = newcomer(house)
    acts.remove(house.engine, one.invitation.machine, BY)
    for name, wanted in (
        (one.invitation.machine, "machine.name-taken"),
        ("one", "machine.name-taken"),
        ("Ô", "machine.name"),
    ):
        with pytest.raises(Failure) as refused:
            acts.invite(house.settings, house.engine, name, 1.0, BY)
        assert refused.value.code == wanted


def test_where_the_vault_lies_in_one_folder_nobody_is_invited(house: House, tmp_path: Path) -> None:
    elsewhere = replace(house.settings, data=tmp_path)
    (tmp_path / "keys" / "vault").mkdir(parents=True)
    with pytest.raises(Failure) as refused:
        acts.invite(elsewhere, house.engine, "three", 1.0, BY)
    assert refused.value.code == "machine.vault-folder"


def test_an_invitation_is_read_as_it_was_written(house: House, tmp_path: Path) -> None:
    one = newcomer(house)
    one.invitation.write(tmp_path / "file")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert invitation.read(tmp_path / "file") == one.invitation


@pytest.mark.parametrize(
    ("kind", "base", "made"),
    [
        ("sandbox", "https://tinh.example:9443", {}),
        ("production", "https://tinh.example", {"host": "0.0.0.0"}),
        ("production", "https://tinh.example:9443", {"host": "0.0.0.0", "exchange_port": 9443}),
    ],
)
def test_a_machine_of_production_listens_where_systems_call(kind: str, base: str, made: dict[str, Any]) -> None:
    assert _as_setup({"kind": kind, "public_base": base}) == made


def test_keys_that_a_secret_protects_go_to_no_machine_without_one(house: House, tmp_path: Path) -> None:
    """Nothing is handed in, so the invitation is still good."""
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(range(32)))
    one = newcomer(house)
    shut = replace(one.invitation, protected=True)
    shut.write(tmp_path / "file")
    assert invitation.read(tmp_path / "file") == shut
    with pytest.raises(Failure, match=r"machine\.no-secret"):
        join(shut, Wanted(tmp_path / "data"))
    assert not (tmp_path / "data").exists() and state(house, one.invitation.machine) is State.INVITED
    unreachable = replace(shut, address=f"https://127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(Failure, match=r"machine\.not-reached"):
        join(unreachable, Wanted(tmp_path / "data", {"secret_file": str(secret)}))


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b"[" * 99_000, b"{" * 200_000])
def test_a_file_that_is_no_invitation(content: bytes) -> None:
    with pytest.raises(Failure, match=r"machine\.invitation"):
        invitation.parse(content, "file")


def test_the_newest_keys_are_known(house: House) -> None:
    house.keeper.tick()
    with house.engine.connect() as connection:
        assert Shared.read(connection).generation == 1


def test_of_many_machines_at_once_one_makes_the_next_generation(house: House) -> None:
    with house.engine.connect() as connection:
        before = Shared.read(connection)
    start, made = threading.Barrier(6), list[Shared]()

    def publish(digest: str) -> None:
        start.wait()
        with writing(house.engine) as connection:
            after = before.followed_by(connection, digest)
            time.sleep(0.2)  # it seals for the others
        made.extend([] if after is None else [after])

    threads = [threading.Thread(target=publish, args=(f"digest {number}",)) for number in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    with house.engine.connect() as connection:
        assert made == [Shared.read(connection)] and made[0].generation == before.generation + 1
    with writing(house.engine) as connection:  # as it was, for the others
        keep(connection, KEY, json.dumps({"generation": before.generation, "digest": before.digest}))


def wrong(connection: Connection, *names: str) -> list[str]:
    """Of these machines: other tests change rows of their own."""
    found = Findings()
    check_machines(connection, found)
    return [each for each in found.wrong if each.removeprefix("the machine ").partition(":")[0] in names]


@pytest.mark.attack("audit log: machines of the instance added, removed or changed in the database")
def test_a_machine_that_the_log_does_not_know_as_it_is_is_named(house: House) -> None:
    """Its whole life leaves notes; what the database alone says is found."""
    one, other = newcomer(house), newcomer(house)
    name, machine, table = one.invitation.machine, other.invitation.machine, tables.machine

    def verified() -> list[str]:
        with house.engine.connect() as connection:
            return wrong(connection, name, machine, "one")

    assert verified() == []
    house.joining._answer("POST", one.thumbprint, one.hands_in())
    assert verified() == []
    house.keeper.tick()
    house.joining._answer("DELETE", one.thumbprint, b"")
    with writing(house.engine) as connection:
        records.change(connection, name, State.JOINING, state=State.ACTIVE)  # as its first start does
    for act in (acts.drain, acts.end_drain, acts.drain, acts.remove):
        assert verified() == []
        act(house.engine, name, BY)
    assert verified() == []
    (house.settings.keys / own.KEY).unlink()
    own.take_place(house.settings, house.engine, time.time)  # with a key made anew
    assert verified() == []

    with house.engine.connect() as connection:
        row = dict(connection.execute(select(table).where(table.c.name == name)).one()._mapping)
    for change, named in (
        (update(table).where(table.c.name == name).values(state="active"), f"{name}: it is active, and by"),
        (update(table).where(table.c.name == machine).values(state="active"), f"{machine}: it is active, and by"),
        (update(table).where(table.c.name == "one").values(public_key="x"), "one: its public key is not"),
        (delete(table).where(table.c.name == name), f"{name}: missing; by"),
        (insert(table).values(row | {"name": "thief"}), "thief: no note of the log tells of it"),
    ):
        with house.engine.connect() as connection, connection.begin() as taken_back:
            connection.execute(change)
            found = wrong(connection, name, machine, "one", "thief")
            taken_back.rollback()
        assert len(found) == 1 and found[0].startswith(f"the machine {named}"), found
