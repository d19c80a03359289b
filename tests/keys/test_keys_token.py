"""The signing key in a PKCS#11 token (SoftHSM2): all that the gateway signs is signed there, and nothing of the key
lies in the data folder."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench.demo import demo_settings, running, world_of
from bench.ports import free_ports
from contracts.base.errors import Ours, Theirs
from examples.story.exchange import ALERTS
from gateway.cli.run import ensure_instance
from gateway.keys import hardware
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import RestClient
from gateway.sample_client.soap import SoapClient
from gateway.sandbox.standins import messages
from gateway.settings import Settings, load
from gateway.settings.saving import save
from security.algorithms import RSA_PKCS1, RSA_PSS
from security.keys import SigningKey
from security.pki import authority
from tests.attacks.conftest import QUESTION
from tests.journal.databases import fresh_url
from tests.machines.joining import invited, shared_vault, sharing

MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/libsofthsm2.so",
)
PIN = secrets.token_hex(4)


@pytest.fixture(scope="module")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A fresh token; the settings that name it. The module reads its configuration once a process."""
    module = next((path for path in MODULES if Path(path).exists()), None)
    program = shutil.which("softhsm2-util")
    if module is None or program is None:
        pytest.skip("softhsm2 is not installed here: signing keys in a PKCS#11 token are not tried")
    pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(
        f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    command = [program, "--init-token", "--free", "--label", "lgsp", "--pin", PIN, "--so-pin", secrets.token_hex(4)]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "pin").write_text(PIN)
    (folder / "pin").chmod(0o600)
    yield Settings(folder / "data", pkcs11_module=module, pkcs11_token="lgsp", pkcs11_pin_file=str(folder / "pin"))
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before


def certified(private: object, *, algorithm: str | None = None) -> SigningKey:
    issuer = authority.make_issuer(authority.make_root("root", time.time()), "issuer", time.time())
    pem = authority.issue_signing(issuer, "gateway", private.public_key(), time.time())  # type: ignore[attr-defined]
    return SigningKey.make("gateway.sign-9", private, pem, algorithm=algorithm)  # type: ignore[arg-type]


def test_a_key_that_is_made_in_the_token_signs_like_any_other_and_does_not_leave_it(softhsm: Settings) -> None:
    token = hardware.token(softhsm, "lgsp")
    token.make("ec-1")
    token.make("ec-1")  # there already
    private = token.private("ec-1")
    key = certified(private)
    for data in (b"", b"x" * 100_000):
        for signature in (key.sign(data), key.sign_xml(data)):
            key.verify_key().verify(data, signature)
            with pytest.raises(Theirs, match="signature.wrong"):
                key.verify_key().verify(data + b"!", signature)
    with pytest.raises(TypeError):
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    token.destroy("ec-1")
    with pytest.raises(Ours, match="keys.token"):
        token.private("ec-1")
    with pytest.raises(Ours, match="keys.token"):
        key.sign(b"after its end")


@pytest.mark.parametrize("algorithm", [RSA_PKCS1, RSA_PSS])
def test_an_rsa_key_signs_by_both_paddings(algorithm: str, softhsm: Settings) -> None:
    from pkcs11 import KeyType

    token = hardware.token(softhsm, "lgsp")
    label = f"rsa-{algorithm}"
    token._session.generate_keypair(KeyType.RSA, 2048, store=True, label=label)
    private = token.private(label)
    assert isinstance(private, rsa.RSAPrivateKey)
    key = certified(private, algorithm=algorithm)
    key.verify_key().verify(b"data", key.sign(b"data"))
    assert key.sign_jose(b"data") and key.sign_xml(b"data")


def test_what_the_token_refuses_is_named(softhsm: Settings, tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("wrong")
    for settings, name in (
        (replace(softhsm, pkcs11_pin_file=str(tmp_path / "pin")), "lgsp"),
        (replace(softhsm, pkcs11_pin_file=str(tmp_path / "none")), "lgsp"),
        (replace(softhsm, pkcs11_module=""), "lgsp"),
        (softhsm, "another"),
    ):
        with pytest.raises(Ours, match="keys.token"):
            hardware.token(settings, name)
    with pytest.raises(Ours, match="keys.token"):
        hardware.token(softhsm, "lgsp").private("nobody")


@pytest.mark.parametrize(("token", "label"), [("lgsp", "sign-2"), ("Sở TT;TT", "khóa ký = 1")])
def test_a_key_file_says_where_the_key_is(token: str, label: str) -> None:
    assert hardware.place_of(hardware.uri(token, label).encode() + b"\n") == (token, label)
    assert hardware.place_of(b"-----BEGIN PUBLIC KEY-----") is None


@pytest.mark.server
def test_a_whole_exchange_is_signed_in_the_token(softhsm: Settings, tmp_path: Path) -> None:
    """Answers by REST and SOAP, requests to providers, access tokens: by the key that `keys rotate --token` made."""
    made = demo_settings(tmp_path / "data")
    settings = replace(
        made, doors=1, pkcs11_module=softhsm.pkcs11_module, pkcs11_token="lgsp", pkcs11_pin_file=softhsm.pkcs11_pin_file
    )  # fmt: skip
    ensure_instance(settings, say_progress=False)
    save(settings)
    world = world_of(settings)
    done = world.lgsp("keys", "rotate", "sign", "--token", "gateway-sign", "--data", str(settings.data))
    assert done["ok"] and done["rotated"] == ["gateway.sign-2"], done
    assert (settings.keys / "sign-2.key").read_text().startswith("pkcs11:token=lgsp;object=gateway-sign;")
    assert not (settings.keys / "sign.key").exists()
    with running(settings):
        asked = RestClient(world.identity("y-te")).call("GET", QUESTION)  # the provider proves our request, too
        assert asked.ok and asked.verified, asked.body
        alert = SoapClient(world.identity("canh-bao")).call(ALERTS, "submitAlert", messages.cap_alert())
        assert alert.ok and alert.verified, alert.raw
        client = RestClient(world.identity("bao-chay"))
        assert client.call("POST", "/incident-alert/v1/alerts", messages.fire_alarm()).verified
        assert client.identity.keys.by_id("gateway.sign-2"), "every answer was signed by the key in the token"


AT_ONCE = """
import os, sys
from gateway.keys.hardware import Token
for _ in range(20):
    pipes = []
    for _ in range(5):
        there, here = os.pipe()
        if os.fork() == 0:
            try:
                Token(sys.argv[1], "lgsp", sys.argv[2])
                os.write(here, b"open")
            except Exception as trouble:
                os.write(here, str(trouble).encode())
            os._exit(0)
        os.close(here)
        pipes.append(there)
    for there in pipes:
        print(os.read(there, 500).decode())
        os.close(there)
        os.wait()
"""


@pytest.mark.full
def test_processes_that_start_at_once_all_get_a_session(softhsm: Settings) -> None:
    """A token in files fails some of them, which is no reason for a door to end."""
    command = [sys.executable, "-c", AT_ONCE, softhsm.pkcs11_module, softhsm.pkcs11_pin_file]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    assert told == ["open"] * 100 + [""], sorted(set(told))


@pytest.mark.full
@pytest.mark.server
def test_a_machine_that_joins_signs_in_the_same_token(softhsm: Settings, tmp_path: Path) -> None:
    """It is handed the address of the key, and says itself where its token is; without the token it does not join."""
    made = replace(
        demo_settings(tmp_path / "one"),
        database=fresh_url("postgresql", tmp_path), doors=1, machine="one", pkcs11_token="lgsp",
        pkcs11_module=softhsm.pkcs11_module, pkcs11_pin_file=softhsm.pkcs11_pin_file,
    )  # fmt: skip
    ensure_instance(made, say_progress=False)
    done = world_of(made).lgsp("keys", "rotate", "sign", "--token", "gateway-both", "--data", str(made.data))
    assert done["ok"], done
    with running(made):
        lacking = joining(made, tmp_path / "two")
        assert lacking["error"]["code"] == "keys.token", lacking
        (tmp_path / "two" / "settings.yaml").write_text("pkcs11_module: /nowhere\norigin: another\n", "utf-8")
        assert "origin comes with the keys" in joining(made, tmp_path / "two")["error"]["what"]
        own = {name: getattr(made, name) for name in ("pkcs11_module", "pkcs11_pin_file")}
        (tmp_path / "two" / "settings.yaml").write_text(yaml.safe_dump(own), "utf-8")
        joined = joining(made, tmp_path / "two")
        assert joined["ok"], joined
        second = sharing(made, load(tmp_path / "two", {}))
        assert (second.keys / "sign-2.key").read_bytes() == (made.keys / "sign-2.key").read_bytes()
        with running(second):
            asked = RestClient(Identity.load(second.identities / "y-te")).call("GET", QUESTION)
            assert asked.ok and asked.verified, asked.body


def joining(first: Settings, place: Path) -> dict[str, Any]:
    invitation = place.with_suffix(".json")
    if not invitation.exists():
        shared_vault(first, first.data.parent / "vault")
        invited(first, "two", invitation)
    exchange, desk = map(str, free_ports(2))
    words = ("machine", "join", str(invitation), "--exchange-port", exchange, "--desk-port", desk)
    answer: dict[str, Any] = world_of(first).lgsp(*words, "--data", str(place))
    return answer
