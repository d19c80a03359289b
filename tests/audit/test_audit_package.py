"""A package of one transfer: a stranger finds it sound, and finds each thing that was done to it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from lgsp_test_stamping import Authority

from examples import messages
from examples.story import World
from examples.stranger.check import Findings, check, read_package

pytestmark = pytest.mark.server
Files = dict[str, bytes]
REASON = "Thanh tra tỉnh yêu cầu, công văn 12/TTr"


@pytest.fixture(scope="module")
def trusted(world: World) -> tuple[str, bytes]:
    """The log's key and the authorities, from an agency's identity folder."""
    return (world.identities / "dieu-hanh" / "log.vkey").read_text("utf-8"), (world.data / "ca" / "anchors.pem").read_bytes()


@pytest.fixture(scope="module")
def packages(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """REST to SOAP, and REST to REST, as the command makes them."""
    folder = tmp_path_factory.mktemp("packages")
    report = world.rest("phan-anh").call("POST", "/field-report/v1/requests", messages.field_report())
    asked = world.rest("y-te").call("GET", messages.indicator_question(indicator="KT-05", area="04", period="2026-Q3"))
    made = {}
    for name, answer in (("dispatch", report), ("query", asked)):
        assert answer.status == 200 and answer.receipt is not None, answer.body
        out, transfer = folder / f"{name}.zip", answer.receipt.transfer
        world.wait(
            "its entries under a checkpoint",
            lambda of=transfer: all(_indexed(each) for each in world.lgsp("audit", "show", of, "--data", str(world.data))["entries"]),
        )
        found = world.lgsp("audit", "package", transfer, str(out), "--reason", REASON, "--data", str(world.data))
        assert found["ok"] and found["entries"] == 2 and not found["missing"], found
        made[name] = out
    return made


def _indexed(entry: dict[str, object]) -> bool:
    return entry["index"] is not None


@pytest.fixture
def files(packages: dict[str, Path]) -> Files:
    return read_package(packages["dispatch"])


def wrong(found: Findings) -> set[str]:
    return {each["name"] for each in found.checks if not each["ok"]}


@pytest.mark.parametrize("name", ["dispatch", "query"])
def test_a_stranger_finds_it_sound(packages: dict[str, Path], trusted: tuple[str, bytes], name: str) -> None:
    found = check(read_package(packages[name]), *trusted)
    assert found.ok and not found.notes, (wrong(found), found.notes)
    names = [each["name"] for each in found.checks]
    assert {f"messages/{part}.http, signature" for part in ("request", "forwarded", "provider-answer")} <= set(names)
    assert sum(name.startswith("messages/") and "signature" not in name for name in names) == 4, "each digest of the log was compared"


def test_the_program_inside_says_so_too(packages: dict[str, Path], trusted: tuple[str, bytes], tmp_path: Path) -> None:
    with zipfile.ZipFile(packages["dispatch"]) as file:
        file.extractall(tmp_path)
    (folder,) = tmp_path.iterdir()
    (tmp_path / "authorities.pem").write_bytes(trusted[1])
    command = [
        sys.executable,
        "-I",
        str(folder / "check.pyz"),
        str(folder),
        "--vkey",
        trusted[0],
        "--authorities",
        str(tmp_path / "authorities.pem"),
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and json.loads(done.stdout)["ok"], done.stdout + done.stderr
    (folder / "messages" / "answer.json").write_bytes(b"{}")
    assert subprocess.run(command, capture_output=True, cwd=tmp_path).returncode == 1


def test_what_the_package_says_of_itself_is_named_as_such(files: Files) -> None:
    found = check(files)
    assert found.ok and len(found.notes) == 2 and all("from the package itself" in note for note in found.notes)


def test_that_it_was_made_is_in_the_log(world: World, packages: dict[str, Path]) -> None:
    transfer = json.loads(read_package(packages["query"])["manifest.json"])["transfer"]
    database = world.data / "lgsp.db"
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        rows = [json.loads(row[0]) for row in connection.execute("SELECT entry FROM log_entry WHERE phase = 'package'")]
    assert [row["facts"]["reason"] for row in rows if row["facts"]["of"] == transfer] == [REASON]


def _altered(part: str, change: Callable[[bytes], bytes], ending: str = "") -> Callable[[Files], None]:
    def alter(files: Files) -> None:
        name = next(each for each in files if each.startswith(part) and each.endswith(ending))
        files[name] = change(files[name])

    return alter


def _last_digit(data: bytes) -> bytes:
    return data[:-2] + (b"0" if data[-2:-1] != b"0" else b"1") + data[-1:]


def _signature_off(data: bytes) -> bytes:
    head, parted, body = data.partition(b"\r\n\r\n")
    return b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith(b"signature")) + parted + body


def _other_hash(data: bytes) -> bytes:
    lines = data.split(b"\n")
    lines[2] = bytes(reversed(lines[2][:-1])) + lines[2][-1:]
    return b"\n".join(lines)


def _other_target(data: bytes) -> bytes:
    return data.replace(b"/field-report/v1/requests", b"/field-report/v1/requestz", 1)


ATTACKS: dict[str, tuple[Callable[[Files], None], str]] = {
    "an entry's byte": (
        _altered("entries/0", lambda data: data.replace(b'"status":200', b'"status":201').replace(b'"v":1', b'"v":2', 1)),
        "entries/",
    ),
    "a proof's hash": (_altered("entries/", _other_hash, ".tlog-proof"), "entries/"),
    "the checkpoint's size": (_altered("log/checkpoint", lambda data: data.replace(b"\n", b"\n1", 1)), "log/checkpoint"),
    "the request's body": (_altered("messages/request.http", _last_digit), "messages/request.http"),
    "the request's target": (_altered("messages/request.http", _other_target), "messages/request.http, signature"),
    "the request's signature taken off": (_altered("messages/request.http", _signature_off), "messages/request.http, signature"),
    "the provider's answer": (_altered("messages/provider-answer.http", _last_digit), "messages/provider-answer.http"),
    "the answer": (_altered("messages/answer.json", lambda data: data.replace(b"open", b"shut")), "messages/answer.json"),
    "the salt": (_altered("messages/salt", lambda data: b"00" + data[2:]), "messages/answer.json"),
}


@pytest.mark.attack("evidence")
@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("careful", [False, True], ids=["", "manifest made anew"])
def test_what_was_done_to_it_is_found(files: Files, trusted: tuple[str, bytes], name: str, careful: bool) -> None:
    attack, at = ATTACKS[name]
    before = dict(files)
    attack(files)
    assert files != before
    if careful:
        _manifest_anew(files)
    found = check(files, *trusted)
    assert not found.ok and any(each.startswith(at) for each in wrong(found)), wrong(found)
    assert ("manifest" in wrong(found)) is not careful


def _manifest_anew(files: Files) -> None:
    manifest = json.loads(files["manifest.json"])
    manifest["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != "manifest.json"}
    files["manifest.json"] = json.dumps(manifest).encode()


@pytest.mark.attack("evidence")
def test_another_log_of_the_same_name(files: Files, trusted: tuple[str, bytes]) -> None:
    """Whoever forges a whole package brings a key of its own: it is not the one that was given."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from security.checkpoint import vkey

    other = vkey(trusted[0].partition("+")[0], Ed25519PrivateKey.generate().public_key())
    found = check(files, other, trusted[1])
    assert wrong(found) == {"log/checkpoint"}


@pytest.mark.attack("evidence")
def test_an_authority_of_ones_own(files: Files, trusted: tuple[str, bytes], world: World) -> None:
    """With other authorities than those that issued them, no certificate counts, and so no signature."""
    from security.authority import make_root

    root = make_root("Stranger", 1_795_000_000.0)
    found = check(files, trusted[0], root.pem)
    assert {"messages/request.http, signature", "the caller's TLS certificate"} <= wrong(found)


@pytest.mark.attack("evidence")
def test_a_message_left_out(files: Files, trusted: tuple[str, bytes]) -> None:
    del files["messages/provider-answer.http"]
    _manifest_anew(files)
    assert "messages/provider-answer.http" in wrong(check(files, *trusted))


def test_spicy_agrees(files: Files, trusted: tuple[str, bytes], tmp_path: Path) -> None:
    """A checker of transparency logs that nobody of this project wrote (Debian package litetlog)."""
    if shutil.which("spicy-litetlog") is None:
        pytest.skip("spicy-litetlog is not here (Debian package litetlog)")
    for name in sorted(each for each in files if each.endswith(".spicy")):
        entry = tmp_path / Path(name).stem
        entry.write_bytes(files[name.removesuffix(".spicy") + ".json"])
        (tmp_path / Path(name).name).write_bytes(files[name])
        command = ["spicy-litetlog", "-verify", trusted[0].strip(), str(entry)]
        assert subprocess.run(command, capture_output=True).returncode == 0
        entry.write_bytes(entry.read_bytes().replace(b'"v":1', b'"v":2'))
        assert subprocess.run(command, capture_output=True).returncode != 0


def test_by_hand(files: Files, tmp_path: Path) -> None:
    """What the page tells people to type: the leaf and a digest, with openssl and sha256sum."""
    entry = next(each for each in files if each.startswith("entries/") and "outcome" in each and each.endswith(".json"))
    leaf = subprocess.run(["openssl", "dgst", "-sha256", "-binary"], input=b"\0" + files[entry], capture_output=True, check=True).stdout
    assert base64.b64encode(leaf) == base64.b64encode(hashlib.sha256(b"\0" + files[entry]).digest())
    salted = bytes.fromhex(files["messages/salt"].decode()) + files["messages/answer.json"]
    digest = subprocess.run(["sha256sum"], input=salted, capture_output=True, check=True).stdout.split()[0].decode()
    assert json.loads(files[entry])["out"]["sha256"] == digest
    (tmp_path / "ca.pem").write_bytes(files["certificates/authorities.pem"])
    for name in (each for each in files if each.endswith(".crt")):
        (tmp_path / "one.crt").write_bytes(files[name])
        subprocess.run(["openssl", "verify", "-CAfile", "ca.pem", "one.crt"], cwd=tmp_path, check=True, capture_output=True)


def test_a_time_stamp_goes_along_and_openssl_accepts_it(
    world: World, packages: dict[str, Path], trusted: tuple[str, bytes], tmp_path: Path
) -> None:
    transfer = json.loads(read_package(packages["query"])["manifest.json"])["transfer"]
    data = ("--data", str(world.data))
    with Authority(tmp_path / "tsa") as authority:
        chosen = {"LGSP_STAMP_URL": authority.url, "LGSP_STAMP_ANCHORS": str(authority.anchors), "LGSP_STAMP_POLICY": "flagged"}
        command = [*world.command, "audit", "stamp", "--now", "--json", *data]
        stamped = json.loads(subprocess.run(command, capture_output=True, env=os.environ | chosen).stdout)
    assert stamped["stamped"], stamped
    assert world.lgsp("audit", "package", transfer, str(tmp_path / "stamped"), "--reason", REASON, *data)["ok"]
    files = read_package(tmp_path / "stamped")
    found = check(files, *trusted)
    assert found.ok and f"{stamped['size']} entries" in next(each["detail"] for each in found.checks if each["name"] == "log/checkpoint")
    log = tmp_path / "stamped" / "log"
    verify = ["openssl", "ts", "-verify", "-data", "checkpoint", "-in", "checkpoint.tsr", "-CAfile", str(authority.anchors)]
    assert subprocess.run(verify, cwd=log, capture_output=True).returncode == 0 and b"openssl ts -verify" in files["README.vi.md"]
    (log / "checkpoint").write_bytes(files["log/checkpoint"] + b"\n")
    assert subprocess.run(verify, cwd=log, capture_output=True).returncode != 0


@pytest.mark.parametrize(("reason", "code"), [("ngắn", "no-reason"), ("", "no-reason")])
def test_no_package_without_a_reason(world: World, tmp_path: Path, reason: str, code: str) -> None:
    found = world.lgsp(
        "audit", "package", "01935b6e-0000-7000-8000-000000000001", str(tmp_path / "p"), "--reason", reason, "--data", str(world.data)
    )
    assert found["error"]["code"] == code and not (tmp_path / "p").exists()


def test_a_transfer_that_is_none(world: World, tmp_path: Path) -> None:
    found = world.lgsp(
        "audit", "package", "01935b6e-0000-7000-8000-000000000001", str(tmp_path / "p"), "--reason", REASON, "--data", str(world.data)
    )
    assert found["error"]["code"] == "audit.not-logged" and not any(tmp_path.iterdir())
