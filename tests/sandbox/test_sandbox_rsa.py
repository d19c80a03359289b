"""Each system of a sandbox has an RSA signing key beside its other one, for stacks that cannot sign on P-256."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from examples.story.world import World
from gateway.sample_client.identity import Identity
from gateway.sample_client.soap import SoapClient
from gateway.sandbox.standins import messages


def _with_rsa(folder: Path, place: Path) -> Identity:
    """The identity as the page says: the other key under its own id."""
    shutil.copytree(folder, place)
    about = json.loads((place / "system.json").read_text("utf-8"))
    (place / "system.json").write_text(json.dumps(about | {"sign_key_id": about["sign_rsa_key_id"]}), "utf-8")
    for kind in ("key", "crt"):
        (place / f"sign-rsa.{kind}").replace(place / f"sign.{kind}")
    return Identity.load(place)


@pytest.mark.server
def test_the_gateway_accepts_the_rsa_key_of_a_sandbox_system(world: World, tmp_path: Path) -> None:
    identity = _with_rsa(world.identities / "canh-bao", tmp_path / "canh-bao")
    assert isinstance(identity.signer.key, rsa.RSAPrivateKey)
    assert SoapClient(identity).call("incident-alert/v1", "submitAlert", messages.cap_alert()).status == 200
