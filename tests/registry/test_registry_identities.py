"""Keys, authorities and contacts: stated in the document, enrolled by request or certificate, revoked; on both
databases."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from sqlalchemy import Engine, select

from contracts.base.errors import Failure, Theirs
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry import store
from gateway.registry.changes import enrolment, keys
from gateway.registry.changes.document import Document
from gateway.registry.changes.enrolment import Wanted
from gateway.registry.records import Change
from gateway.registry.snapshot import Snapshot, load_snapshot
from security.algorithms import new_private
from security.pki import authority
from security.pki.authority import make_request
from security.pki.chains import Trust
from tests.keeper.tasks.outside import Outside, new_key, pem
from tests.registry.making import NOW, PROVINCE, House, filled, province

MARK = "  - id: y-te\n"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House.make(tmp_path_factory.mktemp("keys"), NOW)


@pytest.fixture(scope="module")
def outside() -> Outside:
    return Outside(NOW)


@pytest.fixture
def engine(database: Engine) -> Engine:
    filled(database, province(), [])
    return database


def own(house: House) -> Trust:
    certificates = (*house.tls.above, house.tls.certificate, house.signing.certificate)
    return Trust(None, ("tls", "sign"), certificates)


def stating(*parts: str, authorities: str = "", text: str = PROVINCE) -> Document:
    """The province with this under the system `y-te`."""
    return province(
        text.replace(MARK, MARK + indent("".join(parts), "    ")).replace("systems:\n", f"{authorities}systems:\n", 1)
    )


def key(name: str, certificate: str | bytes, use: str = "sign", **more: str) -> str:
    text = certificate.decode() if isinstance(certificate, bytes) else certificate
    lines = "".join(f"    {word}: {value}\n" for word, value in more.items())
    return f"  - id: {name}\n    use: {use}\n{lines}    certificate: |\n" + indent(text, "      ")


def trusting(made: Outside, **more: str) -> str:
    words = {"uses": "[tls, sign]", "crl": '["http://127.0.0.1:1/x.crl"]', "grace": "24"} | more
    lines = "".join(f"    {word}: {value}\n" for word, value in words.items() if value)
    return "authorities:\n  - name: chuyen-dung\n" + lines + "    certificates: |\n" + indent(made.pem, "      ")


def applied(engine: Engine, document: Document, house: House, now: float = NOW) -> list[Change]:
    with writing(engine) as connection:
        return store.apply(document, connection, now, own(house))


def snapshot_of(engine: Engine) -> Snapshot:
    with engine.connect() as connection:
        return load_snapshot(connection)


def findings(trouble: pytest.ExceptionInfo[Failure]) -> dict[str, str]:
    return {each.here: each.rule for each in trouble.value.findings}


def signing(house: House, kind: str = "P-256") -> bytes:
    return authority.issue_signing(house.signing, "y-te", new_private(kind).public_key(), NOW)  # type: ignore[arg-type]


def test_keys_of_a_document(engine: Engine, house: House) -> None:
    """Added, adopted, revoked by word, revoked by leaving; and what was enrolled by command is left alone."""
    one, two, three = (signing(house, kind) for kind in ("P-256", "RSA-3072", "Ed25519"))
    stated = stating("keys:\n", key("y-te.a", one), key("y-te.b", two, algorithm="rsa-pss-sha512"))
    assert applied(engine, stated, house) == [
        Change("key", "y-te.a", "added", ("sign", snapshot_of(engine).keys["y-te.a"].thumbprint)),
        Change("key", "y-te.b", "added", ("sign", snapshot_of(engine).keys["y-te.b"].thumbprint)),
    ]
    assert applied(engine, stated, house) == []
    found = snapshot_of(engine).key("y-te.b")
    assert found is not None and found.algorithm == "rsa-pss-sha512"
    with writing(engine) as connection:
        keys.add_key(connection, "y-te.by-command", "y-te", "sign", three)
    assert applied(engine, stating("keys:\n", key("y-te.a", one, state="revoked")), house) == [
        Change("key", "y-te.a", "revoked", ("unspecified",)),
        Change("key", "y-te.b", "revoked", ("cessationOfOperation",)),
    ]
    assert snapshot_of(engine).key("y-te.by-command") is not None
    assert applied(engine, stating("keys:\n", key("y-te.a", one), key("y-te.by-command", three)), house) == [
        Change("key", "y-te.by-command", "changed", ("stated",))
    ]
    assert snapshot_of(engine).keys["y-te.a"].state == "revoked"  # stated again, it stays revoked
    with pytest.raises(Theirs) as refused:
        applied(engine, stating("keys:\n", key("y-te.a", one, state="active")), house)
    assert [each.got for each in refused.value.findings] == ["registry.key-revoked"]


def test_keys_that_a_document_may_not_state(engine: Engine, house: House, outside: Outside, tmp_path: Path) -> None:
    foreign = outside.issue("y-te", new_key())
    with pytest.raises(Theirs) as refused:  # nobody of the registry issued it
        applied(engine, stating("keys:\n", key("y-te.a", pem(foreign), "tls")), house)
    assert [each.got for each in refused.value.findings] == ["key.untrusted"]
    weak = authority.issue_signing(house.signing, "y-te", new_private("RSA-2048").public_key(), NOW)
    other = authority.issue_signing(house.signing, "do-thi", new_private().public_key(), NOW)
    with pytest.raises(Theirs) as wrong:
        stating(
            "keys:\n",
            key("y-te.a", other),
            key("y-te.b", "nothing of the kind\n"),
            key("y-te.c", weak, "seal"),
            key("y te", weak),
            key("y-te.d", weak, algorithm="hmac"),
        )
    assert findings(wrong) == {
        f"systems[{at()}].keys[0].certificate": "system",
        f"systems[{at()}].keys[1].certificate": "key",
        f"systems[{at()}].keys[2].use": "code",
        f"systems[{at()}].keys[3].id": "pattern",
        f"systems[{at()}].keys[4].algorithm": "code",
        f"systems[{at()}].keys[4].certificate": "key",
    }
    assert not snapshot_of(engine).keys


def at() -> int:
    return [each.id for each in province().systems].index("y-te")


def test_outside_authorities(engine: Engine, house: House, outside: Outside) -> None:
    mine = new_key()
    certificate = outside.issue("H14.7", mine)
    stated = stating("keys:\n", key("y-te.tls-9", pem(certificate), "tls"), authorities=trusting(outside))
    assert [(each.what, each.id, each.how) for each in applied(engine, stated, house)] == [
        ("authority", "chuyen-dung", "added"),
        ("key", "y-te.tls-9", "added"),
    ]
    with engine.connect() as connection:
        assert connection.scalar(select(tables.system_key.c.authority)) == "chuyen-dung"
        assert keys.outside(connection)["chuyen-dung"].grace == 86400.0
    changed = applied(
        engine,
        stating("keys:\n", key("y-te.tls-9", pem(certificate), "tls"), authorities=trusting(outside, grace="1")),
        house,
    )
    assert changed == [Change("authority", "chuyen-dung", "changed", ("grace",))]
    assert Change("authority", "chuyen-dung", "removed") in applied(engine, province(), house)


@pytest.mark.parametrize(
    ("words", "rules"),
    [
        ({"crl": ""}, {"authorities[0]": "required"}),
        ({"crl": '["ftp://x/y"]'}, {"authorities[0].crl[0]": "format"}),
        ({"crl": '["file:relative"]'}, {"authorities[0].crl[0]": "format"}),
        ({"crl": '["https://user@host/x"]'}, {"authorities[0].crl[0]": "format"}),
        ({"ocsp": "file:///etc/x"}, {"authorities[0].ocsp": "format"}),
        ({"grace": ""}, {"authorities[0].grace": "range"}),
        ({"grace": "100000"}, {"authorities[0].grace": "range"}),
        ({"uses": "[tls, everything]"}, {"authorities[0].uses[1]": "code"}),
        ({"uses": "[]"}, {"authorities[0].uses": "required"}),
    ],
)
def test_authorities_that_are_refused(outside: Outside, words: dict[str, str], rules: dict[str, str]) -> None:
    with pytest.raises(Theirs) as wrong:
        stating(authorities=trusting(outside, **words))
    assert findings(wrong) == rules


def test_an_authority_is_stated_with_its_root_and_without_leaves(outside: Outside) -> None:
    whole, leaf = trusting(outside), outside.issue("x", new_key())
    for certificates, rule in ((pem(outside.issuer), "root"), (outside.pem + pem(leaf), "authority")):
        with pytest.raises(Theirs) as wrong:
            stating(authorities=whole.replace(indent(outside.pem, "      "), indent(certificates, "      ")))
        assert findings(wrong) == {"authorities[0].certificates": rule}


def test_a_live_connection_needs_a_contact(engine: Engine, house: House) -> None:
    contact = (
        '    contact: {office: "Phòng Kế hoạch - Tài chính", phone: "0206 000 0007", email: '
        '"ke-hoach@yte.caobang.example"}\n'
    )
    assert contact in PROVINCE
    without = PROVINCE.replace(contact, "")
    with pytest.raises(Theirs) as wrong:
        province(without)
    assert findings(wrong) == {f"systems[{at()}].contact": "required"}
    with pytest.raises(Theirs) as half:
        stating('contact: {office: "Tổ trực"}\n')
    assert set(findings(half).values()) == {"required"}
    own_contact = 'contact: {office: "Tổ trực", phone: "0206 000 0077", email: "truc@yte.caobang.example"}\n'
    changes = applied(engine, stating(own_contact, text=without), house)
    assert changes == [
        Change("agency", "H14.7", "changed", ("contact",)),
        Change("system", "y-te", "changed", ("contact",)),
    ]
    assert snapshot_of(engine).systems["y-te"].contacts[0].office == "Tổ trực"
    applied(engine, stating("state: suspended\n", text=without), house)
    with pytest.raises(Failure) as refused, writing(engine) as connection:
        store.set_state(connection, "system", "y-te", True)
    assert refused.value.code == "registry.no-contact"
    assert snapshot_of(engine).systems["y-te"].state == "suspended"
    applied(engine, stating("state: suspended\n", own_contact, text=without), house)
    with writing(engine) as connection:
        store.set_state(connection, "system", "y-te", True)


def test_enrolment_by_request(engine: Engine, house: House) -> None:
    private = new_private()
    with writing(engine) as connection:
        first = enrolment.by_request(
            connection,
            lambda _name: house.tls,
            Wanted("do-thi", "tls"),
            make_request("do-thi", private, hosts=["localhost"]),
            NOW,
        )
        second = enrolment.by_request(
            connection,
            lambda _name: house.signing,
            Wanted("do-thi", "sign", "do-thi.of-2026"),
            make_request("do-thi", private),
            NOW,
        )
        third = enrolment.by_request(
            connection, lambda _name: house.tls, Wanted("do-thi", "tls"), make_request("do-thi", new_private()), NOW
        )
        rsa = make_request("do-thi", new_private("RSA-3072"))
        fourth = enrolment.by_request(connection, lambda _name: house.signing, Wanted("do-thi", "encrypt"), rsa, NOW)
    assert [each.unnamed for each in (first, second, third, fourth)] == [None, None, "localhost", None]
    assert (first.key_id, second.key_id, third.key_id) == ("do-thi.tls-1", "do-thi.of-2026", "do-thi.tls-2")
    snapshot = snapshot_of(engine)
    assert all(snapshot.keys[each.key_id].in_force(NOW) for each in (first, second, third))  # two of one use at once
    assert [each.key_id for each in snapshot.encrypt_keys("do-thi")] == [fourth.key_id] == ["do-thi.encrypt-1"]
    assert first.certificate.count(b"BEGIN CERTIFICATE") == 2 and first.changes[0].how == "added"


def test_requests_that_are_refused(engine: Engine, house: House) -> None:
    with writing(engine) as connection:
        keys.add_key(connection, "do-thi.sign-1", "do-thi", "sign", house.identity("do-thi", NOW).sign_certificate)
    asked = make_request("y-te", new_private())
    with pytest.raises(Theirs) as no_rsa, writing(engine) as connection:
        enrolment.by_request(connection, lambda _name: house.signing, Wanted("y-te", "encrypt"), asked, NOW)
    assert no_rsa.value.code == "key.unacceptable"
    for system, named, kind, hosts, key_id, code in (
        ("y-te", "do-thi", "P-256", (), None, "registry.request-system"),
        ("y-te", "y-te", "RSA-2048", (), None, "key.unacceptable"),
        ("y-te", "y-te", "P-256", ("localhost",), None, "registry.request-host"),
        ("do-thi", "do-thi", "P-256", ("gateway.caobang.example",), None, "registry.request-host"),
        ("khong-co", "khong-co", "P-256", (), None, "registry.unknown"),
        ("y-te", "y-te", "P-256", (), "do-thi.sign-1", "registry.key-taken"),
        ("y-te", "y-te", "P-256", (), "y-te\r\nx", "key.unacceptable"),
        ("y-te", "y-te", "P-256", (), "y" * 129, "key.unacceptable"),
    ):
        asked = make_request(named, new_private(kind), hosts=hosts)  # type: ignore[arg-type]
        with pytest.raises(Failure) as refused, writing(engine) as connection:
            enrolment.by_request(connection, lambda _name: house.tls, Wanted(system, "tls", key_id), asked, NOW)
        assert refused.value.code == code
    assert list(snapshot_of(engine).keys) == ["do-thi.sign-1"]


def test_enrolment_of_a_certificate_made_outside(engine: Engine, house: House, outside: Outside) -> None:
    applied(engine, stating(authorities=trusting(outside, uses="[tls]")), house)

    def enrol(system: str, use: Any, certificate: str) -> str | None:
        with writing(engine) as connection:
            trusts = keys.trusted(connection, own(house))
            return enrolment.by_certificate(
                connection, trusts, Wanted(system, use), certificate.encode(), NOW
            ).authority

    assert enrol("y-te", "tls", pem(outside.issue("bất kỳ", new_key()))) == "chuyen-dung"
    assert enrol("y-te", "sign", signing(house).decode()) is None
    liar = Outside(NOW)  # the same names, other keys
    for system, use, certificate, code in (
        ("y-te", "sign", outside.issue("x", new_key()), "key.untrusted"),  # not trusted for that use
        ("y-te", "tls", liar.issue("x", new_key()), "key.untrusted"),
        ("y-te", "tls", outside.issue("x", new_key(), days=1, begins=-90000.0), "key.untrusted"),  # ended
        ("y-te", "tls", outside.issue("x", new_key(), ExtendedKeyUsageOID.CODE_SIGNING), "key.unacceptable"),
        ("y-te", "tls", outside.issuer, "key.unacceptable"),
        ("y-te", "tls", outside.issue("x", new_key(), uri="urn:lgsp:system:do-thi"), "registry.request-system"),
    ):
        with pytest.raises(Failure) as refused:
            enrol(system, use, pem(certificate))
        assert refused.value.code == code, refused.value
