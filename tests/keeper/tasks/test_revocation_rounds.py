"""The keeper's round of outside authorities, against a real server of lists and answers; and the lists of our own. On
both databases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection, Engine, select, update

from contracts.base.errors import Failure
from contracts.base.times import rfc3339
from gateway.doors.http.channel import identify
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.keeper.revocation_fetch import open_session
from gateway.keeper.tasks import revocation_lists
from gateway.keeper.tasks.certificate_status import OutsideAuthorities
from gateway.keys.authority import EmbeddedAuthority
from gateway.keys.keyring import make_keys
from gateway.registry.changes import keys
from gateway.registry.records import OutsideAuthority
from gateway.registry.seals.revisions import raise_revision
from gateway.registry.snapshot import Snapshot, load_snapshot
from gateway.settings import Settings
from gateway.transfer import lease as leases
from security.algorithms import new_private
from security.grants.windows import civil
from security.keys import load_certificate
from security.pki.authority import issue_tls
from tests.keeper.tasks.outside import Outside, new_key, pem
from tests.keeper.tasks.responder import Served
from tests.registry.making import NOW

GRACE = 3600.0


@pytest.fixture(scope="module")
def outside() -> Outside:
    return Outside(NOW)


@pytest.fixture
def served() -> Iterator[Served]:
    with Served(lambda path, body: None) as made:
        yield made


def a_system(connection: Connection) -> None:
    connection.execute(
        tables.system.insert().values(id="y-te", agency="H14.7", title_vi="", title_en="", formats="{}", state="active")
    )
    named = {"name_vi": "Sở Y tế", "name_en": "Department of Health", "level": "department", "roles": "[]"}
    connection.execute(
        tables.agency.insert().values(code="H14.7", contact='{"office": "Tổ trực"}', state="active", **named)
    )


class House:
    """A registry with one outside authority and a key of `y-te` from it."""

    def __init__(
        self, engine: Engine, outside: Outside, served: Served, leaf: x509.Certificate, *, ocsp: bool = False
    ) -> None:
        self.engine, self.leaf, self.at = engine, leaf, NOW
        with writing(engine) as connection:
            a_system(connection)
            address = f"{served.base}/ocsp" if ocsp else None
            lists = () if ocsp else (f"{served.base}/issuer.crl", f"{served.base}/root.crl")
            keys.apply_authorities(
                connection, [OutsideAuthority("chuyen-dung", ("tls", "sign"), outside.pem, lists, address, GRACE)]
            )
            keys.add_key(connection, "y-te.tls-1", "y-te", "tls", pem(leaf), keys.KeyFacts(authority="chuyen-dung"))

    def ask(self) -> list[str]:
        async def asked() -> list[str]:
            async with open_session() as session:
                return await OutsideAuthorities(
                    self.engine, lock_of(self.engine), session, 0.0, clock=lambda: self.at
                ).ask_all()

        return asyncio.run(asked())

    def snapshot(self) -> Snapshot:
        with self.engine.connect() as connection:
            return load_snapshot(connection)

    def refused(self, at: float) -> Failure | None:
        try:
            identify(self.leaf.public_bytes(Encoding.DER), self.snapshot(), at)
        except Failure as failure:
            return failure
        return None

    def changes(self) -> list[dict[str, str]]:
        with self.engine.connect() as connection:
            entries = [json.loads(each) for each in connection.scalars(select(tables.log_pending.c.entry))]
        return [change for entry in entries for change in entry["facts"]["changes"]]


def test_a_key_is_in_force_while_its_authority_says_so(database: Engine, outside: Outside, served: Served) -> None:
    leaf = outside.issue("y-te", new_key())
    house = House(database, outside, served, leaf)
    unknown = house.refused(NOW)
    assert unknown is not None and unknown.code == "channel.status-unknown" and unknown.facts["since"] == "—"
    assert len(house.ask()) == 2 and house.refused(NOW) is not None  # nobody answers: nothing is known
    lists = {"/issuer.crl": outside.crl(number=1), "/root.crl": outside.crl(root=True)}
    served.answer = lambda path, body: lists.get(path)
    assert house.ask() == [] and house.refused(NOW) is None
    before = house.snapshot()
    said = before.keys["y-te.tls-1"].status
    assert said.startswith(
        f"y-te.tls-1; good; crl; this-update={rfc3339(NOW - 60)}; next-update={rfc3339(NOW + 3540)}; sha256="
    )
    early, late = house.refused(NOW - 7200), house.refused(NOW + 301 * 86400)
    assert early is not None and late is not None and early.code == late.code == "channel.expired"  # not begun, ended
    # The last word ages: until the end of its grace and not a second longer.
    end = NOW - 60 + 3600 + GRACE
    assert house.refused(end - 1) is None
    stale = house.refused(end)
    assert stale is not None and stale.code == "channel.status-unknown" and stale.facts["since"] == civil(end)
    # Revoked: at once, named in the log; an older list that is played back takes nothing back.
    good = lists["/issuer.crl"]
    house.at = NOW + 30
    lists["/issuer.crl"] = outside.crl(leaf, begins=-30.0, number=2)
    assert house.ask() == []
    gone = house.refused(NOW + 30)
    assert gone is not None and gone.code == "channel.revoked" and gone.facts["reason"] == "keyCompromise"
    assert house.snapshot().revision > before.revision
    assert house.changes() == [
        {"what": "key", "id": "y-te.tls-1", "how": "revoked", "fields": ["chuyen-dung", "keyCompromise"]}
    ]
    lists["/issuer.crl"] = good
    assert house.ask() == [] and house.refused(NOW + 30) is not None
    assert served.asked.count("/issuer.crl") == 4


def test_what_cannot_be_proved_changes_nothing(database: Engine, outside: Outside, served: Served) -> None:
    leaf = outside.issue("y-te", new_key())
    house = House(database, outside, served, leaf)
    lists = {"/issuer.crl": outside.crl(), "/root.crl": outside.crl(root=True)}
    served.answer = lambda path, body: lists.get(path)
    house.ask()
    before = house.snapshot().revision
    for forged in (
        Outside(NOW).crl(leaf, begins=-10.0),
        outside.crl(leaf, begins=-10.0, key=new_key()),
        b"x" * 1000,
        None,
    ):
        lists["/issuer.crl"] = forged  # type: ignore[assignment]
        assert house.ask() and house.refused(NOW) is None
    assert house.snapshot().revision == before
    # The authority that issued it was revoked by the one above.
    lists["/root.crl"] = outside.crl(outside.issuer, root=True, begins=-20.0)
    house.ask()
    gone = house.refused(NOW)
    assert gone is not None and gone.code == "channel.revoked"


def test_ocsp(database: Engine, outside: Outside, served: Served) -> None:
    leaf = outside.issue("y-te", new_key())
    house = House(database, outside, served, leaf, ocsp=True)
    served.answer = lambda path, body: outside.ocsp(body, of=leaf, unknown=True)
    assert house.ask() and house.refused(NOW) is not None
    served.answer = lambda path, body: outside.ocsp(body, of=leaf)
    assert house.ask() == [] and house.refused(NOW) is None
    served.answer = lambda path, body: outside.ocsp(body, leaf, of=leaf, begins=-10.0)
    assert house.ask() == []
    gone = house.refused(NOW)
    assert gone is not None and gone.code == "channel.revoked"


def test_no_address_of_a_certificate_is_asked(database: Engine, outside: Outside, served: Served) -> None:
    with Served(lambda path, body: outside.crl()) as trap:
        leaf = outside.issue("y-te", new_key(), points=f"{trap.base}/trap")
        assert b"/trap" in leaf.public_bytes(Encoding.DER)
        house = House(database, outside, served, leaf)
        house.ask()
        assert trap.asked == [] and served.asked == ["/issuer.crl", "/root.crl"]


def test_signing_keys_and_an_authority_that_left(database: Engine, outside: Outside, served: Served) -> None:
    house = House(database, outside, served, outside.issue("y-te", new_key()))
    with writing(database) as connection:
        keys.add_key(
            connection,
            "y-te.sign-1",
            "y-te",
            "sign",
            pem(outside.issue("ký", new_key())),
            keys.KeyFacts(authority="chuyen-dung"),
        )
    lists = {"/issuer.crl": outside.crl(), "/root.crl": outside.crl(root=True)}
    served.answer = lambda path, body: lists.get(path)
    house.ask()
    key = house.snapshot().key("y-te.sign-1")
    assert key is not None
    end = NOW - 60 + 3600 + GRACE
    key.check_time(end - 1)
    with pytest.raises(Failure) as stale:
        key.check_time(end)
    assert stale.value.code == "signature.key-status-unknown"
    with writing(database) as connection:
        keys.apply_authorities(connection, [])
        raise_revision(connection)
    gone = house.refused(NOW)
    assert gone is not None and gone.code == "channel.status-unknown"
    key = house.snapshot().key("y-te.sign-1")
    assert key is not None
    with pytest.raises(Failure) as unknown:
        key.check_time(NOW)
    assert unknown.value.code == "signature.key-status-unknown"


def test_lists_of_our_own(database: Engine, tmp_path: Path) -> None:
    """One an issuer; numbers grow, nothing is made without need, and an issuer that was replaced goes on with its
    own."""
    settings = Settings(tmp_path / "instance")
    make_keys(settings, NOW, hosts=["localhost"])
    authority = EmbeddedAuthority(settings)
    (settings.authority / "root.key").rename(tmp_path / "root.key")  # offline
    with pytest.raises(Failure) as offline:
        authority.renew("tls", NOW)
    assert offline.value.code == "authority.root-offline"

    def renewed(now: float) -> dict[str, x509.CertificateRevocationList]:
        with writing(database) as connection:
            revocation_lists.renew(connection, authority, now)
            return {
                row.issuer: x509.load_der_x509_crl(row.crl)
                for row in connection.execute(select(tables.revocation_list))
            }

    def numbers(lists: dict[str, x509.CertificateRevocationList]) -> dict[str, int]:
        return {
            name: each.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
            for name, each in lists.items()
        }

    with writing(database) as connection:
        a_system(connection)
    first = renewed(NOW)
    assert numbers(first) == {"tls": 1, "sign": 1, "vendors": 1} == numbers(renewed(NOW + 60))
    assert not [*first["tls"], *first["sign"], *first["vendors"]]
    made = issue(authority, NOW)
    with writing(database) as connection:
        keys.add_key(connection, "y-te.tls-1", "y-te", "tls", made)
        keys.revoke_key(connection, "y-te.tls-1", NOW + 100, "keyCompromise")
    second = renewed(NOW + 120)
    assert numbers(second) == {"tls": 2, "sign": 1, "vendors": 1}
    assert [each.serial_number for each in second["tls"]] == [load_certificate(made).serial_number]
    (tmp_path / "root.key").rename(settings.authority / "root.key")
    before, certificate = authority.renew("tls", NOW + 200)
    assert (
        before == "tls-1"
        and certificate.subject != load_certificate((settings.authority / "tls-1.crt").read_bytes()).subject
    )
    assert (settings.authority / "anchors.pem").read_bytes().count(b"BEGIN") == 4
    systems = (settings.authority / "systems.pem").read_bytes()
    assert systems.startswith((settings.authority / "anchors.pem").read_bytes()) and systems.count(b"BEGIN") == 5
    third = renewed(NOW + 210)
    assert numbers(third) == {"tls": 3, "tls-1": 1, "sign": 1, "vendors": 1}
    assert not list(third["tls"]) and len(third["tls-1"]) == 1
    assert third["tls"].is_signature_valid(authority.certificate("tls").public_key())  # type: ignore[arg-type]
    later = numbers(renewed(NOW + 86400 + 211))
    assert later == {"tls": 4, "tls-1": 2, "sign": 2, "vendors": 2}  # in good time before they end
    with database.connect() as connection:
        assert connection.scalar(select(tables.system_key.c.reason)) == "keyCompromise"
    with writing(database) as connection:
        connection.execute(update(tables.system_key).values(valid_until=NOW))  # what has ended leaves the list
    assert not list(renewed(NOW + 86400 + 300)["tls-1"])


def test_a_list_from_a_clock_that_ran_ahead_is_made_anew(database: Engine, tmp_path: Path) -> None:
    """Whoever fetched it would refuse it as one from the future, until that came."""
    settings = Settings(tmp_path / "instance")
    make_keys(settings, NOW, hosts=["localhost"])
    clock = [NOW + 300 * 86400]
    lists = revocation_lists.OwnLists(database, None, EmbeddedAuthority(settings), clock=lambda: clock[0])
    with writing(database) as connection:
        lease = leases.take(connection, "keeper-1", clock[0])
    assert lease is not None
    for now in (NOW + 300 * 86400, NOW):
        clock[0] = now
        lists._look(lease)
        with database.connect() as connection:
            found = x509.load_der_x509_crl(revocation_lists.stored_list(connection, "tls") or b"")
        assert found.last_update_utc.timestamp() == int(now)


def issue(authority: EmbeddedAuthority, now: float) -> bytes:
    return issue_tls(authority.issuer("tls"), "y-te", new_private().public_key(), now)


def test_an_instance_without_an_issuer_of_vendors_makes_none(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "data", kind="production")
    make_keys(settings, NOW, hosts=["localhost"])
    with pytest.raises(Failure) as refused:
        EmbeddedAuthority(settings).renew("vendors", NOW)
    assert refused.value.code == "authority.no-issuer"
    assert not list(settings.authority.glob("vendors*")) and not (settings.authority / "systems.pem").exists()
