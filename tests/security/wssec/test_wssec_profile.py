"""The SOAP profile, sentence by sentence: what no other module beside this one already tries."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree

from contracts.base.errors import Theirs
from contracts.wire.soap import V11, V12, Version, parse_envelope
from security.keys import VerifyKey
from security.pki.authority import certificate_pem, issue_encryption, issue_signing
from security.wssec.names import DS, ENVELOPED, EXC_C14N, WSU
from security.wssec.sign import EnvelopeHeaders
from security.wssec.verify import sign_envelope, verify_envelope
from tests.security.identities import House, Pair
from tests.security.wssec.test_wssec import CHILD, find, make, reference_again, verify

both = pytest.mark.parametrize("version", [V11, V12], ids=lambda version: version.number)


def refused(root: Any, pair: Pair, now: float, version: Version) -> Theirs:
    with pytest.raises(Theirs) as caught:
        verify_envelope(parse_envelope(etree.tostring(root), version), lambda _: pair.verify, now)
    return caught.value


def made(pair: Pair, now: float, version: Version) -> Any:
    return etree.fromstring(
        sign_envelope(CHILD, pair.sign, now, EnvelopeHeaders(action="urn:x", message_id="urn:uuid:1"), version=version)
    )


def enveloped(root: Any, ident: str) -> None:
    """`enveloped-signature` before the canonicalisation of one Reference."""
    reference = next(each for each in root.iter(f"{{{DS}}}Reference") if each.get("URI") == f"#{ident}")
    step = etree.Element(f"{{{DS}}}Transform")
    step.set("Algorithm", ENVELOPED)
    reference[0].insert(0, step)


# --- enveloped-signature: never when the Signature lies inside the node -----------------------------------------------


@both
@pytest.mark.parametrize("ident", ["body", "timestamp", "token", "action", "message-id"])
def test_enveloped_signature_is_taken_where_it_removes_nothing(
    ident: str, version: Version, p256: Pair, now: float
) -> None:
    root = made(p256, now, version)
    enveloped(root, ident)
    raw = reference_again(root, p256, ident)
    assert verify_envelope(parse_envelope(raw, version), lambda _: p256.verify, now).action == "urn:x"


def inside_the_body(root: Any) -> None:
    root[1][0].append(find(root, "Signature"))


def inside_a_header(root: Any) -> None:
    find(root, "Action").append(find(root, "Signature"))


def inside_the_timestamp(root: Any) -> None:
    find(root, "Timestamp").append(find(root, "Signature"))


def a_second_one_in_the_body(root: Any) -> None:
    """The transform would hide it from the digest, and its reader would find it."""
    root[1][0].append(etree.fromstring(etree.tostring(find(root, "Signature"))))


@both
@pytest.mark.parametrize(
    ("move", "ident", "code"),
    [
        (inside_the_body, "body", "signature.missing"),
        (inside_a_header, "action", "signature.missing"),
        (inside_the_timestamp, "timestamp", "signature.missing"),
        (a_second_one_in_the_body, "body", "signature.digest-mismatch"),
    ],
)
def test_enveloped_signature_never_where_the_signature_lies_inside(
    move: Callable[[Any], None], ident: str, code: str, version: Version, p256: Pair, now: float
) -> None:
    """By XML-DSig each of these verifies: the transform takes the Signature out of what is digested, as it was before
    it was put there."""
    root = made(p256, now, version)
    enveloped(root, ident)
    root = etree.fromstring(reference_again(root, p256, ident))
    move(root)
    assert refused(root, p256, now, version).code == code


@both
def test_enveloped_signature_only_once_and_only_first(version: Version, p256: Pair, now: float) -> None:
    changes: list[Callable[[Any], None]] = [
        lambda steps: steps.append(steps[0]),
        lambda steps: steps.insert(0, etree.fromstring(etree.tostring(steps[0]))),
    ]
    for change in changes:
        root = made(p256, now, version)
        enveloped(root, "body")
        change(next(each for each in root.iter(f"{{{DS}}}Reference") if each.get("URI") == "#body")[0])
        assert refused(etree.fromstring(reference_again(root, p256, "body")), p256, now, version).code in (
            "signature.algorithm", "signature.malformed",
        )  # fmt: skip


# --- keys: RSA from 2048 accepted, from 3072 issued; EC on P-256 only -------------------------------------------------


def self_signed(private: Any) -> bytes:
    name, now = x509.Name([]), datetime.now(UTC)
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key()).serial_number(7)
    )
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return certificate_pem(builder.sign(private, hashes.SHA256()))


@pytest.mark.parametrize(
    ("private", "accepted"),
    [
        (lambda: rsa.generate_private_key(65537, 1024), False),
        (lambda: rsa.generate_private_key(65537, 2048), True),
        (lambda: ec.generate_private_key(ec.SECP256R1()), True),
        (lambda: ec.generate_private_key(ec.SECP384R1()), False),
        (lambda: ec.generate_private_key(ec.SECP256K1()), False),
    ],
    ids=["RSA-1024", "RSA-2048", "P-256", "P-384", "secp256k1"],
)
def test_keys_that_may_sign(private: Any, accepted: bool) -> None:
    certificate = self_signed(private())
    if accepted:
        assert VerifyKey.from_certificate("k", "x", certificate).key_id == "k"
    else:
        with pytest.raises(Theirs) as caught:
            VerifyKey.from_certificate("k", "x", certificate)
        assert caught.value.code == "key.unacceptable"


# --- what makes two messages one


@pytest.mark.parametrize("body", [b" \t" + CHILD, CHILD + b"\n", b"\n  " + CHILD + b"\n", b" \t " * 30 + CHILD])
def test_payload_digest_does_not_depend_on_white_space_around_the_element(body: bytes, p256: Pair, now: float) -> None:
    assert verify(make(p256, now, body), p256, now).payload_digest == verify(make(p256, now), p256, now).payload_digest
    inside = CHILD.replace(b"<sent>", b" <sent>")
    assert (
        verify(make(p256, now, inside), p256, now).payload_digest != verify(make(p256, now), p256, now).payload_digest
    )


@pytest.mark.parametrize("body", [b"", b" ", b"\t\n"])
def test_a_body_of_white_space_has_a_digest_too(body: bytes, p256: Pair, now: float) -> None:
    assert (
        verify(make(p256, now, body), p256, now).payload_digest
        == verify(make(p256, now, b""), p256, now).payload_digest
    )


# --- only verified nodes go on ----------------------------------------------------------------------------------------


@both
def test_an_unsigned_header_is_not_handed_on(version: Version, p256: Pair, now: float) -> None:
    raw = sign_envelope(
        CHILD, p256.sign, now, EnvelopeHeaders(action="urn:x", message_id="urn:uuid:1"), version=version
    )
    raw = raw.replace(b"<soap:Header>", b'<soap:Header><t:Trace xmlns:t="urn:t">1</t:Trace>')
    found = verify_envelope(parse_envelope(raw, version), lambda _: p256.verify, now)
    assert "{urn:t}Trace" not in found.headers and all(
        tag.startswith("{http://www.w3.org/2005/08/addressing}") for tag in found.headers
    )


def _always(key: VerifyKey, _: str) -> VerifyKey:
    return key


@both
def test_the_token_is_signed_and_is_the_one_that_verifies(
    version: Version, p256: Pair, other: Pair, now: float
) -> None:
    """Another registered system's certificate in place of the signed one: neither key makes it hold."""
    root = made(p256, now, version)
    find(root, "BinarySecurityToken").text = base64.b64encode(other.sign.certificate_der).decode()
    for known in (p256, other):
        with pytest.raises(Theirs):
            verify_envelope(parse_envelope(etree.tostring(root), version), partial(_always, known.verify), now)


@both
def test_canonicalisation_with_comments_is_another_algorithm(version: Version, p256: Pair, now: float) -> None:
    root = made(p256, now, version)
    for step in root.iter(f"{{{DS}}}Transform"):
        step.set("Algorithm", f"{EXC_C14N}WithComments")
    assert refused(root, p256, now, version).code == "signature.algorithm"


@both
def test_a_part_of_the_header_is_found_by_its_place_and_not_by_its_id(version: Version, p256: Pair, now: float) -> None:
    """A Reference that names a child of a signed header is astray, though the child is there and its digest right."""
    root = made(p256, now, version)
    created = find(root, "Created")
    created.set(f"{{{WSU}}}Id", "created")
    info = find(root, "SignedInfo")
    extra: Any = etree.fromstring(etree.tostring(info[-1]))
    extra.set("URI", "#created")
    canonical = etree.tostring(created, method="c14n", exclusive=True, with_tail=False)
    extra.find(f"{{{DS}}}DigestValue").text = base64.b64encode(hashlib.sha256(canonical).digest()).decode()
    info.append(extra)
    failure = refused(etree.fromstring(reference_again(root, p256, "timestamp")), p256, now, version)
    assert failure.code == "signature.wrapped" and str(failure.facts["found"]).endswith("/wsu:Timestamp/wsu:Created")


def test_the_authority_issues_what_the_profile_asks_for(house: House, now: float) -> None:
    """Signing certificates are for signing alone, encryption certificates for encryption alone."""
    private = rsa.generate_private_key(65537, 3072).public_key()
    uses = {}
    for issue in (issue_signing, issue_encryption):
        usage = (
            x509.load_pem_x509_certificate(issue(house.signing, "x", private, now))
            .extensions.get_extension_for_class(x509.KeyUsage)
            .value
        )
        uses[issue.__name__] = (usage.digital_signature, usage.key_encipherment)
    assert uses == {"issue_signing": (True, False), "issue_encryption": (False, True)}
