"""An identity folder is used only when it is whole, agrees with itself, and is nobody else's; made here as enrolment
makes one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.ports import free_port
from contracts.base.errors import Theirs
from gateway.client import BadIdentity, Client, Identity, NoConnection
from gateway.client.identities import enrol, join
from gateway.client.identities.trusted import TrustedKeys
from gateway.doors.api.keys import key_json
from gateway.keys import handout
from gateway.keys.authority import EmbeddedAuthority
from gateway.keys.keyring import Keyring, make_keys, next_generation
from gateway.settings import Settings
from security import algorithms
from security.pki import authority
from security.pki.authority import Authority
from security.transparency.checkpoint import NoteKey

SYSTEM = "y-te"
FACTS = {"gateway": "https://localhost:1", "gateway_key_id": "gateway.sign-1"}
POSIX = pytest.mark.skipif(os.name != "posix", reason="modes of files are of POSIX")


class Operator:
    """The other side of enrolment: an authority, and what it hands over."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        now = time.time()
        self.root = root = authority.make_root("root", now)
        self.tls = authority.make_issuer(root, "tls issuer", now)
        self.sign = authority.make_issuer(root, "sign issuer", now)
        folder.mkdir()
        (folder / "ca.crt").write_bytes(root.pem + self.tls.pem + self.sign.pem)
        (folder / "gateway-sign.crt").write_bytes(
            authority.issue_signing(self.sign, "gateway", algorithms.new_private().public_key(), now)
        )
        (folder / "log.vkey").write_text(
            NoteKey.make("localhost/log", Ed25519PrivateKey.generate().public_key()).text(), "ascii"
        )

    def issue(self, request: Path, *, at: float | None = None, system: str | None = None) -> Path:
        asked = authority.read_request(request.read_bytes())
        issue: Callable[..., bytes] = authority.issue_tls if request.stem == "tls" else authority.issue_signing
        issuer: Authority = self.tls if request.stem == "tls" else self.sign
        made = self.folder / f"{request.stem}.crt"
        made.write_bytes(
            issue(issuer, system or asked.system, asked.public, time.time() if at is None else at, agency="H14.09")
        )
        return made


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path / "operator")


@pytest.fixture
def folder(tmp_path: Path, operator: Operator) -> Path:
    place = tmp_path / "identity"
    enrol.keygen(SYSTEM, place)
    certificates = [operator.issue(place / f"{use}.csr") for use in ("tls", "sign")]
    done = enrol.install(place, certificates, time.time(), facts=FACTS, trust=operator.folder)
    assert not done.missing
    return place


def refused(folder: Path) -> BadIdentity:
    with pytest.raises(BadIdentity) as wrong:
        Identity.load(folder).check_time(time.time())
    assert wrong.value.what("vi") != wrong.value.what("en") and wrong.value.next("vi")
    return wrong.value


def test_a_whole_folder_is_loaded(folder: Path) -> None:
    made = Identity.load(folder)
    assert (made.system, made.agency, made.sign_key.key_id, made.gateway) == (
        SYSTEM,
        "H14.09",
        "y-te.sign-1",
        FACTS["gateway"],
    )
    assert made.gateway_key.system == "gateway" and "PRIVATE" not in repr(made)


@POSIX
@pytest.mark.parametrize(
    ("name", "mode"), [("tls.key", 0o640), ("sign.key", 0o604), ("ca.crt", 0o666), ("log.vkey", 0o664), (".", 0o777)]
)
def test_files_that_are_open_to_others_are_not_used(folder: Path, name: str, mode: int) -> None:
    (folder / name).chmod(mode)
    wrong = refused(folder)
    assert wrong.code == "client.identity-mode" and "chmod" in wrong.next("en")


@pytest.mark.parametrize(
    "name", ["system.json", "tls.key", "tls.crt", "sign.key", "sign.crt", "ca.crt", "gateway-sign.crt", "log.vkey"]
)
def test_a_missing_or_damaged_file_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"-")
    assert name in refused(folder).what("en")
    (folder / name).unlink()
    assert name in refused(folder).what("en")


def test_a_key_and_a_certificate_that_are_no_pair(folder: Path, tmp_path: Path) -> None:
    enrol.keygen(SYSTEM, tmp_path / "other")
    for use in ("sign", "tls"):
        kept = (folder / f"{use}.key").read_bytes()
        (folder / f"{use}.key").write_bytes((tmp_path / "other" / f"{use}.key").read_bytes())
        assert f"{use}.key" in refused(folder).what("en")
        (folder / f"{use}.key").write_bytes(kept)


def test_a_gateway_of_another_authority_is_not_believed(folder: Path, tmp_path: Path) -> None:
    other = Operator(tmp_path / "other-operator")
    (folder / "gateway-sign.crt").write_bytes((other.folder / "gateway-sign.crt").read_bytes())
    assert "gateway-sign.crt" in refused(folder).what("en")
    (folder / "gateway-sign.crt").write_bytes((folder / "ca.crt").read_bytes())  # an authority is no signer
    assert "gateway-sign.crt" in refused(folder).what("en")


@pytest.mark.parametrize(
    ("name", "value"), [("gateway", "http://localhost"), ("gateway", None), ("sign_key_id", 7), ("system", "")]
)
def test_a_wrong_word_in_system_json_is_named(folder: Path, name: str, value: object) -> None:
    about = json.loads((folder / "system.json").read_text("utf-8")) | {name: value}
    (folder / "system.json").write_text(json.dumps(about), "utf-8")
    assert f"system.json: {name}" in refused(folder).what("en")


def test_certificates_out_of_force_are_told_before_a_call(folder: Path, tmp_path: Path) -> None:
    identity = Identity.load(folder)
    for when in (time.time() - 86400, time.time() + 86400 * 200):
        with pytest.raises(BadIdentity) as wrong:
            Client(identity, state=tmp_path / "state", clock=lambda when=when: when)
        assert wrong.value.code == "client.identity-expired" and "tls.crt" in wrong.value.what("en")


def test_a_passphrase_that_is_missing_or_wrong(tmp_path: Path, operator: Operator) -> None:
    place = tmp_path / "locked"
    enrol.keygen(SYSTEM, place, passphrase=b"mot cum tu")
    certificates = [operator.issue(place / f"{use}.csr") for use in ("tls", "sign")]
    enrol.install(place, certificates, time.time(), facts=FACTS, trust=operator.folder, passphrase=b"mot cum tu")
    assert Identity.load(place, passphrase=b"mot cum tu").system == SYSTEM
    for passphrase in (None, b"sai"):
        with pytest.raises(BadIdentity):
            Identity.load(place, passphrase=passphrase)
        with pytest.raises(BadIdentity):
            enrol.install(place, certificates, time.time(), facts=FACTS, passphrase=passphrase)


def test_whom_the_issuer_certified(folder: Path, operator: Operator) -> None:
    """A newer key of the gateway: by the same issuer, or by one that was made anew under its name; by no other, and for
    nothing else."""
    now, public = time.time(), algorithms.new_private().public_key()
    identity = Identity.load(folder)

    def certified(made: bytes, *chain: Authority) -> bool:
        return identity.newer_signing_key(made, [each.pem for each in chain], "gateway.sign-2", now) is not None

    renewed = authority.make_issuer(operator.root, "sign issuer 2", now)
    by_time = authority.make_issuer(operator.root, "sign issuer 2026-11-30T07:05", now)  # as 0.2.0 named it
    elsewhere = authority.make_issuer(authority.make_root("root", now), "sign issuer 2", now)
    below = authority.Authority(renewed.certificate, renewed.private, (operator.root.certificate,))
    assert certified(authority.issue_signing(operator.sign, "gateway", public, now))
    assert certified(authority.issue_signing(renewed, "gateway", public, now), below)
    assert certified(authority.issue_signing(by_time, "gateway", public, now), by_time)
    assert not certified(authority.issue_signing(renewed, "gateway", public, now))  # nobody here knows that issuer
    for issuer in (operator.tls, authority.make_issuer(operator.root, "tls issuer 2", now), elsewhere):
        assert not certified(authority.issue_signing(issuer, "gateway", public, now), issuer)
    assert not certified(authority.issue_signing(operator.sign, "y-te", public, now))
    assert not certified(authority.issue_signing(operator.sign, "gateway", public, now - 400 * 86400))
    rsa = authority.issue_encryption(operator.sign, "gateway", algorithms.new_private("RSA-3072").public_key(), now)
    assert not certified(rsa) and not certified(operator.sign.pem)
    assert identity.newer_encryption_key(rsa, [], "gateway.encrypt-2", now) is not None
    assert (
        identity.newer_encryption_key(authority.issue_signing(operator.sign, "gateway", public, now), [], "k", now)
        is None
    )


def test_a_handout_after_an_issuer_was_replaced(tmp_path: Path) -> None:
    """The new issuer has certified the signing key, the one before still the key to encrypt for. Who copies the whole
    handout keeps the key ids of his `system.json`."""
    now, settings = time.time(), Settings(tmp_path / "instance")
    make_keys(settings, now, hosts=["localhost"])
    keyring = Keyring(settings)
    keyring.log_vkey.parent.mkdir()
    keyring.log_vkey.write_text(
        NoteKey.make("localhost/log", Ed25519PrivateKey.generate().public_key()).text(), "ascii"
    )
    place = tmp_path / "identity"
    enrol.keygen(SYSTEM, place)
    asked = [authority.read_request((place / f"{use}.csr").read_bytes()) for use in ("tls", "sign")]
    made = [authority.issue_tls(keyring.issuer("tls"), SYSTEM, asked[0].public, now, agency="H14.09")]
    made.append(authority.issue_signing(keyring.issuer("sign"), SYSTEM, asked[1].public, now, agency="H14.09"))
    for use, pem in zip(("tls", "sign"), made, strict=True):
        (tmp_path / f"{use}.crt").write_bytes(pem)

    def handed_over(name: str) -> Path:
        (tmp_path / name).mkdir()
        for file, content in handout.files(settings).items():
            (tmp_path / name / file).write_bytes(content)
        return tmp_path / name

    certificates = [tmp_path / f"{use}.crt" for use in ("tls", "sign")]
    first = handed_over("first")
    facts = {name: str(value) for name, value in json.loads((first / "gateway.json").read_text("utf-8")).items()}
    enrol.install(place, certificates, now, facts=facts, trust=first)
    before = Identity.load(place)
    EmbeddedAuthority(settings).renew("sign", now)
    next_generation(keyring, "sign", now).put()
    offered = [key_json(each) for each in Keyring(settings).published(now) if each.use == "sign"]
    for identity in (before, Identity.load(shutil.copytree(handed_over("second"), place, dirs_exist_ok=True))):
        keys = TrustedKeys(identity)
        assert keys.by_id("gateway.sign-2") is None and keys.learn(
            json.dumps({"sign": offered, "encrypt": []}).encode(), now
        )
        assert keys.by_id("gateway.sign-2") is not None


@pytest.mark.parametrize(
    "host", ["cảnh-báo.example", "", "a..b", "https://a.example", "-a.example", "a" * 64, "a b", "10.0.0.300", "7"]
)
def test_a_host_that_is_no_name_is_refused_before_anything_is_written(tmp_path: Path, host: str) -> None:
    with pytest.raises(Theirs, match=r"client\.usage") as refused:
        enrol.keygen(SYSTEM, tmp_path / "new", hosts=["y-te.example", host])
    assert "xn--" in refused.value.what("en") and not (tmp_path / "new").exists()
    enrol.keygen(SYSTEM, tmp_path / "new", hosts=["xn--cnh-bo-5ta2590d.example", "may_1", "127.0.0.1", "::1"])


def test_install_takes_all_or_nothing(folder: Path, operator: Operator, tmp_path: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    now = time.time()
    good, late = (
        operator.issue(folder / "tls.csr").rename(tmp_path / "good.crt"),
        operator.issue(folder / "sign.csr", at=now - 400 * 86400),
    )
    for wrong in (
        late,
        operator.issue(folder / "sign.csr", system="phan-anh"),
        operator.folder / "gateway-sign.crt",
        tmp_path / "none.crt",
    ):
        with pytest.raises(BadIdentity):
            enrol.install(folder, [good, wrong], now, facts={})
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_keys_that_openssl_made_become_a_folder_by_what_their_certificates_name(
    operator: Operator, tmp_path: Path
) -> None:
    place, now = tmp_path / "by-hand", time.time()
    place.mkdir(mode=0o700)
    for use in ("tls", "sign"):
        asked = [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-noenc",
            "-keyout",
            str(place / f"{use}.key"),
            "-out",
            str(place / f"{use}.csr"),
        ]
        named = ["-subj", f"/CN={SYSTEM}", "-addext", f"subjectAltName=URI:urn:lgsp:system:{SYSTEM}"]
        subprocess.run(["openssl", "req", "-new", *asked, *named], check=True, capture_output=True)
    kept = sorted(file.name for file in place.iterdir())
    tls = operator.issue(place / "tls.csr")
    for certificates in ([], [tls, operator.issue(place / "sign.csr", system="phan-anh")]):
        with pytest.raises(BadIdentity) as wrong:
            enrol.install(place, certificates, now, facts=FACTS, trust=operator.folder)
        assert ("nhiều hệ thống: phan-anh, y-te" if certificates else "system.json") in wrong.value.what("vi")
    assert sorted(file.name for file in place.iterdir()) == kept
    done = enrol.install(place, [tls, operator.issue(place / "sign.csr")], now, facts=FACTS, trust=operator.folder)
    assert not done.missing and Identity.load(place).system == SYSTEM
    assert done.assumed == {"tls": "y-te.tls-1", "sign": "y-te.sign-1"}
    later = enrol.install(place, [], now, facts={"sign_key_id": "y-te.sign-2"})
    assert not later.missing and not later.assumed and Identity.load(place).sign_key.key_id == "y-te.sign-2"


def test_what_is_published_adds_keys_and_never_replaces_the_pinned_one(folder: Path, operator: Operator) -> None:
    identity, now = Identity.load(folder), time.time()
    keys = TrustedKeys(identity)

    def offered(key_id: str) -> bytes:
        made = authority.issue_signing(operator.sign, "gateway", algorithms.new_private().public_key(), now)
        return json.dumps({"sign": [{"id": key_id, "certificate": made.decode(), "chain": []}], "encrypt": []}).encode()

    assert not keys.learn(offered("gateway.sign-1"), now)
    assert keys.by_id("gateway.sign-1") == identity.gateway_key
    newer = offered("gateway.sign-2")
    assert keys.learn(newer, now) and not keys.learn(newer, now)
    assert keys.by_id("gateway.sign-2") and keys.by_id("gateway.sign-1") == identity.gateway_key


def test_nobody_leads_back_to_an_older_key_for_encryption(folder: Path, operator: Operator) -> None:
    """Whoever can put an old page in the way may hold a key that the gateway has given up."""
    keys, now = TrustedKeys(Identity.load(folder)), time.time()

    def offered(number: int, begins: float) -> bytes:
        made = authority.issue_encryption(
            operator.sign, "gateway", algorithms.new_private("RSA-3072").public_key(), begins
        )
        listed = {"id": f"gateway.encrypt-{number}", "certificate": made.decode(), "chain": [], "current": True}
        return json.dumps({"sign": [], "encrypt": [listed]}).encode()

    older, newer = offered(1, now - 86_400), offered(2, now)
    assert keys.learn(older, now) and keys.learn(newer, now) and not keys.learn(older, now)
    assert keys.encrypt is not None and keys.encrypt.key_id == "gateway.encrypt-2"


async def test_a_join_that_reaches_nobody_has_its_own_words(tmp_path: Path) -> None:
    """There is no identity folder yet, and no message to repeat; nothing is left behind."""
    wanted = join.Wanted(name="Công ty Mẫu", contact="a@mau.example", contracts=("field-report/v1",))
    with pytest.raises(NoConnection) as told:
        await join.join(f"http://127.0.0.1:{free_port()}", wanted, tmp_path / "identity")
    assert told.value.code == "client.no-sandbox" and not told.value.sent and not (tmp_path / "identity").exists()
    for language in ("vi", "en"):
        assert "system.json" not in told.value.next(language) and "--anchors" in told.value.next(language)
