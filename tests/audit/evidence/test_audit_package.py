"""A package of one transfer: a stranger finds it sound, and finds each thing that was done to it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509

from examples.story import World
from gateway.audit.verifier.check import check
from gateway.audit.verifier.reading import read_package
from tests.audit.packaging import REASON, Files, reasons, wrong
from tests.audit.stamping import Authority
from tests.stored import rows

pytestmark = pytest.mark.server
ROOT = Path(__file__).resolve().parents[3]


def _expected(note: str, revoked: set[str]) -> bool:
    """What the honest package leaves to be known: the canonical form, the gateway's own lines in the request's head,
    and keys that the registry itself says are revoked: the instance is everybody's, and none of them signed here, or
    the package would not hold."""
    file, _, said = note.partition(": ")
    own = file == "messages/request.http" and said.endswith("so they prove nothing: lgsp-certificate-status")
    return (
        file == "unproven/canonical.json"
        or own
        or (said.endswith(" was revoked before") and file.removeprefix("certificates/").removesuffix(".crt") in revoked)
    )


@pytest.mark.parametrize("name", ["dispatch", "query"])
def test_a_stranger_finds_it_sound(
    world: World, packages: dict[str, Path], trusted: tuple[str, bytes], name: str
) -> None:
    found = check(read_package(packages[name]), *trusted)
    revoked = {key for (key,) in rows(world.data, "SELECT key_id FROM system_key WHERE state = 'revoked'")}
    assert found.ok and not [note for note in found.notes if not _expected(note, revoked)], (wrong(found), found.notes)
    names = [each["name"] for each in found.checks]
    assert {f"messages/{part}.http, signature" for part in ("request", "forwarded", "provider-answer")} <= set(names)
    assert sum(name.startswith("messages/") and "," not in name for name in names) == 4, (
        "each digest of the log was compared"
    )


def test_the_revocation_lists_are_made_for_the_package(world: World, files: Files) -> None:
    """The instance is older than the transfer, and so is the list that its keeper made last."""
    entries = [json.loads(raw) for name, raw in files.items() if name.startswith("entries/") and name.endswith(".json")]
    at = min(datetime.fromisoformat(each["at"]) for each in entries)
    lists = {name: x509.load_der_x509_crl(raw) for name, raw in files.items() if name.endswith(".crl")}
    assert {Path(name).stem for name in lists} >= {"sign", "tls"}
    for crl in lists.values():
        assert crl.last_update_utc >= at.replace(microsecond=0)
    numbers = dict(rows(world.data, "SELECT issuer, number FROM revocation_list"))
    assert all(
        numbers[Path(name).stem] >= crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number > 1
        for name, crl in lists.items()
    )


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


@pytest.mark.parametrize("page", ["README.md", "README.vi.md"])
@pytest.mark.parametrize("name", ["dispatch", "query"])
def test_a_stranger_follows_its_page_word_by_word(
    packages: dict[str, Path], trusted: tuple[str, bytes], tmp_path: Path, name: str, page: str
) -> None:
    """With openssl, sha256sum, a shell and Python alone: each command of the page, but the installing and the foreign
    tool."""
    with zipfile.ZipFile(packages[name]) as file:
        file.extractall(tmp_path)
    (folder,) = (each for each in tmp_path.iterdir() if each.is_dir())
    for key, authorities in (("log.vkey", "authorities.pem"), ("khoa-nhat-ky.vkey", "co-quan-chung-thuc.pem")):
        (tmp_path / key).write_text(trusted[0], "utf-8")
        (tmp_path / authorities).write_bytes(trusted[1])
    (tmp_path / "python3").symlink_to(sys.executable)
    entries = [json.loads(path.read_bytes()) for path in (folder / "entries").glob("*.json")]
    logged = {
        part: entry[part]["sha256"] for entry in entries for part in ("in", "sent", "back", "out") if part in entry
    }
    blocks = re.findall(r"```sh\n(.*?)```", (folder / page).read_text("utf-8"), re.S)
    assert len(blocks) == 5
    said = []
    for block in blocks:
        if block.startswith("spicy-litetlog"):
            continue
        block = re.sub(r"^python3 -m pip .*\n", "", block).replace("python3 ", f"{sys.executable} ")
        done = subprocess.run(["bash", "-e", "-c", block], capture_output=True, text=True, cwd=folder, timeout=60)
        assert done.returncode == 0, (block, done.stdout, done.stderr)
        said.append(done.stdout)
        if parts := re.findall(r"^salted .*# (\w+)$", block, re.M):
            assert dict(zip(parts, done.stdout.split()[::2], strict=True)) == logged
    whole = "".join(said)
    assert (
        "the package holds / gói đúng" in whole and whole.count("in the log of ") == 2 and whole.count(".crt: OK") >= 4
    )


def test_a_mistaken_file_from_elsewhere_is_wrong_usage_and_no_forgery(
    packages: dict[str, Path], trusted: tuple[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "key").write_text(trusted[0], "utf-8")
    for words, said in (
        (["--authorities", "missing"], "missing"),
        (["--authorities", "binary"], "--authorities holds no certificates"),
        (["--authorities", "key"], "--authorities holds no certificates"),
        (["--vkey", "missing"], "missing"),
        (["--vkey", "binary"], "--vkey is no verifier key"),
        (["--vkey", "a+b+c"], "--vkey is no verifier key"),
    ):
        command = [sys.executable, "-m", "gateway.audit.verifier.check", str(packages["query"]), *words]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr and not done.stdout, done


def test_what_cannot_be_looked_at_is_no_forgery(
    packages: dict[str, Path], trusted: tuple[str, bytes], tmp_path: Path
) -> None:
    """Without lxml a SOAP message's signature is unseen: neither held nor wrong."""
    (tmp_path / "lxml.py").write_text("raise ImportError")
    (tmp_path / "authorities.pem").write_bytes(trusted[1])
    with zipfile.ZipFile(packages["dispatch"]) as file:
        file.extractall(tmp_path / "p")
    (folder,) = (tmp_path / "p").iterdir()
    command = [
        sys.executable,
        str(folder / "check.pyz"),
        str(folder),
        "--vkey",
        trusted[0].strip(),
        "--authorities",
        str(tmp_path / "authorities.pem"),
        "--json",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}
    )
    told = json.loads(done.stdout)
    assert done.returncode == 3 and not told["ok"] and all(each["ok"] for each in told["checks"])
    assert [each.partition(",")[0] for each in told["unseen"]] == [
        "messages/forwarded.http",
        "messages/provider-answer.http",
    ]


def test_what_the_package_says_of_itself_is_named_as_such(files: Files) -> None:
    found = check(files)
    assert found.ok and sum("from the package itself" in note for note in found.notes) == 2


def test_that_it_was_made_is_in_the_log(world: World, packages: dict[str, Path]) -> None:
    transfer = json.loads(read_package(packages["query"])["manifest.json"])["transfer"]
    assert reasons(world, transfer).count(REASON) == 1


def test_only_its_owner_reads_a_package(world: World, packages: dict[str, Path], tmp_path: Path) -> None:
    transfer = json.loads(read_package(packages["query"])["manifest.json"])["transfer"]
    assert world.lgsp(
        "audit", "package", transfer, str(tmp_path / "p"), "--reason", "Xem quyền tệp", "--data", str(world.data)
    )["ok"]
    modes = {path.stat().st_mode & 0o777 for path in [tmp_path / "p", *(tmp_path / "p").rglob("*")]}
    assert modes == {0o700, 0o600} and packages["query"].stat().st_mode & 0o777 == 0o600


def test_spicy_agrees(files: Files, trusted: tuple[str, bytes], tmp_path: Path) -> None:
    """A checker of transparency logs that nobody of this project wrote (Debian package litetlog)."""
    if shutil.which("spicy-litetlog") is None:
        pytest.skip("spicy-litetlog is not here (Debian package litetlog)")
    for name in sorted(each for each in files if each.endswith(".spicy")):
        entry = tmp_path / Path(name).stem
        entry.write_bytes(files[name.removesuffix(".spicy")])
        (tmp_path / Path(name).name).write_bytes(files[name])
        command = ["spicy-litetlog", "-verify", trusted[0].strip(), str(entry)]
        assert subprocess.run(command, capture_output=True).returncode == 0
        entry.write_bytes(entry.read_bytes().replace(b'"v":1', b'"v":2'))
        assert subprocess.run(command, capture_output=True).returncode != 0


def test_by_hand(files: Files, tmp_path: Path) -> None:
    """What the page tells people to type: the leaf and a digest, with openssl and sha256sum."""
    entry = next(each for each in files if each.startswith("entries/") and "outcome" in each and each.endswith(".json"))
    leaf = subprocess.run(
        ["openssl", "dgst", "-sha256", "-binary"], input=b"\0" + files[entry], capture_output=True, check=True
    ).stdout
    assert base64.b64encode(leaf) == base64.b64encode(hashlib.sha256(b"\0" + files[entry]).digest())
    salted = bytes.fromhex(files["messages/salt"].decode()) + files["messages/answer.json"]
    digest = subprocess.run(["sha256sum"], input=salted, capture_output=True, check=True).stdout.split()[0].decode()
    assert json.loads(files[entry])["out"]["sha256"] == digest
    (tmp_path / "ca.pem").write_bytes(files["certificates/authorities.pem"])
    for name in (each for each in files if each.endswith(".crt")):
        (tmp_path / "one.crt").write_bytes(files[name])
        subprocess.run(
            ["openssl", "verify", "-CAfile", "ca.pem", "one.crt"], cwd=tmp_path, check=True, capture_output=True
        )


@pytest.mark.sampled("sqlite")
def test_a_time_stamp_goes_along_and_openssl_accepts_it(
    world: World, packages: dict[str, Path], trusted: tuple[str, bytes], tmp_path: Path
) -> None:
    transfer = json.loads(read_package(packages["query"])["manifest.json"])["transfer"]
    data = ("--data", str(world.data))
    with Authority(tmp_path / "tsa") as authority:
        chosen = {
            "LGSP_STAMP_URL": authority.url,
            "LGSP_STAMP_ANCHORS": str(authority.anchors),
            "LGSP_STAMP_POLICY": "flagged",
        }
        command = [*world.command, "audit", "stamp", "--now", "--json", *data]
        stamped = json.loads(subprocess.run(command, capture_output=True, env=os.environ | chosen).stdout)
    assert stamped["stamped"], stamped
    assert world.lgsp("audit", "package", transfer, str(tmp_path / "stamped"), "--reason", "Có dấu thời gian", *data)[
        "ok"
    ]
    files = read_package(tmp_path / "stamped")
    found = check(files, *trusted)
    assert found.ok and f"{stamped['size']} entries" in next(
        each["detail"] for each in found.checks if each["name"] == "log/checkpoint"
    )
    log = tmp_path / "stamped" / "log"
    verify = [
        "openssl",
        "ts",
        "-verify",
        "-data",
        "checkpoint",
        "-in",
        "checkpoint.tsr",
        "-CAfile",
        str(authority.anchors),
    ]
    assert (
        subprocess.run(verify, cwd=log, capture_output=True).returncode == 0
        and b"openssl ts -verify" in files["README.vi.md"]
    )
    (log / "checkpoint").write_bytes(files["log/checkpoint"] + b"\n")
    assert subprocess.run(verify, cwd=log, capture_output=True).returncode != 0


def no_package(world: World, tmp_path: Path, reason: str) -> str:
    """The code by which a package of a transfer that is none is refused."""
    nobody = "01935b6e-0000-7000-8000-000000000001"
    refused = world.lgsp("audit", "package", nobody, str(tmp_path / "p"), "--reason", reason, "--data", str(world.data))
    assert not any(tmp_path.iterdir())
    return str(refused["error"]["code"])


@pytest.mark.parametrize("reason", ["ngắn", ""])
def test_no_package_without_a_reason(world: World, tmp_path: Path, reason: str) -> None:
    assert no_package(world, tmp_path, reason) == "vault.no-reason"


def test_a_transfer_that_is_none(world: World, tmp_path: Path) -> None:
    assert no_package(world, tmp_path, REASON) == "audit.not-logged"
