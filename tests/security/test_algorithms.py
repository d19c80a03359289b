"""Every declared signature algorithm, in every format that uses it; and the one reader of tokens beside PyJWT's."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import jwt
import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from jwt import api_jws
from lxml import etree

from contracts.base.errors import Failure, Theirs
from contracts.base.words import Words
from contracts.wire.soap import V11
from gateway.sample_client.signing import Verifier
from security import jose, jws
from security.algorithms import ALGORITHMS, JOSE_NAMES, Algorithm, KeyType
from security.grants import approvals
from security.http_signatures import HttpRequest, sign_request, verify_request
from security.keys import SigningKey, VerifyKey
from security.pki.authority import issue_signing, make_issuer, make_request, make_root, private_pem, read_request
from security.tokens import Holder, issue_token, make_assertion, verify_assertion, verify_token
from security.wssec.fast_path import verify_fast
from security.wssec.sign import EnvelopeHeaders, sign_envelope
from security.wssec.verify import verify_envelope
from tests.security.identities import NOW

AUD = "https://localhost/oauth/token"
ISSUER = make_issuer(make_root("Root", NOW - 86400), "Signing", NOW - 86400)


class Made(NamedTuple):
    sign: SigningKey
    verify: VerifyKey


def _made(algorithm: Algorithm, kind: KeyType) -> Made:
    private = algorithm.new_keys[kind]()
    certificate = issue_signing(ISSUER, "canh-bao", private.public_key(), NOW - 3600)
    key = SigningKey.make("canh-bao.sign-1", private, certificate, algorithm=algorithm.name, system="canh-bao")
    return Made(key, key.verify_key())


PAIRS = {(each.name, kind): _made(each, kind) for each in ALGORITHMS.values() for kind in each.new_keys}
EACH = pytest.mark.parametrize("pair", PAIRS.values(), ids=["-".join(name) for name in PAIRS])


@EACH
@given(data=st.binary(max_size=200), other=st.binary(max_size=200), at=st.integers(0), bit=st.integers(0, 7))
def test_what_is_signed_verifies_and_nothing_else_does(
    pair: Made, data: bytes, other: bytes, at: int, bit: int
) -> None:
    formats = [(pair.sign.sign, pair.verify.verify), (pair.sign.sign_jose, pair.verify.verify_jose)]
    if ALGORITHMS[pair.sign.algorithm].xml is not None:
        formats.append((pair.sign.sign_xml, pair.verify.verify_xml))
    for sign, verify in formats:
        signature = bytearray(sign(data))
        verify(data, bytes(signature))
        if other != data:
            with pytest.raises(Theirs, match="signature.wrong"):
                verify(other, bytes(signature))
        signature[at % len(signature)] ^= 1 << bit
        for wrong in (bytes(signature), sign(data)[:-1], b""):
            with pytest.raises(Theirs, match="signature.wrong"):
                verify(data, wrong)


@EACH
def test_http_signatures(pair: Made) -> None:
    headers = {"authorization": "Bearer t", "content-type": "application/json"}
    asked = HttpRequest("POST", "https://localhost/a", headers, b"{}")
    signed = asked._replace(headers=headers | sign_request(asked, pair.sign, NOW))
    assert verify_request(signed, {pair.sign.key_id: pair.verify}.get, NOW).key == pair.verify
    for name in ALGORITHMS.keys() - {pair.sign.algorithm}:
        claimed = signed.headers["signature-input"] + f';alg="{name}"'
        with pytest.raises(Theirs, match="signature.algorithm"):
            verify_request(
                signed._replace(headers={**signed.headers, "signature-input": claimed}), lambda _: pair.verify, NOW
            )


@EACH
def test_tokens_and_signed_bodies(pair: Made) -> None:
    name = ALGORITHMS[pair.sign.algorithm].jose[0]
    token = issue_token(Holder(system="canh-bao", agency="H14.0", thumbprint="thumb"), pair.sign, NOW, AUD)
    assert verify_token(token, pair.verify, NOW, AUD).system == "canh-bao"
    assertion = make_assertion("canh-bao", pair.sign, NOW, AUD)
    assert verify_assertion(assertion, lambda _: pair.verify, NOW, AUD).key == pair.verify
    body = jose.sign(b"{}", "application/json", pair.sign)
    assert jose.verify(body, lambda _: pair.verify, NOW).payload == b"{}"
    for made in (token, assertion, body.decode()):
        assert jwt.get_unverified_header(made)["alg"] == name
        assert api_jws.PyJWS().decode(made, pair.verify.public, [name])


@EACH
def test_xml_signatures(pair: Made) -> None:
    content = b'<a xmlns="urn:a">1</a>'
    method = ALGORITHMS[pair.sign.algorithm].xml_method
    if method is None:
        with pytest.raises(Theirs, match="signature.algorithm"):
            sign_envelope(content, pair.sign, NOW, EnvelopeHeaders(action="urn:a", message_id="urn:uuid:1"))
        with pytest.raises(Theirs, match="signature.algorithm"):
            pair.sign.sign_xml(b"")
        with pytest.raises(Theirs, match="signature.wrong"):
            pair.verify.verify_xml(b"", pair.sign.sign(b""))
        return
    envelope = sign_envelope(content, pair.sign, NOW, EnvelopeHeaders(action="urn:a", message_id="urn:uuid:1"))
    assert f'<ds:SignatureMethod Algorithm="{method}">'.encode() in envelope
    find = {pair.verify.thumbprint: pair.verify}.get
    assert verify_envelope(etree.fromstring(envelope), find, NOW).key == pair.verify
    usual = verify_fast(envelope, V11, find, NOW)
    assert usual is not None and usual.content == content


@EACH
def test_certificate_requests(pair: Made) -> None:
    if pair.sign.private.public_key().__class__.__name__ == "RSAPublicKey" and pair.sign.private.key_size < 3072:  # type: ignore[union-attr]
        pytest.skip("we issue nothing for so short a key")
    assert read_request(make_request("canh-bao", pair.sign.private)).system == "canh-bao"


@EACH
def test_approvals(pair: Made) -> None:
    pem, public = private_pem(pair.sign.private), pair.verify.public
    if not ALGORITHMS[pair.sign.algorithm].approves:
        with pytest.raises(Theirs, match="key.unacceptable"):
            approvals.approve(b"{}", "an", pem)
        with pytest.raises(Theirs, match="key.unacceptable"):
            approvals.load_public(approvals.public_pem(public))
        return
    officer = approvals.Officer("an", "H14", Words("A", "A"), approvals.public_pem(public), "active", 0.0, public)
    signature = approvals.approve(b"{}", "an", pem)
    assert approvals.load_public(officer.public_pem) == public
    assert approvals.holds(b"{}", signature, officer)
    assert not approvals.holds(b"[]", signature, officer)
    assert not approvals.holds(b"{}", signature, replace(officer, id="binh"))


def test_each_algorithm_has_names_of_its_own_in_http_and_known_ones_in_jose() -> None:
    assert all(name == each.name for name, each in ALGORITHMS.items())
    assert set(JOSE_NAMES) <= set(api_jws.PyJWS().get_algorithms())


SIGNED = PAIRS["ecdsa-p256-sha256", "P-256"]
PYJWS = api_jws.PyJWS(algorithms=["ES256"], options={"verify_signature": True, "enforce_minimum_key_length": True})
HEADERS = st.sampled_from(
    [
        '{"alg":"ES256","kid":"k","typ":"at+jwt"}',
        ' {"typ" : "at+jwt", "kid":"k", "alg":"ES256"}\n',
        '{"alg":"none","alg":"ES256","kid":"k","typ":"at+jwt"}',
        '{"alg":"ES256","kid":1,"typ":"at+jwt"}',
        '{"alg":"ES256","kid":null,"typ":"at+jwt"}',
        '["ES256"]',
        "",
    ]
)


@given(
    HEADERS,
    st.sampled_from(["utf-8", "utf-16", "utf-32", "utf-8-sig"]),
    st.lists(
        st.tuples(st.integers(0, 250), st.sampled_from(["=", ".", "A", "+", "/", " ", "\n", "é", ""])), max_size=2
    ),
    st.tuples(*[st.integers(0, 4)] * 3),
)
def test_tokens_are_accepted_as_pyjwt_accepts_them(
    header: str, encoding: str, changes: list[tuple[int, str]], padding: tuple[int, ...]
) -> None:
    signed = jws.encoded(header.encode(encoding)) + b"=" * padding[0] + b"." + jws.encoded(b"{}") + b"=" * padding[1]
    token = (signed + b"." + jws.encoded(SIGNED.sign.sign(signed)) + b"=" * padding[2]).decode()
    for at, text in changes:
        token = token[:at] + text + token[at + 1 :]
    try:
        PYJWS.decode(token, SIGNED.verify.public, ["ES256"])
        known = True
    except (jwt.PyJWTError, ValueError):
        known = False
    with pytest.raises(
        Failure
    ) as refused:  # the claims are not those of a token: so far a token comes that was read and verified
        verify_token(token, replace(SIGNED.verify, key_id="k"), NOW, AUD)
    assert (refused.value.code == "token.claim") is known


@EACH
@given(data=st.binary(max_size=200))
def test_the_independent_reader_of_evidence_knows_every_algorithm(pair: Made, data: bytes) -> None:
    """A package of evidence holds genuine messages by any registered key; its verifier shares no code with ours."""
    reader = Verifier(pair.sign.key_id, x509.load_der_x509_certificate(pair.sign.certificate_der))
    algorithm = ALGORITHMS[pair.sign.algorithm]
    assert algorithm.name in reader.http_algorithms and reader.verify(data, pair.sign.sign(data))
    assert reader.jose_algorithm == algorithm.jose[0] and reader.verify(data, pair.sign.sign_jose(data), "jose")
    assert reader.xml_algorithm == (algorithm.xml[0] if algorithm.xml is not None else None)
    if algorithm.xml is not None:
        assert reader.verify(data, pair.sign.sign_xml(data), "xml")
    assert not any(reader.verify(data + b"x", pair.sign.sign(data), form) for form in ("http", "xml", "jose"))
