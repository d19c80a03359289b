"""Keys that are sealed for a machine open for that machine, that instance and that generation alone."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from contracts.base.errors import Failure
from gateway.machines import bundles, own
from gateway.machines.bundles import Bundle
from gateway.machines.secrets import Secret, Secrets

FILES = {"keys/sign.key": b"a key", "ca/anchors.pem": b"anchors"}
BUNDLE = Bundle(7, FILES, {"origin": "tinh.example/lgsp", "database_seconds": 2.5})
SECRETS = Secrets(b"h" * 32, "instance")
TWO = SECRETS.of_machine("two", "mark")


@pytest.fixture(scope="module")
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def sealed(key: ec.EllipticCurvePrivateKey) -> str:
    return bundles.seal(BUNDLE, own.public_pem(key), TWO)


def test_it_opens_as_it_was(key: ec.EllipticCurvePrivateKey, sealed: str) -> None:
    assert bundles.unseal(sealed, 7, key, TWO) == BUNDLE
    assert b"anchors" not in sealed.encode()


@pytest.mark.parametrize(
    ("secret", "generation"),
    [
        (SECRETS.of_machine("three", "mark"), 7),
        (SECRETS.of_machine("two", "another"), 7),
        (Secrets(b"h" * 32, "elsewhere").of_machine("two", "mark"), 7),
        (Secrets(b"i" * 32, "instance").of_machine("two", "mark"), 7),
        (TWO, 6),
        (TWO, 8),
    ],
    ids=["another machine", "another invitation", "another instance", "another hash key", "older", "newer"],
)
def test_another_does_not_open_it(
    key: ec.EllipticCurvePrivateKey, sealed: str, secret: Secret, generation: int
) -> None:
    with pytest.raises(Failure) as refused:
        bundles.unseal(sealed, generation, key, secret)
    assert refused.value.code == "machine.bundle"


def test_another_key_does_not_open_it(sealed: str) -> None:
    with pytest.raises(Failure, match=r"machine\.bundle"):
        bundles.unseal(sealed, 7, ec.generate_private_key(ec.SECP256R1()), TWO)


def test_whoever_has_the_database_alone_makes_none(key: ec.EllipticCurvePrivateKey) -> None:
    forged = bundles.seal(BUNDLE, own.public_pem(key), Secrets(b"\0" * 32, "instance").of_machine("two", "mark"))
    with pytest.raises(Failure, match="not made by this instance"):
        bundles.unseal(forged, 7, key, TWO)


def test_parties_are_bound_in_the_encryption_too(key: ec.EllipticCurvePrivateKey, sealed: str) -> None:
    """Also for whoever can make the MAC: another machine that puts its bundle in this one's place."""
    text = json.loads(bundles.seal(BUNDLE, own.public_pem(key), SECRETS.of_machine("three", "mark")))["jwe"]
    moved = json.dumps({"jwe": text, "mac": TWO.mac(7, text)})
    with pytest.raises(Failure, match="of another machine"):
        bundles.unseal(moved, 7, key, TWO)


def test_an_altered_one_does_not_open(key: ec.EllipticCurvePrivateKey, sealed: str) -> None:
    parts = json.loads(sealed)
    text: str = parts["jwe"]
    for at in range(0, len(text), max(1, len(text) // 60)):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        for mac in (parts["mac"], TWO.mac(7, changed)):
            with pytest.raises(Failure) as refused:
                bundles.unseal(json.dumps({"jwe": changed, "mac": mac}), 7, key, TWO)
            assert refused.value.code == "machine.bundle"


@pytest.mark.parametrize("text", ["", "{}", "[]", "nonsense", '{"jwe": 1}', '{"jwe": "a", "mac": "ữ"}', "[" * 100_000])
def test_what_is_no_bundle_is_refused(key: ec.EllipticCurvePrivateKey, text: str) -> None:
    with pytest.raises(Failure, match=r"machine\.bundle"):
        bundles.unseal(text, 7, key, TWO)
