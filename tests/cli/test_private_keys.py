"""The private key of whoever acts or signs: its password is asked for once, and only at a terminal; the words of each
mistake; and who acts where a signature was made elsewhere."""

from __future__ import annotations

import getpass
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.journal.database import open_engine
from gateway.registry.changes.officers import acting, passkey_content
from gateway.registry.changes.proposals import proposals
from gateway.sandbox import people
from gateway.sandbox.instance import make_instance
from gateway.settings import Settings, load
from security.grants.grants import Grant
from security.grants.passkeys import Passkey
from security.pki.authority import private_pem
from tests import commandline

OFFICER = "can-bo-an-toan-1"
GRANT = Grant("G-1", "H14.7", None, "indicator/v1", ("getValue",), ("*",), "Điều hành", "QĐ 1/2026", 0.0, 2000.0)
PASSWORD = "mật khẩu dài"


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = replace(load(tmp_path_factory.mktemp("keys") / "data", environment={}), kind="production")
    endpoints = dict.fromkeys(("do-thi", "kinh-te", "mo-phong", "truong-ha"), "https://localhost:1")
    make_instance(settings, endpoints, time.time(), province=True)
    return settings


@pytest.fixture
def locked(production: Settings, tmp_path: Path) -> Path:
    """The officer's key behind a password."""
    private: Any = load_pem_private_key((production.identities / OFFICER / "officer.key").read_bytes(), None)
    (tmp_path / "officer.key").write_bytes(private_pem(private, PASSWORD.encode()))
    return tmp_path / "officer.key"


def approve(settings: Settings, *words: str) -> tuple[int, dict[str, Any]]:
    approving = ("access", "approve", "G-0006", "--officer", OFFICER, f"--data={settings.data}", "--json")
    ended = commandline.lgsp(*approving, *words)
    return ended.code, json.loads(ended.out)


def test_the_password_is_asked_for_once(production: Settings, locked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return PASSWORD

    monkeypatch.setattr(getpass, "getpass", answer)
    assert approve(production, f"--key={locked}")[0] == 0
    assert len(asked) == 1
    assert approve(production, f"--key={locked}")[0] == 0
    assert len(asked) == 2, "it is kept for one command"


def test_a_wrong_password_is_called_so(production: Settings, locked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getpass", lambda prompt: "sai")
    code, said = approve(production, f"--key={locked}")
    assert (code, said["error"]["code"]) == (2, "key.password")


def test_without_a_terminal_no_password_is_asked_for(locked: Path) -> None:
    (locked.parent / "a.json").write_bytes(GRANT.canonical())
    words = ("access", "sign", str(locked.parent / "a.json"), "--officer", OFFICER, "--key", str(locked))
    program = [sys.executable, "-m", "gateway", *words]
    ended = subprocess.run(program, input=f"{PASSWORD}\n", capture_output=True, text=True, start_new_session=True)
    assert ended.returncode == 2 and not ended.stdout
    assert "is encrypted" in ended.stderr and "terminal" in ended.stderr and "Warning" not in ended.stderr


def test_who_brings_a_signature_may_be_named_by_the_environment(
    production: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = commandline.lgsp("access", "show", "G-0006", "--canonical", f"--data={production.data}")
    (tmp_path / "G-0006.json").write_text(shown.out, "utf-8")
    key = production.identities / OFFICER / "officer.key"
    signed = commandline.lgsp("access", "sign", str(tmp_path / "G-0006.json"), f"--officer={OFFICER}", f"--key={key}")
    assert approve(production, "--signature", signed.out.strip())[1]["error"]["code"] == "act.no-person"
    monkeypatch.setenv("LGSP_AS", people.OPERATOR)
    monkeypatch.setenv("LGSP_KEY", str(production.identities / people.OPERATOR / "person.key"))
    assert approve(production, "--signature", signed.out.strip())[0] == 0
    assert approve(production)[1]["error"]["code"] == "no-key", "the environment's key signs for no officer"
    assert approve(production, f"--key={key}")[0] == 0


def sign(settings: Settings, file: Path) -> tuple[int, dict[str, Any]]:
    key = settings.identities / OFFICER / "officer.key"
    ended = commandline.lgsp("access", "sign", str(file), f"--officer={OFFICER}", f"--key={key}", "--json")
    return ended.code, json.loads(ended.out)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n \n",
        b"hello",
        b"[]",
        b'{"hello":"world"}',
        b"\xff",
        b"[" * 100_000,
        GRANT.canonical() + b"\n{}",
        GRANT.canonical().replace(b",", b", "),
        json.dumps(GRANT.content(), indent=1).encode(),
    ],
    ids=["empty", "blank", "text", "list", "other JSON", "bytes", "deep", "one is none", "spaced", "indented"],
)
def test_what_is_no_content_is_not_signed(production: Settings, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "hello.json").write_bytes(content)
    code, said = sign(production, tmp_path / "hello.json")
    assert (code, said["error"]["code"]) == (2, "no-content") and "hello.json" in said["error"]["what"]


def test_every_content_that_officers_sign_is_signed(production: Settings, tmp_path: Path) -> None:
    with open_engine(production.database_url).connect() as connection:
        held = proposals(connection, "in-force")
        known = acting(connection)
    public: Any = load_pem_private_key((production.identities / OFFICER / "officer.key").read_bytes(), None)
    passkey = Passkey(OFFICER, "b", "https://a.example", "c", "proposed", 0.0, public.public_key())
    review = commandline.lgsp("access", "review", f"--data={production.data}").out.encode().strip()
    several = [each.body.encode() for each in held.values()]
    several += [known[OFFICER].content(), known[people.OPERATOR].content(), passkey_content(passkey)]
    several += [GRANT.canonical(), review]
    assert {each.what for each in held} == {"agency", "system", "route", "workflow"}
    (tmp_path / "contents").write_bytes(b"\r\n".join(several))
    code, said = sign(production, tmp_path / "contents")
    assert code == 0 and len(said["signatures"]) == len(several)
