"""What a copy of the data folder is worth without the secret: nothing of it opens, no private key and no body."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import secrets
import shutil
import ssl
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from contracts.base.errors import Ours
from gateway.audit.log.logkey import LogKey
from gateway.cli import keys as command
from gateway.doctor.files import key_files
from gateway.journal.database import open_engine, writing
from gateway.journal.schema import tables
from gateway.keys.key_encryption import PLAIN, AtRest, is_protected
from gateway.keys.keyring import NAMES, Keyring
from gateway.keys.protecting import protect
from gateway.sandbox.instance import make_instance
from gateway.settings import BadSetting, Settings, load
from gateway.settings.running import standing_still
from gateway.settings.saving import change
from gateway.vault.vault import Vault
from security.seal import unseal
from tests import commandline
from tests.setup.provinces import OPERATOR, answers

BODY = "Phản ánh: nắp cống bật lên ở ngã tư Hoàng Đình Giong".encode()


def made(folder: Path, secret: Path | None) -> Settings:
    """A production instance with one body in its vault."""
    settings = Settings(folder / "data", kind="production", secret_file="" if secret is None else str(secret))
    make_instance(settings, {}, time.time(), province=False)
    return settings


def put_body(settings: Settings) -> str:
    row = Vault(settings.vault_keys, at_rest=AtRest.of(settings)).seal("t-1", "request", BODY, time.time())
    with writing(open_engine(settings.database_url)) as connection:
        connection.execute(tables.vault.insert().values(id=row.id, key_id=row.key_id, size=row.size, sealed=row.sealed))
    return row.id


def opens(settings: Settings, body: str) -> None:
    keyring = Keyring(settings)
    assert keyring.signing_key().sign(b"x") and len(keyring.hash_key()) == 32
    assert keyring.issuer("tls").certificate and keyring.issuer("sign").certificate
    assert LogKey.open(keyring.log_key, settings.origin, keyring.at_rest).vkey == keyring.log_vkey.read_text().strip()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keyring.server_certificate, keyring.server_key, keyring.at_rest.password or b"")
    with open_engine(settings.database_url).connect() as connection:
        assert Vault(settings.vault_keys, at_rest=keyring.at_rest).open(connection, body) == BODY


def opens_nothing(copy: Path, body: str) -> None:
    """Every file of keys, read in every way that there is; then the body, under any 32 bytes that stand in any file."""
    settings = replace(Settings(copy), secret_file="")
    files = key_files(settings)
    assert len(files) >= 8
    for path in files:
        data = path.read_bytes()
        assert is_protected(data), path
        with pytest.raises((TypeError, ValueError)):
            load_pem_private_key(data, None)
        with pytest.raises(Ours, match="keys.locked"):
            PLAIN.read(path) if not data.startswith(b"-----") else PLAIN.private(
                path, lambda pem, password: load_pem_private_key(pem, password)
            )
    with open_engine(settings.database_url).connect() as connection, pytest.raises(Ours):
        Vault(settings.vault_keys).open(connection, body)
    sealed = open_engine(settings.database_url).connect().execute(tables.vault.select()).one().sealed
    for path in files:
        data = path.read_bytes()
        for start in range(max(1, len(data) - 31)):
            with pytest.raises(Exception):  # noqa: B017  (whatever it says, it does not open)
                unseal(data[start : start + 32].ljust(32, b"\0"), b"lgsp vault v1\0" + body.encode(), bytes(sealed))
    everything = b"".join(path.read_bytes() for path in copy.rglob("*") if path.is_file())
    assert BODY not in everything and b"BEGIN PRIVATE KEY" not in everything and b"PRIVATE+KEY+" not in everything


def test_an_instance_made_with_a_secret_opens_with_it_alone(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(secrets.token_urlsafe(48).encode())
    settings = made(tmp_path, secret)
    body = put_body(settings)
    opens(settings, body)
    shutil.copytree(settings.data, tmp_path / "copy")
    opens_nothing(tmp_path / "copy", body)
    other = tmp_path / "other"
    other.write_bytes(secrets.token_bytes(32))
    for file in ("hash.key", "log.key"):
        with pytest.raises(Ours, match="keys.locked"):
            AtRest.from_file(other).read(settings.keys / file)
    with pytest.raises(Ours, match="keys.locked"):
        Keyring(replace(settings, secret_file=str(other))).signing_key()


def test_an_instance_is_converted_and_a_conversion_cut_short_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = made(tmp_path, None)
    body = put_body(settings)
    opens(settings, body)
    secret = tmp_path / "secret"
    with pytest.raises(SystemExit) as ended:
        command.keys_protect(settings.data, True, secret)
    assert ended.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert secret.stat().st_mode & 0o777 == 0o600
    settings = load(settings.data, {})
    assert settings.secret_file == str(secret)
    opens(settings, body)
    assert len(told["protected"]) == len(key_files(settings))
    assert all(path.stat().st_mode & 0o077 == 0 for path in key_files(settings))

    # half of the way: one file is as it was before
    at_rest = AtRest.of(settings)
    plain = at_rest.read(settings.keys / "hash.key")
    (settings.keys / "hash.key").write_bytes(plain)
    opens(settings, body)
    with pytest.raises(SystemExit):
        command.keys_protect(settings.data, True)
    assert json.loads(capsys.readouterr().out)["protected"] == ["keys/hash.key"]
    opens(settings, body)
    shutil.copytree(settings.data, tmp_path / "copy")
    opens_nothing(tmp_path / "copy", body)


def test_a_secret_that_leaked_is_replaced_also_where_that_was_cut_short(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the old secret opens nothing of it, not the short-lived copies of the vault's keys either."""
    old, new, copies = tmp_path / "old", tmp_path / "new", tmp_path / "copies"
    for file in (old, third := tmp_path / "third"):
        file.write_bytes(secrets.token_bytes(32))
    change(made(tmp_path, old).data, secret_file=str(old), vault_backup=str(copies))
    settings = load(tmp_path / "data", {})
    body = put_body(settings)
    (copies / "2026-11-30").mkdir(parents=True)
    vault_key = next(settings.vault_keys.glob("*.key"))
    copy = copies / "2026-11-30" / vault_key.name
    shutil.copy(vault_key, copy)

    def cut(*by: Any) -> Iterator[Path]:
        yield from itertools.islice(protect(*by), 4)
        raise KeyboardInterrupt

    monkeypatch.setattr("gateway.keys.protecting.protect", cut)
    with pytest.raises(KeyboardInterrupt):
        command.keys_protect(settings.data, True, new)
    monkeypatch.undo()
    assert load(settings.data, {}).secret_file == str(old), "half of the way, the command goes on from there"
    with pytest.raises(SystemExit) as ended:
        command.keys_protect(settings.data, True, new)
    told = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0 and told["replaced"]
    assert len(told["protected"]) == len(key_files(settings)) + 1 - 4

    settings = load(settings.data, {})
    assert settings.secret_file == str(new)
    opens(settings, body)
    AtRest.from_file(new).read(copy)
    opens_nothing(settings.data, body)
    for path in (*key_files(settings), copy):
        with pytest.raises(Ours, match=r"keys\.locked"):
            list(protect([path], AtRest.from_file(third), AtRest.from_file(old)))
    (link := tmp_path / "link").hardlink_to(new)
    with pytest.raises(SystemExit):
        command.keys_protect(settings.data, True, new)  # typed again
    told = json.loads(capsys.readouterr().out)
    assert (told["protected"], told["replaced"]) == ([], False)
    with pytest.raises(SystemExit) as ended:
        command.keys_protect(settings.data, True, link)
    assert ended.value.code == 2 and load(settings.data, {}).secret_file == str(new), "the same secret replaces nothing"
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "same-secret"


def test_a_file_that_opens_with_neither_secret_stops_it_before_anything_is_written(tmp_path: Path) -> None:
    """Nor is a secret taken that lies where the keys' copies are, and would be encrypted with itself."""
    old, new, copies = tmp_path / "old", tmp_path / "new", tmp_path / "copies"
    old.write_bytes(secrets.token_bytes(32))
    settings = made(tmp_path, old)
    change(settings.data, secret_file=str(old), vault_backup=str(copies))
    copies.mkdir()
    (other := copies / "nginx.key").write_bytes(b"of another program")
    before = {path: path.read_bytes() for path in key_files(settings)}
    with pytest.raises(SystemExit) as ended:
        command.keys_protect(settings.data, True, copies / "new.key")
    assert ended.value.code == 2 and not (copies / "new.key").exists()
    foreign = settings.keys / "sign-2.key"
    foreign.write_bytes(b"LGSP sealed 1\n" + secrets.token_bytes(60))
    with pytest.raises(Ours, match=r"keys\.locked"):
        command.keys_protect(settings.data, True, new)
    assert before == {path: path.read_bytes() for path in before}
    foreign.unlink()
    with pytest.raises(SystemExit):
        command.keys_protect(settings.data, True, new)
    assert other.read_bytes() == b"of another program"


def test_who_replaces_a_secret_is_proved_also_where_that_was_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody may be proved by a `hash.key` that opens with the other secret already. `up` waits until it is done."""
    file, data, new = answers(tmp_path), tmp_path / "data", tmp_path / "new"
    assert commandline.lgsp("setup", str(file), "--data", str(data)).code == 0
    new.write_bytes(secrets.token_bytes(32))
    settings = load(data, {})
    by = ("--as", OPERATOR, "--key", str(tmp_path / f"{OPERATOR}.key"), "--data", str(data))
    for _ in protect([settings.keys / "hash.key"], AtRest.from_file(new), AtRest.of(settings)):
        pass
    assert commandline.lgsp("keys", "protect", *by).code == 3
    told = commandline.lgsp("keys", "protect", "--new-secret", str(new), *by)
    assert told.code == 0 and load(data, {}).secret_file == str(new), told
    with open_engine(settings.database_url).connect() as connection:
        logged = connection.execute(tables.log_pending.select().where(tables.log_pending.c.phase == "keys")).one().entry
    assert OPERATOR in logged.decode() and '"replaced"' in logged.decode(), logged
    root = tmp_path / "offline/root.key"  # it was away, and opens with the old secret alone
    shutil.copy(root, data / "ca/root.key")
    with monkeypatch.context() as once:
        once.setenv("LGSP_SECRET_FILE", settings.secret_file)
        told = commandline.lgsp("keys", "protect", "--new-secret", str(new), *by)
    assert told.code == 0 and load(data, {}).secret_file == str(new), told
    AtRest.from_file(new).private(data / "ca/root.key", load_pem_private_key)
    with standing_still(data) as still:
        assert still and commandline.lgsp("keys", "protect", "--new-secret", str(tmp_path / "old"), *by).code == 1


def test_a_key_that_is_replaced_is_protected_too(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(secrets.token_bytes(32))
    settings = made(tmp_path, secret)
    for name in NAMES:
        with pytest.raises(SystemExit):
            command.keys_rotate([name], settings.data, True)
    assert all(is_protected(path.read_bytes()) for path in key_files(settings))
    assert Keyring(settings).signing_key().key_id == "gateway.sign-2"


def test_a_secret_inside_the_folder_or_too_short_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with pytest.raises(BadSetting, match="data folder"):
        load(data, {"LGSP_SECRET_FILE": str(data / "secret")})
    short = tmp_path / "short"
    short.write_bytes(b"matkhau123\n" + b" " * 40)
    with pytest.raises(Ours, match="keys.no-secret"):
        AtRest.from_file(short)
    with pytest.raises(Ours, match="keys.no-secret"):
        AtRest.from_file(tmp_path / "none")


def test_random_bytes_that_end_like_a_line_are_a_secret_whole(tmp_path: Path) -> None:
    (tmp_path / "random").write_bytes(b" " + bytes(range(128, 158)) + b"\n")
    AtRest.from_file(tmp_path / "random")
    (tmp_path / "text").write_bytes(b"0123456789abcdef" * 2 + b"\n")
    (tmp_path / "same").write_bytes(b"0123456789abcdef" * 2)
    assert AtRest.from_file(tmp_path / "text").password == AtRest.from_file(tmp_path / "same").password


def test_a_credential_of_systemd_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    settings = load(tmp_path / "data", {"LGSP_SECRET_FILE": "credential:lgsp"})
    assert settings.secret_path == tmp_path / "credentials" / "lgsp"


def test_without_systemd_there_is_no_credential_and_no_file_of_its_name_is_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("lgsp", "credential:lgsp"):
        (tmp_path / name).write_bytes(bytes(range(32)))
    with pytest.raises(Ours) as refused:
        AtRest.of(load(tmp_path / "data", {"LGSP_SECRET_FILE": "credential:lgsp"}))
    assert refused.value.code == "keys.no-secret" and "LGSP_SECRET_FILE" in refused.value.next("vi")


@given(st.binary(max_size=100), st.binary(min_size=32, max_size=40), st.integers(0, 10_000))
def test_what_is_sealed_is_read_back_under_its_own_name_and_unchanged_only(
    plain: bytes, secret: bytes, at: int
) -> None:

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "secret").write_bytes(b"x" * 32 + secret)
        at_rest = AtRest.from_file(place / "secret")
        sealed = at_rest.form("a.key", plain)
        (place / "a.key").write_bytes(sealed)
        (place / "b.key").write_bytes(sealed)
        assert at_rest.read(place / "a.key") == plain
        spoiled = bytearray(sealed)
        spoiled[14 + at % (len(sealed) - 14)] ^= 1
        (place / "c.key").write_bytes(bytes(spoiled))
        for name in ("b.key", "c.key"):
            with pytest.raises(Ours, match="keys.locked"):
                at_rest.read(place / name)


def test_a_stolen_key_is_not_withdrawn_for_later(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`lgsp reload` would not withdraw it: it would be believed on, and the log would say otherwise."""
    settings = made(tmp_path, None)
    settings.run.mkdir(exist_ok=True)
    before = Keyring(settings).current("sign").key_id
    up = os.open(settings.run, os.O_RDONLY)
    try:
        fcntl.flock(up, fcntl.LOCK_EX)  # as a running instance holds it
        with pytest.raises(SystemExit) as refused:
            command.keys_rotate(["sign"], settings.data, True, withdraw=True, no_reload=True)
    finally:
        os.close(up)
    assert refused.value.code == 2 and json.loads(capsys.readouterr().out)["error"]["code"] == "withdraw-later"
    assert Keyring(settings).current("sign").key_id == before


def test_files_that_others_left_among_the_keys_do_not_stop_a_rotation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy that somebody made, and what a rotation that was killed had written: neither is used, and no number comes
    twice."""
    settings = made(tmp_path, None)
    for name in ("sign-old.key", "sign-2024.key.bak", "sign-2.key"):
        (settings.keys / name).write_bytes(b"-----BEGIN PRIV")
    with pytest.raises(SystemExit) as done:
        command.keys_rotate(["sign"], settings.data, True)
    assert done.value.code == 0 and json.loads(capsys.readouterr().out)["rotated"] == ["gateway.sign-2025"]
    assert Keyring(settings).signing_key().key_id == "gateway.sign-2025"
