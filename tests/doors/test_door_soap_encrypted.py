"""For whom the SOAP door encrypts: the caller's newest RSA key in force, and nobody without one is served."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from contracts.base.errors import Failure
from contracts.wire.soap import V11, V12, Version, parse_envelope
from gateway.doors.errors import SOAP_ACTION
from gateway.doors.http.channel import identify
from gateway.doors.soap import SoapDoor
from gateway.journal.database import writing
from gateway.registry import store
from gateway.registry.changes import keys as registered
from gateway.registry.snapshot import load_snapshot
from gateway.sandbox.standins.messages import dossier_status_xml
from gateway.transfer.stages import Addressed, Authenticated, Face, Receipt, Received, Refused
from security.algorithms import KeyType, new_private
from security.encryption_keys import DecryptKey
from security.pki.authority import issue_encryption, private_pem
from security.wssec.decrypt import BodyKeys, decrypt_envelope, is_encrypted
from security.wssec.encrypt import encrypt_envelope
from security.wssec.names import DS
from security.wssec.sign import EnvelopeHeaders
from security.wssec.verify import sign_envelope, verify_envelope
from tests.registry.making import House, Identity, filled, new_database, province

CONTRACT, CALLER = "dossier-status/v1", "mot-cua-xa"
UNUSED = b'<soap:Envelope xmlns:unused="urn:u" '
URI = f"https://cong.example/soap/{CONTRACT}"


class Case:
    """A registry with one caller, and the door that it calls."""

    def __init__(self, folder: Path) -> None:
        self.now = time.time()
        self.house = House.make(folder, self.now)
        self.caller, self.gateway = self.house.identity(CALLER, self.now), self.house.identity("gateway", self.now)
        self.ours = self.key("gateway", "RSA-2048", 0)[1]
        self.engine = new_database(folder)
        filled(self.engine, province(), [self.caller], self.now)
        self.door = SoapDoor(self.gateway.sign, BodyKeys([self.ours]), lambda: "note", lambda: self.now)

    def key(self, system: str, kind: KeyType, days_ago: float) -> tuple[bytes, DecryptKey]:
        private = new_private(kind)
        certificate = issue_encryption(
            self.house.signing, system, private.public_key(), self.now - 3600 - days_ago * 86_400 * 0.5
        )
        return certificate, DecryptKey.from_pem(f"{system}.encrypt-{days_ago}", private_pem(private), certificate)

    def enrol(self, kind: KeyType, days_ago: float = 0) -> DecryptKey:
        certificate, key = self.key(CALLER, kind, days_ago)
        with writing(self.engine) as connection:
            store.add_key(connection, key.key_id, CALLER, "encrypt", certificate)
        return key

    def revoke(self, key: DecryptKey) -> None:
        with writing(self.engine) as connection:
            registered.revoke_key(connection, key.key_id, self.now)

    def authenticated(self, version: Version) -> Authenticated:
        content = dossier_status_xml(event="H14.22-1").partition(b"?>")[2].strip()
        signed = sign_envelope(
            content,
            self.caller.sign,
            self.now,
            EnvelopeHeaders(action="urn:caobang:mot-cua:1:DongBoHoSo", message_id="urn:uuid:1"),
            version=version,
        )
        body = encrypt_envelope(signed, self.ours.encrypt_key(), version)
        headers = {"content-type": version.media_type}
        with self.engine.connect() as connection:
            snapshot = load_snapshot(connection)
        contract = snapshot.contract(CONTRACT)
        assert contract is not None
        received = Received(
            "t-1",
            self.now,
            Face.SOAP,
            "POST",
            f"/soap/{CONTRACT}",
            URI,
            "",
            headers,
            body,
            self.caller.tls_der,
            "127.0.0.1",
            snapshot,
        )
        channel = identify(received.certificate, snapshot, self.now)
        return self.door.authenticate(Addressed(received, channel, contract, None))

    def refusal(self, who: Authenticated) -> tuple[Failure, bytes]:
        with pytest.raises(Failure) as caught:
            self.door.request(who)
        refused = Refused(who.received, caught.value, Receipt("t-1", refusal=bytes(32)), who)
        return caught.value, self.door.render(refused).body

    def told(self, who: Authenticated) -> bytes:
        """A refusal that comes later, as it leaves the door."""
        failure = SOAP_ACTION(got="urn:x", signed="urn:y", operation="submitStatus", expected="urn:z")
        return self.door.render(Refused(who.received, failure, Receipt("t-1", refusal=bytes(32)), who)).body


@pytest.fixture
def case(tmp_path: Path) -> Any:
    made = Case(tmp_path)
    yield made
    made.engine.dispose()


both = pytest.mark.parametrize("version", [V11, V12], ids=lambda version: version.number)


@both
def test_the_newest_rsa_key_in_force(version: Version, case: Case) -> None:
    old, new = case.enrol("RSA-2048", 20), case.enrol("RSA-2048", 10)
    case.enrol("P-256", 1)  # newer still, and of no use here
    who = case.authenticated(version)
    assert case.door.request(who).operation.name == "submitStatus"
    told = case.told(who)
    opened = decrypt_envelope(parse_envelope(told, version), BodyKeys([new]))
    verify_envelope(opened.root, {case.gateway.sign.thumbprint: case.gateway.sign.verify_key()}.get, case.now)
    with pytest.raises(Failure):
        decrypt_envelope(parse_envelope(told, version), BodyKeys([old]))
    case.revoke(new)
    told = case.told(case.authenticated(version))
    assert decrypt_envelope(parse_envelope(told, version), BodyKeys([old]))


@both
@pytest.mark.parametrize("kind", [None, "P-256"])
def test_who_has_no_rsa_key_is_told_so_in_clear_and_signed(kind: KeyType | None, version: Version, case: Case) -> None:
    """An agency that signs with EC enrols an RSA certificate for encryption: the refusal names it, and nothing else of
    the message is answered."""
    if kind is not None:
        case.enrol(kind)
    who = case.authenticated(version)
    failure, body = case.refusal(who)
    assert (failure.code, failure.facts["kind"], failure.facts["system"]) == ("encryption.no-key", "RSA", CALLER)
    root = parse_envelope(body, version)
    assert not is_encrypted(root) and b"encryption.no-key" in body and b"NguoiNop" not in body
    verify_envelope(root, {case.gateway.sign.thumbprint: case.gateway.sign.verify_key()}.get, case.now)


def test_what_was_signed_goes_with_the_call(case: Case) -> None:
    case.enrol("RSA-2048")
    who = case.authenticated(V11)
    assert b"NguoiNop" in who.opened and b"NguoiNop" not in who.received.body
    key = case.caller.sign.verify_key()
    assert verify_envelope(parse_envelope(who.opened), {key.thumbprint: key}.get, case.now).message_id == "urn:uuid:1"


def test_another_systems_envelope_encrypted_over_ones_own_channel(case: Case) -> None:
    """Encryption hides nothing of who sent: the certificate of the channel and the key of the signature must still be
    one system's."""
    stranger: Identity = case.house.identity("mot-cua", case.now)
    with writing(case.engine) as connection:
        store.add_key(connection, "mot-cua.tls-1", "mot-cua", "tls", stranger.tls_certificate)
    who = case.authenticated(V11)
    with case.engine.connect() as connection:
        snapshot = load_snapshot(connection)
    received = who.received._replace(certificate=stranger.tls_der, snapshot=snapshot)
    channel = identify(stranger.tls_der, snapshot, case.now)
    with pytest.raises(Failure) as caught:
        case.door.authenticate(Addressed(received, channel, who.addressed.contract, None))
    assert caught.value.code == "channel.mismatch"


@pytest.mark.parametrize("explains", [True, False])
def test_a_wrong_signature_value_is_explained_in_a_sandbox_alone(
    case: Case, monkeypatch: pytest.MonkeyPatch, explains: bool
) -> None:
    """The caller signed an inclusive C14N of SignedInfo, under a namespace that nothing uses."""

    def signed(*given: Any, **how: Any) -> bytes:
        root = etree.fromstring(original(*given, **how).replace(b"<soap:Envelope ", UNUSED, 1))
        (info,) = root.iter(f"{{{DS}}}SignedInfo")
        (value,) = root.iter(f"{{{DS}}}SignatureValue")
        made = etree.tostring(info, method="c14n", exclusive=False, with_tail=False)
        value.text = base64.b64encode(case.caller.sign.sign_xml(made)).decode()
        return etree.tostring(root)

    original = sign_envelope
    monkeypatch.setitem(globals(), "sign_envelope", signed)
    monkeypatch.setattr(case.door, "explains", explains)
    with pytest.raises(Failure) as caught:
        case.authenticated(V11)
    failure = caught.value
    assert failure.code == "signature.wrong"
    assert failure.signature_base.startswith("<ds:SignedInfo") is explains
    assert [each.got.partition(" C14N")[0] for each in failure.findings] == ["inclusive"] * explains
