"""Approvals: bound to every byte of the content, to one officer, and to that officer's standing."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey

from contracts.base.errors import Theirs
from contracts.base.words import Words
from security.grants.approvals import Approval, Officer, approve, check, counted, holds, load_public, public_pem
from security.grants.grants import Grant
from security.pki.authority import private_pem

GRANT = Grant("G-1", "H14.7", None, "indicator/v1", ("getValue",), ("*",), "Điều hành", "QĐ 1/2026", 0.0, 2000.0)
CONTENT = GRANT.canonical()
KEYS: dict[str, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey] = {
    "an": ec.generate_private_key(ec.SECP256R1()),
    "binh": ed25519.Ed25519PrivateKey.generate(),
    "chi": ed25519.Ed25519PrivateKey.generate(),
}
OFFICERS = {
    name: Officer(
        name, "H14.5", Words("Cán bộ", "Officer"), public_pem(key.public_key()), "active", 0.0, key.public_key()
    )
    for name, key in KEYS.items()
}
SIGNED = {name: approve(CONTENT, name, private_pem(key)) for name, key in KEYS.items()}


def approvals(*names: str) -> list[Approval]:
    return [Approval(name, SIGNED[name], 10.0) for name in names]


@pytest.mark.parametrize("name", KEYS)
def test_an_approval_is_a_jws_that_another_library_accepts(name: str) -> None:
    head, _, mark = SIGNED[name].split(".")
    payload = base64.urlsafe_b64encode(CONTENT).rstrip(b"=").decode()
    algorithm = json.loads(base64.urlsafe_b64decode(head + "=="))["alg"]
    key = (ECKey if algorithm == "ES256" else OKPKey).import_key(OFFICERS[name].public_pem)
    assert jws.deserialize_compact(f"{head}.{payload}.{mark}", key, algorithms=[algorithm]).payload == CONTENT
    assert holds(CONTENT, SIGNED[name], OFFICERS[name])


def test_what_another_library_signs_is_an_approval() -> None:
    key = ECKey.import_key(private_pem(KEYS["an"]).decode())
    head, _, mark = jws.serialize_compact(
        {"alg": "ES256", "kid": "an", "typ": "lgsp-approval"}, CONTENT, key, algorithms=["ES256"]
    ).split(".")
    assert holds(CONTENT, f"{head}..{mark}", OFFICERS["an"])


@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
def test_a_content_that_differs_in_one_byte_is_not_approved(at: int, bits: int) -> None:
    changed = CONTENT[:at] + bytes([CONTENT[at] ^ bits]) + CONTENT[at + 1 :]
    assert not holds(changed, SIGNED["binh"], OFFICERS["binh"])


@given(st.integers(0, len(SIGNED["an"]) - 1), st.sampled_from("AZaz09-_.=+/ \n"))
def test_a_signature_has_one_spelling(at: int, letter: str) -> None:
    other = SIGNED["an"][:at] + letter + SIGNED["an"][at + 1 :]
    assert holds(CONTENT, other, OFFICERS["an"]) is (other == SIGNED["an"])


def test_confusions() -> None:
    def with_head(**changes: object) -> str:
        head = {"alg": "ES256", "kid": "an", "typ": "lgsp-approval"} | changes
        return (
            base64.urlsafe_b64encode(json.dumps(head).encode()).rstrip(b"=").decode()
            + SIGNED["an"][SIGNED["an"].index(".") :]
        )

    payload = base64.urlsafe_b64encode(CONTENT).rstrip(b"=").decode()
    for signature in (
        "",
        "..",
        "a.b.c.d",
        with_head(alg="none"),
        with_head(alg="HS256"),
        with_head(alg="EdDSA"),
        with_head(kid="binh"),
        with_head(typ="JWT"),
        with_head(crit=["b64"], b64=False),
        with_head(jwk={}),
        with_head()[: with_head().index("..")] + "..",
        SIGNED["an"].replace("..", f".{payload}."),
        SIGNED["binh"],
    ):
        assert not holds(CONTENT, signature, OFFICERS["an"]), signature
    assert not holds(CONTENT, SIGNED["an"], replace(OFFICERS["an"], id="binh"))


def test_two_different_officers_with_two_different_keys() -> None:
    assert counted(CONTENT, None, approvals("an", "binh"), OFFICERS) == ("an", "binh")
    assert counted(CONTENT, None, approvals("an", "an"), OFFICERS) == ("an",)
    twin = replace(OFFICERS["an"], id="sinh-doi")
    signed = Approval("sinh-doi", approve(CONTENT, "sinh-doi", private_pem(KEYS["an"])), 10.0)
    assert len(counted(CONTENT, None, [*approvals("an"), signed], OFFICERS | {"sinh-doi": twin})) == 1
    assert counted(CONTENT, None, [Approval("khong-co", SIGNED["an"], 1.0)], OFFICERS) == ()


def test_the_proposer_does_not_count() -> None:
    assert counted(CONTENT, "an", approvals("an", "binh", "chi"), OFFICERS) == ("binh", "chi")
    with pytest.raises(Theirs) as caught:
        check("grant G-1", CONTENT, "an", OFFICERS["an"], SIGNED["an"])
    assert caught.value.code == "approval.own-proposal"


def test_who_left() -> None:
    retired, revoked = (
        replace(OFFICERS["an"], state="retired", since=50.0),
        replace(OFFICERS["an"], state="revoked", since=50.0),
    )
    assert counted(CONTENT, None, approvals("an", "binh"), OFFICERS | {"an": retired}) == ("an", "binh"), (
        "signed while in office"
    )
    late = [Approval("an", SIGNED["an"], 50.0)]
    assert counted(CONTENT, None, late, OFFICERS | {"an": retired}) == ()
    assert counted(CONTENT, None, approvals("an", "binh"), OFFICERS | {"an": revoked}) == ("binh",), (
        "whoever has the key could have signed"
    )
    assert counted(CONTENT, None, approvals("an"), OFFICERS | {"an": replace(OFFICERS["an"], state="proposed")}) == ()
    for officer in (retired, revoked):
        with pytest.raises(Theirs) as caught:
            check("grant G-1", CONTENT, None, officer, SIGNED["an"])
        assert caught.value.code == "approval.not-in-office"


def test_a_key_behind_a_password() -> None:
    behind = private_pem(KEYS["an"], b"mat khau dai")
    assert holds(CONTENT, approve(CONTENT, "an", behind, b"mat khau dai"), OFFICERS["an"])
    for password in (None, b"", b"sai"):
        with pytest.raises(Theirs) as caught:
            approve(CONTENT, "an", behind, password)
        assert caught.value.code == "key.password"


def test_keys_that_may_approve() -> None:
    weak: Any = rsa.generate_private_key(65537, 2048)
    other: Any = ec.generate_private_key(ec.BrainpoolP256R1())
    for key in (weak, other):
        with pytest.raises(Theirs) as caught:
            load_public(public_pem(key.public_key()))
        assert caught.value.code == "key.unacceptable"
        with pytest.raises(Theirs):
            approve(CONTENT, "an", private_pem(key))
    for text in (
        "",
        "x",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        private_pem(KEYS["an"]).decode(),
    ):
        with pytest.raises(Theirs):
            load_public(text)
