"""Lists and OCSP answers: what is proved is read, what is not proved says nothing; openssl and pyhanko-certvalidator as
witnesses."""

from __future__ import annotations

import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from asn1crypto import crl
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import InsufficientRevinfoError, RevokedError

from security.algorithms import new_private
from security.pki import authority
from security.pki.authority import make_issuer, make_root, private_pem
from security.pki.chains import path
from security.pki.revocation import AHEAD, Revoked, Status, Unproven, ask, listed, make_crl, read_crl, read_ocsp
from tests.keeper.tasks.outside import Key, Outside, new_key

NOW = 1_795_503_600.0
NONCE = bytes(range(16))


@pytest.fixture(scope="module")
def outside() -> Outside:
    return Outside(NOW)


@pytest.fixture(scope="module")
def leaf(outside: Outside) -> x509.Certificate:
    return outside.issue("y-te", new_key())


def above(outside: Outside) -> tuple[x509.Certificate, ...]:
    return outside.root, outside.issuer


# --- lists ------------------------------------------------------------------------------------------------------------


def test_a_list_says_good_or_revoked(outside: Outside, leaf: x509.Certificate) -> None:
    good = listed(read_crl(outside.crl(), above(outside), NOW), leaf)
    assert good is not None and good.good and good.this_update == NOW - 60 and good.next_update == NOW + 3540
    pem = x509.load_der_x509_crl(outside.crl(leaf)).public_bytes(Encoding.PEM)
    gone = listed(read_crl(pem, above(outside), NOW), leaf)
    assert gone is not None and not gone.good and gone.reason == "keyCompromise" and gone.revoked == NOW - 60
    assert (
        listed(read_crl(outside.crl(root=True), above(outside), NOW), leaf) is None
    )  # the root's list speaks of issuers
    by_root = listed(read_crl(outside.crl(outside.issuer, root=True), above(outside), NOW), outside.issuer)
    assert by_root is not None and not by_root.good


def test_lists_that_prove_nothing(outside: Outside, leaf: x509.Certificate) -> None:
    whole = outside.crl(leaf)
    for bad in (
        outside.crl(leaf, key=new_key()),
        Outside(NOW).crl(leaf),
        whole[:-1] + bytes([whole[-1] ^ 1]),
        outside.crl(begins=-7200.0, lasts=7200.0),
        outside.crl(begins=AHEAD + 60),
        b"",
        b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
    ):
        with pytest.raises(Unproven):
            read_crl(bad, above(outside), NOW)


def shaped(outside: Outside, *extensions: x509.ExtensionType, critical: bool = True) -> bytes:
    made = x509.CertificateRevocationListBuilder().issuer_name(outside.issuer.subject)
    made = made.last_update(outside.at(-60)).next_update(outside.at(3600))
    for each in extensions:
        made = made.add_extension(each, critical=critical)
    return made.sign(outside.key, hashes.SHA256()).public_bytes(Encoding.DER)


def point(*addresses: str, **more: bool) -> x509.IssuingDistributionPoint:
    flags = dict.fromkeys(
        ("only_contains_user_certs", "only_contains_ca_certs", "indirect_crl", "only_contains_attribute_certs"), False
    )
    names = [x509.UniformResourceIdentifier(each) for each in addresses] or None
    return x509.IssuingDistributionPoint(full_name=names, relative_name=None, only_some_reasons=None, **(flags | more))


def test_lists_of_a_part_are_not_taken_for_the_whole(outside: Outside, leaf: x509.Certificate) -> None:
    for extension in (
        x509.DeltaCRLIndicator(1),
        point(indirect_crl=True),
        point(only_contains_attribute_certs=True),
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"),
    ):
        with pytest.raises(Unproven):
            read_crl(shaped(outside, extension), above(outside), NOW)
    of_issuers = read_crl(shaped(outside, point(only_contains_ca_certs=True)), above(outside), NOW)
    assert listed(of_issuers, leaf) is None
    assert (
        listed(read_crl(shaped(outside, point(only_contains_user_certs=True)), above(outside), NOW), leaf) is not None
    )
    part = read_crl(shaped(outside, point("http://x/1.crl")), above(outside), NOW)
    assert listed(part, leaf) is None  # the certificate does not say that it belongs to this part


# --- OCSP -------------------------------------------------------------------------------------------------------------


def responder(outside: Outside, *uses: x509.ObjectIdentifier, **more: float) -> tuple[x509.Certificate, Key]:
    key = new_key()
    return outside.issue("OCSP", key, *(uses or (ExtendedKeyUsageOID.OCSP_SIGNING,)), **more), key  # type: ignore[arg-type]


def test_an_answer_says_good_or_revoked(outside: Outside, leaf: x509.Certificate) -> None:
    question = ask(leaf, outside.issuer, NONCE)
    for by in (None, responder(outside)):
        for algorithm in (hashes.SHA256(), hashes.SHA1()):  # of the names in it
            good = read_ocsp(
                outside.ocsp(question, of=leaf, by=by, algorithm=algorithm), leaf, outside.issuer, NONCE, NOW
            )
            assert good.good and good.source == "ocsp" and good.next_update == NOW + 3540
        gone = read_ocsp(outside.ocsp(question, leaf, of=leaf, by=by), leaf, outside.issuer, NONCE, NOW)
        assert not gone.good and gone.reason == "keyCompromise" and gone.revoked == NOW - 60
    undated = read_ocsp(outside.ocsp(question, of=leaf, lasts=None), leaf, outside.issuer, NONCE, NOW)
    assert undated.next_update == NOW - 60 + 3600


def test_answers_that_prove_nothing(outside: Outside, leaf: x509.Certificate) -> None:
    question, other = ask(leaf, outside.issuer, NONCE), outside.issue("x", new_key())
    liar = Outside(NOW)
    whole = outside.ocsp(question, of=leaf)
    for what, bad in {
        "a certificate of the authority that was not appointed": outside.ocsp(
            question, of=leaf, by=responder(outside, ExtendedKeyUsageOID.CLIENT_AUTH)
        ),
        "a responder of another authority": outside.ocsp(question, of=leaf, by=responder(liar)),
        "a responder whose certificate has ended": outside.ocsp(
            question, of=leaf, by=responder(outside, days=1, begins=-90000.0)
        ),
        "another authority of the same name": liar.ocsp(question, of=leaf),
        "another question": outside.ocsp(question, of=leaf, nonce=b"x" * 16),
        "another certificate": outside.ocsp(question, of=other),
        "the same number by another authority": outside.ocsp(question, of=leaf, issuer=liar.issuer),
        "unknown": outside.ocsp(question, of=leaf, unknown=True),
        "out of date": outside.ocsp(question, of=leaf, begins=-7200.0, lasts=7200.0),
        "of the future": outside.ocsp(question, of=leaf, begins=AHEAD + 60),
        "try later": x509.ocsp.OCSPResponseBuilder.build_unsuccessful(
            x509.ocsp.OCSPResponseStatus.TRY_LATER
        ).public_bytes(Encoding.DER),
        "changed": whole[:-1] + bytes([whole[-1] ^ 1]),
        "nothing": b"",
    }.items():
        with pytest.raises(Unproven):
            read_ocsp(bad, leaf, outside.issuer, NONCE, NOW)
            pytest.fail(what)


@pytest.fixture(scope="module")
def told(outside: Outside, leaf: x509.Certificate) -> tuple[bytes, bytes]:
    return outside.crl(leaf), outside.ocsp(ask(leaf, outside.issuer, NONCE), leaf, of=leaf)


@given(which=st.integers(0, 1), place=st.integers(0, 10_000))
@settings(max_examples=200, deadline=None)
def test_a_changed_bit_never_makes_good_of_revoked(
    outside: Outside, leaf: x509.Certificate, told: tuple[bytes, bytes], which: int, place: int
) -> None:
    changed = bytearray(told[which])
    changed[place // 8 % len(changed)] ^= 1 << place % 8
    try:
        if which:
            found: Status | None = read_ocsp(bytes(changed), leaf, outside.issuer, NONCE, NOW)
        else:
            found = listed(read_crl(bytes(changed), above(outside), NOW), leaf)
    except Unproven:
        return
    assert found is None or not found.good


# --- lists of our own, and witnesses ----------------------------------------------------------------------------------


def openssl(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *words], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("use", ["tls", "sign"])
def test_openssl_takes_our_lists(tmp_path: Path, use: str) -> None:
    root = make_root("Root", NOW)
    issuer = make_issuer(root, use, NOW)
    issue = authority.issue_tls if use == "tls" else authority.issue_signing
    kept, gone = (issue(issuer, name, new_private().public_key(), NOW) for name in ("y-te", "do-thi"))
    serial = x509.load_pem_x509_certificate(gone).serial_number
    lists = {
        "issuer": make_crl(issuer, [Revoked(serial, NOW, "keyCompromise")], 7, NOW, 86400),
        "root": make_crl(root, [], 1, NOW, 86400),
    }
    files = {"root.pem": root.pem, "issuer.pem": issuer.pem, "kept.pem": kept, "gone.pem": gone}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "crl.pem").write_bytes(
        b"".join(x509.load_der_x509_crl(each).public_bytes(Encoding.PEM) for each in lists.values())
    )
    (tmp_path / "list.der").write_bytes(lists["issuer"])
    shown = openssl(
        "crl",
        "-in",
        str(tmp_path / "list.der"),
        "-inform",
        "DER",
        "-noout",
        "-text",
        "-CAfile",
        str(tmp_path / "issuer.pem"),
    )
    assert "verify OK" in shown.stderr and "Key Compromise" in shown.stdout and "X509v3 CRL Number" in shown.stdout
    common = [
        "-attime",
        str(int(NOW)),
        "-CAfile",
        str(tmp_path / "root.pem"),
        "-untrusted",
        str(tmp_path / "issuer.pem"),
        "-x509_strict",
    ]
    common += ["-crl_check_all", "-CRLfile", str(tmp_path / "crl.pem")]
    assert openssl("verify", *common, str(tmp_path / "kept.pem")).returncode == 0
    refused = openssl("verify", *common, str(tmp_path / "gone.pem"))
    assert refused.returncode != 0 and "certificate revoked" in refused.stderr


def test_openssl_answers_our_question(tmp_path: Path) -> None:
    """Openssl as the responder, without a network: it reads our question, and we read its answer. It reads the clock
    itself."""
    now = time.time()
    outside = Outside(now)
    leaf = outside.issue("y-te", new_key())
    appointed, key = responder(outside)
    gone = outside.issue("do-thi", new_key())
    for name, certificate in {"issuer": outside.issuer, "responder": appointed}.items():
        (tmp_path / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (tmp_path / "responder.key").write_bytes(private_pem(key))
    begin, end = (f"{outside.at(days * 86400):%y%m%d%H%M%SZ}" for days in (-1, 300))
    index = f"V\t{end}\t\t{leaf.serial_number:040X}\tunknown\t/CN=y-te\n"
    index += f"R\t{end}\t{begin},keyCompromise\t{gone.serial_number:040X}\tunknown\t/CN=do-thi\n"
    (tmp_path / "index.txt").write_text(index)
    for certificate, good in ((leaf, True), (gone, False)):
        (tmp_path / "question.der").write_bytes(ask(certificate, outside.issuer, NONCE))
        words = {
            "-index": "index.txt",
            "-CA": "issuer.pem",
            "-rsigner": "responder.pem",
            "-rkey": "responder.key",
            "-reqin": "question.der",
        }
        files = [part for word, name in words.items() for part in (word, str(tmp_path / name))]
        done = openssl("ocsp", *files, "-ndays", "1", "-respout", str(tmp_path / "answer.der"))
        assert done.returncode == 0, done.stderr
        said = read_ocsp((tmp_path / "answer.der").read_bytes(), certificate, outside.issuer, NONCE, time.time())
        assert said.good is good and said.reason == (None if good else "keyCompromise") and said.next_update > now


async def test_pyhanko_agrees(outside: Outside, leaf: x509.Certificate) -> None:
    """A second library of path validation, over the same certificates and lists."""

    def told(certificate: x509.Certificate) -> asn1.Certificate:
        return asn1.Certificate.load(certificate.public_bytes(Encoding.DER))

    def by_them(*lists: bytes) -> CertificateValidator:
        context = ValidationContext(
            trust_roots=[told(outside.root)],
            moment=datetime.fromtimestamp(NOW, UTC),
            revocation_mode="require",
            crls=[crl.CertificateList.load(each) for each in lists],
        )
        return CertificateValidator(told(leaf), intermediate_certs=[told(outside.issuer)], validation_context=context)

    of_root = outside.crl(root=True)
    await by_them(outside.crl(), of_root).async_validate_path()
    for lists, error in (((outside.crl(leaf), of_root), RevokedError), ((of_root,), InsufficientRevinfoError)):
        with pytest.raises(error):
            await by_them(*lists).async_validate_path()
    assert [each.subject for each in path(leaf, above(outside), NOW)] == [
        leaf.subject,
        outside.issuer.subject,
        outside.root.subject,
    ]
