"""Keys for the tests of this room, made anew at each run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from security.algorithms import KeyType, new_private
from security.encryption_keys import DecryptKey
from security.keys import SigningKey
from security.pki.authority import (
    issue_encryption,
    issue_signing,
    make_issuer,
    make_root,
    private_pem,
)
from tests.nodepackages import installed
from tests.security.identities import NOW, House, Pair


@pytest.fixture(scope="session")
def now() -> float:
    return NOW


@pytest.fixture(scope="session")
def house() -> House:
    root = make_root("Root", NOW - 86400)
    return House(root, make_issuer(root, "TLS", NOW - 86400), make_issuer(root, "Signing", NOW - 86400))


def _pair(house: House, kind: KeyType, system: str, algorithm: str | None = None) -> Pair:
    private = new_private(kind)
    certificate = issue_signing(house.signing, system, private.public_key(), NOW - 3600)
    key = SigningKey.make(f"{system}.sign-1", private, certificate, algorithm=algorithm, system=system)
    return Pair(key, key.verify_key())


@pytest.fixture(scope="session")
def p256(house: House) -> Pair:
    return _pair(house, "P-256", "canh-bao")


@pytest.fixture(scope="session")
def other(house: House) -> Pair:
    return _pair(house, "P-256", "bao-chay")


@pytest.fixture(scope="session")
def ed25519_pair(house: House) -> Pair:
    return _pair(house, "Ed25519", "phan-anh")


@pytest.fixture(scope="session")
def rsa_pair(house: House) -> Pair:
    return _pair(house, "RSA-2048", "kinh-te")


@pytest.fixture(scope="session")
def pss_pair(house: House) -> Pair:
    return _pair(house, "RSA-2048", "y-te", "rsa-pss-sha512")


def _decrypt_key(house: House, kind: KeyType, system: str) -> DecryptKey:
    private = new_private(kind)
    certificate = issue_encryption(house.signing, system, private.public_key(), NOW - 3600)
    return DecryptKey.from_pem(f"{system}.encrypt-1", private_pem(private), certificate)


@pytest.fixture(scope="session")
def crypt(house: House) -> DecryptKey:
    """The key of whoever receives."""
    return _decrypt_key(house, "RSA-3072", "gateway")


@pytest.fixture(scope="session")
def other_crypt(house: House) -> DecryptKey:
    return _decrypt_key(house, "RSA-3072", "bao-chay")


@pytest.fixture(scope="session")
def ec_crypt(house: House) -> DecryptKey:
    return _decrypt_key(house, "P-256", "mot-cua")


NODE = Path(__file__).parent / "node"


@pytest.fixture(scope="session")
def modules() -> Path:
    """Where the packages of the lock are installed."""
    return installed(NODE, "npm soap, xml-crypto, xml-encryption and jose are")


@pytest.fixture
def node(modules: Path) -> Callable[..., Any]:
    def ask(operation: str, **given: Any) -> Any:
        request = json.dumps({"operation": operation, "modules": str(modules), **given})
        done = subprocess.run(
            ["node", str(NODE / "oracle.cjs")], input=request, capture_output=True, text=True, check=True
        )
        answer = json.loads(done.stdout)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    return ask
