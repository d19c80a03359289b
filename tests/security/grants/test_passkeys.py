"""Approvals by a passkey: bound to one content with its type, to one origin, to one officer's registered passkey."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from contracts.base.errors import Policy, Theirs
from contracts.base.words import Words
from security import jws
from security.grants import passkeys
from security.grants.approvals import TYPE, Approval, Officer, approve, check, counted, holds, public_pem, thumbprint
from security.grants.passkeys import Passkey, PasskeyState, challenge, signature_text
from security.grants.statements import TYPE as ACT
from security.pki.authority import private_pem
from tests.console.authenticator import PRESENT, VERIFIED, Authenticator

ORIGIN = "https://desk.example:8446"
CONTENT = b'{"id":"G-1"}'


def passkey(officer: str, device: Authenticator, state: PasskeyState = "active", since: float = 0.0) -> Passkey:
    public = device.key.public_key()
    return Passkey(officer, "id", device.origin, thumbprint(public), state, since, public)


def officer(id: str, key: ec.EllipticCurvePrivateKey, *keys: Passkey) -> Officer:
    public = key.public_key()
    return Officer(id, "H14.5", Words("Cán bộ", "Officer"), public_pem(public), "active", 0.0, public, passkeys=keys)


DEVICES = {name: Authenticator(ORIGIN) for name in ("an", "binh")}
KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("an", "binh", "chi")}
OFFICERS = {
    "an": officer("an", KEYS["an"], passkey("an", DEVICES["an"])),
    "binh": officer("binh", KEYS["binh"], passkey("binh", DEVICES["binh"])),
    "chi": officer("chi", KEYS["chi"]),
}


def asserted(name: str, content: bytes = CONTENT, typ: str = TYPE, **lies: Any) -> str:
    return signature_text(*DEVICES[name].assertion(jws.encoded(challenge(content, typ)).decode(), **lies))


SIGNED = asserted("an")


def test_a_passkey_approves_and_is_counted_beside_a_key() -> None:
    assert holds(CONTENT, SIGNED, OFFICERS["an"])
    by_key = approve(CONTENT, "chi", private_pem(KEYS["chi"]))
    given = [Approval("an", SIGNED, 1.0), Approval("chi", by_key, 1.0), Approval("binh", asserted("binh"), 2.0)]
    assert counted(CONTENT, None, given, OFFICERS) == ("an", "binh", "chi")
    assert counted(CONTENT, "an", given, OFFICERS) == ("binh", "chi")


def test_two_keys_of_one_officer_are_one_vote_and_one_key_of_two_officers_too() -> None:
    by_key = approve(CONTENT, "an", private_pem(KEYS["an"]))
    assert counted(CONTENT, None, [Approval("an", SIGNED, 1.0), Approval("an", by_key, 1.0)], OFFICERS) == ("an",)
    twin = officer("chi", KEYS["chi"], passkey("chi", DEVICES["an"]))
    both = [Approval("an", SIGNED, 1.0), Approval("chi", SIGNED, 1.0)]
    assert len(counted(CONTENT, None, both, OFFICERS | {"chi": twin})) == 1


@pytest.mark.attack("console: an approval by a passkey for something else")
@pytest.mark.parametrize(
    "lies",
    [
        {"challenge": jws.encoded(challenge(CONTENT + b" ", TYPE)).decode()},
        {"origin": "https://desk.example.evil:8446"},
        {"origin": "https://desk.example"},
        {"origin": "http://desk.example:8446"},
        {"type": "webauthn.create"},
        {"crossOrigin": True},
        {"topOrigin": "https://evil.example"},
        {"rp_id": "evil.example"},
        {"flags": PRESENT},
        {"flags": VERIFIED},
        {"flags": PRESENT | VERIFIED | 0x40},
    ],
    ids=lambda lies: f"{[*lies][0]}={[*lies.values()][0]}"[:40],
)
def test_what_is_signed_otherwise_does_not_hold(lies: dict[str, Any]) -> None:
    assert not holds(CONTENT, asserted("an", **lies), OFFICERS["an"])


@pytest.mark.attack("console: an approval by a passkey for something else")
def test_neither_another_content_nor_another_officer_nor_another_type() -> None:
    assert not holds(b'{"id":"G-2"}', SIGNED, OFFICERS["an"])
    assert not holds(CONTENT, SIGNED, OFFICERS["binh"])
    assert not holds(CONTENT, SIGNED, OFFICERS["chi"])
    assert not holds(CONTENT, asserted("an", typ=ACT), OFFICERS["an"])
    assert not holds(CONTENT, asserted("an", typ=ACT), OFFICERS["an"], ACT)  # a passkey proves no act


@pytest.mark.attack("console: an approval by a passkey for something else")
@given(st.integers(0, len(SIGNED) - 1), st.sampled_from("AZaz09-_.=+/ \n"))
def test_one_other_character_and_it_does_not_hold(at: int, letter: str) -> None:
    other = SIGNED[:at] + letter + SIGNED[at + 1 :]
    assert holds(CONTENT, other, OFFICERS["an"]) is (other == SIGNED)


@pytest.mark.attack("console: an approval by a passkey for something else")
@given(st.integers(0, 36), st.integers(1, 255))
def test_one_other_bit_of_what_the_authenticator_says(at: int, bits: int) -> None:
    data, client, mark = DEVICES["an"].assertion(jws.encoded(challenge(CONTENT, TYPE)).decode())
    altered = data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]
    assert not holds(CONTENT, signature_text(altered, client, mark), OFFICERS["an"])


@pytest.mark.attack("console: an approval by a passkey for something else")
@given(st.text(max_size=60))
def test_no_text_is_an_error(rest: str) -> None:
    assert not holds(CONTENT, f"passkey.{rest}", OFFICERS["an"])
    assert not holds(CONTENT, rest, OFFICERS["an"])


def test_a_name_that_stands_twice_is_refused() -> None:
    data, client, _ = DEVICES["an"].assertion(jws.encoded(challenge(CONTENT, TYPE)).decode())
    twice = client.replace(b"{", b'{"origin": "https://evil.example", ', 1)
    assert not passkeys.holds(challenge(CONTENT, TYPE), signature_text(data, twice, b""), OFFICERS["an"].passkeys[0])


@pytest.mark.parametrize(
    ("state", "since", "before", "after"),
    [("active", 0.0, True, True), ("proposed", 0.0, False, False), ("retired", 5.0, True, False),
     ("revoked", 5.0, False, False)],
)  # fmt: skip
def test_the_state_of_a_passkey(state: PasskeyState, since: float, before: bool, after: bool) -> None:
    one = replace(OFFICERS["an"], passkeys=(passkey("an", DEVICES["an"], state, since),))
    for given_at, counts in ((1.0, before), (5.0, after)):
        assert bool(counted(CONTENT, None, [Approval("an", SIGNED, given_at)], {"an": one})) is counts
    if state == "active":
        check("grant G-1", CONTENT, None, one, SIGNED)
    else:
        with pytest.raises((Policy, Theirs)) as caught:
            check("grant G-1", CONTENT, None, one, SIGNED)
        assert caught.value.code == "approval.not-in-office"
